"""Options that several commands share; nothing heavy is imported before a command runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from msfp.cli.completion import THRESHOLDS, of_kind, offering, profiles
from msfp.errors import InputError

if TYPE_CHECKING:
    from msfp.pipeline.run import Run

HERE = Path()

Profile = Annotated[
    str, typer.Option("--profile", help="smoke, demo, mot17 or full", autocompletion=offering(profiles))
]
Root = Annotated[Path | None, typer.Option("--root", help="folder of real data in the MOTChallenge layout")]
Weights = Annotated[str, typer.Option("--weights", help="embedded, random-init, or a .safetensors or .pt file")]
Device = Annotated[str, typer.Option("--device", help="cpu or cuda; default: the profile's")]
Workers = Annotated[int, typer.Option("--workers", min=0, help="processes to fan out over; 0: none")]
Auto = Annotated[
    int, typer.Option("--workers", min=-1, help="processes to fan out over; -1: one a core where there are several")
]
Cluster = Annotated[
    str, typer.Option("--cluster", help="in place of workers here: tcp://HOST:PORT of a Dask scheduler, or slurm:FILE")
]
Home = Annotated[Path, typer.Option("--home", help="folder that holds data/, runs/ and figures/")]
Params = Annotated[
    list[str] | None, typer.Option("-p", "--param", metavar="NAME=VALUE", help="any setting, such as atl.beta=0.7")
]
TrackerName = Annotated[
    str,
    typer.Option("--tracker", help="a name of `msfp list trackers`", autocompletion=of_kind("trackers")),
]
AppearanceName = Annotated[
    str,
    typer.Option(
        "--appearance",
        help="a name of `msfp list appearances`, or none; default: the tracker's",
        autocompletion=of_kind("appearances"),
    ),
]
ThresholdName = Annotated[
    str,
    typer.Option(
        "--threshold",
        help="default, TAU, HIGH,LOW, atl, atl-single, atl-dual, or a name of `msfp list thresholds`",
        autocompletion=of_kind("thresholds", also=THRESHOLDS),
    ),
]
Json = Annotated[bool, typer.Option("--json", help="print JSON for a program")]


def run_from(
    profile: str,
    root: Path | None,
    weights: str,
    device: str,
    workers: int,
    home: Path,
    params: list[str] | None,
    cluster: str = "",
) -> "Run":
    """The run that the shared options describe.

    Raises:
        InputError: a parameter without `=`, or anything `open_run` refuses.
    """
    import shlex

    from msfp.pipeline.run import open_run

    parse_pairs(params, "-p")
    return open_run(
        profile,
        root=root or "",
        weights=weights,
        device=device,
        workers=workers,
        cluster=cluster,
        home=home,
        overrides=" ".join(map(shlex.quote, params or [])),
    )


def parse_pairs(words: list[str] | None, option: str) -> dict[str, str]:
    """`["a=1"]` -> {"a": "1"}.

    Raises:
        InputError: a word without `=`, or without a name before it.
    """
    found = {}
    for word in words or []:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise InputError(f"{option} {word}: write it as name=value")
        found[key] = value
    return found


def one_a_core() -> int:
    """Workers for a batch run: one a core this process may use; none on a single core, where they would only cost."""
    import os

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores if cores > 1 else 0

"""Options that commands share, and the run that they describe; nothing heavy is imported before a command runs."""

import functools
import inspect
import json
import os
import shlex
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from msfp.errors import InputError

if TYPE_CHECKING:
    from msfp.experiment.run import Run

Command = Callable[..., None]
Start = Callable[..., "Run"]
GROUPS = {
    "Input": "source root weights imgsz conf classes frames fps split device",
    "Tracker": "tracker appearance threshold options recovery after",
    "Learning": "learn heads save_heads select seed workers",
    "Output": "out film show save_txt save_crop exist_ok fresh hide_labels line_width quiet as_json",
}
"""Groups of options by their subject, those first that are used most; others come after."""


class Grouped(TyperCommand):
    """A command whose help lists its options by `GROUPS`."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        left = {one.name: record for one in self.get_params(ctx) if (record := one.get_help_record(ctx))}
        for title, names in {**GROUPS, "Other": " ".join(str(n) for n in left)}.items():
            with formatter.section(title):
                formatter.write_dl([left.pop(name) for name in names.split() if name in left])


def offer(*kinds: str, also: Iterable[str] = ()) -> Callable[[str], list[str]]:
    """Completions for a shell: words, and names (or numbers) of `msfp list KIND`, read when it asks."""

    def offered(typed: str) -> list[str]:  # typer reads the annotation
        from msfp.cli.listing import listing

        names = [*also, *(str(row.get("name", row.get("id"))) for kind in kinds for row in listing(kind))]
        return [name for name in names if name.startswith(typed)]

    return offered


def named(kind: str, about: str) -> Any:
    """An option of names of `msfp list KINDs`, which are checked before a command loads anything heavy."""

    def check(given: Any) -> Any:
        from msfp.cli.listing import check_name

        for word in given if isinstance(given, list) else [given] if given else []:
            check_name(f"{kind}s", f"--{kind}", word)
        return given

    return typer.Option(f"--{kind}", help=about, autocompletion=offer(f"{kind}s"), callback=check)


PROFILES = ("smoke", "demo", "mot17", "full")
Json = Annotated[bool, typer.Option("--json", help="print JSON for a program")]
Pairs = list[str] | None
SET = "tracker setting; `msfp list trackers` names each tracker's"
APPEARANCE = (
    "what people are told apart by: a name of `msfp list appearances`, or none; default: parts for msfp-track, for "
    "others the one beside them in `msfp list trackers`"
)
THRESHOLD = (
    "TAU, HIGH,LOW, default (the tracker's own), atl, atl-single, atl-dual, or a name of `msfp list thresholds`; "
    "unless given: for msfp-track atl, or 0.25,0.1 on boxes of a detector of yours; for others default"
)
RULES = offer("thresholds", also=("default", "atl", "atl-single", "atl-dual"))
LEARN = "folder whose labelled scenes are learned from; default: the drawn scenes"
Settings = Annotated[Pairs, typer.Option("--set", metavar="KEY=VALUE", help=SET)]
Seed = Annotated[int, typer.Option("--seed", help="of what is learned")]
TrackerName = Annotated[str, named("tracker", "a name of `msfp list trackers`")]
AppearanceName = Annotated[str, named("appearance", APPEARANCE)]
ThresholdName = Annotated[str, typer.Option("--threshold", help=THRESHOLD, autocompletion=RULES)]
Learn = Annotated[Path | None, typer.Option("--learn", help=LEARN)]
Param = Annotated[Pairs, typer.Option("-p", "--param", metavar="NAME=VALUE", help="any setting, such as atl.beta=0.7")]


def run_from(
    *settings: str,
    profile: Annotated[str, typer.Option(help=", ".join(PROFILES), autocompletion=offer(also=PROFILES))] = "demo",
    root: Annotated[Path | None, typer.Option(help="folder of real data in the MOTChallenge layout")] = None,
    weights: Annotated[str, typer.Option(help="embedded, random-init, or a .safetensors or .pt file")] = "",
    device: Annotated[str, typer.Option(help="cpu or cuda; default: the profile's")] = "",
    workers: Annotated[int, typer.Option(min=-1, help="processes to fan out over; 0: none, -1: one a core")] = 0,
    cluster: Annotated[str, typer.Option(help="in place of workers here: tcp://HOST:PORT, or slurm:FILE")] = "",
    param: Param = None,
    home: Annotated[Path, typer.Option(help="folder that holds data/, runs/ and figures/")] = Path(),
) -> "Run":
    """Open the run that the shared options describe; `settings` come before those of `-p`."""
    from msfp.experiment.run import open_run

    words = [*settings, *(param or [])]
    parse_pairs(words, "-p")
    return open_run(
        profile or ("mot17" if root else "demo"),
        root=root or "",
        weights=weights,
        device=device,
        workers=one_a_core() if workers < 0 else workers,
        cluster=cluster,
        home=home,
        overrides=" ".join(map(shlex.quote, words)),
    )


def opens_run(*names: str, **defaults: Any) -> Callable[[Command], Command]:
    """Give a command options of `run_from`, `defaults` some of them with another default (`...`: to be given).

    The command's first argument, `start`, opens the run: `start("a.b=1", profile="mot17")` adds settings, and puts
    other values in place of options'.
    """

    def decorate(command: Command) -> Command:
        _, *own = inspect.signature(command).parameters.values()
        shared = [inspect.signature(run_from).parameters[name] for name in names]

        @functools.wraps(command)
        def call(**given: Any) -> None:
            chosen = {name: given.pop(name) for name in names}
            command(functools.partial(run_from, **chosen), **given)

        every = [
            *(one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own),
            *(one.replace(default=defaults.get(one.name, one.default)) for one in shared),
        ]
        vars(call)["__signature__"], call.__annotations__ = inspect.Signature(every), {}
        return call

    return decorate


def parse_pairs(words: Pairs, option: str) -> dict[str, str]:
    """`["a=1"]` -> {"a": "1"}; InputError: a word without `=`, or without a name before it."""
    found = {}
    for word in words or []:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise InputError(f"{option} {word}: write it as name=value")
        found[key] = value
    return found


def one_a_core() -> int:
    """Workers for a batch run: one a core this process may use; none on a single core, where they would only cost."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores if cores > 1 else 0


def tell(
    as_json: bool, record: object, text: str | Iterable[str], problems: Iterable[str] = (), wrong: object = False
) -> None:
    """Print what a command found, as JSON or as lines for a person, and on standard error the problems with it.

    `wrong`: the command then ends with exit status 1.
    """
    lines = text if isinstance(text, str) else "\n".join(text)
    if as_json or lines:
        typer.echo(json.dumps(record, indent=1) if as_json else lines)
    for problem in problems:
        typer.echo(f"msfp: {problem}", err=True)
    if wrong:
        raise typer.Exit(1)


def grid(columns: Iterable[str], rows: Mapping[str, Iterable[str]], width: int) -> list[str]:
    """Lines of a table: names on the left, `width` signs for each value."""
    first = max(map(len, rows))
    every = {"": columns, **rows}
    return [f"{name:<{first}}" + "".join(f"{value:>{width}}" for value in values) for name, values in every.items()]

"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from msfp.errors import InputError
from msfp.pipeline.run import Run, open_run

Profile = Annotated[str, typer.Option("--profile", help="smoke, demo, mot17 or full")]
Root = Annotated[Path | None, typer.Option("--root", help="folder of real data in the MOTChallenge layout")]
Weights = Annotated[str, typer.Option("--weights", help="embedded, random-init, or a .safetensors or .pt file")]
Device = Annotated[str, typer.Option("--device", help="cpu or cuda; default: the profile's")]
Workers = Annotated[int, typer.Option("--workers", min=0, help="processes to fan out over; 0: none")]
Home = Annotated[Path, typer.Option("--home", help="folder that holds data/, runs/ and figures/")]
Params = Annotated[
    list[str] | None, typer.Option("-p", "--param", metavar="NAME=VALUE", help="any setting, such as atl.beta=0.7")
]
Json = Annotated[bool, typer.Option("--json", help="print JSON for a program")]


def run_from(
    profile: str, root: Path | None, weights: str, device: str, workers: int, home: Path, params: list[str] | None
) -> Run:
    """The run that the shared options describe.

    Raises:
        InputError: a parameter without `=`, or anything `open_run` refuses.
    """
    for param in params or []:
        if "=" not in param:
            raise InputError(f"-p {param}: write it as name=value")
    return open_run(
        profile,
        root=root or "",
        weights=weights,
        device=device,
        workers=workers,
        home=home,
        overrides=" ".join(params or []),
    )

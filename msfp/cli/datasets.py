"""`msfp data ...`: rendering the embedded worlds, and checking what a folder of real data holds."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from msfp.cli.app import app
from msfp.cli.options import HERE, Home, Json, Params, Profile, Workers, run_from
from msfp.errors import InputError

data_app = typer.Typer(help="Render the embedded worlds; check a folder of real data.", no_args_is_help=True)
app.add_typer(data_app, name="data")


@data_app.command("make")
def make(
    profile: Profile = "demo", workers: Workers = 0, home: Home = HERE, param: Params = None, as_json: Json = False
) -> None:
    """Render the embedded worlds of a profile, where they are not there yet."""
    run = run_from(profile, None, "", "", workers, home, param)
    folders = {name: str(run.dataset_root(name)) for name in run.embedded_names}
    typer.echo(json.dumps(folders, indent=1) if as_json else "\n".join(folders.values()))


@data_app.command("check")
def check(
    root: Annotated[Path, typer.Argument(help="folder in the MOTChallenge layout")],
    thorough: Annotated[bool, typer.Option("--thorough", help="decode every frame, not three a sequence")] = False,
    as_json: Json = False,
) -> None:
    """Say exactly which sequences, frames and label files are present and right; exit status 1 when some are not."""
    from msfp.datasets.catalog import check as findings_of

    if not root.is_dir():
        raise InputError(f"{root}: there is no such folder; name the one that holds train/ or test/")
    findings = findings_of(root, thorough)
    if as_json:
        typer.echo(json.dumps([asdict(f) for f in findings], indent=1))
    else:
        for finding in findings:
            typer.echo(str(finding))
    if any(not f.right for f in findings):
        raise typer.Exit(1)

"""`msfp data ...`: rendering the embedded worlds, and checking what a folder of real data holds."""

import json
from pathlib import Path
from typing import Annotated

import typer

from msfp.cli.app import app
from msfp.cli.options import Home, Json, Profile, Workers, run_from
from msfp.cli.paper import HERE

data_app = typer.Typer(help="Render the embedded worlds; check a folder of real data.", no_args_is_help=True)
app.add_typer(data_app, name="data")


@data_app.command("make")
def make(profile: Profile = "demo", workers: Workers = 0, home: Home = HERE) -> None:
    """Render the embedded worlds of a profile, where they are not there yet."""
    run = run_from(profile, None, "", "", workers, home, None)
    for name in run.embedded_names:
        typer.echo(str(run.dataset_root(name)))


@data_app.command("check")
def check(
    root: Annotated[Path, typer.Argument(help="folder in the MOTChallenge layout")], as_json: Json = False
) -> None:
    """Say exactly which sequences, frames and label files are present and right; exit status 1 when some are not."""
    from msfp.datasets.catalog import check as findings_of

    findings = findings_of(root)
    if as_json:
        typer.echo(json.dumps([f.__dict__ if hasattr(f, "__dict__") else str(f) for f in findings], indent=1))
    else:
        for finding in findings:
            typer.echo(str(finding))

"""`msfp paper`: a run's tables and figures as LaTeX."""

import json
from pathlib import Path
from typing import Annotated

import typer

from msfp.cli.app import app
from msfp.cli.options import HERE, Home, Json, Params, Profile, Root, Weights, run_from


@app.command("paper")
def paper(
    profile: Profile = "demo",
    out: Annotated[Path | None, typer.Option("--out", help="folder to write; default: runs/PROFILE/paper")] = None,
    root: Root = None,
    weights: Weights = "",
    param: Params = None,
    home: Home = HERE,
    as_json: Json = False,
) -> None:
    """Write the run's tables and figures as one folder of LaTeX that compiles; computes nothing.

    Take the options of the run itself: what was made with others is marked as stale.
    """
    run = run_from(profile, root, weights, "", 0, home, param)
    from msfp.paper.manuscript import COMPILE, write_paper

    made = write_paper(run, out)
    if as_json:
        found = {"folder": str(made.folder), "tables": made.tables, "figures": made.figures, "missing": made.missing}
        typer.echo(json.dumps({**found, "stale": made.stale, "compile": COMPILE}, indent=1))
        return
    typer.echo(f"{made.folder}: {len(made.tables)} tables, {len(made.figures)} figures; there: {COMPILE}")
    for name, reason in made.missing.items():
        typer.echo(f"msfp: {name} is not in it: {reason}", err=True)
    if made.stale:
        typer.echo(f"msfp: made by other code or settings: {', '.join(made.stale)}", err=True)

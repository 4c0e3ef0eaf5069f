"""`msfp reproduce`, `report`, `list`, `table`, `figure`: the paper's artefacts."""

import json
from typing import Annotated

import typer

from msfp.cli.app import app
from msfp.cli.completion import kinds, of_kind, offering
from msfp.cli.options import (
    HERE,
    Auto,
    Cluster,
    Device,
    Home,
    Json,
    Params,
    Profile,
    Root,
    Weights,
    Workers,
    one_a_core,
    run_from,
)


@app.command()
def reproduce(
    profile: Profile = "demo",
    root: Root = None,
    weights: Weights = "",
    device: Device = "",
    workers: Auto = -1,
    cluster: Cluster = "",
    only: Annotated[str, typer.Option("--only", metavar="NN", help="just this notebook, such as 03")] = "",
    start: Annotated[str, typer.Option("--from", metavar="NN", help="from this notebook on")] = "",
    fresh: Annotated[bool, typer.Option("--fresh", help="execute notebooks anew even when nothing changed")] = False,
    param: Params = None,
    home: Home = HERE,
    as_json: Json = False,
) -> None:
    """Execute the notebooks in order and write every table, figure and the report."""
    run = run_from(profile, root, weights, device, one_a_core() if workers < 0 else workers, home, param, cluster)
    from msfp.paper.reproduction import reproduce as execute

    outcome = execute(run, only=only or None, start=start or None, resume=not fresh)
    if as_json:
        typer.echo(json.dumps(outcome, indent=1))
    elif outcome["report"]:
        typer.echo(f"report: {outcome['report']}")
    else:
        typer.echo("the report is not written yet: msfp report")


@app.command()
def report(
    profile: Profile = "demo",
    root: Root = None,
    weights: Weights = "",
    param: Params = None,
    home: Home = HERE,
    show: Annotated[bool, typer.Option("--open", help="show it in the browser")] = False,
    as_json: Json = False,
) -> None:
    """Write the report again from what a run has made; computes no table.

    Give the options of the run: what was made with others, or by other code, is marked as such.
    """
    run = run_from(profile, root, weights, "", 0, home, param)
    from msfp.paper.publish import publish_report

    page = publish_report(run).path
    typer.echo(json.dumps({"report": str(page)}, indent=1) if as_json else f"report: {page}")
    if show:
        import webbrowser

        webbrowser.open(page.as_uri())


@app.command("list")
def list_things(
    what: Annotated[
        str,
        typer.Argument(
            help="tables, figures, extras, trackers, datasets, presets, appearances, thresholds, notebooks",
            autocompletion=offering(kinds),
        ),
    ] = "tables",
    as_json: Json = False,
) -> None:
    """What there is: tables, figures, trackers, data sets, detector presets."""
    from msfp.cli.listing import listing

    rows = listing(what)
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    widths = {key: max(len(str(row[key])) for row in rows) for key in rows[0]} if rows else {}
    for row in rows:
        typer.echo("  ".join(str(value).ljust(widths[key]) for key, value in row.items()).rstrip())


@app.command()
def table(
    number: Annotated[
        int, typer.Argument(help="1 to 24; extra ones from 101", autocompletion=of_kind("tables", "extras"))
    ],
    profile: Profile = "demo",
    root: Root = None,
    weights: Weights = "",
    device: Device = "",
    workers: Workers = 0,
    param: Params = None,
    home: Home = HERE,
    as_json: Json = False,
) -> None:
    """Compute one table of the paper: measured beside the paper's value."""
    run = run_from(profile, root, weights, device, workers, home, param)
    from msfp.paper.notebook import as_notebook_run

    made = as_notebook_run(run).table(number)
    typer.echo(made.json_text() if as_json else made.text())


@app.command()
def figure(
    number: Annotated[int, typer.Argument(help="1 to 7", autocompletion=of_kind("figures"))],
    profile: Profile = "demo",
    root: Root = None,
    weights: Weights = "",
    device: Device = "",
    workers: Workers = 0,
    param: Params = None,
    home: Home = HERE,
    as_json: Json = False,
) -> None:
    """Draw one figure of the paper as PDF, SVG and PNG."""
    run = run_from(profile, root, weights, device, workers, home, param)
    from msfp.paper.notebook import as_notebook_run

    made = as_notebook_run(run).figure(number)
    names = [str(f) for f in made.files]
    if as_json:
        typer.echo(json.dumps({"number": number, "files": names, "reason": made.reason}, indent=1))
    elif names:
        typer.echo("\n".join(names))
    if made.reason:
        typer.echo(f"msfp: figure {number}: n/a: {made.reason}", err=True)
        raise typer.Exit(1)

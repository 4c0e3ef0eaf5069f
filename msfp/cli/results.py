"""`msfp import-results` and `msfp submit`: result files from elsewhere into the tables, ours out to the server."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from msfp.cli.app import app
from msfp.cli.options import HERE, Device, Home, Json, Params, Profile, Root, Weights, Workers, run_from

if TYPE_CHECKING:
    from msfp.types import Cell


@app.command("import-results")
def import_results(
    name: Annotated[str, typer.Argument(help="the row's name; that of a row of the paper fills it, such as JDE")],
    folder: Annotated[Path, typer.Argument(help="folder of MOTChallenge result files, one SEQUENCE.txt each")],
    profile: Profile = "demo",
    root: Root = None,
    param: Params = None,
    home: Home = HERE,
    as_json: Json = False,
) -> None:
    """Take anyone's result files: checked, kept with the run, scored, and a measured row of Tables 1 and 2.

    Exit status 1 when files were left out or are missing, 2 when none could be taken.
    """
    run = run_from(profile, root, "", "", 0, home, param)
    from msfp.paper import external_rows
    from msfp.pipeline.external_results import Refused

    try:
        kept, scored = external_rows.take(run, name, folder)
    except Refused as refused:
        for problem in refused.problems:
            typer.echo(f"msfp: {problem}", err=True)
        raise typer.Exit(2) from None
    for problem in kept.problems:
        typer.echo(f"msfp: {problem}", err=True)
    if kept.unshown:
        text = f"kept, though no table of this run shows them: {', '.join(kept.unshown)}"
        typer.echo(f"msfp: {folder}: {text}", err=True)
    rows = {dataset: _rows(cells) for dataset, cells in scored.items()}
    if as_json:
        told = {"problems": kept.problems, "unshown": kept.unshown}
        typer.echo(
            json.dumps({"kept": str(kept.folder), "sequences": kept.sequences, "scores": rows, **told}, indent=1)
        )
    else:
        _print_import(len(kept.sequences), kept.folder, rows)
        typer.echo(f"shown by: msfp table 1 --profile {profile}")
    if kept.problems:
        raise typer.Exit(1)


def _print_import(count: int, folder: Path, scores: dict[str, dict[str, dict[str, float]]]) -> None:
    typer.echo(f"{count} result files kept at {folder}")
    for dataset, rows in scores.items():
        for row, found in rows.items():
            values = "  ".join(f"{k} {v:.1f}" if k != "IDSW" else f"{k} {v:.0f}" for k, v in found.items())
            typer.echo(f"{dataset}  {row}: {values}")


@app.command()
def submit(
    method: Annotated[str, typer.Argument(help="a row of Table 1, such as MSFP-Track, or its tracker's name")],
    root: Annotated[Path, typer.Option("--root", help="folder that holds the data set's train/ and test/")],
    dataset: Annotated[str, typer.Option("--dataset", help="mot17 or mot20; default: the profile's")] = "",
    out: Annotated[
        Path | None, typer.Option("--zip", help="file to write; default: runs/PROFILE/submissions/DATASET-METHOD.zip")
    ] = None,
    profile: Profile = "mot17",
    weights: Weights = "",
    device: Device = "",
    workers: Workers = 0,
    param: Params = None,
    home: Home = HERE,
    as_json: Json = False,
) -> None:
    """Track a test split whose labels are hidden, and write the zip that motchallenge.net takes, checked."""
    run = run_from(profile, root, weights, device, workers, home, param)
    from msfp.paper.external_rows import submit_row

    path = submit_row(run, method, dataset, out)
    typer.echo(json.dumps({"zip": str(path)}, indent=1) if as_json else str(path))


def _rows(cells: "list[Cell]") -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for cell in cells:
        if isinstance(cell.value, (int, float)):
            found.setdefault(cell.row, {})[cell.column] = float(cell.value)
    return found

"""`msfp run` and `msfp evaluate`: MOTChallenge result files from a folder, and their scores."""

import json
from pathlib import Path
from typing import Annotated

import typer

from msfp.cli.app import app
from msfp.cli.options import (
    HERE,
    AppearanceName,
    Device,
    Home,
    Json,
    Params,
    ThresholdName,
    TrackerName,
    Weights,
    Workers,
    parse_pairs,
    run_from,
)


@app.command("run")
def run_tracker(
    root: Annotated[Path, typer.Argument(help="folder in the MOTChallenge layout")],
    tracker: TrackerName,
    out: Annotated[Path, typer.Option("--out", help="folder for the result files")],
    appearance: AppearanceName = "",
    threshold: ThresholdName = "default",
    recovery: Annotated[
        str, typer.Option("--recovery", help="none or busca: look again for missed people, which adds boxes")
    ] = "none",
    after: Annotated[
        str,
        typer.Option(
            "--after", metavar="STEPS", help="post-processing: link (AFLink), fill, smooth (GSI); fill adds boxes"
        ),
    ] = "",
    options: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="tracker setting")] = None,
    seed: Annotated[int, typer.Option("--seed", help="of trained heads")] = 0,
    split: Annotated[str, typer.Option("--split", help="train, val or test")] = "train",
    weights: Weights = "",
    device: Device = "",
    workers: Workers = 0,
    param: Params = None,
    home: Home = HERE,
    as_json: Json = False,
) -> None:
    """Track every sequence of a folder; heads and ATL are those learned on the embedded worlds.

    Writes one MOTChallenge result file a sequence. Sequences that cannot be read, or lack the pixels a method needs,
    are named and skipped, and the exit status then is 1.
    """
    # Settings are the tracker's released ones and --set's; ATL is learned with the same.
    run = run_from("mot17", root, weights, device, workers, home, ["tuning=first", *(param or [])])
    from msfp.pipeline.folder_io import method_from, range_warning, track_folder
    from msfp.pipeline.postprocess import steps_from

    steps = steps_from(after)
    method = method_from(run, tracker, appearance, threshold, parse_pairs(options, "--set"), seed, recovery)
    if warning := range_warning(run, method, split):
        typer.echo(f"msfp: {warning}", err=True)
    written, skipped = track_folder(run, method, split, out, steps, seed)
    if as_json:
        typer.echo(json.dumps({"written": [str(p) for p in written], "skipped": skipped}, indent=1))
    else:
        for path in written:
            typer.echo(str(path))
    for name, reason in skipped.items():
        typer.echo(f"msfp: {name}: not tracked: {reason}", err=True)
    if skipped:
        raise typer.Exit(1)


@app.command()
def evaluate(
    root: Annotated[Path, typer.Argument(help="folder with ground truth, in the MOTChallenge layout")],
    results: Annotated[
        Path, typer.Argument(help="folder of result files, one SEQUENCE.txt each, or TrackEval's NAME/data")
    ],
    split: Annotated[str, typer.Option("--split", help="train, val or test")] = "train",
    as_json: Json = False,
) -> None:
    """Score result files per sequence and combined with TrackEval, whatever TrackEval reads.

    Exit status 1 when some are missing or cannot be read, or a score says nothing.
    """
    from msfp.pipeline.folder_io import score_folder

    found = score_folder(root, results, split)
    rows = found.score.rows()
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
    else:
        _print_scores(rows)
    said = [*found.told, *(f"{name}: not scored: {reason}" for name, reason in found.skipped.items())]
    said += [f"{name}: {doubt}" for name, doubt in found.doubtful.items()]
    if found.missing:
        said.append(f"COMBINED leaves out what has no result file: {', '.join(found.missing)}")
    for line in said:
        typer.echo(f"msfp: {line}", err=True)
    if found.missing or found.skipped or found.doubtful:
        raise typer.Exit(1)


def _print_scores(rows: list[dict[str, str | float | int]]) -> None:
    columns = ("HOTA", "DetA", "AssA", "MOTA", "IDF1", "IDSW")
    width = max(len(str(row["sequence"])) for row in rows)
    typer.echo(" " * width + "".join(f"{c:>9}" for c in columns))
    for row in rows:
        values = "".join(f"{row[c]:9d}" if c == "IDSW" else f"{100 * float(row[c]):9.3f}" for c in columns)
        typer.echo(f"{row['sequence']!s:<{width}}{values}")

"""`msfp run`, `reid` and `evaluate`: result files from a folder, how well embeddings tell its people apart, scores."""

from pathlib import Path
from typing import Annotated

import typer

from msfp.cli.app import app
from msfp.cli.options import (
    AppearanceName,
    Grouped,
    Json,
    Learn,
    Seed,
    Settings,
    Start,
    ThresholdName,
    TrackerName,
    grid,
    offer,
    one_of,
    opens_run,
    parse_pairs,
    tell,
)

WHOLE = 1_000_000  # frames of a scene that are compared, more than any has
Split = Annotated[str, typer.Option("--split", help="train, val or test")]
OF_REID = ("parts", "native-concat", "attention-instance", "reid")


@app.command("run", cls=Grouped)
@opens_run("weights", "device", "workers", "param", "home")
def run_tracker(
    start: Start,
    root: Annotated[Path, typer.Argument(help="folder in the MOTChallenge layout")],
    tracker: TrackerName,
    out: Annotated[Path, typer.Option("--out", help="folder for the result files")],
    appearance: AppearanceName = "",
    threshold: ThresholdName = "",
    recovery: Annotated[
        str, typer.Option("--recovery", help="none or busca: look again for missed people, which adds boxes")
    ] = "none",
    after: Annotated[
        str,
        typer.Option(
            "--after", metavar="STEPS", help="post-processing: link (AFLink), fill, smooth (GSI); fill adds boxes"
        ),
    ] = "",
    options: Settings = None,
    learn: Learn = None,
    select: Annotated[
        bool, typer.Option("--select", help="select the tracker's open settings on what is learned from, too")
    ] = False,
    seed: Seed = 0,
    split: Split = "train",
    as_json: Json = False,
) -> None:
    """Track every sequence of a folder; heads and ATL are those learned on the drawn scenes, or on --learn.

    Writes one MOTChallenge result file a sequence. Sequences that cannot be read, or lack the pixels a method needs,
    are named and skipped, and the exit status then is 1.
    """
    # Settings are the tracker's released ones and --set's; ATL is learned with the same.
    run = start(f"tuning={'selected' if select else 'first'}", profile="mot17", root=root)
    from msfp.experiment.folders import leak_warning, method_from, range_warning, steps_from, track_folder

    steps = steps_from(after)
    method = method_from(run, tracker, appearance, threshold, parse_pairs(options, "--set"), seed, recovery, learn)
    for warning in filter(None, (range_warning(run, method, split), leak_warning(run, learn, split))):
        typer.echo(f"msfp: {warning}", err=True)
    written, skipped = track_folder(run, method, split, out, steps, seed)
    names = [str(path) for path in written]
    problems = [f"{name}: not tracked: {reason}" for name, reason in skipped.items()]
    tell(as_json, {"written": names, "skipped": skipped}, names, problems, wrong=skipped)


@app.command()
@opens_run("weights", "device", "workers", "param", "home")
def reid(
    start: Start,
    root: Annotated[Path, typer.Argument(help="folder with ground truth, in the MOTChallenge layout")],
    names: Annotated[
        list[str] | None,
        typer.Option(
            "--appearance",
            help=f"a name of `msfp list appearances`, may be repeated; default: {', '.join(OF_REID)}",
            autocompletion=offer("appearances"),
            callback=one_of("appearances"),
        ),
    ] = None,
    learn: Learn = None,
    split: Split = "train",
    as_json: Json = False,
) -> None:
    """Measure how well embeddings tell the people of a folder apart, on its labelled boxes.

    AUC of the same person 20 to 30 frames later against whoever stands nearest to him then (hard_auc), how often the
    right one of these two is the more similar (first_of_two), and section 4.2's own auc and gap. All frames count
    unless -p reid.frames=150 says otherwise. A scene that is measured is never learned from: with --learn ROOT each is
    measured with what the others taught. Exit status 1 when a scene could not be measured.

    \b
      msfp reid street/ --appearance parts --appearance reid --learn MOT17/
    """
    run = start(f"reid.frames={WHOLE}", profile="mot17", root=root)
    from msfp.experiment.folders import MEASURES, reid_folder

    found = reid_folder(run, names or list(OF_REID), split, learn)
    rows = {
        f"{row['appearance']}  {row['scene']}": ["-" if row[name] is None else f"{row[name]:.3f}" for name in MEASURES]
        for row in found.rows
    }
    problems = [f"{name}: not measured: {reason}" for name, reason in found.skipped.items()]
    tell(as_json, found.rows, grid(MEASURES, rows, 16), problems, wrong=found.skipped)


@app.command()
def evaluate(
    root: Annotated[Path, typer.Argument(help="folder with ground truth, in the MOTChallenge layout")],
    results: Annotated[
        Path, typer.Argument(help="folder of result files, one SEQUENCE.txt each, or TrackEval's NAME/data")
    ],
    split: Split = "train",
    as_json: Json = False,
) -> None:
    """Score result files per sequence and combined with TrackEval, whatever TrackEval reads.

    Exit status 1 when some are missing or cannot be read, or a score says nothing.
    """
    from msfp.experiment.folders import score_folder

    found = score_folder(root, results, split)
    columns, rows = ("HOTA", "DetA", "AssA", "MOTA", "IDF1", "IDSW"), found.score.rows()
    text = {
        str(row["sequence"]): [f"{row[c]}" if c == "IDSW" else f"{100 * float(row[c]):.3f}" for c in columns]
        for row in rows
    }
    said = [*found.told, *(f"{name}: not scored: {reason}" for name, reason in found.skipped.items())]
    said += [f"{name}: {doubt}" for name, doubt in found.doubtful.items()]
    if found.missing:
        said.append(f"COMBINED leaves out what has no result file: {', '.join(found.missing)}")
    tell(as_json, rows, grid(columns, text, 9), said, wrong=found.missing or found.skipped or found.doubtful)

"""`msfp run` and `evaluate`: result files from a folder, and their scores; `msfp track`: people of somebody's video."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from msfp.cli.app import app
from msfp.cli.options import (
    AppearanceName,
    Json,
    Param,
    Seed,
    Settings,
    Start,
    ThresholdName,
    TrackerName,
    listed,
    one_a_core,
    one_of,
    opens_run,
    parse_pairs,
    tell,
)
from msfp.errors import InputError

if TYPE_CHECKING:
    from msfp.online.tracker import Image
    from msfp.online.video import Source

WHOLE = 1_000_000  # frames of a scene that are compared, more than any has
MOST = 4  # workers for one video, unless more are asked for: learning has few parts
HOME = "folder that holds data/ and runs/; default: here, or the user's cache"
Learners = Annotated[int, typer.Option(min=-1, help="processes that share the learning; -1: one a core, at most four")]
Rate = Annotated[
    float | None, typer.Option(help="constant rate in frames per second, where the source tells none or lies")
]
Split = Annotated[str, typer.Option("--split", help="train, val or test")]
Learn = Annotated[
    Path | None,
    typer.Option("--learn", help="folder whose labelled scenes are learned from; default: the embedded worlds"),
]
OF_REID = ("parts", "native-concat", "attention-instance", "reid")


@app.command("run")
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
    """Track every sequence of a folder; heads and ATL are those learned on the embedded worlds, or on --learn.

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
    tell(as_json, {"written": names, "skipped": skipped}, names, problems)
    if skipped:
        raise typer.Exit(1)


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
            autocompletion=listed("appearances"),
            callback=one_of("appearances", "--appearance"),
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
    width = max(len(f"{row['appearance']}  {row['scene']}") for row in found.rows)
    lines = [" " * width + "".join(f"{name:>16}" for name in MEASURES)]
    for row in found.rows:
        text = f"{row['appearance']}  {row['scene']}"
        values = [row[name] for name in MEASURES]
        lines.append(f"{text:<{width}}" + "".join(f"{'-' if v is None else f'{v:.3f}':>16}" for v in values))
    tell(as_json, found.rows, lines, [f"{name}: not measured: {reason}" for name, reason in found.skipped.items()])
    if found.skipped:
        raise typer.Exit(1)


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
    rows = found.score.rows()
    columns = ("HOTA", "DetA", "AssA", "MOTA", "IDF1", "IDSW")
    width = max(len(str(row["sequence"])) for row in rows)
    lines = [" " * width + "".join(f"{c:>9}" for c in columns)]
    for row in rows:
        values = "".join(f"{row[c]:9d}" if c == "IDSW" else f"{100 * float(row[c]):9.3f}" for c in columns)
        lines.append(f"{row['sequence']!s:<{width}}{values}")
    said = [*found.told, *(f"{name}: not scored: {reason}" for name, reason in found.skipped.items())]
    said += [f"{name}: {doubt}" for name, doubt in found.doubtful.items()]
    if found.missing:
        said.append(f"COMBINED leaves out what has no result file: {', '.join(found.missing)}")
    tell(as_json, rows, lines, said)
    if found.missing or found.skipped or found.doubtful:
        raise typer.Exit(1)


@app.command("track")
def track(
    source: Annotated[str, typer.Argument(help="video file, folder of images, or a camera's number")],
    out: Annotated[Path, typer.Option("--out", help="folder for the results")] = Path("tracked"),
    tracker: TrackerName = "msfp-track",
    appearance: AppearanceName = "",
    threshold: ThresholdName = "",
    options: Settings = None,
    weights: Annotated[
        str, typer.Option("--weights", help="embedded, random-init, or a .safetensors or .pt file")
    ] = "embedded",
    device: Annotated[str, typer.Option("--device", help="cpu or cuda; default: the profile's")] = "cpu",
    fps: Rate = None,
    frames: Annotated[int | None, typer.Option("--frames", min=1, help="stop after this many")] = None,
    film: Annotated[bool, typer.Option("--film/--no-film", help="whether to draw an annotated MP4")] = True,
    show: Annotated[bool, typer.Option("--show", help="show it in a window while it runs; q ends")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="throw away what an interrupted call left")] = False,
    seed: Seed = 0,
    param: Param = None,
    workers: Learners = -1,
    home: Annotated[Path | None, typer.Option(help=HOME)] = None,
    as_json: Json = False,
) -> None:
    """Follow the people of a video: detect, embed, choose thresholds, track.

    Writes MOTChallenge results, an annotated MP4 with a strip of the thresholds, and the thresholds as CSV. Frames that
    cannot be decoded are left out and told, and the exit status then is 1. An interrupted call goes on where it was
    when repeated. The first call learns heads and ATL for the detector on the embedded worlds (a minute or more, kept
    for later calls). Small people need a larger input: -p input.size=1280,736.

    \b
      msfp track street.mp4
      msfp track frames/ --fps 15 --tracker bytetrack --threshold 0.6,0.1
      msfp track 0 --show
    """
    window = window_for(source) if show else None
    from msfp.experiment.folders import method_from
    from msfp.experiment.run import parse_overrides
    from msfp.online.recording import Recording, check_room, record
    from msfp.online.tracker import OnlineTracker, run_for_videos
    from msfp.online.video import fingerprint, open_source

    seen = open_source(source, fps)
    check_room(seen, out)  # before minutes are spent on learning
    settings = {key: parse_overrides(f"{key}={value}")[key] for key, value in parse_pairs(param, "-p").items()}
    run = run_for_videos(weights, device, settings, home, min(one_a_core(), MOST) if workers < 0 else workers)
    method = method_from(run, tracker, appearance, threshold, parse_pairs(options, "--set"), seed)
    if method.threshold.kind == "fixed" and method.threshold.high > 1:
        raise InputError(f"--threshold {threshold}: the detector's scores lie between 0 and 1, so nobody would be seen")
    state = {
        "source": [seen.address, seen.width, seen.height, seen.length, seen.fps, fingerprint(seen)],
        "method": [tracker, appearance, threshold, sorted(options or []), seed, film],
        "settings": run.settings.model_dump(mode="json", exclude={"device", "data"}),
        "weights": run.weights_digest(),
    }
    recording = Recording(seen, out, state, film)
    done = record(recording, OnlineTracker(run, method, seen.fps), limit=frames, fresh=fresh, show=window)
    _tell(done, seen, as_json)


def _tell(done: dict[str, Any], seen: "Source", as_json: bool) -> None:
    """Tell what came of a video; damage is the exit status, too."""
    from msfp.data.video import loss

    rate = f" at {'a variable rate, on average ' if done['variable_rate'] else ''}{done['rate']:.4g} a second"
    speed = f", {done['frames_per_second']} followed a second" if done["frames_per_second"] else ""
    files = [done[kind] for kind in ("tracks", "thresholds", "times", "film") if kind in done]
    damage = []
    if done["lost"] or done["marred"]:
        said = loss(seen.length or done["frames"], done["lost"], done["marred"])
        damage = [f"{seen.place}: {said}; what could be decoded was followed: copy the video again"]
    tell(as_json, done, [f"{done['frames']} frames{rate}, {done['people']} people{speed}", *files], damage)
    if damage:
        raise typer.Exit(1)


def window_for(title: str) -> "Callable[[Image], bool]":
    """A function that shows a frame; False once q was pressed.

    Raises:
        InputError: there is no screen.
    """
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise InputError("--show needs a screen, and there is none here; leave it out and look at the film afterwards")
    import cv2

    def show(pixels: "Image") -> bool:
        cv2.imshow(title, pixels[..., ::-1])
        return cv2.waitKey(1) & 0xFF not in (ord("q"), 27)

    return show

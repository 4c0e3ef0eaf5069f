"""`msfp track`, `run`, `reid` and `evaluate`: people of a video or a folder followed, told apart, and scored."""

import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from msfp.cli.app import app
from msfp.cli.options import (
    AppearanceName,
    Grouped,
    Json,
    Learn,
    Pairs,
    Param,
    Seed,
    Settings,
    Start,
    ThresholdName,
    TrackerName,
    grid,
    named,
    one_a_core,
    opens_run,
    parse_pairs,
    tell,
)
from msfp.errors import InputError

if TYPE_CHECKING:
    from msfp.experiment.run import Run
    from msfp.online.recording import Made
    from msfp.online.tracker import Image, OnlineTracker
    from msfp.online.video import Source

WHOLE = 1_000_000  # frames of a scene that are compared, more than any has
Option = typer.Option
Split = Annotated[str, Option("--split", help="train, val or test")]
OF_REID = ("parts", "native-concat", "attention-instance", "reid")
OF = f"a name of `msfp list appearances`, may be repeated; default: {', '.join(OF_REID)}"
MOST = 4  # workers for one video, unless more are asked for: learning has few parts
TOLD = 5.0  # seconds between lines of progress where there is no terminal
SOURCE = "video file, folder of images, a camera's number, or an address (rtsp://, https://)"
CLASSES = "people only (0 or person); other things: msfp.Tracker().update(frame, boxes) in Python"
IMGSZ = "longer side of the network's input in pixels, a multiple of 32; default 640; 1280 sees small people"
EXIST_OK = "use the folder of an earlier call: the same result is taken as it is, another one replaced"
WORKERS = "processes that share the learning; -1: one a core, at most four"
HOME = "folder that holds data/ and runs/; default: here, or the user's cache"


@app.command("run", cls=Grouped)
@opens_run("weights", "device", "workers", "param", "home")
def run_tracker(
    start: Start,
    root: Annotated[Path, typer.Argument(help="folder in the MOTChallenge layout")],
    tracker: TrackerName,
    out: Annotated[Path, Option(help="folder for the result files")],
    appearance: AppearanceName = "",
    threshold: ThresholdName = "",
    recovery: Annotated[str, Option(help="none or busca: look again for missed people, which adds boxes")] = "none",
    after: Annotated[str, Option(metavar="STEPS", help="link (AFLink), fill, smooth (GSI); fill adds boxes")] = "",
    options: Settings = None,
    learn: Learn = None,
    select: Annotated[bool, Option("--select", help="select open settings on what is learned from, too")] = False,
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
    names: Annotated[list[str] | None, named("appearance", OF)] = None,
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


@app.command("track", cls=Grouped)
def track(
    source: Annotated[str, typer.Argument(help=SOURCE)],
    weights: Annotated[str, Option(help="detector: embedded, random-init, or a .safetensors or .pt file")] = "embedded",
    imgsz: Annotated[int | None, Option(help=IMGSZ)] = None,
    conf: Annotated[float, Option(min=0.001, max=1, help="score of the least certain people")] = 0.05,
    classes: Annotated[str, Option(help=CLASSES)] = "0",
    frames: Annotated[int | None, Option(min=1, help="stop after this many")] = None,
    fps: Annotated[float | None, Option(help="constant rate, where the source tells none or lies")] = None,
    device: Annotated[str, Option(help="cpu or cuda")] = "cpu",
    tracker: TrackerName = "msfp-track",
    appearance: AppearanceName = "",
    threshold: ThresholdName = "",
    options: Settings = None,
    learn: Learn = None,
    heads: Annotated[Path | None, Option(help="file of --save-heads, in place of learning")] = None,
    save_heads: Annotated[Path | None, Option(help="write the head and ATL that were learned")] = None,
    seed: Seed = 0,
    workers: Annotated[int, Option(min=-1, help=WORKERS)] = -1,
    out: Annotated[Path | None, Option(help="folder; default: tracked/NAME, or the next free one")] = None,
    film: Annotated[bool, Option(help="whether to draw an annotated MP4")] = True,
    show: Annotated[bool, Option("--show", help="show it in a window while it runs; q ends")] = False,
    save_txt: Annotated[bool, Option("--save-txt", help="also YOLO's label files, one a frame")] = False,
    save_crop: Annotated[bool, Option("--save-crop", help="also a picture of each person in each frame")] = False,
    exist_ok: Annotated[bool, Option("--exist-ok", help=EXIST_OK)] = False,
    fresh: Annotated[bool, Option("--fresh", help="throw away what an interrupted call left")] = False,
    hide_labels: Annotated[bool, Option("--hide-labels", help="draw boxes without identities")] = False,
    line_width: Annotated[int | None, Option(min=1, help="of drawn boxes, in pixels")] = None,
    quiet: Annotated[bool, Option("--quiet", help="no progress, only what came of it")] = False,
    param: Param = None,
    home: Annotated[Path | None, Option(help=HOME)] = None,
    as_json: Json = False,
) -> None:
    """Follow the people of a video: detect, embed, choose thresholds, track.

    Writes MOTChallenge results, an annotated MP4 with a strip of the thresholds, and the thresholds as CSV. Frames that
    cannot be decoded are left out and told; the exit status then is 1. An interrupted call goes on where it was when
    repeated. The first call for a detector learns what people are told apart by (minutes, kept for later calls).

    \b
      msfp track street.mp4 --weights yolov8n.pt
      msfp track 0 --show
      msfp track rtsp://camera/stream --no-film --imgsz 1280
    """
    _check(threshold, classes)
    window, say = window_for("msfp track") if show else None, _silent if quiet else _say
    seen = _opened(source, fps, say)
    from msfp.online.recording import Made, Recording, record

    run, size = _prepared(seen, weights, device, param, workers, home, imgsz, learn)
    method = {"tracker": tracker, "look": appearance, "threshold": threshold, "seed": seed, "learn": learn}
    method |= {"options": parse_pairs(options, "--set")}
    made = Made(film, not hide_labels, line_width, save_txt, save_crop)
    state = _state(seen, run, {**method, "conf": conf, "input": size, "heads": heads}, made)
    with _placed(out, exist_ok, fresh, seen, state, frames, say) as (folder, fresh, done):
        if done is None or save_heads or window:  # which an earlier result does not give
            say(f"network input {size[0]}x{size[1]}, results go to {folder}")
            watcher, every = _watcher(run, seen, method, size, conf, heads, save_heads, say), None if quiet else TOLD
            recording = Recording(seen, folder, state, made)
            done = record(recording, watcher, limit=frames, fresh=fresh, show=window, told_every=every)
    _tell(done, seen, as_json)


Say = Callable[[str], None]


def _say(text: str) -> None:
    typer.echo(f"msfp: {text}", err=True)


def _silent(_text: str) -> None:
    pass


def _check(threshold: str, classes: str) -> None:
    with suppress(ValueError):  # a name is looked up later
        if float(threshold.partition(",")[0]) > 1:
            raise InputError(
                f"--threshold {threshold}: the detector's scores lie between 0 and 1, so nobody would be seen"
            )
    if other := [word for word in classes.split(",") if word.strip().lower() not in ("0", "person")]:
        raise InputError(
            f"--classes {other[0].strip()}: msfp's detectors keep people only; follow boxes of other things in Python, "
            "with a detector of your own: msfp.Tracker('bytetrack').update(frame, boxes)"
        )


def _opened(source: str, fps: float | None, say: Say) -> "Source":
    """Open a source and say a line about it at once: all else takes seconds to load."""
    from msfp.online.video import open_source

    seen = open_source(source, fps)
    frames = "frames" if seen.length is None else f"{seen.length} frames"
    say(f"{seen.name}: {frames} of {seen.width}x{seen.height}, {seen.fps:.4g} a second")
    return seen


def _state(seen: "Source", run: "Run", method: dict[str, Any], made: "Made") -> dict[str, Any]:
    """All that the results of a video depend on, files by their content."""
    from msfp.engine.files import file_digest
    from msfp.online.video import fingerprint, folder_fingerprint

    heads, learn = method.pop("heads"), method.pop("learn")
    place = {"address": seen.address, "width": seen.width, "height": seen.height, "frames": seen.length}
    return {
        "video": {**place, "fps": seen.fps, "content": fingerprint(seen)},
        "method": {"tracker": method.pop("tracker"), "appearance": method.pop("look"), **method},
        "learned": {"heads": heads and file_digest(heads), "from": learn and folder_fingerprint(learn)},
        "made": asdict(made),
        "weights": run.weights_digest(),
        "settings": run.settings.model_dump(mode="json", exclude={"device", "data"}),
    }


def _prepared(
    seen: "Source",
    weights: str,
    device: str,
    param: Pairs,
    workers: int,
    home: Path | None,
    imgsz: int | None,
    learn: Path | None,
) -> "tuple[Run, tuple[int, int]]":
    """The run that a video's heads and ATL are learned in, and the network's input for its frames."""
    from msfp.experiment.live import input_for
    from msfp.experiment.run import parse_overrides
    from msfp.online.tracker import run_for_videos

    settings = {
        key: parse_overrides(shlex.quote(f"{key}={value}"))[key] for key, value in parse_pairs(param, "-p").items()
    }
    fan_out = min(one_a_core(), MOST) if workers < 0 else workers
    run = run_for_videos(weights, device, settings, home, fan_out, imgsz, learn)
    size = run.settings.input.size
    return run, size if "input.size" in settings else input_for(max(size), seen.width, seen.height)


@contextmanager
def _placed(
    out: Path | None,
    exist_ok: bool,
    fresh: bool,
    seen: "Source",
    state: dict[str, Any],
    limit: int | None,
    say: Say,
) -> "Iterator[tuple[Path, bool, dict[str, Any] | None]]":
    """A folder for the results, whether what is there is thrown away, and what an earlier call made that is taken.

    The folder is this call's own before minutes are spent on learning. InputError: one was named that holds results of
    another video, or of other settings.
    """
    from msfp.online.folders import check_room, claim, earlier, free_folder, holder, release

    first, chosen = out or Path("tracked") / seen.name, out is not None or exist_ok
    while True:
        place = first if chosen else free_folder(first, seen, state)
        check_room(seen, place)
        whose = holder(place, seen, state)
        replaced = whose in ("parts", "other")
        if whose == "this" or (replaced and chosen) or (whose == "nobody" and claim(place, state)):
            break
    if replaced and not (exist_ok or (fresh and whose == "parts")):
        raise InputError(
            f"{out} holds results of another video or of other settings; name another folder with --out, or replace "
            "them with --exist-ok"
        )
    known = earlier(place, seen, state, limit) if whose == "this" else None
    if known and not exist_ok:
        say(f"{place} holds the same result from before, which is made anew; --exist-ok takes it as it is")
    if place != first:
        say(f"{first} holds earlier results, so these go to {place}; --exist-ok replaces those")
    try:
        yield place, fresh or replaced, known if exist_ok and not fresh else None
    finally:
        if whose == "nobody":
            release(place)


def _watcher(
    run: "Run",
    seen: "Source",
    method: dict[str, Any],
    size: tuple[int, int],
    conf: float,
    heads: Path | None,
    save_heads: Path | None,
    say: Say,
) -> "OnlineTracker":
    """The tracker of a method's words, heads and ATL learned, or read from a file."""
    from msfp.experiment.folders import method_from
    from msfp.online.learned import save_learned, unlearned
    from msfp.online.tracker import OnlineTracker, taught

    run.backbone()  # weights that cannot be read are told before anything is learned
    if heads is None and (told := unlearned(run, method)):
        say(f"{told}; --tracker bytetrack learns nothing")
    chosen = method_from(run, **method, taught=heads is not None)
    known = None if heads is None else taught(heads, run, chosen)
    watcher = OnlineTracker(run, chosen, seen.fps, size=size, confidence=conf, learned=known)
    if save_heads is not None:
        save_learned(save_heads, watcher.learned, run)
    return watcher


def _tell(done: dict[str, Any], seen: "Source", as_json: bool) -> None:
    """Tell what came of a video; damage is the exit status, too."""
    from msfp.data.video import loss

    rate = f" at {'a variable rate, on average ' if done['variable_rate'] else ''}{done['rate']:.4g} a second"
    speed = f", {done['frames_per_second']} followed a second" if done["frames_per_second"] else ""
    files = [done[kind] for kind in ("tracks", "thresholds", "times", "film", "labels", "crops") if kind in done]
    damage = []
    if done["lost"] or done["marred"]:
        said = loss(seen.length or done["frames"], done["lost"], done["marred"])
        damage = [f"{seen.place}: {said}; what could be decoded was followed: copy the video again"]
    said = f"{done['frames']} frames{rate}, {done['people']} people{speed}"
    tell(as_json, done, [said, *files], damage, wrong=damage)


def window_for(title: str) -> "Callable[[Image], bool]":
    """A function that shows a frame; False once q was pressed. InputError: there is no screen."""
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise InputError("--show needs a screen, and there is none here; leave it out and look at the film afterwards")
    import cv2

    def show(pixels: "Image") -> bool:
        cv2.imshow(title, pixels[..., ::-1])
        return cv2.waitKey(1) & 0xFF not in (ord("q"), 27)

    return show

"""`msfp track`: the people of somebody's video."""

import os
import shlex
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from msfp.cli.app import app
from msfp.cli.options import (
    AppearanceName,
    Json,
    Learn,
    Pairs,
    Param,
    Seed,
    Settings,
    ThresholdName,
    TrackerName,
    one_a_core,
    parse_pairs,
    tell,
)
from msfp.errors import InputError

if TYPE_CHECKING:
    from msfp.experiment.run import Run
    from msfp.online.tracker import Image, OnlineTracker
    from msfp.online.video import Source

MOST = 4  # workers for one video, unless more are asked for: learning has few parts
TOLD = 5.0  # seconds between lines of progress where there is no terminal
_SOURCE = "video file, folder of images, a camera's number, or an address (rtsp://, https://)"
_OUT = "folder for the results; default: tracked/NAME, or the next free one"
_WEIGHTS = "of the detector: embedded, random-init, or a .safetensors or .pt file"
_IMGSZ = (
    "longer side of the network's input in pixels, up to the next multiple of 32; default 640; 1280 sees small people"
)
_RATE = "constant rate in frames per second, where the source tells none or lies"
_WORKERS = "processes that share the learning; -1: one a core, at most four"
_HOME = "folder that holds data/ and runs/; default: here, or the user's cache"
Where = Annotated[str, typer.Argument(help=_SOURCE)]
Out = Annotated[Path | None, typer.Option("--out", help=_OUT)]
ExistOk = Annotated[bool, typer.Option("--exist-ok", help="replace what another call left in --out")]
Weights = Annotated[str, typer.Option("--weights", help=_WEIGHTS)]
Heads = Annotated[Path | None, typer.Option("--heads", help="file of --save-heads, in place of learning")]
SaveHeads = Annotated[Path | None, typer.Option("--save-heads", help="write the head and ATL that were learned")]
Longest = Annotated[int | None, typer.Option("--imgsz", help=_IMGSZ)]
Confidence = Annotated[float, typer.Option("--conf", min=0.001, max=1, help="score of the least certain people")]
Device = Annotated[str, typer.Option("--device", help="cpu or cuda")]
Rate = Annotated[float | None, typer.Option("--fps", help=_RATE)]
Limit = Annotated[int | None, typer.Option("--frames", min=1, help="stop after this many")]
WithFilm = Annotated[bool, typer.Option("--film/--no-film", help="whether to draw an annotated MP4")]
NoLabels = Annotated[bool, typer.Option("--hide-labels", help="draw boxes without identities")]
LineWidth = Annotated[int | None, typer.Option("--line-width", min=1, help="of drawn boxes, in pixels")]
SaveTxt = Annotated[bool, typer.Option("--save-txt", help="also YOLO's label files, one a frame")]
SaveCrop = Annotated[bool, typer.Option("--save-crop", help="also a picture of each person in each frame")]
Show = Annotated[bool, typer.Option("--show", help="show it in a window while it runs; q ends")]
Fresh = Annotated[bool, typer.Option("--fresh", help="throw away what an interrupted call left")]
Quiet = Annotated[bool, typer.Option("--quiet", help="no progress, only what came of it")]
Learners = Annotated[int, typer.Option("--workers", min=-1, help=_WORKERS)]
Home = Annotated[Path | None, typer.Option("--home", help=_HOME)]


@app.command("track")
def track(
    source: Where,
    out: Out = None,
    exist_ok: ExistOk = False,
    tracker: TrackerName = "msfp-track",
    appearance: AppearanceName = "",
    threshold: ThresholdName = "",
    options: Settings = None,
    weights: Weights = "embedded",
    learn: Learn = None,
    heads: Heads = None,
    save_heads: SaveHeads = None,
    imgsz: Longest = None,
    conf: Confidence = 0.05,
    device: Device = "cpu",
    fps: Rate = None,
    frames: Limit = None,
    film: WithFilm = True,
    hide_labels: NoLabels = False,
    line_width: LineWidth = None,
    save_txt: SaveTxt = False,
    save_crop: SaveCrop = False,
    show: Show = False,
    fresh: Fresh = False,
    quiet: Quiet = False,
    seed: Seed = 0,
    param: Param = None,
    workers: Learners = -1,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Follow the people of a video: detect, embed, choose thresholds, track.

    Writes MOTChallenge results, an annotated MP4 with a strip of the thresholds, and the thresholds as CSV. Frames that
    cannot be decoded are left out and told, and the exit status then is 1. An interrupted call goes on where it was
    when repeated. The first call for a detector learns heads and ATL (minutes, kept for later calls).

    \b
      msfp track street.mp4 --weights yolov8n.pt
      msfp track 0 --show
      msfp track rtsp://camera/stream --no-film --imgsz 1280
    """
    _check_threshold(threshold)
    window, seen = window_for("msfp track") if show else None, _opened(source, fps, quiet)
    from msfp.online.recording import Made, Recording, record

    chosen = parse_pairs(options, "--set")
    run, size = _prepared(seen, weights, device, param, workers, home, imgsz, learn)
    method = {"tracker": tracker, "look": appearance, "threshold": threshold, "seed": seed, "learn": learn}
    told = [*map(str, method.values()), sorted(chosen.items()), conf, *size, _digest(heads)]
    state = _state(seen, run, told, [film, hide_labels, line_width, save_txt, save_crop])
    folder, fresh = _place(out, exist_ok, fresh, seen, state)
    _say(quiet, f"network input {size[0]}x{size[1]}, results go to {folder}; what was not learned yet is learned first")
    watcher = _watcher(run, seen, method | {"options": chosen}, size, conf, heads, save_heads)
    recording = Recording(seen, folder, state, Made(film, not hide_labels, line_width, save_txt, save_crop))
    every = None if quiet else TOLD
    done = record(recording, watcher, limit=frames, fresh=fresh, show=window, told_every=every)
    _tell(done, seen, as_json)


def _check_threshold(text: str) -> None:
    with suppress(ValueError):  # a name is looked up later
        if float(text.partition(",")[0]) > 1:
            raise InputError(f"--threshold {text}: the detector's scores lie between 0 and 1, so nobody would be seen")


def _opened(source: str, fps: float | None, quiet: bool) -> "Source":
    """Open a source and say a line about it at once: all else takes seconds to load."""
    from msfp.online.video import open_source

    seen = open_source(source, fps)
    frames = "frames" if seen.length is None else f"{seen.length} frames"
    _say(quiet, f"{seen.name}: {frames} of {seen.width}x{seen.height}, {seen.fps:.4g} a second")
    return seen


def _say(quiet: bool, text: str) -> None:
    if not quiet:
        typer.echo(f"msfp: {text}", err=True)


def _state(seen: "Source", run: "Run", method: list[Any], made: list[Any]) -> dict[str, Any]:
    """All that the results of a video depend on."""
    from msfp.online.video import fingerprint

    return {
        "source": [seen.address, seen.width, seen.height, seen.length, seen.fps, fingerprint(seen)],
        "method": method,
        "made": made,
        "settings": run.settings.model_dump(mode="json", exclude={"device", "data"}),
        "weights": run.weights_digest(),
    }


def _digest(heads: Path | None) -> str:
    from msfp.engine.files import file_digest

    return "" if heads is None else file_digest(heads)


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


def _place(out: Path | None, exist_ok: bool, fresh: bool, seen: "Source", state: dict[str, Any]) -> tuple[Path, bool]:
    """The folder of the results, and whether what another call left there is thrown away.

    InputError: a folder was named that holds results of another video, or of other settings.
    """
    from msfp.online.recording import check_room, free_folder, holder

    place = free_folder(Path("tracked") / seen.name, seen, state) if out is None else out
    check_room(seen, place)  # before minutes are spent on learning
    whose = holder(place, seen, state)
    if out is None or whose in ("nobody", "this"):
        return place, fresh
    if not (exist_ok or (fresh and whose == "parts")):
        raise InputError(
            f"{out} holds results of another video or of other settings; name another folder with --out, or replace "
            "them with --exist-ok"
        )
    return place, True


def _watcher(
    run: "Run",
    seen: "Source",
    method: dict[str, Any],
    size: tuple[int, int],
    conf: float,
    heads: Path | None,
    save_heads: Path | None,
) -> "OnlineTracker":
    """The tracker of a method's words, heads and ATL learned, or read from a file."""
    from msfp.experiment.folders import method_from
    from msfp.online.learned import save_learned
    from msfp.online.tracker import OnlineTracker, taught

    run.backbone()  # weights that cannot be read are told before anything is learned
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

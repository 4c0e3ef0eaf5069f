"""`msfp track`: people followed through somebody's own video."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from msfp.cli.app import app
from msfp.cli.options import (
    AppearanceName,
    Device,
    Json,
    Params,
    ThresholdName,
    TrackerName,
    Weights,
    one_a_core,
    parse_pairs,
)
from msfp.errors import InputError

if TYPE_CHECKING:
    from msfp.pipeline.online_tracker import Image
    from msfp.video.source import Source


MOST = 4  # workers, unless more are asked for: learning has few parts


@app.command("track")
def track(
    source: Annotated[str, typer.Argument(help="video file, folder of images, or a camera's number")],
    out: Annotated[Path, typer.Option("--out", help="folder for the results")] = Path("tracked"),
    tracker: TrackerName = "msfp-track",
    appearance: AppearanceName = "",
    threshold: ThresholdName = "atl",
    options: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="tracker setting")] = None,
    weights: Weights = "embedded",
    device: Device = "cpu",
    fps: Annotated[
        float | None,
        typer.Option("--fps", help="constant rate in frames per second, where the source tells none or lies"),
    ] = None,
    frames: Annotated[int | None, typer.Option("--frames", min=1, help="stop after this many")] = None,
    film: Annotated[bool, typer.Option("--film/--no-film", help="whether to draw an annotated MP4")] = True,
    show: Annotated[bool, typer.Option("--show", help="show it in a window while it runs; q ends")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="throw away what an interrupted call left")] = False,
    seed: Annotated[int, typer.Option("--seed", help="of trained heads")] = 0,
    param: Params = None,
    workers: Annotated[
        int, typer.Option("--workers", min=-1, help="processes that share the learning; -1: one a core, at most four")
    ] = -1,
    home: Annotated[
        Path | None,
        typer.Option("--home", help="folder that holds data/ and runs/; default: here, or the user's cache"),
    ] = None,
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
    from msfp.pipeline.folder_io import method_from
    from msfp.pipeline.online_tracker import OnlineTracker
    from msfp.pipeline.recording import Recording, check_room, record
    from msfp.pipeline.run import parse_overrides
    from msfp.pipeline.tracker import run_for_videos
    from msfp.video.source import fingerprint, open_source

    seen = open_source(source, fps)
    check_room(seen, out)  # before minutes are spent on learning
    settings = {key: parse_overrides(f"{key}={value}")[key] for key, value in parse_pairs(param, "-p").items()}
    run = run_for_videos(weights, device, settings, home, min(one_a_core(), MOST) if workers < 0 else workers)
    method = method_from(run, tracker, appearance, threshold, parse_pairs(options, "--set"), seed)
    state = {
        "source": [seen.address, seen.width, seen.height, seen.length, seen.fps, fingerprint(seen)],
        "method": [tracker, appearance, threshold, sorted(options or []), seed, film],
        "input": run.settings.input.model_dump(mode="json"),
        "weights": run.weights_digest(),
    }
    recording = Recording(seen, out, state, film)
    tell(record(recording, OnlineTracker(run, method, seen.fps), limit=frames, fresh=fresh, show=window), seen, as_json)


def tell(done: dict[str, Any], source: "Source", as_json: bool) -> None:
    """Print what came of it; damage is told apart, and is the exit status."""
    typer.echo(json.dumps(done, indent=1) if as_json else told(done))
    if done["lost"] or done["marred"]:
        typer.echo(f"msfp: {damage(done, source)}", err=True)
        raise typer.Exit(1)


def damage(done: dict[str, Any], source: "Source") -> str:
    """Tell a person what damage cost."""
    from msfp.video.decoding import loss

    said = loss(source.length or done["frames"], done["lost"], done["marred"])
    return f"{source.place}: {said}; what could be decoded was followed: copy the video again"


def told(done: dict[str, Any]) -> str:
    """What came of it, for a person."""
    rate = f" at {'a variable rate, on average ' if done['variable_rate'] else ''}{done['rate']:.4g} a second"
    speed = f", {done['frames_per_second']} followed a second" if done["frames_per_second"] else ""
    files = [done[kind] for kind in ("tracks", "thresholds", "times", "film") if kind in done]
    return "\n".join([f"{done['frames']} frames{rate}, {done['people']} people{speed}", *files])


def window_for(title: str) -> "Callable[[Image], bool]":
    """A function that shows a frame; False once q was pressed.

    Raises:
        InputError: there is no screen.
    """
    import os
    import sys

    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise InputError("--show needs a screen, and there is none here; leave it out and look at the film afterwards")
    import cv2

    def show(pixels: "Image") -> bool:
        cv2.imshow(title, pixels[..., ::-1])
        return cv2.waitKey(1) & 0xFF not in (ord("q"), 27)

    return show

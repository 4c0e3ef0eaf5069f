"""Cases of `scale`: what processes hold at most while they go through films of different lengths.

Extraction gives back a vector for every box, which grows with the film by its nature: that much is taken off. Anything
else that grew would be frames, maps or results kept for longer than they are needed.
"""

import functools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from harness import OURS, Case, Clocked

SIZE = (160, 96)
BOXES = 20
MEGABYTE = 1 << 20
SLACK = 12.0  # MB by which two processes that do the same differ
HERE = Path(__file__).resolve().parent
PROGRAM = Path(sys.executable).with_name("msfp")


def tracked(frames: int) -> Case:
    """`msfp track`, film and all, over a third of a film and over all of it."""
    return _case("msfp track, memory", frames, _track, "ByteTrack, YOLOv8n (embedded weights)", lambda _: 0.0)


def extracted(frames: int) -> Case:
    """Features of a scene whose frames come one after the other, offline, over a third of them and over all."""
    return _case("extraction, memory", frames, _extract, f"YOLOv8n (random weights), {BOXES} boxes a frame", returned)


def _case(name: str, frames: int, work: Callable[[int], Clocked], about: str, returned: Callable[[int], float]) -> Case:
    short = f"{frames // 3} frames"

    def agree(results: Mapping[str, Any]) -> dict[str, float]:
        most = {side: results[side] - returned(n) for side, n in ((short, frames // 3), (OURS, frames))}
        assert most[OURS] < most[short] + SLACK, most
        return {"MB at most, all": most[OURS], "MB at most, a third": most[short]}

    sides = {short: functools.partial(work, frames // 3), OURS: functools.partial(work, frames)}
    return Case(
        name, f"{frames} frames {SIZE[0]}x{SIZE[1]}, {about}; start included", sides, agree, "ms/frame", rounds=3
    )


def _track(frames: int) -> Clocked:
    with tempfile.TemporaryDirectory(prefix="msfp-bench-") as name:
        film = Path(name) / "film.mp4"
        writer = cv2.VideoWriter(str(film), cv2.VideoWriter.fourcc(*"mp4v"), 25, SIZE)
        still = np.random.default_rng(0).integers(0, 255, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
        for _ in range(frames):
            writer.write(still)
        writer.release()
        words = [str(PROGRAM), "track", str(film), "--tracker", "bytetrack", "--threshold", "0.6,0.1"]
        words += ["--out", f"{name}/out", "--home", name, "-p", f"input.size={SIZE[0]},{SIZE[1]}"]
        return process(words, frames)


def _extract(frames: int) -> Clocked:
    return process([sys.executable, "-c", f"import films; films.extract_frames({frames})"], frames)


def extract_frames(frames: int) -> None:
    """Extract features of frames that are made as they are asked for."""
    from msfp.features.backbone import load_backbone
    from msfp.features.pooling import extract_modes

    still = np.random.default_rng(0).integers(0, 255, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    frame = np.repeat(np.arange(1, frames + 1, dtype=np.int32), BOXES)
    tlwh = np.tile([20.0, 10.0, 30.0, 60.0], (len(frame), 1))
    backbone = load_backbone("yolov8n-paper", "random-init")
    shown = ((t, still.copy()) for t in range(1, frames + 1))
    extract_modes(shown, {"boxes": (frame, tlwh)}, backbone, {"roi_align": backbone.layers}, SIZE)


def returned(frames: int) -> float:
    """Megabytes of the vectors that extraction gives back, its boxes, and YOLOv8n's scene vectors."""
    return frames * (BOXES * (2 * (64 + 256 + 192) + 40) + 2 * 192) / MEGABYTE


def process(words: list[str], units: int) -> Clocked:
    """Run a command; the most megabytes it held, and seconds a unit of work."""
    began = time.perf_counter()
    child = subprocess.Popen(words, cwd=HERE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert child.stderr is not None
    said = child.stderr.read().decode()
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    child.stderr.close()
    if child.returncode:
        raise SystemExit(f"{' '.join(words)}: {said.strip()}")
    wall = time.perf_counter() - began
    return Clocked(used.ru_maxrss / 1024, wall / units, (used.ru_utime + used.ru_stime) / units)

"""Videos, decoded by PyAV: every frame that can be decoded, under its own number.

The number is the rank of the frame's time stamp among those of the file's packets, so that a damaged packet costs the
frames it holds and moves no other. Where a format has no time stamps, frames are counted as they come.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from msfp.video.pictures import Image
from msfp.video.videos import Video, open_video, opened, outcomes, quarters, state_of


class Damaged(Exception):
    """Something of a video cannot be decoded as it was written."""


@dataclass(frozen=True)
class Health:
    """Numbers of a video's frames that can be decoded, that are lost, and that are decoded with errors."""

    frames: tuple[int, ...]
    lost: tuple[int, ...]
    marred: tuple[int, ...]


def health(path: Path) -> Health:
    """Decode a video once to see which frames it really holds; remembered by its content."""
    return _health_at(path, *state_of(path))


def decode(video: Video, report: set[int] | None = None) -> Iterator[tuple[int, Any]]:
    """(number from 1, frame) of every frame that can be decoded, ascending; `pixels_of` gives a frame's pixels.

    Nothing is sought: a frame does not depend on where reading began. `report` takes the numbers of frames that were
    decoded with errors.
    """
    given = 0
    try:
        for number, frame in _pass(video, careful=False):
            given = number
            yield number, frame
        return
    except Damaged:
        pass
    # Several decoders at once lose and mend other frames on other machines; one loses the same ones everywhere.
    for number, frame in _pass(video, careful=True):
        if report is not None and frame.is_corrupt:
            report.add(number)
        if number > given:
            given = number
            yield number, frame


def pixels_of(frame: Any) -> Image:
    """(H, W, 3) uint8 RGB of a decoded frame, turned as the file says."""
    pixels: Image = frame.to_ndarray(format="rgb24", interpolation="BICUBIC")
    turns = quarters(frame)
    return np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels


def numbers_in_short(numbers: Sequence[int]) -> str:
    """Ascending frame numbers: `1-4, 7, 9-12`; the middle ones left out where there are many."""
    runs: list[list[int]] = []
    for t in numbers:
        if runs and t == runs[-1][1] + 1:
            runs[-1][1] = t
        else:
            runs.append([t, t])
    text = [f"{first}-{last}" if last > first else str(first) for first, last in runs]
    return ", ".join(text if len(text) <= 7 else [*text[:3], f"... {len(text) - 6} more ...", *text[-3:]])


def loss(length: int, lost: Sequence[int], marred: Sequence[int] = ()) -> str:
    """Say what damage cost: `2 of 60 frames cannot be decoded (38-39)`; empty where it cost nothing."""
    said = []
    if lost:
        said.append(f"{len(lost)} of {length} frames cannot be decoded ({numbers_in_short(lost)})")
    if marred:
        said.append(f"{len(marred)} of {length} frames are decoded with errors ({numbers_in_short(marred)})")
    return " and ".join(said)


_known: dict[str, Health] = {}


@lru_cache(maxsize=256)
def _health_at(path: Path, size: int, changed: int) -> Health:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest not in _known:  # sequences of one scene often hold copies of one video
        video, marred = open_video(path), set[int]()
        frames = tuple(number for number, _ in decode(video, marred))
        lost = tuple(sorted(set(range(1, video.length + 1)) - set(frames)))
        _known[digest] = Health(frames, lost, tuple(sorted(marred & set(frames))))
    return _known[digest]


def _pass(video: Video, careful: bool) -> Iterator[tuple[int, Any]]:
    """Decode with one decoder, going on after errors, if `careful`; else with all cores, up to the first error."""
    given, stamps = 0, video.stamps
    with opened(video.path, 1 if careful else 0) as (container, stream):
        for frames, error in outcomes(container, stream):
            if not careful and (error or any(f.is_corrupt for f in frames)):
                raise Damaged
            given += error and not len(stamps)  # a frame without a number takes one away with it
            for frame in frames:
                at = len(stamps) if frame.pts is None else int(np.searchsorted(stamps, frame.pts))
                number = at + 1 if at < len(stamps) and stamps[at] == frame.pts else given + 1
                if number > given:
                    given = number
                    yield number, frame

"""Where frames come from: a video file, a folder of images, or a camera."""

import hashlib
import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msfp.errors import InputError
from msfp.video.decoding import decode, pixels_of
from msfp.video.pictures import (
    NUMBER,
    SUFFIXES,
    Image,
    by_number,
    check_size,
    in_order,
    opencv,
    pictures_in,
    read_picture,
)
from msfp.video.videos import DEFAULT_FPS, HIGHEST_FPS, open_video

SPARSEST = 100  # of names that are frame numbers at least one in so many is there; time stamps leave wider gaps
SAMPLE = 1 << 20  # bytes of a video's beginning, middle and end by which it is recognised
log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Source:
    """What is looked at."""

    name: str  # for messages and result files
    place: Path | int  # file or folder; a camera's number
    fps: float  # frames per second, of a video frames by seconds; 30 where nothing tells
    width: int  # of a frame in pixels
    height: int
    length: int | None  # number of frames, None where it has no end (camera)
    images: dict[int, Path]  # frame number -> file of a folder, in order; empty for videos and cameras
    # (length,) time of each frame since the first; None where frames come at the constant rate `fps`
    seconds: NDArray[np.float64] | None = None

    @property
    def endless(self) -> bool:
        """Whether it is a camera, whose frames cannot be asked for again."""
        return isinstance(self.place, int)

    @property
    def variable(self) -> bool:
        """True where frames come at times of their own."""
        return self.seconds is not None

    @property
    def address(self) -> str:
        """Where it is, whatever the working folder."""
        return f"camera {self.place}" if isinstance(self.place, int) else str(self.place.resolve())

    def time_of(self, number: int) -> float:
        """Seconds of a frame since frame 1."""
        if self.seconds is None or number > len(self.seconds):
            return (number - 1) / self.fps
        return float(self.seconds[number - 1])


def open_source(text: str, fps: float | None = None) -> Source:
    """A source from what a person writes: a video file, a folder of images, or `0`, `1`, ... for a camera.

    `fps`: a constant rate in place of what the source tells.
    """
    if fps is not None and not 0 < fps <= HIGHEST_FPS:
        raise InputError(f"{fps:g} frames per second; give a number above 0, at most {HIGHEST_FPS:g}")
    path = Path(text)
    try:
        folder, file = path.is_dir(), path.is_file()
    except (OSError, ValueError) as error:
        raise InputError(f"{text[:80]}: cannot be read ({getattr(error, 'strerror', error)}); check the path") from None
    if folder:
        return _folder(path, fps)
    if file:
        video = open_video(path)
        size, times = (video.width, video.height), video.seconds if video.variable and fps is None else None
        return Source(path.stem or "video", path, fps or video.fps, *size, video.length, {}, times)
    if text.isdecimal():
        return _camera(int(text), fps)
    raise InputError(f"{text}: no such video, folder of images or camera number")


def frames(source: Source, first: int = 1, marred: set[int] | None = None) -> Iterator[tuple[int, Image]]:
    """(number from 1, (H, W, 3) uint8 RGB), from frame `first` on; numbers of lost frames are left out.

    `marred` takes the numbers of frames that were decoded with errors.
    """
    found: Iterator[tuple[int, Image]]
    if isinstance(source.place, int):
        found = _from_camera(source.place, first)
    elif source.images:
        found = ((number, read_picture(path)) for number, path in source.images.items() if number >= first)
    else:
        decoded = decode(open_video(source.place), marred)
        found = ((number, pixels_of(frame)) for number, frame in decoded if number >= first)
    for number, pixels in found:
        if pixels.shape[:2] != (source.height, source.width):
            where = source.images.get(number, f"{source.place}, frame {number}")
            raise InputError(
                f"{where}: {pixels.shape[1]}x{pixels.shape[0]}, the first is {source.width}x{source.height}; "
                "frames of one scene have one size: scale them, or split the scene there"
            )
        yield number, pixels


def fingerprint(source: Source) -> str:
    """Mark of a source's content, unlike another's, without reading all of it; empty for a camera."""
    if isinstance(source.place, int):
        return ""
    content = hashlib.sha256()
    for number, path in source.images.items():
        content.update(f"{number} {path.name} {path.stat().st_size}\n".encode("utf-8", "surrogateescape"))
    if not source.images:
        size = source.place.stat().st_size
        content.update(str(size).encode())
        with source.place.open("rb") as file:
            for at in (0, size // 2, max(0, size - SAMPLE)):
                file.seek(at)
                content.update(file.read(SAMPLE))
    return content.hexdigest()


def _folder(path: Path, fps: float | None) -> Source:
    found = pictures_in(path)
    if not found:
        raise InputError(f"{path}: no images ({', '.join(SUFFIXES)}); name a folder that holds frames, or a video file")
    images = _numbered(path, found)
    height, width = read_picture(next(iter(images.values()))).shape[:2]
    check_size(path, width, height)
    place = path.resolve()
    name = place.parent.name if place.name in ("img1", "images", "frames") else place.name
    return Source(name or "frames", path, fps or DEFAULT_FPS, width, height, len(images), images)


def _numbered(folder: Path, found: list[Path]) -> dict[int, Path]:
    """Frame numbers from the names where all are numbers, as a sequence has them; else in order, from 1."""
    numbers = sum(NUMBER.fullmatch(path.stem) is not None for path in found)
    if numbers < len(found):
        if numbers:
            other = next(path.name for path in found if not NUMBER.fullmatch(path.stem))
            log.warning("%s: %s is no number, so frames are counted in the order of their names", folder, other)
        return in_order(found)
    images = by_number(found)
    if 0 in images:
        log.warning("%s: images are numbered from 0, frames of results from 1: %s is frame 1", folder, images[0].name)
        images = {number + 1: path for number, path in images.items()}
    if max(images) - min(images) >= SPARSEST * len(images):
        log.warning("%s: names are too far apart for frame numbers, so frames are counted in their order", folder)
        return dict(enumerate(images.values(), start=1))
    return images


def _camera(number: int, fps: float | None) -> Source:
    cv2, capture = _capture(number)
    try:
        good, pixels = capture.read()
        told = float(capture.get(cv2.CAP_PROP_FPS))
    finally:
        capture.release()
    if not good or pixels is None:
        raise InputError(f"{number}: the camera gives no picture; see whether another program uses it")
    height, width = pixels.shape[:2]
    check_size(f"camera {number}", width, height)
    rate = fps or (told if math.isfinite(told) and 0 < told <= HIGHEST_FPS else DEFAULT_FPS)
    return Source(f"camera{number}", number, rate, width, height, None, {})


def _from_camera(number: int, first: int) -> Iterator[tuple[int, Image]]:
    cv2, capture = _capture(number)
    try:
        count = 0
        while capture.grab():
            count += 1
            good, pixels = capture.retrieve() if count >= first else (False, None)
            if good and pixels is not None:
                yield count, cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    finally:
        capture.release()


def _capture(number: int) -> tuple[Any, Any]:
    """OpenCV reads cameras of every system; PyAV would need each one's own names."""
    cv2 = opencv()
    capture = cv2.VideoCapture(number)
    if not capture.isOpened():
        capture.release()
        raise InputError(f"{number}: no such camera here; give a video file, a folder of images or a camera number")
    return cv2, capture

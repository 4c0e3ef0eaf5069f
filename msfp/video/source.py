"""Where frames come from: a video file, a folder of images, or a camera."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msfp.errors import InputError

Image = NDArray[np.uint8]
IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
DEFAULT_FPS = 30.0


@dataclass(frozen=True)
class Source:
    """What is looked at.

    Attributes:
        name: for messages and result files.
        place: file or folder; a camera's number.
        fps: frames per second; 30 where nothing tells.
        width, height: of a frame in pixels.
        length: number of frames, None where it has no end (camera) or does not tell.
        images: files of a folder in order; empty for videos and cameras.
    """

    name: str
    place: Path | int
    fps: float
    width: int
    height: int
    length: int | None
    images: tuple[Path, ...] = ()

    @property
    def endless(self) -> bool:
        """Whether it is a camera, whose frames cannot be asked for again."""
        return isinstance(self.place, int)


def open_source(text: str, fps: float | None = None) -> Source:
    """A source from what a person writes: a path, or a camera's number.

    Args:
        text: video file, folder of images, or `0`, `1`, ... for a camera.
        fps: frames per second in place of what the source tells.

    Raises:
        InputError: nothing there, no image in the folder, or a file that is no video.
    """
    path = Path(text)
    if path.is_dir():
        return _folder(path, fps)
    if path.is_file():
        return _video(path, path.stem, fps)
    if text.isdigit():
        return _video(int(text), f"camera{text}", fps)
    raise InputError(f"{text}: no such video, folder of images or camera number")


def frames(source: Source, first: int = 1) -> Iterator[tuple[int, Image]]:
    """(number from 1, (H, W, 3) uint8 RGB), from frame `first` on.

    Raises:
        InputError: an image that cannot be read or is of another size.
    """
    if source.images:
        yield from _from_images(source, first)
        return
    cv2, capture = _capture(source.place)
    try:
        number = 0
        while capture.grab():
            number += 1
            if number < first:
                continue
            good, pixels = capture.retrieve()
            if good and pixels is not None:
                yield number, cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    finally:
        capture.release()


def _from_images(source: Source, first: int) -> Iterator[tuple[int, Image]]:
    for number, path in enumerate(source.images[first - 1 :], start=first):
        pixels = _read(path)
        if pixels.shape[:2] != (source.height, source.width):
            raise InputError(
                f"{path}: {pixels.shape[1]}x{pixels.shape[0]}, the first image is {source.width}x{source.height}; "
                "images of one scene have one size"
            )
        yield number, pixels


def _folder(path: Path, fps: float | None) -> Source:
    found = sorted((p for p in path.iterdir() if p.suffix.lower() in IMAGES and p.is_file()), key=_natural)
    if not found:
        raise InputError(f"{path}: no images ({', '.join(IMAGES)}); name a folder that holds frames, or a video file")
    height, width = _read(found[0]).shape[:2]
    name = path.parent.name if path.name in ("img1", "images", "frames") else path.name
    return Source(name or "frames", path, fps or DEFAULT_FPS, width, height, len(found), tuple(found))


def _natural(path: Path) -> list[tuple[int, int | str]]:
    """`frame10` after `frame9`."""
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", path.name) if part]


def _video(place: Path | int, name: str, fps: float | None) -> Source:
    cv2, capture = _capture(place)
    try:
        good, pixels = capture.read()
        if not good or pixels is None:
            raise InputError(f"{place}: not one frame can be decoded; give another file, or re-encode it")
        told = float(capture.get(cv2.CAP_PROP_FPS))
        count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    finally:
        capture.release()
    rate = fps or (told if 0 < told <= 1000 else DEFAULT_FPS)
    length = count if isinstance(place, Path) and count > 0 else None
    return Source(name, place, rate, pixels.shape[1], pixels.shape[0], length)


def _capture(place: Path | int) -> tuple[Any, Any]:
    import cv2

    what = place if isinstance(place, int) else str(place)
    capture = cv2.VideoCapture(what)
    if not capture.isOpened():
        capture.release()
        kind = "no such camera here" if isinstance(place, int) else "not a video that can be decoded"
        raise InputError(f"{place}: {kind}; give a video file, a folder of images or a camera number")
    return cv2, capture


def _read(path: Path) -> Image:
    import cv2

    data = np.frombuffer(path.read_bytes(), np.uint8)
    pixels: Any = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if pixels is None:
        raise InputError(f"{path}: not an image that can be decoded; remove it or copy it again")
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)

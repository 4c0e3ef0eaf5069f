"""Images on the disk: which files of a folder are frames, under which numbers, and their pixels."""

import os
import re
import struct
from collections.abc import Collection
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msfp.errors import InputError

Image = NDArray[np.uint8]
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
SMALLEST, LARGEST = 16, 16384  # pixels a side; H.264 codes squares of the one, and nothing beyond the other
MOST_PIXELS = 100_000_000
JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers of a frame's head
NUMBER = re.compile(r"[0-9]{1,9}")


def pictures_in(folder: Path, suffixes: Collection[str] = SUFFIXES) -> list[Path]:
    """The image files of a folder, by name; names that begin with a dot are no frames (macOS writes `._000001.jpg`)."""
    try:
        with os.scandir(folder) as entries:
            names = [e.name for e in entries if not e.name.startswith(".") and e.is_file()]
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror}); make it a readable folder") from error
    return [folder / name for name in sorted(names) if Path(name).suffix.lower() in suffixes]


def by_number(files: Collection[Path]) -> dict[int, Path]:
    """Frame number -> image file, ascending, of those whose name is a number (six digits, eight, or any up to nine)."""
    found: dict[int, Path] = {}
    for path in files:
        if NUMBER.fullmatch(path.stem):
            frame = int(path.stem)
            if frame in found:
                raise InputError(f"{path}: frame {frame} is also {found[frame].name}; remove one of the two")
            found[frame] = path
    return dict(sorted(found.items()))


def in_order(files: Collection[Path]) -> dict[int, Path]:
    """The same for names that are no numbers: counted from 1, `frame10` after `frame9`."""

    def natural(path: Path) -> list[tuple[int, int | str]]:
        return [(0, int(p)) if p.isdecimal() else (1, p) for p in re.split(r"(\d+)", path.name) if p]

    ordered = sorted(files, key=natural)
    for one, other in pairwise(ordered):
        if one.stem == other.stem:
            raise InputError(f"{other}: the same frame as {one.name}; remove one of the two")
    return dict(enumerate(ordered, start=1))


def read_picture(path: Path) -> Image:
    """(H, W, 3) uint8 RGB, upright: an orientation tag (EXIF) turns the pixels, as it does in every viewer.

    Raises:
        InputError: not readable, cut, no image, or too large, which is seen before memory is taken.
    """
    cv2 = opencv()
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); restore the image or remove it") from error
    width, height = declared_size(data)
    too_large = InputError(f"{path}: more than {MOST_PIXELS:,} pixels; scale it down")
    if width * height > MOST_PIXELS:
        raise too_large
    # OpenCV fills what is missing of a cut JPEG with grey; an end mark tells that it is whole.
    whole = not data.startswith(b"\xff\xd8") or b"\xff\xd9" in data[-4096:]
    pixels: Any = None
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data and whole else None
    except cv2.error as error:
        if "MAX_IMAGE" in str(error):
            raise too_large from None
    if pixels is None:
        kind = "empty" if not data else "cut or no image"
        raise InputError(f"{path}: cannot be decoded ({len(data):,} bytes, {kind}); copy it again or remove it")
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def declared_size(data: bytes) -> tuple[int, int]:
    """Width and height that the head of a PNG, BMP or JPEG file declares; 0, 0 of what is none of these.

    OpenCV is told a limit for all formats, which it does not heed where it was loaded before this package.
    """
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) >= 24:
        return int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    if data.startswith(b"BM") and len(data) >= 26:
        width, height = struct.unpack_from("<ii", data, 18)
        return abs(width), abs(height)
    at = 2
    while data.startswith(b"\xff\xd8") and at + 9 <= len(data) and data[at] == 0xFF:
        if data[at + 1] in JPEG_FRAMES:
            return int.from_bytes(data[at + 7 : at + 9]), int.from_bytes(data[at + 5 : at + 7])
        at += 1 if data[at + 1] == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4])
    return 0, 0


def check_size(where: object, width: int, height: int) -> None:
    """Raise InputError for frames that no network and no film can take."""
    if not SMALLEST <= min(width, height) <= max(width, height) <= LARGEST or width * height > MOST_PIXELS:
        raise InputError(
            f"{where}: frames of {width}x{height}; a side has {SMALLEST} to {LARGEST} pixels, a frame at most "
            f"{MOST_PIXELS:,}: scale it or cut it"
        )


def opencv() -> ModuleType:
    """OpenCV, imported only where pixels are read; servers may lack the graphics libraries it links to."""
    try:
        import cv2
    except ImportError as error:
        raise InputError(
            f"OpenCV cannot be loaded ({error}); install the missing system library (Debian, Ubuntu: "
            "`apt install libgl1 libglib2.0-0`) or replace opencv-python by opencv-python-headless"
        ) from error
    return cv2

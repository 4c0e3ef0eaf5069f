"""Images and videos on the disk: which are frames, under which numbers, and their pixels."""

import os
import re
import struct
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msfp.engine.files import file_digest, stamp
from msfp.errors import InputError
from msfp.types import Stamp

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


DEFAULT_FPS, HIGHEST_FPS = 30.0, 1000.0
ERRORS_IN_A_ROW = 100  # of a container that cannot be read on
NO_VIDEO = {"tty"}  # formats in which FFmpeg draws text files


@dataclass(frozen=True, eq=False)
class Video:
    """Facts of a video file known without decoding it."""

    path: Path  # the file
    width: int  # of a frame in pixels, turned as players turn it
    height: int
    fps: float  # frames by seconds; `DEFAULT_FPS` where the file has no times
    seconds: NDArray[np.float64]  # (N,) float64, time of each frame since the first
    variable: bool  # whether some frame is more than half a frame off a constant rate
    stamps: NDArray[np.int64]  # (N,) int64 time stamps, ascending; (0,) where there are none
    length: int  # number of frames, those included that a cut file lacks


def open_video(path: Path) -> Video:
    """Read the facts of a video from its packets; remembered as long as the file stays as it is."""
    return _open_video(path, stamp(path))


@lru_cache(maxsize=256)
def _open_video(path: Path, _stamp: Stamp | None) -> Video:
    with opened(path) as (container, stream):
        first = None
        stamps, count = [], 0
        for packet in packets_of(container, stream):
            if packet.is_discard:
                continue
            count += 1
            if packet.pts is not None:
                stamps.append(packet.pts)
            if first is None:
                with suppress(Exception):  # a damaged beginning: a later packet has the first frame
                    first = next(iter(packet.decode()), None)
        if first is None:
            with opened(path, 1) as again:
                first = next((frame for frames, _ in outcomes(*again) for frame in frames), None)
        if first is None:
            raise InputError(f"{path}: not one frame can be decoded; give another file, or re-encode it")
        # AVI has one time a packet: where frames change places it is not theirs.
        whose = len(stamps) == count and not (stream.codec_context.has_b_frames and container.format.name == "avi")
        known = np.unique(np.array(stamps, np.int64)) if whose else np.zeros(0, np.int64)
        length = max(len(known) or count, stream.frames if container.format.name.startswith("mov") else 0)
        told = float(stream.average_rate or 0)
        seconds: NDArray[np.float64] = np.asarray((known - known[:1]) * float(stream.time_base), np.float64)
    width, height = (first.height, first.width) if quarters(first) % 2 else (first.width, first.height)
    fps, variable = _rate(seconds, told)
    if not len(known):
        seconds = np.arange(length) / fps
    elif length > len(known):  # those of a cut file's missing end come at its rate
        seconds = np.concatenate([seconds, seconds[-1] + np.arange(1, length - len(known) + 1) / fps])
    return Video(path, width, height, fps, seconds, variable, known, length)


def _rate(seconds: NDArray[np.float64], told: float) -> tuple[float, bool]:
    """Frames by seconds, and whether the times leave a constant rate by more than half a frame."""
    if len(seconds) < 2 or seconds[-1] <= 0:
        return (told if 0 < told <= HIGHEST_FPS else DEFAULT_FPS), False
    found = (len(seconds) - 1) / float(seconds[-1])
    variable = bool(np.abs(seconds * found - np.arange(len(seconds))).max() > 0.5)
    # What the file tells is exact where stamps are rounded to milliseconds.
    close = 0 < told <= HIGHEST_FPS and abs(told - found) * float(seconds[-1]) < 1.5  # the last frame lasts, too
    return (told if close else min(found, HIGHEST_FPS)), variable


def outcomes(container: Any, stream: Any) -> Iterator[tuple[list[Any], bool]]:
    """(frames, whether there was an error) of each packet, then what the decoder still holds."""
    import av

    for packet in packets_of(container, stream):
        try:
            yield packet.decode(), False
        except (av.error.FFmpegError, ValueError):
            yield [], True
    try:
        yield stream.decode(None), False
    except av.error.EOFError:
        pass
    except (av.error.FFmpegError, ValueError):
        yield [], True


def packets_of(container: Any, stream: Any) -> Iterator[Any]:
    """Packets that hold something, over errors of the container."""
    import av

    errors = 0
    while errors < ERRORS_IN_A_ROW:
        try:
            for packet in container.demux(stream):
                errors = 0
                if packet.size:
                    yield packet
            return
        except av.error.EOFError:
            return
        except (av.error.FFmpegError, ValueError):
            errors += 1


@contextmanager
def opened(path: Path, threads: int = 0) -> Iterator[tuple[Any, Any]]:
    """(container, video stream); `threads` decoders, 0: one a core."""
    import av

    # FFmpeg reads `12:30.mp4` as an address, and reads addresses named in playlists.
    place = os.path.abspath(path)
    try:
        container: Any = av.open(place, options={"protocol_whitelist": "file,crypto,data"}, metadata_errors="ignore")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path}: cannot be opened as a video ({reason}); copy it again, or re-encode it") from None
    with container:
        stream = container.streams.best("video") if container.streams.video else None
        if stream is None or container.format.name in NO_VIDEO or stream.codec_context is None:
            raise InputError(f"{path}: cannot be opened as a video (it holds none); give another file")
        width, height = stream.codec_context.width, stream.codec_context.height
        if width and height:
            check_size(path, width, height)
        if threads:
            stream.codec_context.thread_count = threads
        else:
            stream.thread_type = "AUTO"
        yield container, stream


def quarters(frame: Any) -> int:
    """Quarter turns, counter-clockwise, that make a frame upright."""
    return round(frame.rotation / 90) % 4 if frame.rotation % 90 == 0 else 0


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
    return _health_at(path, stamp(path))


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
def _health_at(path: Path, _stamp: Stamp | None) -> Health:
    digest = file_digest(path)
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

"""Video files as PyAV opens them: what they tell of themselves, and their packets."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msfp.errors import InputError
from msfp.video.pictures import check_size

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
    return _open_video(path, *state_of(path))


def state_of(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); restore the video or remove it") from error
    return stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=256)
def _open_video(path: Path, size: int, changed: int) -> Video:
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

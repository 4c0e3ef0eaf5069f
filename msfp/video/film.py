"""Films: H.264 in MP4, which browsers play; written in parts, so that what is finished outlives an interruption."""

import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from msfp.errors import MsfpError
from msfp.video.pictures import Image

QUALITY = "23"
CODECS = ("libx264", "mpeg4")
FINE = 90_000  # ticks a second of a film whose frames come at times of their own


class Film:
    """Writes frames to a film, which is whole only when closed without an error.

    Args:
        path: where to.
        fps: frames per second.
        width, height: of a frame; odd ones lose their last column or row, as H.264 needs even sizes.
        variable: whether frames come at times of their own, which then have to be given.
    """

    def __init__(self, path: Path, fps: float, width: int, height: int, variable: bool = False) -> None:
        import av

        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._size = width // 2 * 2, height // 2 * 2
        self._tick = Fraction(1, FINE) if variable else 1 / rate(fps)
        self._last = -1
        self._part = path.with_name(f".{path.name}.part")
        # FFmpeg reads `12:30.mp4` as an address.
        place = os.path.abspath(self._part)
        self._container: Any = av.open(place, "w", format="mp4", options={"movflags": "faststart"})
        codec = next(c for c in CODECS if c in av.codecs_available)
        # No B-frames: with them decoding times of a part begin before its first frame, unless it is very short: parts
        # of different lengths could not be joined.
        options = {"crf": QUALITY, "preset": "veryfast", "bf": "0"} if codec == "libx264" else {}
        stream: Any = self._container.add_stream(codec, rate=rate(fps), options=options)
        self._stream = stream
        self._stream.width, self._stream.height = self._size
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = self._tick
        self._make = av.VideoFrame.from_ndarray

    def add(self, pixels: Image, seconds: float | None = None) -> None:
        """Append an (H, W, 3) uint8 RGB frame, `seconds` since the first; None: one frame after the last."""
        width, height = self._size
        frame = self._make(np.ascontiguousarray(pixels[:height, :width]), format="rgb24")
        at = self._last + 1 if seconds is None else round(seconds / self._tick)
        self._last = max(at, self._last + 1)
        frame.pts, frame.time_base = self._last, self._tick
        for packet in self._stream.encode(frame):
            self._container.mux(packet)

    def close(self) -> None:
        """Finish the film and put it under its name."""
        for packet in self._stream.encode():
            self._container.mux(packet)
        self._container.close()
        self._part.replace(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            self._container.close()
            self._part.unlink(missing_ok=True)


def rate(fps: float) -> Fraction:
    """Frames per second as a fraction that a container can hold."""
    return Fraction(fps).limit_denominator(1001)


def join(parts: Sequence[Path], path: Path, starts: Sequence[float]) -> Path:
    """One film from parts of the same size and rate, without encoding again; each begins at its second of `starts`."""
    import av

    target = path.with_name(f".{path.name}.part")
    out: Any = av.open(os.path.abspath(target), "w", format="mp4", options={"movflags": "faststart"})
    stream, behind = None, 0
    try:
        for part, start in zip(parts, starts, strict=True):
            with _part(part) as source:
                given = source.streams.video[0]
                stream = stream or out.add_stream_from_template(given)
                # Rounded to ticks, a part may seem to begin before the last one's last frame.
                shift = max(behind, round(start / given.time_base))
                last = 0
                for packet in source.demux(given):
                    if packet.dts is None:
                        continue
                    last = max(last, packet.pts)
                    packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, stream
                    out.mux(packet)
                behind = shift + last + 1
        out.close()
    except BaseException:
        out.close()
        target.unlink(missing_ok=True)
        raise
    return target.replace(path)


def _part(path: Path) -> Any:
    import av

    try:
        return av.open(os.path.abspath(path))
    except (OSError, ValueError) as error:  # ValueError: what FFmpeg finds not to be a film
        raise MsfpError(f"{path}: cannot be read ({error}); delete it and call again") from None

"""Videos made on the spot, each frame grey and telling its number by its level."""

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.experiment.conftest import make_run as make_run

Make = Callable[..., Path]
STEP = 6


def level(number: int) -> int:
    """Grey of a frame."""
    return 10 + STEP * number


def write(
    path: Path,
    count: int = 12,
    codec: str = "libx264",
    seconds: Sequence[float] = (),
    turn: int | None = None,
    size: tuple[int, int] = (64, 48),
    **options: str,
) -> Path:
    """A video of `count` frames at 25 a second, or at times of their own."""
    import av

    if codec.startswith("mpeg"):
        options = {"b": "4M", **options}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        if seconds:
            stream.codec_context.time_base = Fraction(1, 1000)
        if turn is not None:
            stream.set_display_rotation(turn)
        for number in range(1, count + 1):
            pixels = np.full((size[1], size[0], 3), level(number), np.uint8)
            pixels[: size[1] // 4, : size[0] // 4] = 255
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            if seconds:
                frame.pts, frame.time_base = round(1000 * seconds[number - 1]), Fraction(1, 1000)
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def packets(path: Path) -> Iterator[tuple[int, int, int]]:
    """(position, size, presentation time) of each packet of a video."""
    import av

    with av.open(str(path)) as container:
        for packet in container.demux(video=0):
            if packet.size:
                yield packet.pos, packet.size, packet.pts


def spoil(path: Path, numbers: Sequence[int]) -> Path:
    """Overwrite the packets of these frames."""
    found = sorted(packets(path), key=lambda p: p[2])
    data = bytearray(path.read_bytes())
    for number in numbers:
        at, size, _ = found[number - 1]
        data[at : at + size] = b"\xa5" * size
    path.write_bytes(bytes(data))
    return path


def numbers_of(frames: Iterator[tuple[int, np.ndarray]]) -> list[tuple[int, int]]:
    """(number told, number by the grey level) of frames."""
    return [(t, round((float(pixels[-8:, -8:].mean()) - 10) / STEP)) for t, pixels in frames]


@pytest.fixture
def shown() -> Callable[..., list[tuple[int, int]]]:
    return numbers_of

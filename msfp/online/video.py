"""Videos in and out, frame by frame: where frames come from, tracks drawn on them, the film that results."""

import hashlib
import logging
import os
import re
import urllib.parse
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msfp.data import video as files
from msfp.data.video import Image
from msfp.errors import InputError, MsfpError

SPARSEST = 100  # of names that are frame numbers at least one in so many is there; time stamps leave wider gaps
SAMPLE = 1 << 20  # bytes of a video's beginning, middle and end by which it is recognised
log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Source:
    """What is looked at."""

    name: str  # for messages and result files
    place: Path | int | str  # file or folder; a camera's number; a stream's address
    fps: float  # frames per second, of a video frames by seconds; 30 where nothing tells
    width: int  # of a frame in pixels
    height: int
    length: int | None  # number of frames, None where it has no end (camera)
    images: dict[int, Path]  # frame number -> file of a folder, in order; empty for videos and cameras
    # (length,) time of each frame since the first; None where frames come at the constant rate `fps`
    seconds: NDArray[np.float64] | None = None

    @property
    def endless(self) -> bool:
        """True for a camera or a stream, whose frames cannot be asked for again."""
        return not isinstance(self.place, Path)

    @property
    def variable(self) -> bool:
        """True where frames come at times of their own."""
        return self.seconds is not None

    @property
    def address(self) -> str:
        """Where it is, whatever the working folder."""
        if isinstance(self.place, Path):
            return str(self.place.resolve())
        return f"camera {self.place}" if isinstance(self.place, int) else without_password(self.place)

    def time_of(self, number: int) -> float:
        """Seconds of a frame since frame 1."""
        if self.seconds is None or number > len(self.seconds):
            return (number - 1) / self.fps
        return float(self.seconds[number - 1])


def open_source(text: str, fps: float | None = None) -> Source:
    """A video file, a folder of images, camera `0`, `1`, ..., or the address of a stream (`rtsp://`, `https://`, ...).

    `fps`: a constant rate in place of what it tells.
    """
    if fps is not None and not 0 < fps <= files.HIGHEST_FPS:
        raise InputError(f"{fps:g} frames per second; give a number above 0, at most {files.HIGHEST_FPS:g}")
    if STREAM.match(text):
        return _stream(text, fps)
    path = Path(text)
    try:
        folder, file = path.is_dir(), path.is_file()
    except (OSError, ValueError) as error:
        raise InputError(f"{text[:80]}: cannot be read ({getattr(error, 'strerror', error)}); check the path") from None
    if folder:
        return _folder(path, fps)
    if file:
        video = files.open_video(path)
        times = video.seconds if video.variable and fps is None else None
        rate = fps or video.fps
        return Source(path.stem or "video", path, rate, video.width, video.height, video.length, {}, times)
    if text.isdecimal():
        return _camera(int(text), fps)
    raise InputError(f"{text}: no such video, folder of images, camera number or address of a stream")


def frames(source: Source, first: int = 1, marred: set[int] | None = None) -> Iterator[tuple[int, Image]]:
    """(number from 1, (H, W, 3) uint8 RGB) from `first` on, without lost frames; `marred` takes those with errors."""
    found: Iterator[tuple[int, Image]]
    if source.images:
        found = ((number, files.read_picture(path)) for number, path in source.images.items() if number >= first)
    elif isinstance(source.place, Path):
        decoded = files.decode(files.open_video(source.place), marred)
        found = ((number, files.pixels_of(frame)) for number, frame in decoded if number >= first)
    else:
        endless = _from_camera(source.place) if isinstance(source.place, int) else _from_stream(source.place)
        found = ((number, seen) for number, seen in enumerate(endless, start=1) if number >= first and seen is not None)
    for number, pixels in found:
        if pixels.shape[:2] != (source.height, source.width):
            place = source.place if isinstance(source.place, Path) else source.address
            where = source.images.get(number, f"{place}, frame {number}")
            raise InputError(
                f"{where}: {pixels.shape[1]}x{pixels.shape[0]}, the first is {source.width}x{source.height}; "
                "frames of one scene have one size: scale them, or split the scene there"
            )
        yield number, pixels


def fingerprint(source: Source) -> str:
    """Mark of a source's content, unlike another's, without reading all of it; empty for a camera or a stream."""
    if not isinstance(source.place, Path):
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


def folder_fingerprint(root: Path) -> str:
    """Mark of a folder's content: names and sizes of its files, and what its texts, such as labels, say."""
    content = hashlib.sha256()
    for path in sorted(found for found in root.rglob("*") if found.is_file()):
        content.update(f"{path.relative_to(root)} {path.stat().st_size}\n".encode("utf-8", "surrogateescape"))
        if path.suffix in (".txt", ".ini"):
            content.update(path.read_bytes())
    return content.hexdigest()


def _folder(path: Path, fps: float | None) -> Source:
    found, kinds = files.pictures_in(path), ", ".join(files.SUFFIXES)
    if not found:
        raise InputError(f"{path}: no images ({kinds}); name a folder that holds frames, or a video file")
    images = _numbered(path, found)
    height, width = files.read_picture(next(iter(images.values()))).shape[:2]
    files.check_size(path, width, height)
    place = path.resolve()
    name = place.parent.name if place.name in ("img1", "images", "frames") else place.name
    return Source(name or "frames", path, fps or files.DEFAULT_FPS, width, height, len(images), images)


def _numbered(folder: Path, found: list[Path]) -> dict[int, Path]:
    """Frame numbers from the names where all are numbers, as a sequence has them; else in order, from 1."""
    numbers = sum(files.NUMBER.fullmatch(path.stem) is not None for path in found)
    if numbers < len(found):
        if numbers:
            other = next(path.name for path in found if not files.NUMBER.fullmatch(path.stem))
            log.warning("%s: %s is no number, so frames are counted in the order of their names", folder, other)
        return files.in_order(found)
    images = files.by_number(found)
    if 0 in images:
        log.warning("%s: images are numbered from 0, frames of results from 1: %s is frame 1", folder, images[0].name)
        images = {number + 1: path for number, path in images.items()}
    if max(images) - min(images) >= SPARSEST * len(images):
        log.warning("%s: names are too far apart for frame numbers, so frames are counted in their order", folder)
        return dict(enumerate(images.values(), start=1))
    return images


def _camera(number: int, fps: float | None) -> Source:
    with _capture(number) as capture:
        good, pixels = capture.read()
        told = float(capture.get(files.opencv().CAP_PROP_FPS))
    if not good or pixels is None:
        raise InputError(f"{number}: the camera gives no picture; see whether another program uses it")
    return _endless(f"camera{number}", number, f"camera {number}", pixels, fps, told)


def _endless(name: str, place: int | str, shown: str, pixels: Image, fps: float | None, told: float) -> Source:
    """A camera or stream by its first frame, and the rate that it tells of itself, if it makes sense."""
    height, width = pixels.shape[:2]
    files.check_size(shown, width, height)
    rate = fps or (told if 0 < told <= files.HIGHEST_FPS else files.DEFAULT_FPS)
    return Source(name, place, rate, width, height, None, {})


def _from_camera(number: int) -> Iterator[Image | None]:
    """Every frame, None for one that cannot be decoded."""
    cv2 = files.opencv()
    with _capture(number) as capture:
        while capture.grab():
            good, pixels = capture.retrieve()
            yield cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB) if good and pixels is not None else None


STREAM = re.compile(r"(rtsps?|rtmps?|https?|udp|tcp|srt)://", re.IGNORECASE)
PATIENCE = 15.0  # seconds until a stream has to answer


def without_password(address: str) -> str:
    """An address as it may be shown and written down: scheme, host and path, without what its user is known by."""
    scheme, _, rest = address.partition("://")
    host, *parts = re.split(r"[?#]", rest, maxsplit=1)[0].rpartition("@")[2].split("/")
    return f"{scheme}://{'/'.join([host, *(part for part in parts if not re.search('[=&]', part))])}"


def _stream(address: str, fps: float | None) -> Source:
    with _connected(address) as (container, stream):
        first = next((frame for found, _ in files.outcomes(container, stream) for frame in found), None)
        told = float(stream.average_rate or 0)
    if first is None:
        raise InputError(f"{without_password(address)}: not one frame came; check the address and the camera")
    parts = urllib.parse.urlsplit(without_password(address))
    name = re.sub(r"[^\w.-]+", "-", Path(parts.path).stem or parts.hostname or "") or "stream"
    return _endless(name, address, without_password(address), files.pixels_of(first), fps, told)


def _from_stream(address: str) -> Iterator[Image | None]:
    with _connected(address) as (container, stream):
        for found, _ in files.outcomes(container, stream):
            yield from map(files.pixels_of, found)


@contextmanager
def _connected(address: str) -> Iterator[tuple[Any, Any]]:
    """(container, video stream) of an address; RTSP by TCP, which loses no packets."""
    import av

    options = {"rtsp_transport": "tcp"} if address.lower().startswith("rtsp") else {}
    try:
        container: Any = av.open(address, options=options, timeout=PATIENCE, metadata_errors="ignore")
    except (OSError, ValueError, av.error.FFmpegError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).replace(address, without_password(address))
        raise InputError(
            f"{without_password(address)}: cannot be opened ({reason}); check the address, the network and the password"
        ) from None
    with container:
        if not container.streams.video or container.format.name in files.NO_VIDEO:
            raise InputError(f"{without_password(address)}: holds no video; give the address of one")
        yield container, container.streams.best("video")


@contextmanager
def _capture(number: int) -> Iterator[Any]:
    """OpenCV reads cameras of every system; PyAV would need each one's own names."""
    capture = files.opencv().VideoCapture(number)
    try:
        if not capture.isOpened():
            raise InputError(f"{number}: no such camera here; give a video file, a folder of images or a camera number")
        yield capture
    finally:
        capture.release()


# Okabe and Ito's colours, then lighter ones between them: told apart by people who see colours differently.
COLOURS = (
    "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7",
    "#FFC34D", "#9BD4F5", "#4DD0AC", "#7FB2E5", "#FF9A5C", "#E8B4D0", "#B3B3B3",
)  # fmt: skip
INK, PAPER, HIGH, LOW = (235, 235, 235), (24, 26, 30), (255, 176, 0), (100, 160, 255)
TRAIL_SECONDS, STRIP_SECONDS = 2.0, 10.0


class Artist:
    """Draws one film's frames in order, `width` and `height` of them with a strip of the thresholds below."""

    def __init__(self, width: int, height: int, fps: float, labels: bool = True, line_width: int | None = None) -> None:
        """Prepare for frames of a size. `line_width`: of boxes and trails in pixels; None: by the height."""
        import supervision as sv

        self._strip = max(48, height // 9) // 2 * 2
        self.width, self.height = width, height + self._strip
        thick, scale = line_width or max(1, round(height / 400)), max(0.35, height / 1400)
        self._labels = labels
        colours = sv.ColorPalette.from_hex(list(COLOURS))
        shared: dict[str, Any] = {"color": colours, "color_lookup": sv.ColorLookup.TRACK}
        self._trace = sv.TraceAnnotator(
            position=sv.Position.BOTTOM_CENTER, trace_length=max(2, int(fps * TRAIL_SECONDS)), thickness=thick, **shared
        )
        self._box = sv.BoxAnnotator(thickness=thick, **shared)
        self._label = sv.LabelAnnotator(
            text_color=sv.Color.BLACK, text_scale=scale, text_thickness=1, text_padding=2, **shared
        )
        self._taus: deque[tuple[float, float]] = deque(maxlen=max(2, int(fps * STRIP_SECONDS)))

    def draw(
        self, pixels: Image, ids: NDArray[np.int32], xyxy: NDArray[np.float64], taus: tuple[float, float] | None
    ) -> Image:
        """(H + strip, W, 3) uint8 RGB: a copy of the next frame, (H, W, 3), with (M,) people in file coordinates.

        `taus`: tau_high and tau_low of the frame, None where the tracker keeps its own.
        """
        import supervision as sv

        place, nobody = (xyxy - 1.0).astype(np.float32), np.zeros(len(ids), int)
        seen = sv.Detections(xyxy=place, tracker_id=ids.astype(int), class_id=nobody)
        # The annotators draw in whatever order the channels have: their colours are given blue first.
        scene: Any = pixels[..., ::-1].copy()
        scene = self._trace.annotate(scene, seen)
        scene = self._box.annotate(scene, seen)
        if self._labels:
            scene = self._label.annotate(scene, seen, labels=[str(i) for i in ids])
        drawn = np.ascontiguousarray(scene[..., ::-1])
        if taus is not None:
            self._taus.append(taus)
        return np.concatenate([drawn, self._thresholds(len(ids))])

    def _thresholds(self, people: int) -> Image:
        """(strip, W, 3): the last seconds of both thresholds, 0 at the bottom and 1 at the top."""
        import cv2

        width, height = self.width, self._strip
        strip: Any = np.full((height, width, 3), PAPER, np.uint8)
        scale = max(0.35, height / 130)
        words = f"{people} people"
        left = int(cv2.getTextSize("tau 0.00 / 0.00  999 people", cv2.FONT_HERSHEY_SIMPLEX, scale, 1)[0][0]) + 16
        if self._taus:
            high, low = self._taus[-1]
            words = f"tau {high:.2f} / {low:.2f}  {words}"
            values = np.array(self._taus)
            room = max(2, width - left - 8)
            across = left + np.linspace(0, room, self._taus.maxlen or 2)[-len(values) :]
            for column, colour in ((1, LOW), (0, HIGH)):
                down = 4 + (1 - np.clip(values[:, column], 0, 1)) * (height - 9)
                points = np.stack([across, down], 1).round().astype(np.int32)
                cv2.polylines(strip, [points], False, colour, max(1, height // 50), cv2.LINE_AA)
        cv2.putText(
            strip, words, (8, height // 2 + int(10 * scale)), cv2.FONT_HERSHEY_SIMPLEX, scale, INK, 1, cv2.LINE_AA
        )
        return strip


QUALITY = "23"
CODECS = ("libx264", "mpeg4")
FINE = 90_000  # ticks a second of a film whose frames come at times of their own


class Film:
    """Writes frames to a film, which is there once it is closed.

    Odd sizes lose their last column or row, as H.264 needs even ones. `variable`: frames come at times of their own.
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

    def add(self, pixels: Image, seconds: float | None = None) -> None:
        """Append an (H, W, 3) uint8 RGB frame, `seconds` since the first; None: one frame after the last."""
        import av

        width, height = self._size
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels[:height, :width]), format="rgb24")
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
            try:
                source: Any = av.open(os.path.abspath(part))
            except (OSError, ValueError) as error:  # ValueError: what FFmpeg finds not to be a film
                raise MsfpError(f"{part}: cannot be read ({error}); delete it and call again") from None
            with source:
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

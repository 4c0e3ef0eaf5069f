"""The pixels of a sequence: from a folder of images or a video, decoded ahead in background threads."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from msfp.datasets.images import image_files
from msfp.errors import InputError
from msfp.types import Sequence

Image = NDArray[np.uint8]
Decode = Callable[[], tuple[int, Image]]
# A frame of 1920x1080 is 6 MB: enough ahead of the last decoder to cover a slow decode, little enough to hold.
AHEAD = 4


class FrameReader:
    """Iterates over the frames that are present: `(frame number, (H, W, 3) uint8 RGB)`, frame numbers ascending.

    Each iteration starts anew. Leaving an iteration, or the `with` block around it, stops its threads.

    Args:
        sequence: what to read.
        frames: the frame numbers wanted; None: all that are present.
        decoders: threads that decode images; a video is decoded by one.

    Raises:
        InputError: a wanted frame is not present; while iterating: an image that cannot be decoded or is of another
            size than seqinfo.ini declares, a video that ends early.
    """

    def __init__(self, sequence: Sequence, frames: Iterable[int] | None = None, decoders: int = 1) -> None:
        self.sequence, self.decoders = sequence, decoders
        self.frames = sequence.frames if frames is None else tuple(sorted(set(frames)))
        self._running: list[Iterator[tuple[int, Image]]] = []
        present = set(sequence.frames)
        for t in self.frames:
            if t not in present:
                raise _absent(sequence, t)

    def __len__(self) -> int:
        return len(self.frames)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[tuple[int, Image]]:
        ahead = _ahead(self.sequence, self.frames, self.decoders)
        self._running.append(ahead)
        return ahead

    def close(self) -> None:
        """Stop the threads of unfinished iterations and wait for them."""
        while self._running:
            self._running.pop().close()  # type: ignore[attr-defined]


def read_frame(sequence: Sequence, t: int) -> Image:
    """Frame t (from 1) as (H, W, 3) uint8 RGB.

    Raises:
        InputError: the frame is not present, cannot be decoded, or is of another size than seqinfo.ini declares.
    """
    with FrameReader(sequence, (t,)) as reader:
        return next(iter(decode_in_turn(reader.sequence, reader.frames)))[1]


def count_video_frames(path: Path) -> int:
    """Number of frames of a video that can be decoded: as its header says, or counted where its end is missing.

    Raises:
        InputError: not a video that OpenCV can open.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); restore the video or remove it") from error
    return _count(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=256)
def _count(path: Path, size: int, changed: int) -> int:
    """Count once per state of the file: finding a video's last frame decodes up to its last key frame."""
    cv2 = _opencv()
    with _capture(path) as video:
        declared = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
        if declared > 0 and video.set(cv2.CAP_PROP_POS_FRAMES, declared - 1) and video.grab():
            return declared
    with _capture(path) as video:
        count = 0
        while video.grab():
            count += 1
    return count


def _ahead(sequence: Sequence, frames: tuple[int, ...], decoders: int) -> Iterator[tuple[int, Image]]:
    """Decode in threads, `AHEAD` frames before those they are at; their errors are raised here, in order."""
    folder = sequence.images is not None and sequence.images.is_dir()
    todo: Iterator[Decode]
    if folder:
        todo = _from_folder(sequence, frames)
    else:  # one after the other: the next frame that the one before leaves behind
        turn = decode_in_turn(sequence, frames)
        todo = (partial(next, turn) for _ in frames)
    threads = decoders if folder else 1
    pool = ThreadPoolExecutor(threads, f"frames of {sequence.name}")
    ready: deque[Future[tuple[int, Image]]] = deque()
    try:
        ready.extend(pool.submit(one) for one in islice(todo, threads + AHEAD))
        while ready:
            yield ready.popleft().result()
            ready.extend(pool.submit(one) for one in islice(todo, 1))
    finally:
        pool.shutdown(cancel_futures=True)


def decode_in_turn(sequence: Sequence, frames: tuple[int, ...]) -> Generator[tuple[int, Image], None, None]:
    """(number, frame) of the frames wanted, ascending; each is decoded when it is asked for, nothing ahead.

    Raises:
        InputError: as `FrameReader`.
    """
    if not frames:
        return
    if sequence.images is None:
        raise _absent(sequence, frames[0])
    if sequence.images.is_dir():
        yield from (decode() for decode in _from_folder(sequence, frames))
    else:
        yield from _from_video(sequence, frames)


def _from_folder(sequence: Sequence, frames: tuple[int, ...]) -> Iterator[Decode]:
    """What decodes each frame, in any order and any thread."""
    assert sequence.images is not None
    files = image_files(sequence.images, sequence.image_ext)
    for t in frames:
        yield partial(_from_file, sequence, files.get(t), t)


def _from_file(sequence: Sequence, path: Path | None, t: int) -> tuple[int, Image]:
    if path is None:
        raise _absent(sequence, t)
    cv2 = _opencv()
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); restore the image or remove it") from error
    # OpenCV fills what is missing of a cut JPEG with grey; an end mark tells that it is whole.
    whole = not data.startswith(b"\xff\xd8") or b"\xff\xd9" in data[-4096:]
    # The labels are in the coordinates of the stored pixels, so an orientation tag must not turn them.
    mode = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), mode) if data and whole else None
    except cv2.error:
        pixels = None
    if pixels is None:
        kind = "empty" if not data else "cut or no image"
        raise InputError(f"{path}: cannot be decoded ({len(data):,} bytes, {kind}); copy it again or remove it")
    return t, _checked(cv2, pixels, sequence, path, t)


def _from_video(sequence: Sequence, frames: tuple[int, ...]) -> Iterator[tuple[int, Image]]:
    """Frames in order, those between passed over; no seeking, as its precision depends on the codec."""
    cv2 = _opencv()
    path = sequence.images
    assert path is not None
    with _capture(path) as video:
        at = 0
        for t in frames:
            while at < t:
                if not video.grab():
                    raise InputError(f"{path}: the video ends after frame {at}, frame {t} was expected; copy it again")
                at += 1
            good, pixels = video.retrieve()
            if not good or pixels is None:
                raise InputError(f"{path}: frame {t} cannot be decoded; copy the video again")
            yield t, _checked(cv2, pixels, sequence, path, t)


def _checked(cv2: ModuleType, bgr: Any, sequence: Sequence, path: Path, t: int) -> Image:
    height, width = bgr.shape[:2]
    if (width, height) != (sequence.width, sequence.height):
        raise InputError(
            f"{path}: frame {t} is {width}x{height}, but {sequence.path / 'seqinfo.ini'} declares "
            f"{sequence.width}x{sequence.height}; correct imWidth and imHeight or replace the image"
        )
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


@contextmanager
def _capture(path: Path) -> Iterator[Any]:
    cv2 = _opencv()
    try:
        video = cv2.VideoCapture(str(path))
        opened = video.isOpened()
    except cv2.error:
        opened = False
    if not opened:
        raise InputError(f"{path}: cannot be opened as a video; copy it again, or remove it to work with labels only")
    try:
        yield video
    finally:
        video.release()


def _absent(sequence: Sequence, t: int) -> InputError:
    return InputError(
        f"{sequence.path}: frame {t} is not present ({len(sequence.frames)} of {sequence.length} frames are); "
        "add its image or leave it out"
    )


def _opencv() -> ModuleType:
    """OpenCV, imported only where pixels are read.

    Raises:
        InputError: it cannot be loaded, as on servers without the graphics libraries it links to.
    """
    try:
        import cv2
    except ImportError as error:
        raise InputError(
            f"OpenCV cannot be loaded ({error}); install the missing system library (Debian, Ubuntu: "
            "`apt install libgl1 libglib2.0-0`) or replace opencv-python by opencv-python-headless"
        ) from error
    return cv2

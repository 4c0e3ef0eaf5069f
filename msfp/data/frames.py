"""The pixels of a sequence: from a folder of images or a video, decoded ahead in background threads."""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Self

from msfp.data.video import Image, by_number, decode, open_video, pictures_in, pixels_of, read_picture
from msfp.engine.files import stamp
from msfp.errors import InputError
from msfp.types import FileState, Sequence


def with_state(sequence: Sequence, labels: Path | None = None) -> Sequence:
    """The sequence with the state its files are in; `labels`: those for evaluation, where `gt_path` is None."""
    state = FileState(stamp(sequence.gt_path or labels), stamp(sequence.det_path), pixels_state(sequence.images))
    return replace(sequence, state=state)


def pixels_state(images: Path | None) -> str:
    """State of a folder of images or of a video: a digest of every file's name and stamp; empty for None."""
    if images is None:
        return ""
    try:
        files = [(name, stamp(os.path.join(images, name))) for name in sorted(os.listdir(images))]
    except NotADirectoryError:
        return repr(stamp(images))
    except OSError:
        return "gone"
    return hashlib.blake2b(repr(files).encode(), digest_size=16).hexdigest()


def is_unchanged(sequence: Sequence) -> bool:
    """True while labels and detections are those that were there when the folder was read."""
    return _other_file(sequence, None) is None


def need_unchanged(sequence: Sequence, labels: Path | None = None) -> None:
    """Raise InputError where labels or detections changed since the folder was read; `labels` as of `with_state`."""
    if (path := _other_file(sequence, labels)) is not None:
        raise changed(path)


def _other_file(sequence: Sequence, labels: Path | None) -> Path | None:
    state = sequence.state
    if state is None:
        return None
    files = {sequence.gt_path or labels: state.labels, sequence.det_path: state.detections}
    return next((path for path, was in files.items() if path is not None and stamp(path) != was), None)


def need_same_pixels(sequence: Sequence) -> None:
    """Raise InputError where an image, or the video, is another one than when the folder was read."""
    if sequence.images and sequence.state is not None and pixels_state(sequence.images) != sequence.state.pixels:
        raise changed(sequence.images)


def changed(path: Path) -> InputError:
    """The one message for a file that changed while it was in use."""
    return InputError(
        f"{path}: changed while results were computed from it; nothing was kept of them: repeat the command, or the "
        "cells of the notebook that list the scenes"
    )


Decode = Callable[[], tuple[int, Image]]
# A frame of 1920x1080 is 6 MB: enough ahead of the last decoder to cover a slow decode, little enough to hold.
AHEAD = 4
BEHIND = 1 << 62  # a number after every frame


class FrameReader:
    """Iterates over the frames that are present: `(frame number, (H, W, 3) uint8 RGB)`, frame numbers ascending.

    Each iteration starts anew. Leaving an iteration, or the `with` block around it, stops its threads. As many threads
    as `decoders` decode images; a video is decoded by one.

    InputError: a wanted frame is not present, or images changed since the sequence was read; while iterating: an image
    that cannot be decoded or is of another size than seqinfo.ini declares, a video that ends early.
    """

    def __init__(self, sequence: Sequence, frames: Iterable[int] | None = None, decoders: int = 1) -> None:
        self.sequence, self.decoders = sequence, decoders
        self.frames = sequence.frames if frames is None else tuple(sorted(set(frames)))
        self._running: list[Generator[tuple[int, Image], None, None]] = []
        need_same_pixels(sequence)
        if absent := sorted(set(self.frames) - set(sequence.frames)):
            raise _absent(sequence, absent[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        while self._running:
            self._running.pop().close()  # waits for the threads

    def __iter__(self) -> Iterator[tuple[int, Image]]:
        ahead = _ahead(self.sequence, self.frames, self.decoders)
        self._running.append(ahead)
        return ahead


def read_frame(sequence: Sequence, t: int) -> Image:
    """Frame t (from 1) as (H, W, 3) uint8 RGB; raises as `FrameReader`."""
    return next(decode_in_turn(sequence, FrameReader(sequence, (t,)).frames))[1]


def decode_in_turn(sequence: Sequence, frames: tuple[int, ...]) -> Generator[tuple[int, Image], None, None]:
    """(number, frame) of the frames wanted, ascending; each is decoded when it is asked for, nothing ahead."""
    if frames and sequence.images is None:
        raise _absent(sequence, frames[0])
    if frames and sequence.images is not None:
        folder = sequence.images.is_dir()
        yield from (one() for one in _from_folder(sequence, frames)) if folder else _from_video(sequence, frames)


def _ahead(sequence: Sequence, frames: tuple[int, ...], decoders: int) -> Generator[tuple[int, Image], None, None]:
    """Decode in threads, `AHEAD` frames before those they are at; their errors are raised here, in order."""
    todo: Iterator[Decode]
    if sequence.images is not None and sequence.images.is_dir():
        todo, threads = _from_folder(sequence, frames), decoders
    else:  # one after the other: the next frame that the one before leaves behind
        turn = decode_in_turn(sequence, frames)
        todo, threads = (partial(next, turn) for _ in frames), 1
    pool = ThreadPoolExecutor(threads, f"frames of {sequence.name}")
    ready: deque[Future[tuple[int, Image]]] = deque()
    try:
        ready.extend(pool.submit(one) for one in islice(todo, threads + AHEAD))
        while ready:
            yield ready.popleft().result()
            ready.extend(pool.submit(one) for one in islice(todo, 1))
    finally:
        pool.shutdown(cancel_futures=True)


def _from_folder(sequence: Sequence, frames: tuple[int, ...]) -> Iterator[Decode]:
    """A decoder of each frame, to be called in any order and any thread."""
    assert sequence.images is not None
    files = by_number(pictures_in(sequence.images, {sequence.image_ext.lower()}))
    return (partial(_from_file, sequence, files.get(t), t) for t in frames)


def _from_file(sequence: Sequence, path: Path | None, t: int) -> tuple[int, Image]:
    if path is None:
        raise _absent(sequence, t)
    return t, _checked(read_picture(path), sequence, path, t)


def _from_video(sequence: Sequence, frames: tuple[int, ...]) -> Iterator[tuple[int, Image]]:
    """Frames in order, those between passed over."""
    path = sequence.images
    assert path is not None
    video, found = open_video(path), 0
    decoded = decode(video)
    for t in frames:
        frame = None
        while found < t:
            found, frame = next(decoded, (BEHIND, None))
        if found != t:
            ends = f"the video ends after frame {video.length}, frame {t} was expected; copy it again"
            lost = f"frame {t} cannot be decoded; copy the video again"
            raise InputError(f"{path}: {ends if t > video.length else lost}")
        yield t, _checked(pixels_of(frame), sequence, path, t)


def _checked(pixels: Image, sequence: Sequence, path: Path, t: int) -> Image:
    height, width = pixels.shape[:2]
    if (width, height) != (sequence.width, sequence.height):
        turned = (height, width) == (sequence.width, sequence.height)
        why = " (upright, if it carries an orientation tag)" if turned else ""
        raise InputError(
            f"{path}: frame {t} is {width}x{height}{why}, but {sequence.path / 'seqinfo.ini'} declares "
            f"{sequence.width}x{sequence.height}; correct imWidth and imHeight or replace the image"
        )
    return pixels


def _absent(sequence: Sequence, t: int) -> InputError:
    if sequence.trouble:
        return InputError(sequence.trouble)
    return InputError(
        f"{sequence.path}: frame {t} is not present ({len(sequence.frames)} of {sequence.length} frames are); "
        "add its image or leave it out"
    )

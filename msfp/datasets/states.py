"""States of a sequence's files, so that what was read of them once is never taken for what they hold now."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

from msfp.errors import InputError
from msfp.types import FileState, Sequence, Stamp


def stamp(path: Path | None) -> Stamp | None:
    """Size, times of change of content and of entry, and inode of a file; None where it is not there.

    The time of the entry changes with every write, also where a program sets that of the content back.
    """
    if path is None:
        return None
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def with_state(sequence: Sequence, labels: Path | None = None) -> Sequence:
    """The sequence with the state its files are in; `labels`: those for evaluation, where `gt_path` is None."""
    state = FileState(stamp(sequence.gt_path or labels), stamp(sequence.det_path), pixels_state(sequence.images))
    return replace(sequence, state=state)


def pixels_state(images: Path | None) -> str:
    """State of a folder of images or of a video: a digest of every file's name and stamp; empty for None."""
    if images is None:
        return ""
    try:
        with os.scandir(images) as entries:
            files = sorted((entry.name, entry.stat()) for entry in entries)
    except NotADirectoryError:
        return repr(stamp(images))
    except OSError:
        return "gone"
    state = hashlib.blake2b(digest_size=16)
    for name, found in files:
        state.update(f"{name}/{found.st_size}/{found.st_mtime_ns}/{found.st_ctime_ns}/{found.st_ino}".encode())
    return state.hexdigest()


def is_unchanged(sequence: Sequence) -> bool:
    """True while labels and detections are those that were there when the folder was read."""
    try:
        need_unchanged(sequence)
    except InputError:
        return False
    return True


def need_unchanged(sequence: Sequence, labels: Path | None = None) -> None:
    """Refuse labels or detections that changed since the folder was read; `labels` as of `with_state`.

    Raises:
        InputError: one of the files is another one now.
    """
    if sequence.state is None:
        return
    truth = sequence.gt_path or labels
    for path, was in ((truth, sequence.state.labels), (sequence.det_path, sequence.state.detections)):
        if path is not None and stamp(path) != was:
            raise changed(path)


def need_same_pixels(sequence: Sequence) -> None:
    """Refuse images that changed since the folder was read.

    Raises:
        InputError: an image, or the video, is another one now.
    """
    if sequence.state is not None and pixels_state(sequence.images) != sequence.state.pixels:
        assert sequence.images is not None
        raise changed(sequence.images)


def changed(path: Path) -> InputError:
    """The one message for a file that changed while it was in use."""
    return InputError(
        f"{path}: changed while results were computed from it; nothing was kept of them: repeat the command, or the "
        "cells of the notebook that list the scenes"
    )

"""The files of the MOTChallenge format: detections, ground truth, tracking results.

One row a box, comma-separated, in file coordinates (the first pixel's left edge lies at 1.0):

    det.txt   frame, -1, left, top, width, height, score[, -1, -1, -1]
    gt.txt    frame, id, left, top, width, height, flag, class, visibility      MOT16 and later
              frame, id, left, top, width, height, flag, x, y, z                MOT15 (x, y, z: world, or -1)
    results   frame, id, left, top, width, height, score[, -1, -1, -1]
"""

import contextlib
import logging
import os
import secrets
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from msfp.datasets.rows import Rows, parse_rows, read_rows
from msfp.datasets.seqinfo import read_sequence
from msfp.errors import InputError
from msfp.types import Detections, GroundTruth, Sequence, Tracks

__all__ = ["parse_tracks", "read_detections", "read_ground_truth", "read_sequence", "read_tracks", "write_tracks"]

DETECTION = "detections (frame, id, left, top, width, height, score and, if at all, x, y, z)"
TRUTH = "labels (9 in MOT16 and later: ... flag, class, visibility; 10 in MOT15: ... flag, x, y, z)"
TRACK = "tracking results (frame, id, left, top, width, height, score and, if at all, x, y, z)"
# A box beyond the border is a slip of the detector; every tenth one means that labels and image do not belong together.
OUTSIDE_SHARE = 0.1
log = logging.getLogger(__name__)


def read_detections(path: Path, sequence: Sequence | None = None) -> Detections:
    """Public detections, sorted by frame; rows have 7 or 10 columns. An empty file holds no detections.

    Boxes that lie wholly outside the image show nothing that could be tracked: they are left out, and a log message
    counts them. Boxes partly outside are kept as they are.

    Args:
        sequence: holds frame numbers to its length and boxes to its image.

    Raises:
        InputError: names file, line and remedy: see `read_rows`; sizes not positive; frames outside the sequence; more
            than a tenth of the boxes outside the image.
    """
    rows = read_rows(path, (7, 10), DETECTION)
    _check_boxes(rows, sequence)
    values = rows.values
    if sequence is not None:
        values = values[~_outside(rows, sequence)]
    values = values[np.argsort(values[:, 0], kind="stable")]
    return Detections(
        frame=values[:, 0].astype(np.int32),
        tlwh=np.ascontiguousarray(values[:, 2:6]),
        score=values[:, 6].astype(np.float32),
    )


def read_ground_truth(path: Path, sequence: Sequence | None = None) -> GroundTruth:
    """Labels of every class, sorted by frame. An empty file holds no labels.

    The number of columns tells the formats apart: 9 is MOT16 and later (MOT17, MOT20, DanceTrack), 10 is MOT15, whose
    last three columns are world coordinates: category and visibility become 1 there and the seventh column is the
    flag. 8 columns are neither and are refused, as it cannot be told which column is missing. Boxes may lie outside the
    image, as people partly seen are labelled whole.

    Args:
        sequence: holds frame numbers to its length.

    Raises:
        InputError: names file, line and remedy: see `read_rows`; sizes not positive; frames outside the sequence; an id
            negative, not whole, or twice in one frame; a class that is no whole number; a visibility outside [0, 1].
    """
    rows = read_rows(path, (9, 10), TRUTH)
    _check_boxes(rows, sequence)
    _check_ids(rows)
    values = rows.values
    modern = values.shape[1] == 9
    if modern:
        category, visibility = values[:, 7], values[:, 8]
        rows.refuse((category < 1) | (category % 1 != 0), "class {7}", "MOTChallenge classes are whole numbers from 1")
        rows.refuse((visibility < 0) | (visibility > 1), "visibility {8}", "visibility is a share from 0 to 1")
    values = values[np.argsort(values[:, 0], kind="stable")]
    ones = np.ones(len(values))
    return GroundTruth(
        frame=values[:, 0].astype(np.int32),
        id=values[:, 1].astype(np.int32),
        tlwh=np.ascontiguousarray(values[:, 2:6]),
        flag=values[:, 6].astype(np.float32),
        category=(values[:, 7] if modern else ones).astype(np.int32),
        visibility=(values[:, 8] if modern else ones).astype(np.float32),
    )


def read_tracks(path: Path) -> Tracks:
    """Tracking results, sorted by frame; rows have 7 to 10 columns. Ids count from 0 or 1 and are kept as they are.

    Raises:
        InputError: names file, line and remedy: see `read_rows`; sizes not positive; frames below 1; an id negative,
            not whole, or twice in one frame.
    """
    return _tracks(read_rows(path, (7, 8, 9, 10), TRACK))


def parse_tracks(data: bytes, where: str) -> Tracks:
    """Tracking results from bytes, as `read_tracks`; `where` names them in messages."""
    return _tracks(parse_rows(data, where, (7, 8, 9, 10), TRACK))


def format_tracks(tracks: Tracks) -> bytes:
    """Rows of 10 columns; numbers in the shortest form that reads back as the same float.

    Raises:
        ValueError: rows that no reader would accept: numbers not finite, sizes not positive, an id twice in a frame.
    """
    if not (np.isfinite(tracks.tlwh).all() and np.isfinite(tracks.score).all()):
        raise ValueError("tracks hold numbers that are not finite")
    if np.any(tracks.tlwh[:, 2:] <= 0):
        raise ValueError("tracks hold boxes without area")
    if len(tracks) and (tracks.frame.min() < 1 or tracks.id.min() < 0):
        raise ValueError("tracks hold frames below 1 or ids below 0")
    if _repeated(tracks.frame, tracks.id).any():
        raise ValueError("tracks hold an id twice in one frame")
    # float32 has its own shortest form: 0.9, not 0.8999999761581421.
    score = map(str, tracks.score)
    columns = zip(tracks.frame.tolist(), tracks.id.tolist(), tracks.tlwh.tolist(), score, strict=True)
    return "".join(
        f"{frame},{id},{left!r},{top!r},{width!r},{height!r},{score},-1,-1,-1\n"
        for frame, id, (left, top, width, height), score in columns
    ).encode()


def write_tracks(path: Path, tracks: Tracks) -> None:
    """Write tracking results so that the file is whole or absent, and reads back as the same numbers.

    Raises:
        InputError: the file cannot be written; names the remedy.
        ValueError: see `format_tracks`.
    """
    write_whole(Path(path), format_tracks(tracks))


def write_whole(path: Path, data: bytes) -> None:
    """Write under another name first, so that a kill leaves the old file or the new one.

    Raises:
        InputError: full disk, no permission and the like.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(data)
            os.replace(temporary, path)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise InputError(
            f"{path}: cannot write {len(data):,} bytes ({reason}); free some space or choose another output folder"
        ) from error


def _tracks(rows: Rows) -> Tracks:
    _check_boxes(rows, None)
    _check_ids(rows)
    values = rows.values[np.argsort(rows.values[:, 0], kind="stable")]
    return Tracks(
        frame=values[:, 0].astype(np.int32),
        id=values[:, 1].astype(np.int32),
        tlwh=np.ascontiguousarray(values[:, 2:6]),
        score=values[:, 6].astype(np.float32),
    )


def _check_boxes(rows: Rows, sequence: Sequence | None) -> None:
    frame, size = rows.values[:, 0], rows.values[:, 4:6]
    rows.refuse((frame < 1) | (frame % 1 != 0), "frame {0}", "frames are numbered 1, 2, 3, ...")
    if sequence is not None:
        rows.refuse(
            frame > sequence.length,
            f"frame {{0}} of a sequence of {sequence.length} frames",
            f"correct seqLength in {sequence.path / 'seqinfo.ini'} or remove the row",
        )
    rows.refuse(
        size.min(axis=1, initial=np.inf) <= 0,
        "box of size {4} x {5}",
        "width and height are positive: remove or mend the row",
    )


def _check_ids(rows: Rows) -> None:
    identity = rows.values[:, 1]
    rows.refuse((identity < 0) | (identity % 1 != 0), "id {1}", "ids are whole numbers from 0 or 1")
    repeated = _repeated(rows.values[:, 0], identity)
    rows.refuse(repeated, "id {1} a second time in frame {0}", "an id marks one box a frame: remove one of the rows")


def _repeated(frame: NDArray[np.generic], identity: NDArray[np.generic]) -> NDArray[np.bool_]:
    """(N,) rows whose frame and id an earlier row has already."""
    order = np.lexsort((identity, frame))
    same = (frame[order][1:] == frame[order][:-1]) & (identity[order][1:] == identity[order][:-1])
    out = np.zeros(len(frame), bool)
    out[order[1:][same]] = True
    return out


def _outside(rows: Rows, sequence: Sequence) -> NDArray[np.bool_]:
    """(N,) boxes without a pixel of the image; the image spans [1, width + 1) x [1, height + 1)."""
    left, top, width, height = rows.values[:, 2:6].T
    beyond = (left >= sequence.width + 1) | (top >= sequence.height + 1)
    outside: NDArray[np.bool_] = np.asarray(beyond | (left + width <= 1) | (top + height <= 1), bool)
    count = int(outside.sum())
    if count > OUTSIDE_SHARE * len(outside):
        what = f"box wholly outside the {sequence.width}x{sequence.height} image"
        rows.refuse(outside, what, "boxes and imWidth, imHeight in seqinfo.ini have to be of the same image size")
    if count:
        line = rows.line[int(np.argmax(outside))]
        log.warning(
            "%s: %d of %d boxes lie wholly outside the %dx%d image and are left out (first: line %d)",
            *(rows.where, count, len(outside), sequence.width, sequence.height, line),
        )
    return outside

"""The tracks that are alive, as kernels see them: `lifecycle` for compiled code, of fixed capacity."""

from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from msfp.compiled import kernel
from msfp.tracking.iou import iou
from msfp.tracking.kalman import Floats
from msfp.tracking.lifecycle import CONFIRMED, DUPLICATE, LOST, REMOVED, TENTATIVE, Rows

T = TypeVar("T", bound=np.generic)


class TrackState(NamedTuple):
    """Columns of `lifecycle.TrackTable`, one row a track, in the order of birth; rows from `alive` on are free."""

    id: NDArray[np.int32]
    state: NDArray[np.int8]
    start: Rows
    last: Rows
    row: Rows
    expired: NDArray[np.bool_]
    mean: Floats
    blocks: Floats
    embedding: NDArray[np.float32]
    known: NDArray[np.bool_]


def make_track_state(capacity: int, width: int) -> TrackState:
    """Room for `capacity` tracks with embeddings of `width`."""
    numbers, flags = np.zeros((3, capacity), np.int64), np.zeros((2, capacity), np.bool_)
    return TrackState(
        id=np.zeros(capacity, np.int32),
        state=np.zeros(capacity, np.int8),
        start=numbers[0],
        last=numbers[1],
        row=numbers[2],
        expired=flags[0],
        mean=np.zeros((capacity, 8)),
        blocks=np.zeros((capacity, 4, 3)),
        embedding=np.zeros((capacity, width), np.float32),
        known=flags[1],
    )


def most_alive(bounds: Rows, buffer: int) -> int:
    """Bound on the tracks alive at a time: each was matched within the buffer, and each match took a box of its own."""
    window = min(buffer + 4, len(bounds) - 1)
    return int((bounds[window:] - bounds[: len(bounds) - window]).max(initial=0))


@kernel
def all_rows(alive: int) -> Rows:
    """Rows of all tracks."""
    out = np.empty(alive, np.int64)
    for k in range(alive):
        out[k] = k
    return out


@kernel
def rows_in(bank: TrackState, alive: int, first: int, second: int) -> Rows:
    """Tracks in either state."""
    out = np.empty(alive, np.int64)
    count = 0
    for k in range(alive):
        if bank.state[k] == first or bank.state[k] == second:
            out[count] = k
            count += 1
    return out[:count]


@kernel
def unmatched(bank: TrackState, rows: Rows, state: int) -> Rows:
    """Those of some tracks that have this state and no detection."""
    out = np.empty(len(rows), np.int64)
    count = 0
    for k in rows:
        if bank.row[k] < 0 and bank.state[k] == state:
            out[count] = k
            count += 1
    return out[:count]


@kernel
def set_unmatched(bank: TrackState, rows: Rows, state: int, new: int) -> None:
    """Give those of some tracks that have this state and no detection another state."""
    for k in rows:
        if bank.row[k] < 0 and bank.state[k] == state:
            bank.state[k] = new


@kernel
def clear_matches(bank: TrackState, alive: int) -> None:
    """No track has a detection."""
    for k in range(alive):
        bank.row[k] = -1


@kernel
def note_matches(bank: TrackState, rows: Rows, chosen: Rows, column_of: Rows) -> Rows:
    """Note the detection of each matched track; returns the detections left."""
    taken = np.zeros(len(chosen), np.bool_)
    for k in range(len(rows)):
        if column_of[k] >= 0:
            bank.row[rows[k]] = chosen[column_of[k]]
            taken[column_of[k]] = True
    left = np.empty(len(chosen), np.int64)
    count = 0
    for j in range(len(chosen)):
        if not taken[j]:
            left[count] = chosen[j]
            count += 1
    return left[:count]


@kernel
def matched(bank: TrackState, alive: int) -> Rows:
    """Tracks with a detection."""
    out = np.empty(alive, np.int64)
    count = 0
    for k in range(alive):
        if bank.row[k] >= 0:
            out[count] = k
            count += 1
    return out[:count]


@kernel
def take(values: NDArray[T], rows: Rows) -> NDArray[T]:
    """Some rows of a matrix."""
    out = np.empty((len(rows), values.shape[1]), values.dtype)
    for i in range(len(rows)):
        for j in range(values.shape[1]):
            out[i, j] = values[rows[i], j]
    return out


@kernel
def expire(bank: TrackState, alive: int, frame: int, buffer: int) -> None:
    """`lifecycle.expire`: lost tracks found expired in the frame before go, others past the buffer are noted."""
    for k in range(alive):
        if bank.state[k] != LOST:
            continue
        if bank.expired[k]:
            bank.state[k] = REMOVED
        if frame - bank.last[k] > buffer:
            bank.expired[k] = True


@kernel
def drop_duplicates(bank: TrackState, boxes: Floats) -> None:
    """`lifecycle.drop_duplicates`: of a live and a lost track that nearly coincide the shorter history goes."""
    lost, live = rows_in(bank, len(boxes), LOST, LOST), rows_in(bank, len(boxes), TENTATIVE, CONFIRMED)
    near = iou(take(boxes, live), take(boxes, lost))
    for i in range(len(live)):
        for j in range(len(lost)):
            if near[i, j] > 1.0 - DUPLICATE:
                first, second = live[i], lost[j]
                longer = bank.last[first] - bank.start[first] > bank.last[second] - bank.start[second]
                bank.state[second if longer else first] = REMOVED


@kernel
def sweep(bank: TrackState, alive: int) -> int:
    """Drop the tracks that are removed; the others keep their order. Returns how many are left."""
    kept = int(np.int64(0))  # a plain 0 would have `copy_row` compiled for it and for other numbers
    for k in range(alive):
        if bank.state[k] == REMOVED:
            continue
        if kept < k:
            copy_row(bank, k, kept)
        kept += 1
    return kept


@kernel
def copy_row(bank: TrackState, source: int, target: int) -> None:
    """One track's columns to another row."""
    bank.id[target], bank.state[target], bank.row[target] = bank.id[source], bank.state[source], bank.row[source]
    bank.start[target], bank.last[target] = bank.start[source], bank.last[source]
    bank.expired[target], bank.known[target] = bank.expired[source], bank.known[source]
    copy_filter(bank.mean, bank.blocks, source, bank.mean, bank.blocks, target)
    for j in range(bank.embedding.shape[1]):
        bank.embedding[target, j] = bank.embedding[source, j]


@kernel
def copy_filter(mean: Floats, blocks: Floats, source: int, to_mean: Floats, to_blocks: Floats, target: int) -> None:
    """One track's filter to another row, of the same columns or of others."""
    for j in range(8):
        to_mean[target, j] = mean[source, j]
    for i in range(4):
        for j in range(3):
            to_blocks[target, i, j] = blocks[source, i, j]

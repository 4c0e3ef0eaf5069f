"""The tracks that are alive, struct-of-arrays, and their states: tentative, confirmed, lost, gone."""

import numpy as np
from numpy.typing import NDArray

from msfp.tracking.iou import iou
from msfp.tracking.kalman import Floats

Rows = NDArray[np.int64]
TENTATIVE, CONFIRMED, LOST, REMOVED = 0, 1, 2, 3
DUPLICATE = 0.15  # two tracks coincide where 1 - IoU is less

FIELDS: dict[str, tuple[tuple[int, ...], type]] = {
    "id": ((), np.int32),
    "state": ((), np.int8),
    "start": ((), np.int32),
    "last": ((), np.int32),
    "score": ((), np.float32),
    "row": ((), np.int64),
    "expired": ((), np.bool_),
    "mean": ((8,), np.float64),
    "blocks": ((4, 3), np.float64),
}


class TrackTable:
    """Columns of equal length, one row a track, in the order of birth.

    `table["mean"]` is a view that writes through; it is stale once rows were added or dropped. Beside the columns of
    FIELDS (identity from 1, state, frame of birth, frame of the last match, score of it, row of the detection matched
    in this frame or -1, whether it was found expired, filter mean and covariance blocks) a tracker may declare its own.
    """

    def __init__(self, extra: dict[str, tuple[tuple[int, ...], type]] | None = None) -> None:
        self._columns: dict[str, NDArray] = {
            name: np.zeros((64, *shape), dtype) for name, (shape, dtype) in {**FIELDS, **(extra or {})}.items()
        }
        self._length = 0
        self._next = 1

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, name: str) -> NDArray:
        return self._columns[name][: self._length]

    def __contains__(self, name: str) -> bool:
        return name in self._columns

    def declare(self, name: str, shape: tuple[int, ...], dtype: type) -> None:
        """A further column, zero for tracks that are there; for widths known only from the first input."""
        self._columns[name] = np.zeros((len(self._columns["id"]), *shape), dtype)

    def add(self, count: int, **values: object) -> Rows:
        """New tracks with the next identities; columns not named are zero. Returns their rows."""
        start, stop = self._length, self._length + count
        if stop > len(self._columns["id"]):
            for name, column in self._columns.items():
                grown = np.zeros((2 * stop, *column.shape[1:]), column.dtype)
                grown[:start] = column[:start]
                self._columns[name] = grown
        self._length = stop
        for name, column in self._columns.items():
            column[start:stop] = values.get(name, 0)
        self._columns["id"][start:stop] = np.arange(self._next, self._next + count)
        self._next += count
        return np.arange(start, stop)

    def sweep(self) -> None:
        """Drop the rows whose state is REMOVED; the others keep their order."""
        kept = np.flatnonzero(self["state"] != REMOVED)
        if len(kept) == self._length:
            return
        for column in self._columns.values():
            column[: len(kept)] = column[kept]
        self._length = len(kept)

    def rows(self, *states: int) -> Rows:
        """Rows in one of the states."""
        state = self["state"]
        mask = state == states[0]
        for other in states[1:]:
            mask |= state == other
        return np.flatnonzero(mask)


def buffer_frames(buffer: int, fps: float) -> int:
    """Frames a lost track is kept: `buffer` at 30 frames per second, scaled to the sequence's rate, at least one."""
    return max(int(fps / 30.0 * buffer), min(buffer, 1))


def expire(table: TrackTable, frame: int, buffer: int) -> None:
    """Remove lost tracks not matched for more than `buffer` frames, as ByteTrack's released code does: one frame late.

    A track found expired is offered to one more frame; matched there it lives on, but goes as soon as it is lost again.
    """
    lost = table["state"] == LOST
    table["state"][lost & table["expired"]] = REMOVED
    table["expired"][lost & (frame - table["last"] > buffer)] = True


def drop_duplicates(table: TrackTable, boxes: Floats, distance: float = DUPLICATE) -> None:
    """Of a live and a lost track that nearly coincide remove the one with the shorter history (ByteTrack).

    Args:
        table: the tracks; history is the time from birth to the last match.
        boxes: (M, 4) xyxy boxes of all rows.
        distance: two tracks coincide where 1 - IoU is less.
    """
    live, lost = table.rows(TENTATIVE, CONFIRMED), table.rows(LOST)
    if not len(live) or not len(lost):
        return
    i, j = np.nonzero(iou(boxes[live], boxes[lost]) > 1.0 - distance)
    if not len(i):
        return
    i, j = live[i], lost[j]
    history = table["last"] - table["start"]
    longer = history[i] > history[j]
    table["state"][np.where(longer, j, i)] = REMOVED

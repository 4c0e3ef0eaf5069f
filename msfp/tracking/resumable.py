"""The hook by which a plug-in such as `recovery` sees tracks without a detection and gives them a box."""

from typing import TYPE_CHECKING, final

import numpy as np
from numpy.typing import NDArray

from msfp.tracking.kalman import Floats
from msfp.tracking.kalman_fast import FastFilter
from msfp.tracking.lifecycle import CONFIRMED, TrackTable

if TYPE_CHECKING:
    from msfp.tracking.base import Found


class Resumable:
    """A tracker whose tracks lie in a table with a filter's state each, as all here do."""

    _filter: FastFilter
    _table: TrackTable
    _frame: int | None

    @final
    def unmatched(self) -> tuple[NDArray[np.int32], Floats]:
        """Identities and predicted (M, 4) xyxy boxes of living tracks that took no detection in the last frame."""
        rows = np.flatnonzero(self._table["row"] < 0)
        return self._table["id"][rows].copy(), self._filter.boxes(self._table["mean"][rows])

    @final
    def claimed(self) -> NDArray[np.int64]:
        """Rows of the last frame's detections that some track has, reported or not."""
        rows = self._table["row"]
        return rows[rows >= 0]

    @final
    def resume(self, ids: NDArray[np.int32], boxes: Floats, scores: NDArray[np.float32]) -> None:
        """Tracks take boxes in the last frame as if they had been detected there, without appearance (see `recovery`).

        Args:
            ids: (K,) of `unmatched`, each once.
            boxes: (K, 4) xyxy.
            scores: (K,).
        """
        assert self._frame is not None
        from msfp.tracking.base import Found

        order = {identity: row for row, identity in enumerate(self._table["id"].tolist())}
        rows = np.array([order[identity] for identity in ids.tolist()], np.int64)
        known = np.zeros(len(rows), np.bool_)
        self._resume(Found(np.ascontiguousarray(boxes), scores, None, known, self._frame), rows)

    def _resume(self, found: "Found", rows: NDArray[np.int64]) -> None:
        """Tracks in `rows` take the boxes of `found`, one each."""
        table = self._table
        self._filter.update(table["mean"], table["blocks"], rows, found.boxes)
        table["last"][rows], table["score"][rows], table["state"][rows] = found.frame, found.scores, CONFIRMED
        if "streak" in table:
            table["streak"][rows] += 1

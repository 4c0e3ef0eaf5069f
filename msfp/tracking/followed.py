"""What compiled trackers share: a filter as numbers, where a sequence stands, what is reported of a stretch of it."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from msfp.compiled import kernel
from msfp.tracking.base import Stretch
from msfp.tracking.iou import has_area
from msfp.tracking.kalman import Floats
from msfp.tracking.kalman_fast import FastFilter, Model
from msfp.tracking.kalman_kernels import measure, start
from msfp.tracking.lifecycle import Rows
from msfp.tracking.track_state import TrackState, take


class Reported(NamedTuple):
    """What is reported, track by track: identity, box, row of the detection; and how many tracks each frame has."""

    id: NDArray[np.int32]
    boxes: Floats
    row: Rows
    counts: Rows


class Progress(NamedTuple):
    """Where a sequence stands: single numbers that kernels change."""

    frame: Rows
    alive: Rows
    born: Rows
    reported: Rows  # of this stretch
    looks: NDArray[np.bool_]  # whether any track ever had an embedding


def make_progress() -> Progress:
    """The start of a sequence."""
    zeros = np.zeros((4, 1), np.int64)
    return Progress(zeros[0], zeros[1], zeros[2], zeros[3], np.zeros(1, np.bool_))


class Followed(ABC):
    """A `base.Follower`: one sequence under way; call it with stretch after stretch."""

    def __init__(self, motion: FastFilter, thresholds: tuple[float, float], room: int) -> None:
        self._model = motion.model()
        self._thresholds = np.array([thresholds], np.float32)
        self._room = room
        self._at = make_progress()

    def __call__(self, frames: Stretch) -> tuple[NDArray[np.int32], Floats, NDArray[np.float32], Rows]:
        """As `base.Follower`."""
        length, most = len(frames.bounds) - 1, len(frames.boxes)
        if not len(frames.thresholds):
            frames = frames._replace(thresholds=np.repeat(self._thresholds, length, axis=0))
        rows = np.zeros(most, np.int64)
        out = Reported(np.zeros(most, np.int32), np.zeros((most, 4)), rows, np.zeros(length, np.int64))
        self._follow(frames, self._at, out)
        count = int(self._at.reported[0])
        return out.id[:count], out.boxes[:count], frames.scores[rows[:count]], out.counts

    @abstractmethod
    def _follow(self, frames: Stretch, at: Progress, out: Reported) -> None:
        """Track the next frames; fills the first `at.reported` rows of `out`."""


@kernel
def add_tracks(bank: TrackState, chosen: Rows, frames: Stretch, model: Model, at: Progress) -> int:
    """New tracks at some detections, behind the others, with the next identities; returns the row of the first."""
    measured = measure(take(frames.boxes, chosen), model.kind)
    first, count = at.alive[0], len(chosen)
    for i in range(count):
        k = first + i
        bank.id[k] = at.born[0] + i + 1
        bank.start[k], bank.last[k], bank.row[k] = at.frame[0], at.frame[0], chosen[i]
        bank.expired[k], bank.known[k] = False, False
        for j in range(4):
            bank.mean[k, j], bank.mean[k, 4 + j] = measured[i, j], 0.0
            bank.blocks[k, j, 0], bank.blocks[k, j, 1], bank.blocks[k, j, 2] = 0.0, 0.0, 0.0
        for j in range(bank.embedding.shape[1]):
            bank.embedding[k, j] = 0.0
    start(bank.mean[first : first + count], bank.blocks[first : first + count], model.weights, model.scale)
    at.alive[0], at.born[0] = first + count, at.born[0] + count
    return first


@kernel
def report_track(bank: TrackState, k: int, box: Floats, at: Progress, out: Reported) -> None:
    """Write a track to `out` where its box has an area."""
    if has_area(box):
        out.id[at.reported[0]], out.row[at.reported[0]] = bank.id[k], bank.row[k]
        for j in range(4):
            out.boxes[at.reported[0], j] = box[j]
        at.reported[0] += 1

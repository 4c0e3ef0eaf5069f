"""How MSFP's head sees the boxes of a clip: layer weights, who resembles whom, and for how long."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from msfp.assignment import assign_maximum
from msfp.explore.clip import FULL, Clip, rows_in
from msfp.heads.apply import attention, embed, restore_head
from msfp.heads.fusion import Attention
from msfp.metrics.oracle import COUNT_FIRST, true_identities
from msfp.pipeline.heads import part_vectors, train_head
from msfp.tracking.iou import iou
from msfp.types import Tracks, tlwh_to_xyxy

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Looks:
    """The head of MSFP-Track on a clip's N detections, rows as in `clip.detections`."""

    frame: NDArray[np.int32]  # (N,) from 1
    layers: tuple[int, ...]  # tapped layers, in the order of the columns of `weights`
    weights: NDArray[np.float32]  # (N, L) attention weights, rows sum to 1 (eq. 3).
    vectors: NDArray[np.float32]  # (N, D) unit embeddings
    person: NDArray[np.int32]  # (N,) labelled person that a box shows, -1 where it shows none or there are no labels

    def similarity(self, row: int) -> NDArray[np.float32]:
        """(N,) cosine similarity of every box with one."""
        return self.vectors @ self.vectors[row]

    def nearest(self, row: int, among: NDArray[np.bool_], count: int, apart: int, one_each: bool = False) -> Rows:
        """The most similar boxes, best first.

        `among`: (N,) boxes to choose from. `apart`: least distance in frames from the box and, for one person, between
        two answers; neighbouring frames show the same picture again.
        """
        near = np.abs(self.frame - self.frame[row]) < apart
        candidates = np.flatnonzero(among & ~near)
        order = candidates[np.argsort(-self.similarity(row)[candidates], kind="stable")]
        chosen: list[int] = []
        for one in order:
            same = [c for c in chosen if self.person[c] == self.person[one] >= 0]
            close = any(abs(int(self.frame[c]) - int(self.frame[one])) < apart for c in same)
            if close or (one_each and same):
                continue
            chosen.append(int(one))
            if len(chosen) == count:
                break
        return np.array(chosen, np.int64)

    def over_time(self, row: int, own: NDArray[np.bool_], length: int) -> tuple[NDArray, NDArray]:
        """(T,) similarity with the (N,) own boxes of each frame, and with the best other; NaN where there is none."""
        similarity = self.similarity(row)
        curves = np.full((2, length), -np.inf)
        for curve, mine in zip(curves, (own, ~own), strict=True):
            np.maximum.at(curve, self.frame[mine] - 1, similarity[mine])
        curves[np.isneginf(curves)] = np.nan
        return curves[0], curves[1]


@lru_cache(maxsize=8)
def looks_of(clip: Clip) -> Looks:
    """Run the head on a clip's boxes; NotComputable where frames that it learned from are missing."""
    run, look, boxes = clip.run, clip.methods[FULL].look, clip.detections
    assert look is not None
    layers = part_vectors(run, clip.part, clip.sequence.detector, look)
    state = train_head(run, look).state
    head = restore_head(look.strategy, {k: v.shape[1] for k, v in layers.items()}, state, run.settings.fusion)
    assert isinstance(head, Attention)
    person = np.full(len(boxes), -1, np.int32)
    if clip.truth is not None:
        person = true_identities(clip.truth, boxes)
    return Looks(boxes.frame, tuple(head.channels), attention(head, layers), embed(head, layers), person)


def detections_of(clip: Clip, found: Tracks) -> Rows:
    """(M,) detection that each row of the tracks took, -1 where it took none.

    A track carries the score of its detection; its box is the filter's. Of the ways to give the tracks of a frame one
    detection each, of their score, that of greatest overlap is meant.
    """
    boxes, rows = clip.detections, np.full(len(found), -1, np.int64)
    for frame in np.unique(found.frame):
        mine, theirs = rows_in(found, int(frame)), rows_in(boxes, int(frame))
        tracked, seen = (np.asarray(tlwh_to_xyxy(b), np.float64) for b in (found.tlwh[mine], boxes.tlwh[theirs]))
        overlap = iou(tracked, seen)
        may = (overlap > 0) & (found.score[mine, None] == boxes.score[None, theirs])
        column = assign_maximum(np.where(may, COUNT_FIRST + overlap, 0.0))
        held = np.flatnonzero(column >= 0)
        held = held[may[held, column[held]]]
        rows[mine.start + held] = theirs.start + column[held]
    return rows

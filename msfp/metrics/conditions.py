"""Association accuracy by what the labelled boxes are like: their size, how much is hidden, whether after a gap.

HOTA's AssA is a mean over its true positives c of A(c) = TPA / (TPA + FNA + FPA), counted over the whole sequence. Kept
to the true positives whose labelled box has a property it is that property's AssA; of all boxes together it is AssA.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msfp.metrics.fast import PreparedTruth, match
from msfp.metrics.kernels import EPS, KEPT
from msfp.metrics.rules import chosen_rows, rules
from msfp.metrics.score import ALPHAS
from msfp.types import GroundTruth, Tracks

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
SHOWN, HIDDEN = 0.75, 0.25  # share visible from which a person is in sight, and below which one is hidden
AFTER = 10  # frames after a gap in which a person counts as coming back


@dataclass(frozen=True, eq=False)
class Boxes:
    """Size, visibility and history of each labelled box of a `PreparedTruth`, row by row.

    Attributes:
        area: (N,) square pixels of the file.
        visibility: (N,) share visible.
        returning: (N,) within ten frames after one in which the person, seen before, was hidden or not labelled.
    """

    area: Floats
    visibility: Floats
    returning: Bools


def describe(gt: GroundTruth, benchmark: str) -> Boxes:
    """Describe the boxes of `fast.prepare(gt, ..., benchmark=benchmark)`."""
    gt = chosen_rows(gt, ~rules(benchmark).regions(gt))
    returning = np.zeros(len(gt), np.bool_)
    for person in np.unique(gt.id):
        rows = np.flatnonzero(gt.id == person)
        returning[rows] = coming_back(gt.frame[rows], gt.visibility[rows] >= HIDDEN)
    return Boxes(gt.tlwh[:, 2:].prod(axis=1), gt.visibility.astype(np.float64), returning)


def coming_back(frame: NDArray[np.int32], seen: Bools) -> Bools:
    """(B,) of one person's boxes in order of frames: seen, within ten frames of being seen first again after a gap."""
    at = frame[seen]
    out = np.zeros(len(frame), np.bool_)
    back = at[1:][np.diff(at) > 1]  # first frames after a gap
    for first in back:
        out |= seen & (frame >= first) & (frame < first + AFTER)
    return out


def association(truth: PreparedTruth, tracks: Tracks, masks: Bools) -> Floats:
    """(C, 2, 19) sum of A(c) over each property's true positives, and their number, at each localisation threshold.

    masks: (C, N) labelled boxes that have each property. Sums of several sequences may be added.
    """
    alignment, _, key, iou, box = match(truth, tracks)
    row = np.flatnonzero(truth.kind == KEPT)[box]
    of_gt, of_track = alignment.gt_count, alignment.track_count
    levels = len(ALPHAS)
    reached = np.searchsorted(np.array(ALPHAS) - EPS, iou, side="right")
    hit = reached[:, None] > np.arange(levels)  # (M, 19)
    pairs, pair = np.unique(key, return_inverse=True)
    together = np.zeros((len(pairs), levels))
    np.add.at(together, pair, hit)
    gt, track = np.divmod(key, max(len(of_track), 1))
    either = (of_gt[gt] + of_track[track])[:, None] - together[pair]
    share = together[pair] / np.maximum(1, either) * hit
    return np.stack([np.stack([share[m].sum(axis=0), hit[m].sum(axis=0)]) for m in masks[:, row]])


def accuracy(sums: Floats) -> Floats:
    """(..., 2, 19) sums -> (...) association accuracy in [0, 1], mean over thresholds; NaN where nothing matched."""
    found, count = sums[..., 0, :], sums[..., 1, :]
    value = (found / np.maximum(1, count)).mean(axis=-1)
    return np.where(count[..., 0] > 0, value, np.nan)

"""Association accuracy by what the labelled boxes are like: their size, how much is hidden, whether after a gap.

HOTA's AssA is a mean over its true positives c of A(c) = TPA / (TPA + FNA + FPA), counted over the whole sequence. Kept
to the true positives whose labelled box has a property it is that property's AssA; of all boxes together it is AssA.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msfp.metrics.fast import PreparedTruth, nothing_aligned
from msfp.metrics.kernels import EPS, KEPT, align_frame, judged_frame, match_pairs
from msfp.metrics.rules import chosen_rows, rules, window, within_crowds
from msfp.metrics.score import ALPHAS
from msfp.types import GroundTruth, Tracks, frame_bounds, tlwh_to_xyxy

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


def describe(gt: GroundTruth, benchmark: str, frames: tuple[int, int] | None = None) -> Boxes:
    """Describe the boxes of `fast.prepare(gt, ..., benchmark=benchmark, frames=frames)`."""
    gt = window(gt, frames)
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
    """Sums from which AssA of each property follows, alone or over sequences.

    Args:
        truth: from `fast.prepare`; its window cuts the tracks too.
        tracks: boxes in file coordinates.
        masks: (C, N) labelled boxes that have each property.

    Returns:
        (C, 2, 19) sum of A(c) over the property's true positives, and their number, at each localisation threshold.
    """
    row, gt, track, iou, gt_count, track_count = _matches(truth, tracks)
    levels = len(ALPHAS)
    reached = np.searchsorted(np.array(ALPHAS) - EPS, iou, side="right")
    hit = reached[:, None] > np.arange(levels)  # (M, 19)
    pairs, pair = np.unique(gt * max(len(track_count), 1) + track, return_inverse=True)
    together = np.zeros((len(pairs), levels))
    np.add.at(together, pair, hit)
    either = (gt_count[gt] + track_count[track])[:, None] - together[pair]
    accuracy = together[pair] / np.maximum(1, either) * hit
    return np.stack([np.stack([(accuracy[m]).sum(axis=0), hit[m].sum(axis=0)]) for m in masks[:, row]])


def accuracy(sums: Floats) -> Floats:
    """(..., 2, 19) sums -> (...) association accuracy in [0, 1], mean over thresholds; NaN where nothing matched."""
    found, count = sums[..., 0, :], sums[..., 1, :]
    value = (found / np.maximum(1, count)).mean(axis=-1)
    return np.where(count[..., 0] > 0, value, np.nan)


def _matches(
    truth: PreparedTruth, tracks: Tracks
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], Floats, Floats, Floats]:
    """HOTA's matches: labelled row, dense identity, dense track and IoU of each; boxes of every identity and track."""
    tracks = window(tracks, truth.frames)
    unique, dense = np.unique(tracks.id, return_inverse=True)
    xyxy = np.ascontiguousarray(tlwh_to_xyxy(tracks.tlwh), dtype=np.float64)
    bounds, dense = frame_bounds(tracks.frame, truth.length), dense.astype(np.int64)
    judged = ~within_crowds(tracks, truth.regions, truth.length)
    alignment = nothing_aligned(truth.identities, len(unique))
    frames = []
    for t in range(truth.length):
        a, b, c, d = truth.bounds[t], truth.bounds[t + 1], bounds[t], bounds[t + 1]
        frame = judged_frame(
            truth.xyxy[a:b], truth.id[a:b], truth.kind[a:b], xyxy[c:d], dense[c:d], judged[c:d], truth.preprocess
        )
        align_frame(frame, alignment)
        frames.append((a + np.flatnonzero(truth.kind[a:b] == KEPT), frame))
    rows, people, followed, overlap = [], [], [], []
    for kept, frame in frames:
        pairs = frame.pairs
        g, k = frame.gt[pairs.row], frame.track[pairs.column]
        soft = alignment.soft[g, k]
        weighted = soft / (alignment.gt_count[g] + alignment.track_count[k] - soft) * pairs.iou
        chosen = match_pairs(pairs, weighted, len(frame.gt), len(frame.track))
        chosen = chosen[chosen >= 0]
        rows.append(kept[pairs.row[chosen]])
        people.append(g[chosen])
        followed.append(k[chosen])
        overlap.append(pairs.iou[chosen])
    row, gt, track = (np.concatenate([np.zeros(0, np.int64), *part]) for part in (rows, people, followed))
    return row, gt, track, np.concatenate([np.zeros(0), *overlap]), alignment.gt_count, alignment.track_count

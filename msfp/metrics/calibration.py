"""Detection scores as probabilities: an isotonic map from a detector's own range to P(true positive)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msfp.errors import NotComputable
from msfp.metrics.oracle import true_identities
from msfp.metrics.rules import Rules
from msfp.types import Detections, GroundTruth, frame_bounds, tlwh_to_xyxy


@dataclass(frozen=True)
class Calibration:
    """A map that never falls, linear between its knots and constant beyond them.

    Attributes:
        score: (K,) knots, ascending, in the detector's own range.
        probability: (K,) share of true positives there.
        true, false: number of boxes of each kind that it was fitted on.
        before, after: Brier score on them, of scores cut to [0, 1] and of the map.
    """

    score: NDArray[np.float64]
    probability: NDArray[np.float64]
    true: int
    false: int
    before: float
    after: float

    def __call__(self, score: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N,) scores -> (N,) probabilities."""
        return np.interp(score.astype(np.float64), self.score, self.probability).astype(np.float32)


def outcomes(gt: GroundTruth, found: Detections, rules: Rules, iou: float = 0.5) -> NDArray[np.int8]:
    """What evaluation makes of each detection: 1 true, 0 false, -1 on a distractor, which counts as neither.

    Args:
        gt: labels, file coordinates.
        found: detections, file coordinates.
        rules: of the benchmark.
        iou: least overlap.
    """
    hit = (true_identities(gt, found, iou=iou) >= 0).astype(np.int8)
    ignored = np.flatnonzero(np.isin(gt.category, rules.distractors)) if rules.preprocess else np.zeros(0, np.int64)
    length = int(found.frame[-1]) if len(found) else 0
    mine, theirs = frame_bounds(found.frame, length), frame_bounds(gt.frame[ignored], length)
    for t in np.flatnonzero(np.diff(theirs)):
        rows = np.arange(mine[t], mine[t + 1])
        near = _overlap(found.tlwh[rows], gt.tlwh[ignored[theirs[t] : theirs[t + 1]]]) >= iou
        hit[rows[near.any(axis=1) & (hit[rows] == 0)]] = -1
    return hit


def fit(score: NDArray[np.float32], hit: NDArray[np.int8]) -> Calibration:
    """Isotonic regression of true positives on the score: of all maps that never fall, the one of least squares.

    Args:
        score: (N,) in the detector's own range.
        hit: (N,) 1 true, 0 false.

    Raises:
        NotComputable: there is no detection.
    """
    if not len(score):
        raise NotComputable("scores cannot be calibrated: there is no detection to learn from")
    own = score.astype(np.float64)
    value, place = np.unique(own, return_inverse=True)
    weight = np.bincount(place).astype(np.float64)
    mean = np.bincount(place, hit.astype(np.float64)) / weight
    blocks: list[tuple[float, float, int, int]] = []  # mean, weight, first and last value
    for i, (m, w) in enumerate(zip(mean.tolist(), weight.tolist(), strict=True)):
        block = (m, w, i, i)
        while blocks and blocks[-1][0] >= block[0]:
            before = blocks.pop()
            total = before[1] + block[1]
            block = ((before[0] * before[1] + block[0] * block[1]) / total, total, before[2], block[3])
        blocks.append(block)
    edges = [(value[i], m) for m, _, first, last in blocks for i in dict.fromkeys((first, last))]
    knots, probability = (np.array(column) for column in zip(*edges, strict=True))
    brier = [float(np.mean((p - hit) ** 2)) for p in (np.clip(own, 0, 1), np.interp(own, knots, probability))]
    return Calibration(knots, probability, int(hit.sum()), int((hit == 0).sum()), *brier)


def _overlap(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, M) intersection over union of tlwh boxes."""
    one, two = tlwh_to_xyxy(a)[:, None], tlwh_to_xyxy(b)[None]
    sides = np.clip(np.minimum(one[..., 2:], two[..., 2:]) - np.maximum(one[..., :2], two[..., :2]), 0, None)
    shared = sides.prod(axis=-1)
    whole = a[:, 2:].prod(axis=1)[:, None] + b[:, 2:].prod(axis=1)[None] - shared
    return np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)

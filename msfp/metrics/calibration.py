"""Detection scores as probabilities: an isotonic map from a detector's own range to P(true positive)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msfp.errors import NotComputable
from msfp.metrics.kernels import overlaps
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
    """(N,) what evaluation makes of each detection: 1 true, 0 false, -1 on a distractor, which counts as neither.

    Boxes in file coordinates; `iou` is the least overlap.
    """
    hit = (true_identities(gt, found, iou=iou) >= 0).astype(np.int8)
    ignored = np.flatnonzero(np.isin(gt.category, rules.distractors)) if rules.preprocess else np.zeros(0, np.int64)
    length = int(found.frame[-1]) if len(found) else 0
    mine, theirs = frame_bounds(found.frame, length), frame_bounds(gt.frame[ignored], length)
    box, region = (np.ascontiguousarray(tlwh_to_xyxy(b), np.float64) for b in (found.tlwh, gt.tlwh[ignored]))
    for t in np.flatnonzero(np.diff(theirs)):
        pairs = overlaps(box[mine[t] : mine[t + 1]], region[theirs[t] : theirs[t + 1]])
        rows = mine[t] + pairs.row[pairs.iou >= iou]
        hit[rows[hit[rows] == 0]] = -1
    return hit


def fit(score: NDArray[np.float32], hit: NDArray[np.int8]) -> Calibration:
    """Isotonic regression of true positives on the score: of all maps that never fall, the one of least squares.

    (N,) scores in the detector's own range and whether each is true (1) or false (0); NotComputable where N is 0.
    """
    from sklearn.isotonic import IsotonicRegression  # half a second to import

    if not len(score):
        raise NotComputable("scores cannot be calibrated: there is no detection to learn from")
    own = score.astype(np.float64)
    fitted = IsotonicRegression().fit(own, hit)
    knots, probability = fitted.X_thresholds_, fitted.y_thresholds_
    brier = [float(np.mean((p - hit) ** 2)) for p in (np.clip(own, 0, 1), np.interp(own, knots, probability))]
    return Calibration(knots, probability, int(hit.sum()), int((hit == 0).sum()), *brier)

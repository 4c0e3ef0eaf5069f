"""What a detection set allows at best, and its scores as probabilities."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msfp.errors import InputError, NotComputable
from msfp.metrics.hota import EPS, match_pairs, overlaps
from msfp.metrics.scores import Rules
from msfp.types import Detections, GroundTruth, Tracks, frame_bounds, tlwh_to_xyxy

COUNT_FIRST = 1000.0  # added to every candidate's IoU, so that one match more outweighs any gain in overlap


def true_identities(gt: GroundTruth, detections: Detections, *, iou: float = 0.5) -> NDArray[np.int32]:
    """(N,) identity of the pedestrian that each detection is matched with, -1 for none.

    In each frame as many pedestrians as possible get a detection with at least `iou`, among such matchings the one of
    greatest IoU; rows of the truth that evaluation does not count are ignored. Raises InputError: `iou` outside (0, 1].
    """
    if not 0 < iou <= 1:
        raise InputError(f"iou {iou}: must lie in (0, 1]")
    truth = np.flatnonzero(gt.pedestrian)
    length = int(max(gt.frame[-1] if len(gt) else 0, detections.frame[-1] if len(detections) else 0))
    gt_bounds, det_bounds = frame_bounds(gt.frame[truth], length), frame_bounds(detections.frame, length)
    gt_box = np.ascontiguousarray(tlwh_to_xyxy(gt.tlwh[truth]), dtype=np.float64)
    det_box = np.ascontiguousarray(tlwh_to_xyxy(detections.tlwh), dtype=np.float64)
    identity = np.full(len(detections), -1, np.int32)
    for t in range(length):
        a, b, c, d = gt_bounds[t], gt_bounds[t + 1], det_bounds[t], det_bounds[t + 1]
        pairs = overlaps(gt_box[a:b], det_box[c:d])
        score = np.where(pairs.iou >= iou - EPS, COUNT_FIRST + pairs.iou, 0.0)
        matched = match_pairs(pairs, score, b - a, d - c)
        matched = matched[matched >= 0]
        identity[c + pairs.column[matched]] = gt.id[truth[a + pairs.row[matched]]]
    return identity


def oracle_tracks(gt: GroundTruth, detections: Detections, *, iou: float = 0.5) -> Tracks:
    """Tracks of perfect association and perfect filtering over a detection set: its recall ceiling.

    A detection that `true_identities` matches with a pedestrian carries its identity, every other is dropped. No box is
    added or moved, so no tracker over these detections can do better at that threshold. Errors as `true_identities`.
    """
    identity = true_identities(gt, detections, iou=iou)
    kept = np.flatnonzero(identity >= 0)
    return Tracks(detections.frame[kept], identity[kept], detections.tlwh[kept], detections.score[kept])


@dataclass(frozen=True)
class Calibration:
    """A map that never falls, linear between its knots and constant beyond them."""

    score: NDArray[np.float64]  # (K,) knots, ascending, in the detector's own range
    probability: NDArray[np.float64]  # (K,) share of true positives there
    # boxes of each kind that it was fitted on
    true: int
    false: int
    # Brier score on them, of scores cut to [0, 1] and of the map
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

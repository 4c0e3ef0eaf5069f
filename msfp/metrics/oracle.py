"""Upper bound of a detection set: the tracks of an oracle that keeps exactly the true boxes."""

import numpy as np
from numpy.typing import NDArray

from msfp.errors import InputError
from msfp.metrics.kernels import EPS, match_pairs, overlaps
from msfp.types import Detections, GroundTruth, Tracks, frame_bounds, tlwh_to_xyxy

COUNT_FIRST = 1000.0
"""Added to every candidate's IoU, so that one match more outweighs any gain in overlap."""


def true_identities(gt: GroundTruth, detections: Detections, *, iou: float = 0.5) -> NDArray[np.int32]:
    """(N,) identity of the pedestrian that each detection is matched with, -1 for none.

    In each frame as many pedestrians as possible get a detection with at least `iou`, among such matchings the one of
    greatest IoU. Rows of the truth that evaluation does not count are ignored.

    Raises:
        InputError: `iou` outside (0, 1].
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

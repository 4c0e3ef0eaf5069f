"""What a detection set allows at best: the tracks of an oracle that keeps exactly the true boxes."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from msfp.errors import InputError
from msfp.metrics.kernels import EPS, Floats, Ints, match_pairs, overlaps
from msfp.types import Detections, GroundTruth, Tracks, frame_bounds, tlwh_to_xyxy

COUNT_FIRST = 1000.0


def oracle_tracks(gt: GroundTruth, detections: Detections, *, iou: float = 0.5) -> Tracks:
    """Tracks of perfect association and perfect filtering over a detection set: its recall ceiling.

    In each frame as many pedestrians as possible get a detection with at least `iou`, among such matchings the one of
    greatest IoU; a matched detection carries the pedestrian's identity, every other is dropped. No box is added or
    moved, so no tracker over these detections can do better at that threshold.

    Args:
        gt: truth, file coordinates; rows that evaluation does not count are ignored.
        detections: file coordinates.
        iou: least overlap, in (0, 1].

    Raises:
        InputError: `iou` outside (0, 1].
    """
    if not 0 < iou <= 1:
        raise InputError(f"iou {iou}: must lie in (0, 1]")
    truth = np.flatnonzero(gt.pedestrian)
    length = int(max(gt.frame[-1] if len(gt) else 0, detections.frame[-1] if len(detections) else 0))
    found = _match(
        frame_bounds(gt.frame[truth], length),
        np.ascontiguousarray(tlwh_to_xyxy(gt.tlwh[truth]), dtype=np.float64),
        frame_bounds(detections.frame, length),
        np.ascontiguousarray(tlwh_to_xyxy(detections.tlwh), dtype=np.float64),
        iou,
    )
    kept = np.flatnonzero(found >= 0)
    identity = gt.id[truth[found[kept]]]
    return Tracks(detections.frame[kept], identity, detections.tlwh[kept], detections.score[kept])


@njit(cache=True)
def _match(gt_bounds: Ints, gt_box: Floats, det_bounds: Ints, det_box: Floats, least: float) -> NDArray[np.int64]:
    """(N,) truth row of each detection, -1 for none; xyxy boxes."""
    found = np.full(len(det_box), -1, np.int64)
    for t in range(len(gt_bounds) - 1):
        a, b, c, d = gt_bounds[t], gt_bounds[t + 1], det_bounds[t], det_bounds[t + 1]
        pairs = overlaps(gt_box[a:b], det_box[c:d])
        score = np.where(pairs.iou >= least - EPS, COUNT_FIRST + pairs.iou, 0.0)
        for p in match_pairs(pairs, score, b - a, d - c):
            if p >= 0:
                found[c + pairs.column[p]] = a + pairs.row[p]
    return found

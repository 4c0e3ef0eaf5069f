"""The oracle tracker keeps exactly the true boxes, and no tracker over the same boxes finds more."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msfp.errors import InputError
from msfp.metrics import hota
from msfp.metrics.oracle import oracle_tracks
from msfp.types import Detections


def iou(a: np.ndarray, b: np.ndarray) -> float:
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    inside = max(width, 0) * max(height, 0)
    return inside / (a[2] * a[3] + b[2] * b[3] - inside)


@given(st.integers(0, 2**32), st.booleans())
def test_as_many_true_boxes_as_any_matching_finds(make_scene, seed, grid):
    gt, boxes = make_scene(seed, grid=grid, people=5, length=3)
    detections = Detections(boxes.frame, boxes.tlwh, boxes.score)
    kept = oracle_tracks(gt, detections)
    for t in range(1, 4):
        truth = np.flatnonzero(gt.pedestrian & (gt.frame == t))
        found = np.flatnonzero(detections.frame == t)
        fits = np.array([[iou(gt.tlwh[i], detections.tlwh[j]) >= 0.5 for j in found] for i in truth])
        fits = fits.reshape(len(truth), len(found))
        if fits.shape[0] > fits.shape[1]:
            fits = fits.T
        n, m = fits.shape
        most = max((sum(fits[i, p[i]] for i in range(n)) for p in permutations(range(m), n)), default=0)
        rows = kept.frame == t
        assert rows.sum() == most
        for identity, box in zip(kept.id[rows], kept.tlwh[rows], strict=True):
            (own,) = truth[gt.id[truth] == identity]
            assert iou(gt.tlwh[own], box) >= 0.5 - 1e-12


def test_perfect_detections_make_a_perfect_tracker(make_scene):
    gt, _ = make_scene(0, people=8)
    own = gt.pedestrian
    # other boxes of the scene cannot hide a pedestrian when every pedestrian has its exact box
    detections = Detections(gt.frame[own], gt.tlwh[own], np.ones(int(own.sum()), np.float32))
    score = hota.evaluate(gt, oracle_tracks(gt, detections), 8)
    assert (score.hota, score.mota, score.idf1) == pytest.approx((1, 1, 1))


def test_no_tracker_over_the_same_boxes_beats_it_in_true_positives(make_truth, make_tracks, walk):
    gt = make_truth(walk(1, range(1, 5), 0, 1, 1) + walk(2, range(1, 5), 100, 1, 1))
    seen = make_tracks(walk(1, range(1, 4), 2) + walk(2, range(1, 5), 300))
    ceiling = hota.evaluate(gt, oracle_tracks(gt, Detections(seen.frame, seen.tlwh, seen.score)), 4)
    real = hota.evaluate(gt, seen, 4)
    assert (ceiling.tp, ceiling.fp, ceiling.fn) == (3, 0, 5)
    assert ceiling.tp >= real.tp
    assert ceiling.hota > real.hota


def test_nothing_detected_or_nothing_true(make_truth, make_tracks, walk):
    gt = make_truth(walk(1, [1, 2], 0, 1, 1))
    seen = make_tracks(walk(1, [1, 2]))
    detections = Detections(seen.frame, seen.tlwh, seen.score)
    assert len(oracle_tracks(gt, Detections(seen.frame[:0], seen.tlwh[:0], seen.score[:0]))) == 0
    assert len(oracle_tracks(make_truth([]), detections)) == 0
    assert len(oracle_tracks(gt, detections)) == 2
    with pytest.raises(InputError, match=r"iou 0: must lie in \(0, 1\]"):
        oracle_tracks(gt, detections, iou=0)

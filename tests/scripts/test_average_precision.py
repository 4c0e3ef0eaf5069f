"""Average precision against closed forms and a plain re-implementation of its definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipped_weights.average_precision import Found, Labels, average_precision, iou, mean_average_precision

BOX = np.array([[10.0, 10, 20, 40]])


def labels(*boxes: list[float], ignored: tuple[int, ...] = ()) -> Labels:
    tlwh = np.array(boxes, np.float64).reshape(-1, 4)
    return Labels(tlwh, np.isin(np.arange(len(tlwh)), ignored))


def found(*rows: list[float]) -> Found:
    table = np.array(rows, np.float64).reshape(-1, 5)
    return Found(table[:, :4], table[:, 4].astype(np.float32))


def test_perfect_and_empty() -> None:
    truth = [labels([10, 10, 20, 40], [60, 10, 20, 40]), labels([5, 5, 9, 9])]
    exact = [found([10, 10, 20, 40, 0.9], [60, 10, 20, 40, 0.3]), found([5, 5, 9, 9, 0.5])]
    assert mean_average_precision(truth, exact) == (1.0, 1.0)
    assert average_precision(truth, [found(), found()]) == 0.0
    assert np.isnan(average_precision([labels()], [found([1, 1, 2, 2, 0.5])]))


def test_half_found_gives_51_of_101_recalls() -> None:
    truth = [labels([10, 10, 20, 40], [60, 10, 20, 40])]
    assert average_precision(truth, [found([10, 10, 20, 40, 0.9])]) == pytest.approx(51 / 101)


def test_false_positive_first_halves_precision() -> None:
    truth = [labels([10, 10, 20, 40])]
    detections = [found([200, 200, 20, 40, 0.9], [10, 10, 20, 40, 0.5])]
    assert average_precision(truth, detections) == pytest.approx(0.5)


def test_duplicates_are_false_positives() -> None:
    truth = [labels([10, 10, 20, 40], [60, 10, 20, 40])]
    detections = [found([10, 10, 20, 40, 0.9], [10, 10, 20, 40, 0.8], [60, 10, 20, 40, 0.7])]
    assert average_precision(truth, detections) == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_hidden_people_count_neither_way() -> None:
    truth = [labels([10, 10, 20, 40], [60, 10, 20, 40], ignored=(1,))]
    detections = [found([60, 10, 20, 40, 0.95], [60, 11, 20, 40, 0.94], [10, 10, 20, 40, 0.5])]
    assert average_precision(truth, detections) == 1.0


def test_threshold_decides() -> None:
    truth, detections = [labels([0, 0, 10, 10])], [found([0, 0, 10, 7, 0.9])]
    assert average_precision(truth, detections, 0.7) == 1.0
    assert average_precision(truth, detections, 0.75) == 0.0
    assert mean_average_precision(truth, detections) == (1.0, pytest.approx(0.5))


def plain(truth: list[Labels], detections: list[Found]) -> float:
    """Pascal-style loop over all detections, best first, and COCO's 101 recalls."""
    queue = sorted(
        ((-float(s), f, i) for f, d in enumerate(detections) for i, s in enumerate(d.score)), key=lambda row: row
    )
    taken: set[tuple[int, int]] = set()
    curve = []
    hits = 0
    for rank, (_, frame, i) in enumerate(queue, 1):
        overlaps = iou(detections[frame].tlwh[i : i + 1], truth[frame].tlwh)[0]
        free = [(o, -k) for k, o in enumerate(overlaps) if o >= 0.5 and (frame, k) not in taken]
        if free:
            taken.add((frame, -max(free)[1]))
            hits += 1
        curve.append((hits / sum(len(t.tlwh) for t in truth), hits / rank))
    return float(np.mean([max((p for r, p in curve if r >= at), default=0.0) for at in np.linspace(0, 1, 101)]))


@given(st.integers(0, 10_000))
def test_equals_the_plain_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, detections = [], []
    for _ in range(3):
        boxes = np.concatenate([rng.uniform(0, 60, (4, 2)), rng.uniform(10, 30, (4, 2))], 1)
        truth.append(Labels(boxes, np.zeros(4, np.bool_)))
        near = boxes[rng.integers(0, 4, 6)] + rng.normal(0, 4, (6, 4))
        near[:, 2:] = near[:, 2:].clip(1)
        detections.append(Found(near, rng.permutation(6).astype(np.float32) / 7 + np.float32(rng.uniform(0, 0.01))))
    assert average_precision(truth, detections) == pytest.approx(plain(truth, detections), abs=1e-12)


def test_iou_of_empty_boxes_is_zero() -> None:
    assert iou(np.zeros((1, 4)), np.zeros((1, 4)))[0, 0] == 0.0
    assert iou(BOX, BOX)[0, 0] == 1.0
    assert iou(np.zeros((0, 4)), BOX).shape == (0, 1)

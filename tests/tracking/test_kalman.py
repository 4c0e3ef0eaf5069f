"""The filters, block by block, against the textbook's matrices."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msfp.tracking import kalman
from msfp.tracking.kalman import POWERS, XYAH, XYHR, XYSR, XYWH, Model

from .definitions import Textbook, box_plain, measure_plain

FILTERS = pytest.mark.parametrize("motion", [XYAH, XYWH, XYSR, XYHR], ids=lambda m: [*POWERS][m.kind])
box = st.tuples(st.floats(-500, 2000), st.floats(-500, 2000), st.floats(0, 400), st.floats(0, 900)).map(
    lambda b: np.array([b[0], b[1], b[0] + b[2], b[1] + b[3]])
)


def full(blocks: np.ndarray) -> np.ndarray:
    """(4, 3) blocks -> (8, 8) covariance."""
    out = np.diag(np.concatenate([blocks[:, 0], blocks[:, 2]]))
    for i in range(4):
        out[i, 4 + i] = out[4 + i, i] = blocks[i, 1]
    return out


class Filters:
    """The kernels bound to one motion, for tracks at some boxes.

    Attributes:
        mean, blocks: (N, 8) and (N, 4, 3).
    """

    def __init__(self, motion: Model, boxes: np.ndarray) -> None:
        self.model = motion
        self.mean, self.blocks = np.zeros((len(boxes), 8)), np.zeros((len(boxes), 4, 3))
        self.mean[:, :4] = kalman.measure(boxes, self.model.kind)
        kalman.start(self.mean, self.blocks, self.model)

    def predict(self, row: int = 0) -> None:
        kalman.predict(self.mean, self.blocks, np.array([row]), self.model)

    def correct(self, box: np.ndarray, factor: float = 1.0, row: int = 0) -> None:
        measured = kalman.measure(box[None], self.model.kind)
        kalman.correct(self.mean, self.blocks, np.array([row]), measured, np.array([factor]), self.model)

    def distance(self, box: np.ndarray) -> float:
        measured = kalman.measure(box[None], self.model.kind)
        return float(kalman.distances(self.mean, self.blocks, np.zeros(1, np.int64), measured, self.model)[0, 0])


@FILTERS
@given(start=box, steps=st.lists(st.one_of(st.none(), st.tuples(box, st.floats(0.05, 1))), max_size=12))
def test_filter_is_the_textbooks(motion: Model, start: np.ndarray, steps: list) -> None:
    book, ours = Textbook(motion, start), Filters(motion, start[None])
    for step in steps:
        book.predict()
        ours.predict()
        if step is not None:
            target, factor = step
            assert np.isclose(ours.distance(target), book.distance(target), rtol=1e-6, atol=1e-9)
            book.update(target, factor)
            ours.correct(target, factor)
        assert np.allclose(ours.mean[0], book.mean, rtol=1e-7, atol=1e-6)
        assert np.allclose(full(ours.blocks[0]), book.covariance, rtol=1e-7, atol=1e-6)


@FILTERS
@given(start=box)
def test_measuring_is_as_defined_and_undone(motion: Model, start: np.ndarray) -> None:
    measured = kalman.measure(start[None], motion.kind)
    back = kalman.state_boxes(measured, motion.kind)
    assert np.allclose(measured[0], measure_plain(motion, start), rtol=1e-14)
    assert np.allclose(back[0], box_plain(motion, measured[0]), rtol=1e-14, atol=1e-9)
    if (start[2:] - start[:2] > 1e-2).all():
        assert np.allclose(back[0], start, atol=1e-5)


@FILTERS
def test_only_named_rows_change(motion: Model) -> None:
    boxes = np.array([[0.0, 0, 20, 60], [50, 0, 80, 70], [90, 0, 120, 80]])
    ours = Filters(motion, boxes)
    before = ours.mean.copy(), ours.blocks.copy()
    ours.predict(1)
    ours.correct(boxes[1] + 3, row=1)
    for array, old in zip((ours.mean, ours.blocks), before, strict=True):
        assert np.array_equal(array[[0, 2]], old[[0, 2]])
        assert not np.array_equal(array[1], old[1])


@pytest.mark.parametrize("motion", [XYAH, XYSR, XYHR], ids=lambda m: [*POWERS][m.kind])
def test_warp_is_the_affine_map_of_mean_and_covariance(motion: Model) -> None:
    """Exact for rotation with scale where x and y are equally uncertain."""
    ours = Filters(motion, np.array([[100.0, 50, 140, 150]]))
    for t in range(3):
        ours.predict()
        ours.correct(np.array([100.0, 50, 140, 150]) + 4 * t)
    angle, zoom = 0.1, 1.02
    turn = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    before, old = ours.mean.copy(), full(ours.blocks[0])
    affine = np.hstack([turn, [[7.0], [-3.0]]])
    kalman.warp(ours.mean, ours.blocks, np.zeros(1, np.int64), affine, ours.model.powers)
    assert np.allclose(ours.mean[0, :2], turn @ before[0, :2] + [7, -3])
    assert np.allclose(ours.mean[0, 4:6], turn @ before[0, 4:6])
    new = full(ours.blocks[0])
    for i in (slice(0, 2), slice(4, 6)):
        assert np.allclose(new[i, i], turn @ old[i, i] @ turn.T)


def test_area_that_would_vanish_loses_its_velocity() -> None:
    ours = Filters(XYSR, np.array([[0.0, 0, 10, 10]]))
    ours.mean[0, 6] = -150.0
    ours.predict()
    assert ours.mean[0, 2] == 100.0
    assert ours.mean[0, 6] == 0.0

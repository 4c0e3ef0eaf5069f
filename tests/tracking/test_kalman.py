"""The fast filters against the textbook's matrices."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msfp.tracking.kalman import XYAH, XYHR, XYSR, XYWH, Motion
from msfp.tracking.kalman_fast import FastFilter

from .definitions import Textbook

FILTERS = pytest.mark.parametrize("motion", [XYAH, XYWH, XYSR, XYHR], ids=lambda m: m.coordinates)
box = st.tuples(st.floats(-500, 2000), st.floats(-500, 2000), st.floats(0, 400), st.floats(0, 900)).map(
    lambda b: np.array([b[0], b[1], b[0] + b[2], b[1] + b[3]])
)


def full(blocks: np.ndarray) -> np.ndarray:
    """(4, 3) blocks -> (8, 8) covariance."""
    out = np.diag(np.concatenate([blocks[:, 0], blocks[:, 2]]))
    for i in range(4):
        out[i, 4 + i] = out[4 + i, i] = blocks[i, 1]
    return out


@FILTERS
@given(start=box, steps=st.lists(st.one_of(st.none(), st.tuples(box, st.floats(0.05, 1))), max_size=12))
@settings(max_examples=60, deadline=None)
def test_fast_filter_is_the_textbooks(motion: Motion, start: np.ndarray, steps: list) -> None:
    book, fast = Textbook(motion, start), FastFilter(motion)
    mean, blocks = fast.start(start[None])
    row = np.zeros(1, np.int64)
    for step in steps:
        book.predict()
        fast.predict(mean, blocks, row)
        if step is not None:
            target, factor = step
            distance = fast.distances(mean, blocks, row, target[None])[0, 0]
            assert np.isclose(distance, book.distance(target), rtol=1e-6, atol=1e-9)
            book.update(target, factor)
            fast.update(mean, blocks, row, target[None], np.array([factor]))
        assert np.allclose(mean[0], book.mean, rtol=1e-7, atol=1e-6)
        assert np.allclose(full(blocks[0]), book.covariance, rtol=1e-7, atol=1e-6)


@FILTERS
@given(start=box)
@settings(deadline=None)
def test_measuring_is_undone(motion: Motion, start: np.ndarray) -> None:
    if (start[2:] - start[:2] < 1e-2).any():
        return
    assert np.allclose(motion.boxes(motion.measure(start[None]))[0], start, atol=1e-5)


@FILTERS
@given(start=box)
@settings(deadline=None)
def test_kernels_measure_as_the_definition(motion: Motion, start: np.ndarray) -> None:
    fast = FastFilter(motion)
    mean, _ = fast.start(start[None])
    assert np.allclose(mean[:, :4], motion.measure(start[None]), rtol=1e-14)
    assert np.allclose(fast.boxes(mean), motion.boxes(mean), rtol=1e-14, atol=1e-9)


@FILTERS
def test_only_named_rows_change(motion: Motion) -> None:
    fast = FastFilter(motion)
    boxes = np.array([[0.0, 0, 20, 60], [50, 0, 80, 70], [90, 0, 120, 80]])
    mean, blocks = fast.start(boxes)
    before = mean.copy(), blocks.copy()
    fast.predict(mean, blocks, np.array([1]))
    fast.update(mean, blocks, np.array([1]), boxes[1:2] + 3)
    for array, old in zip((mean, blocks), before, strict=True):
        assert np.array_equal(array[[0, 2]], old[[0, 2]])
        assert not np.array_equal(array[1], old[1])


@pytest.mark.parametrize("motion", [XYAH, XYSR, XYHR], ids=lambda m: m.coordinates)
def test_warp_is_the_affine_map_of_mean_and_covariance(motion: Motion) -> None:
    """Exact for rotation with scale where x and y are equally uncertain."""
    fast = FastFilter(motion)
    mean, blocks = fast.start(np.array([[100.0, 50, 140, 150]]))
    row = np.zeros(1, np.int64)
    for t in range(3):
        fast.predict(mean, blocks, row)
        fast.update(mean, blocks, row, np.array([[100.0, 50, 140, 150]]) + 4 * t)
    angle, zoom = 0.1, 1.02
    turn = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    before, old = mean.copy(), full(blocks[0])
    fast.warp(mean, blocks, row, np.hstack([turn, [[7.0], [-3.0]]]))
    assert np.allclose(mean[0, :2], turn @ before[0, :2] + [7, -3])
    assert np.allclose(mean[0, 4:6], turn @ before[0, 4:6])
    new = full(blocks[0])
    for i in (slice(0, 2), slice(4, 6)):
        assert np.allclose(new[i, i], turn @ old[i, i] @ turn.T)


def test_area_that_would_vanish_loses_its_velocity() -> None:
    fast = FastFilter(XYSR)
    mean, blocks = fast.start(np.array([[0.0, 0, 10, 10]]))
    mean[0, 6] = -150.0
    fast.predict(mean, blocks, np.zeros(1, np.int64))
    assert mean[0, 2] == 100.0
    assert mean[0, 6] == 0.0

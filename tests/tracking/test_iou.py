"""IoU kernels against the definition."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from msfp.tracking.costs import iou

from .definitions import iou_plain

boxes = st.integers(0, 6).flatmap(
    lambda n: hnp.arrays(np.float64, (n, 4), elements=st.one_of(st.integers(-5, 20).map(float), st.floats(-50, 50)))
)


@given(boxes, boxes)
def test_kernel_is_the_definition(first: np.ndarray, second: np.ndarray) -> None:
    assert np.allclose(iou(first, second), iou_plain(first, second), atol=1e-12)


def test_known_values() -> None:
    a = np.array([[0.0, 0, 10, 10], [5, 5, 5, 5], [10, 10, 0, 0]])
    b = np.array([[0.0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]])
    assert np.allclose(iou(a, b), [[1, 1 / 3, 0], [0, 0, 0], [0, 0, 0]])

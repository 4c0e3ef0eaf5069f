"""Sorting by digits gives what NumPy's sort gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from msfp.metrics import radix_sort
from msfp.metrics.radix_sort import ascending, ascending_order

FLOATS = st.floats(allow_nan=False, width=32)


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    """An example's time is not the compiler's."""
    radix_sort._by_digits(np.zeros(1, np.uint32))
    radix_sort._order_by_digits(np.zeros(1, np.uint32))


@given(arrays(np.float32, st.integers(0, 300), elements=FLOATS))
def test_any_floats(values: np.ndarray) -> None:
    """Infinite ones, those near zero and both zeros as well."""
    found = radix_sort._by_digits(values.view(np.uint32)).view(np.float32)
    np.testing.assert_array_equal(found, np.sort(values))
    values += np.float32(0)  # -0.0 is 0.0, as it counts for a stable sort
    order = radix_sort._order_by_digits(values.view(np.uint32))
    np.testing.assert_array_equal(order, np.argsort(values, kind="stable"))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [0, 1, radix_sort.FEW - 1, radix_sort.FEW, 3 * radix_sort.FEW])
def test_many_and_few(dtype: type, count: int) -> None:
    values = np.random.default_rng(0).normal(0, 0.3, count).astype(dtype).clip(-1, 1)
    before = values.copy()
    found = ascending(values)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, np.sort(values))
    np.testing.assert_array_equal(values, before)
    np.testing.assert_array_equal(ascending(values[::-2]), np.sort(values[::-2]))
    rounded = values.round(1) + dtype(0)
    np.testing.assert_array_equal(ascending_order(rounded), np.argsort(rounded, kind="stable"))
    np.testing.assert_array_equal(ascending_order(rounded[::-2]), np.argsort(rounded[::-2], kind="stable"))

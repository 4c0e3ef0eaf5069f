"""Assignment against every possible assignment."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from msfp.tracking.assignment import assign, assign_allowed, assign_then_drop

shape = st.tuples(st.integers(0, 5), st.integers(0, 5))
ties = st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.8, 1.0])
costs = shape.flatmap(lambda s: hnp.arrays(np.float64, s, elements=st.one_of(ties, st.floats(0, 1))))


def best_gain(cost: np.ndarray, limit: float) -> float:
    """Largest sum of limit - cost over all one-to-one choices of pairs, each optional."""
    rows, columns = cost.shape
    if rows > columns:
        return best_gain(cost.T, limit)
    gain = np.maximum(np.where(np.isfinite(cost), limit - cost, 0.0), 0.0)
    return max((sum(gain[i, j] for i, j in enumerate(p)) for p in permutations(range(columns), rows)), default=0.0)


def check_partition(result: tuple[np.ndarray, ...], shape: tuple[int, int]) -> None:
    rows, columns, free_rows, free_columns = result
    assert sorted([*rows, *free_rows]) == list(range(shape[0]))
    assert sorted([*columns, *free_columns]) == list(range(shape[1]))
    assert len(rows) == len(columns)


@given(costs, st.one_of(ties, st.floats(0, 1.2)))
@settings(max_examples=300, deadline=None)
def test_assign_is_optimal_under_the_limit(cost: np.ndarray, limit: float) -> None:
    result = assign(cost, limit)
    check_partition(result, cost.shape)
    chosen = cost[result[0], result[1]]
    assert (chosen < limit).all()
    assert np.isclose((limit - chosen).sum(), best_gain(cost, limit), atol=1e-9)


@given(costs, st.floats(0.05, 1.2))
@settings(max_examples=100, deadline=None)
def test_assign_equals_laps_cost_limit(cost: np.ndarray, limit: float) -> None:
    lap = pytest.importorskip("lap")
    if not cost.size:
        return
    _, x, _ = lap.lapjv(cost, extend_cost=True, cost_limit=limit)
    theirs = sum(limit - cost[i, j] for i, j in enumerate(x) if j >= 0)
    ours = assign(cost, limit)
    assert np.isclose((limit - cost[ours[0], ours[1]]).sum(), theirs, atol=1e-9)


@given(costs, st.one_of(ties, st.floats(0, 1.2)))
@settings(max_examples=200, deadline=None)
def test_assign_then_drop(cost: np.ndarray, limit: float) -> None:
    """Within the limit; and where the solver had to run, of the least total."""
    result = assign_then_drop(cost, limit)
    check_partition(result, cost.shape)
    assert (cost[result[0], result[1]] <= limit).all()
    within = cost <= limit
    if cost.size and within.all():
        assert np.isclose(cost[result[0], result[1]].sum(), min(cost.shape) * 2 - best_gain(cost, 2.0), atol=1e-9)


@given(costs, st.one_of(ties, st.floats(0, 1.2)))
@settings(max_examples=200, deadline=None)
def test_assign_allowed_breaks_ties_as_scipy(total: np.ndarray, least: float) -> None:
    from scipy.optimize import linear_sum_assignment

    result = assign_allowed(total, total >= least)
    check_partition(result, total.shape)
    i, j = linear_sum_assignment(-total)
    kept = total[i, j] >= least
    assert np.array_equal(result[0], i[kept])
    assert np.array_equal(result[1], j[kept])


def test_pairs_that_may_not_be() -> None:
    cost = np.array([[np.nan, 0.1], [np.inf, 0.2]])
    rows, columns, free_rows, free_columns = assign(cost, 0.5)
    assert (rows.tolist(), columns.tolist()) == ([0], [1])
    assert (free_rows.tolist(), free_columns.tolist()) == ([1], [0])


def test_a_pair_at_the_limit_is_left() -> None:
    assert len(assign(np.array([[0.5]]), 0.5)[0]) == 0
    assert len(assign_then_drop(np.array([[0.5]]), 0.5)[0]) == 1


def test_two_pairs_beat_one_cheaper() -> None:
    """Greedy would take (0, 0) and leave row 1 with nothing."""
    cost = np.array([[0.1, 0.3], [0.2, 0.9]])
    rows, columns, _, _ = assign(cost, 0.8)
    assert list(zip(rows, columns, strict=True)) == [(0, 1), (1, 0)]


@pytest.mark.parametrize("size", [40, 200])
def test_large_sparse_equals_full_solution(size: int) -> None:
    """Leaving out isolated pairs and empty rows does not change the optimum."""
    from scipy.optimize import linear_sum_assignment

    rng = np.random.default_rng(size)
    cost = np.where(rng.random((size, size + 7)) < 0.05, rng.random((size, size + 7)), 1.0)
    gain = np.minimum(cost - 0.7, 0)
    i, j = linear_sum_assignment(gain)
    rows, columns, _, _ = assign(cost, 0.7)
    assert np.isclose((cost[rows, columns] - 0.7).sum(), gain[i, j].sum())

"""Assignment against every possible assignment."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from msfp.tracking.costs import assign_below, choose_allowed, choose_then_drop

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


def pairs(choice: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns matched, each once; from the column of each row, -1 where it has none."""
    rows = np.flatnonzero(choice >= 0)
    assert len(choice) == shape[0]
    assert len(np.unique(choice[rows])) == len(rows)
    assert (choice < shape[1]).all()
    return rows, choice[rows]


@given(costs, st.one_of(ties, st.floats(0, 1.2)))
def test_assign_is_optimal_under_the_limit(cost: np.ndarray, limit: float) -> None:
    chosen = cost[pairs(assign_below(cost, limit), cost.shape)]
    assert (chosen < limit).all()
    assert np.isclose((limit - chosen).sum(), best_gain(cost, limit), atol=1e-9)


@given(costs, st.floats(0.05, 1.2))
def test_assign_equals_laps_cost_limit(cost: np.ndarray, limit: float) -> None:
    lap = pytest.importorskip("lap")
    if not cost.size:
        return
    _, x, _ = lap.lapjv(cost, extend_cost=True, cost_limit=limit)
    theirs = sum(limit - cost[i, j] for i, j in enumerate(x) if j >= 0)
    ours = cost[pairs(assign_below(cost, limit), cost.shape)]
    assert np.isclose((limit - ours).sum(), theirs, atol=1e-9)


@given(costs, st.one_of(ties, st.floats(0, 1.2)))
def test_choose_then_drop(cost: np.ndarray, limit: float) -> None:
    """Within the limit; and where the solver had to run, of the least total."""
    chosen = cost[pairs(choose_then_drop(cost, limit), cost.shape)]
    assert (chosen <= limit).all()
    within = cost <= limit
    if cost.size and within.all():
        assert np.isclose(chosen.sum(), min(cost.shape) * 2 - best_gain(cost, 2.0), atol=1e-9)


@given(costs, st.one_of(ties, st.floats(0, 1.2)))
def test_choose_allowed_breaks_ties_as_scipy(total: np.ndarray, least: float) -> None:
    from scipy.optimize import linear_sum_assignment

    rows, columns = pairs(choose_allowed(total, total >= least), total.shape)
    i, j = linear_sum_assignment(-total)
    kept = total[i, j] >= least
    assert np.array_equal(rows, i[kept])
    assert np.array_equal(columns, j[kept])


def test_pairs_that_may_not_be() -> None:
    cost = np.array([[np.nan, 0.1], [np.inf, 0.2]])
    assert assign_below(cost, 0.5).tolist() == [1, -1]


def test_a_pair_at_the_limit_is_left() -> None:
    assert assign_below(np.array([[0.5]]), 0.5).tolist() == [-1]
    assert choose_then_drop(np.array([[0.5]]), 0.5).tolist() == [0]


def test_two_pairs_beat_one_cheaper() -> None:
    """Greedy would take (0, 0) and leave row 1 with nothing."""
    cost = np.array([[0.1, 0.3], [0.2, 0.9]])
    assert assign_below(cost, 0.8).tolist() == [1, 0]


@pytest.mark.parametrize("size", [40, 200])
def test_large_sparse_equals_full_solution(size: int) -> None:
    """Leaving out isolated pairs and empty rows does not change the optimum."""
    from scipy.optimize import linear_sum_assignment

    rng = np.random.default_rng(size)
    cost = np.where(rng.random((size, size + 7)) < 0.05, rng.random((size, size + 7)), 1.0)
    gain = np.minimum(cost - 0.7, 0)
    i, j = linear_sum_assignment(gain)
    chosen = cost[pairs(assign_below(cost, 0.7), cost.shape)]
    assert np.isclose((chosen - 0.7).sum(), gain[i, j].sum())

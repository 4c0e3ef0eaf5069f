"""Which track gets which box: assignment of least cost where no pair may cost the limit or more.

With a limit the best assignment maximises the sum of (limit - cost) over its pairs, which is what `lap`'s `cost_limit`
solves on a matrix of rows plus columns squared. The optimum of the plain rectangular problem on min(cost - limit, 0)
is the same once pairs that gain nothing are left unmatched.
"""

import numpy as np
from numpy.typing import NDArray

from msfp.assignment import assign_below, assign_maximum
from msfp.compiled import kernel

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
Matches = tuple[Rows, Rows, Rows, Rows]
"""Matched rows, their columns (aligned, rows ascending), unmatched rows, unmatched columns."""


def assign(cost: Floats, limit: float) -> Matches:
    """Assignment of least total cost in which no pair costs `limit` or more.

    Args:
        cost: (M, N); NaN and infinity are pairs that may not be.
        limit: a pair must cost less.
    """
    return _matched(np.ascontiguousarray(cost), limit)


def assign_then_drop(cost: Floats, limit: float) -> Matches:
    """Assignment of least total cost over all pairs; those above `limit` are dropped afterwards (SORT, OC-SORT).

    Where every pair within the limit is isolated those pairs are the answer without solving, as in SORT.

    Args:
        cost: (M, N), finite.
        limit: pairs costing more are dropped.
    """
    return _split(choose_then_drop(np.ascontiguousarray(cost), limit), cost.shape[1])


def assign_allowed(total: Floats, allowed: NDArray[np.bool_]) -> Matches:
    """Assignment of greatest total over all pairs; those not allowed are dropped afterwards.

    Args:
        total: (M, N), finite; greatest is best.
        allowed: (M, N) pairs that may stay.
    """
    choice = choose_allowed(np.ascontiguousarray(total), np.ascontiguousarray(allowed))
    return _split(choice, total.shape[1])


@kernel
def choose_then_drop(cost: Floats, limit: float) -> Rows:
    """`assign_then_drop` as the column of each row, -1 where it has none."""
    choice, alone = _isolated(cost, limit)
    if not alone:
        total = np.empty(cost.shape)
        for i in range(cost.shape[0]):
            for j in range(cost.shape[1]):
                total[i, j] = -cost[i, j]
        choice = _greatest(total)
        for i in range(len(choice)):
            if choice[i] >= 0 and cost[i, choice[i]] > limit:
                choice[i] = -1
    return choice


@kernel
def choose_allowed(total: Floats, allowed: NDArray[np.bool_]) -> Rows:
    """`assign_allowed` as the column of each row, -1 where it has none."""
    choice = _greatest(total)
    for i in range(len(choice)):
        if choice[i] >= 0 and not allowed[i, choice[i]]:
            choice[i] = -1
    return choice


@kernel
def _greatest(total: Floats) -> Rows:
    """Column of each row in an assignment of greatest total; refuses what the solver would never come back from."""
    for i in range(total.shape[0]):
        for j in range(total.shape[1]):
            if not np.isfinite(total[i, j]):
                raise ValueError("what pairs cost is not finite; boxes are far too large")
    return assign_maximum(total)


@kernel
def _matched(cost: Floats, limit: float) -> Matches:
    return _split(assign_below(cost, limit), cost.shape[1])


@kernel
def _isolated(cost: Floats, limit: float) -> tuple[Rows, bool]:
    """Last candidate of each row (-1 where it has none), and whether no row and no column has two."""
    height, width = cost.shape
    of_column = np.zeros(width, np.bool_)
    choice = np.full(height, -1, np.int64)
    alone = True
    for i in range(height):
        for j in range(width):
            if cost[i, j] <= limit:
                alone = alone and choice[i] < 0 and not of_column[j]
                choice[i] = j
                of_column[j] = True
    return choice, alone


@kernel
def _split(choice: Rows, width: int) -> Matches:
    """Matched rows and columns, unmatched rows and columns."""
    free = np.ones(width, np.bool_)
    rows = np.flatnonzero(choice >= 0)
    columns = choice[rows]
    for j in columns:
        free[j] = False
    return rows, columns, np.flatnonzero(choice < 0), np.flatnonzero(free)

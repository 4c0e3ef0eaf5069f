"""Which track gets which box: assignment of least cost where no pair may cost the limit or more.

With a limit the best assignment maximises the sum of (limit - cost) over its pairs, which is what `lap`'s `cost_limit`
solves on a matrix of rows plus columns squared. The optimum of the plain rectangular problem on min(cost - limit, 0)
is the same once pairs that gain nothing are left unmatched.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from msfp.assignment import assign_below
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
    choice, alone = _isolated(cost, np.nextafter(limit, np.inf))
    if not alone:
        choice[:] = -1
        i, j = linear_sum_assignment(cost)
        kept = cost[i, j] <= limit
        choice[i[kept]] = j[kept]
    return _split(choice, cost.shape[1])


def assign_allowed(total: Floats, allowed: NDArray[np.bool_]) -> Matches:
    """Assignment of greatest total over all pairs; those not allowed are dropped afterwards.

    Args:
        total: (M, N), finite; greatest is best.
        allowed: (M, N) pairs that may stay.
    """
    choice = np.full(total.shape[0], -1, np.int64)
    i, j = linear_sum_assignment(-total)
    kept = allowed[i, j]
    choice[i[kept]] = j[kept]
    return _split(choice, total.shape[1])


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
            if cost[i, j] < limit:
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

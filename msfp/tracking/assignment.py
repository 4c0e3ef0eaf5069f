"""Which track gets which box: assignment of least cost where no pair may cost the limit or more.

With a limit the best assignment maximises the sum of (limit - cost) over its pairs, which is what `lap`'s `cost_limit`
solves on a matrix of rows plus columns squared. The optimum of the plain rectangular problem on min(cost - limit, 0)
is the same once pairs that gain nothing are left unmatched.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

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
    choice, rows, columns = _isolated(cost, limit)
    if len(rows):
        gain = cost[np.ix_(rows, columns)] - limit
        gain = np.where(gain < 0, gain, 0.0)
        i, j = linear_sum_assignment(gain)
        kept = gain[i, j] < 0
        choice[rows[i[kept]]] = columns[j[kept]]
    return _split(choice, cost.shape[1])


def assign_then_drop(cost: Floats, limit: float) -> Matches:
    """Assignment of least total cost over all pairs; those above `limit` are dropped afterwards (SORT, OC-SORT).

    Where every pair within the limit is isolated those pairs are the answer without solving, as in SORT.

    Args:
        cost: (M, N), finite.
        limit: pairs costing more are dropped.
    """
    choice, rows, _ = _isolated(cost, np.nextafter(limit, np.inf))
    if len(rows):
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


@njit(cache=True)
def _isolated(cost, limit):  # type: ignore[no-untyped-def]
    """Column of each row whose only candidate has only that row (else -1), and the rows and columns left to solve."""
    height, width = cost.shape
    of_row, of_column = np.zeros(height, np.int64), np.zeros(width, np.int64)
    choice = np.full(height, -1, np.int64)
    for i in range(height):
        for j in range(width):
            if cost[i, j] < limit:
                of_row[i] += 1
                of_column[j] += 1
                choice[i] = j
    rows, columns = np.empty(height, np.int64), np.zeros(width, np.bool_)
    open_rows = 0
    for i in range(height):
        if of_row[i] == 0 or (of_row[i] == 1 and of_column[choice[i]] == 1):
            continue
        choice[i] = -1
        rows[open_rows] = i
        open_rows += 1
        for j in range(width):
            if cost[i, j] < limit:
                columns[j] = True
    return choice, rows[:open_rows], np.flatnonzero(columns)


@njit(cache=True)
def _split(choice, width):  # type: ignore[no-untyped-def]
    """Matched rows and columns, unmatched rows and columns."""
    free = np.ones(width, np.bool_)
    rows = np.flatnonzero(choice >= 0)
    columns = choice[rows]
    for j in columns:
        free[j] = False
    return rows, columns, np.flatnonzero(choice < 0), np.flatnonzero(free)

"""Optimal assignment that breaks ties as SciPy does, so that counts which hang on a tie come out as TrackEval's.

Shortest augmenting paths after Crouse, "On implementing 2D rectangular assignment algorithms" (2016), visiting rows
and columns in the order of `scipy.optimize.linear_sum_assignment` (BSD): columns from last to first, a free column
first among equals.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True)
def assign_maximum(score: NDArray[np.float64]) -> NDArray[np.int64]:
    """Column of each row (-1 where it has none) in an assignment of maximal total score.

    Args:
        score: (n, m) finite scores.

    Returns:
        (n,) columns; min(n, m) of them are >= 0, the same as SciPy's on -score.
    """
    rows, columns = score.shape
    if rows == 0 or columns == 0:
        return np.full(rows, -1, np.int64)
    tall = columns < rows
    solution = _solve(_negative(score, tall))
    if not tall:
        return solution
    column_of = np.full(rows, -1, np.int64)
    for column in range(columns):
        column_of[solution[column]] = column
    return column_of


@njit(cache=True)
def _negative(score: NDArray[np.float64], transpose: bool) -> NDArray[np.float64]:
    """Costs from scores."""
    n, m = score.shape
    out = np.empty((m, n) if transpose else (n, m))
    for i in range(n):
        for j in range(m):
            if transpose:
                out[j, i] = -score[i, j]
            else:
                out[i, j] = -score[i, j]
    return out


@njit(cache=True)
def _solve(cost: NDArray[np.float64]) -> NDArray[np.int64]:
    """Column of each row in an assignment of minimal cost; (n, m) with n <= m."""
    rows, columns = cost.shape
    u, v = np.zeros(rows), np.zeros(columns)
    shortest = np.empty(columns)
    path = np.full(columns, -1, np.int64)
    column_of, row_of = np.full(rows, -1, np.int64), np.full(columns, -1, np.int64)
    seen_row, seen_column = np.zeros(rows, np.bool_), np.zeros(columns, np.bool_)
    remaining = np.empty(columns, np.int64)
    for row in range(rows):
        sink, least = _augment(cost, u, v, path, row_of, shortest, row, seen_row, seen_column, remaining)
        u[row] += least
        for i in range(rows):
            if seen_row[i] and i != row:
                u[i] += least - shortest[column_of[i]]
        for j in range(columns):
            if seen_column[j]:
                v[j] -= least - shortest[j]
        j = sink
        while True:
            i = path[j]
            row_of[j] = i
            column_of[i], j = j, column_of[i]
            if i == row:
                break
    return column_of


@njit(cache=True)
def _augment(
    cost: NDArray[np.float64],
    u: NDArray[np.float64],
    v: NDArray[np.float64],
    path: NDArray[np.int64],
    row_of: NDArray[np.int64],
    shortest: NDArray[np.float64],
    row: int,
    seen_row: NDArray[np.bool_],
    seen_column: NDArray[np.bool_],
    remaining: NDArray[np.int64],
) -> tuple[int, float]:
    """Cheapest alternating path from `row` to a free column: that column and the path's reduced cost."""
    columns = cost.shape[1]
    for k in range(columns):
        remaining[k] = columns - k - 1
    left = columns
    for k in range(columns):
        seen_column[k] = False
        shortest[k] = np.inf
    for k in range(len(seen_row)):
        seen_row[k] = False
    least, i = 0.0, row
    while True:
        seen_row[i] = True
        lowest, index = np.inf, -1
        for k in range(left):
            j = remaining[k]
            reduced = least + cost[i, j] - u[i] - v[j]
            if reduced < shortest[j]:
                path[j] = i
                shortest[j] = reduced
            if shortest[j] < lowest or (shortest[j] == lowest and row_of[j] == -1):
                lowest = shortest[j]
                index = k
        least = lowest
        j = remaining[index]
        seen_column[j] = True
        if row_of[j] == -1:
            return j, least
        i = row_of[j]
        left -= 1
        remaining[index] = remaining[left]

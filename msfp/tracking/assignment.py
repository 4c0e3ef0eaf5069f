"""Optimal assignment: of greatest total, and of least cost where no pair may cost a limit or more.

`assign_maximum` breaks ties as SciPy does, so that counts which hang on a tie come out as TrackEval's.

Shortest augmenting paths after Crouse, "On implementing 2D rectangular assignment algorithms" (2016), visiting rows
and columns in the order of `scipy.optimize.linear_sum_assignment` (BSD): columns from last to first, a free column
first among equals.
"""

import numpy as np
from numpy.typing import NDArray

from msfp.compiled import kernel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@kernel
def assign_maximum(score: Floats) -> Ints:
    """Column of each row (-1 where it has none) in an assignment of maximal total score.

    `score`: (n, m) finite scores.
    Returns (n,) columns; min(n, m) of them are >= 0, the same as SciPy's on -score.
    """
    rows, columns = score.shape
    if rows == 0 or columns == 0:
        return np.full(rows, -1, np.int64)
    tall = columns < rows
    solution = _solve(np.ascontiguousarray(-score.T) if tall else -score)
    if not tall:
        return solution
    column_of = np.full(rows, -1, np.int64)
    for column in range(columns):
        column_of[solution[column]] = column
    return column_of


@kernel
def _solve(cost: Floats) -> Ints:
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


@kernel
def _augment(
    cost: Floats,
    u: Floats,
    v: Floats,
    path: Ints,
    row_of: Ints,
    shortest: Floats,
    row: int,
    seen_row: NDArray[np.bool_],
    seen_column: NDArray[np.bool_],
    remaining: Ints,
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


@kernel
def assign_below(cost: Floats, limit: float) -> Ints:
    """Column of each row (-1 where it has none) in an assignment of least total cost - limit; every pair costs less.

    Rows and columns that no candidate connects do not bear on each other, so each connected group is solved by itself.
    A group of one row or one column needs no solver.

    `cost`: (n, m); NaN and infinity are pairs that may not be. `limit`: a pair must cost less.
    """
    n, m = cost.shape
    column_of = np.full(n, -1, np.int64)
    group_of_row, group_of_column = np.full(n, -1, np.int64), np.full(m, -1, np.int64)
    members = np.empty(n + m, np.int64)  # rows as they are, column j as n + j
    starts, near = _candidates(cost, limit)
    for row in range(n):
        if group_of_row[row] >= 0 or starts[row] == starts[row + 1]:
            continue
        rows, columns = _connect(starts, near, row, group_of_row, group_of_column, members)
        if rows == 1 or columns == 1:
            _take_cheapest(cost, members[: rows + columns], column_of)
        else:
            _solve_group(cost, limit, members[: rows + columns], rows, column_of)
    return column_of


@kernel
def _candidates(cost: Floats, limit: float) -> tuple[Ints, Ints]:
    """What each row, and then each column, may be matched with: that of `k` is `near[starts[k] : starts[k + 1]]`.

    Candidates are few, and the matrix is passed once for them.
    """
    n, m = cost.shape
    starts = np.zeros(n + m + 1, np.int64)
    found = np.empty(4 * (n + m), np.int64)
    total = 0
    for i in range(n):
        if total + m > len(found):
            wider = np.empty(2 * len(found) + m, np.int64)
            wider[:total] = found[:total]
            found = wider
        for j in range(m):
            found[total] = j
            total += cost[i, j] < limit  # no branch to guess; what is no candidate is written over
        starts[i + 1] = total
    near = np.empty(2 * total, np.int64)
    near[:total] = found[:total]
    for k in range(total):
        starts[n + 1 + near[k]] += 1
    for k in range(n, n + m):
        starts[k + 1] += starts[k]
    at = starts[n : n + m].copy()
    for i in range(n):
        for k in range(starts[i], starts[i + 1]):
            near[at[near[k]]] = i
            at[near[k]] += 1
    return starts, near


@kernel
def _connect(
    starts: Ints, near: Ints, first: int, group_of_row: Ints, group_of_column: Ints, members: Ints
) -> tuple[int, int]:
    """Mark the group of row `first` with its number; returns how many rows and columns it has."""
    n = len(group_of_row)
    group_of_row[first] = first
    members[0] = first
    found, rows, at = 1, 1, 0
    while at < found:
        one = members[at]
        at += 1
        for other in near[starts[one] : starts[one + 1]]:
            if one < n and group_of_column[other] < 0:
                group_of_column[other] = first
                members[found] = n + other
                found += 1
            elif one >= n and group_of_row[other] < 0:
                group_of_row[other] = first
                members[found] = other
                found += 1
                rows += 1
    return rows, found - rows


@kernel
def _take_cheapest(cost: Floats, members: Ints, column_of: Ints) -> None:
    """Match the cheapest pair of a group of one row or one column, the first among equals."""
    n = len(cost)
    best, lowest, at = -1, -1, np.inf
    for one in members:
        for other in members:
            if one < n <= other and cost[one, other - n] < at:
                best, lowest, at = one, other - n, cost[one, other - n]
    column_of[best] = lowest


@kernel
def _solve_group(cost: Floats, limit: float, members: Ints, rows: int, column_of: Ints) -> None:
    """Assign within a group; pairs that are no candidates count as unmatched."""
    ordered = np.sort(members)  # rows before columns
    row, column = ordered[:rows], ordered[rows:] - len(cost)
    columns = len(column)
    gain = np.zeros((rows, columns))
    for i in range(rows):
        for j in range(columns):
            if cost[row[i], column[j]] < limit:
                gain[i, j] = limit - cost[row[i], column[j]]
    chosen = assign_maximum(gain)
    for i in range(rows):
        if chosen[i] >= 0 and gain[i, chosen[i]] > 0:
            column_of[row[i]] = column[chosen[i]]


Rows = NDArray[np.int64]


@kernel
def choose_then_drop(cost: Floats, limit: float) -> Rows:
    """Return the column of each row, or -1, in an assignment of least total cost less the pairs above `limit`.

    Where every pair within the limit is isolated those pairs are the answer without solving (SORT, OC-SORT).

    `cost`: (M, N), finite. `limit`: pairs costing more are dropped.
    """
    choice, alone = _isolated(cost, limit)
    if not alone:
        choice = _greatest(-cost)
        for i in range(len(choice)):
            if choice[i] >= 0 and cost[i, choice[i]] > limit:
                choice[i] = -1
    return choice


@kernel
def choose_allowed(total: Floats, allowed: NDArray[np.bool_]) -> Rows:
    """Return the column of each row, or -1, in an assignment of greatest total less the pairs not allowed.

    `total`: (M, N), finite. `allowed`: (M, N) pairs that may stay.
    """
    choice = _greatest(total)
    for i in range(len(choice)):
        if choice[i] >= 0 and not allowed[i, choice[i]]:
            choice[i] = -1
    return choice


@kernel
def _greatest(total: Floats) -> Rows:
    """Column of each row in an assignment of greatest total; refuses what the solver would never come back from."""
    if not np.isfinite(total).all():
        raise ValueError("what pairs cost is not finite; boxes are far too large")
    return assign_maximum(total)


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

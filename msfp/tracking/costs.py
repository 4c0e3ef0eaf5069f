"""Costs of a pair of track and box (overlap, distance of embeddings), and the assignment of least cost.

Shortest augmenting paths after Crouse, "On implementing 2D rectangular assignment algorithms" (2016), visiting rows
and columns in the order of `scipy.optimize.linear_sum_assignment` (BSD): columns from last to first, a free column
first among equals. Ties are broken as SciPy breaks them, so that counts which hang on one come out as TrackEval's.
"""

import numpy as np
from numpy.typing import NDArray

from msfp.compiled import kernel, summing_kernel

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
Vectors = NDArray[np.float32]


@kernel
def has_area(box: Floats) -> bool:
    """Whether a (4,) xyxy box is finite and its width and height are above 0."""
    width, height = box[2] - box[0], box[3] - box[1]
    return bool(0.0 < width < np.inf and 0.0 < height < np.inf)  # an edge that is no number or infinite makes these so


@kernel
def with_area(boxes: Floats) -> NDArray[np.bool_]:
    """(N,) `has_area` of each box."""
    out = np.empty(len(boxes), np.bool_)
    for i in range(len(boxes)):
        out[i] = has_area(boxes[i])
    return out


@kernel
def iou(first: Floats, second: Floats) -> Floats:
    """(M, N) intersection over union of (M, 4) and (N, 4) xyxy boxes; boxes without area give 0.

    One pass without a branch in the inner loop, which the compiler then does for several boxes at once; in a crowd a
    branch is often guessed wrong.

    Example:
        >>> msfp.iou(np.array([[0.0, 0.0, 2.0, 2.0]]), np.array([[1.0, 0.0, 3.0, 2.0]])).round(2).tolist()
        [[0.33]]
    """
    out = np.empty((len(first), len(second)))
    left, top, right, bottom = second[:, 0].copy(), second[:, 1].copy(), second[:, 2].copy(), second[:, 3].copy()
    area = np.maximum(right - left, 0.0) * np.maximum(bottom - top, 0.0)
    for i in range(len(first)):
        x, y, end, foot = first[i, 0], first[i, 1], first[i, 2], first[i, 3]
        own = (end - x) * (foot - y)
        for j in range(len(second)):
            width = max(min(right[j], end) - max(left[j], x), 0.0)
            height = max(min(bottom[j], foot) - max(top[j], y), 0.0)
            inner = width * height
            union = own + area[j] - inner
            out[i, j] = inner / union if inner > 0.0 else 0.0
    return out


@kernel
def gallery_distance(
    gallery: Vectors, rows: Rows, counts: Rows, embeddings: Vectors, wanted: NDArray[np.bool_]
) -> Floats:
    """Compute (M, N) least cosine distances, in [0, 2], of vectors to tracks' galleries; infinite where not wanted.

    Only wanted pairs are computed, which a motion gate makes few; no gallery is copied. The order of a sum does not
    depend on how many vectors there are.

    `gallery`: (tracks, G, D) unit vectors. `rows`: (M,) rows of the gallery. `counts`: (M,) how many of a track's G
    vectors are filled, from the first. `embeddings`: (N, D) unit vectors. `wanted`: (M, N) pairs.
    """
    out = np.full(wanted.shape, np.inf)
    for i in range(len(rows)):
        own = gallery[rows[i]]
        for j in range(len(embeddings)):
            if not wanted[i, j]:
                continue
            for k in range(counts[i]):
                out[i, j] = min(out[i, j], max(1.0 - float(inner_product(own[k], embeddings[j])), 0.0))
    return out


@summing_kernel
def inner_product(a: Vectors, b: Vectors) -> np.float32:
    """Compute the inner product of two (D,) vectors, summed in single precision."""
    total = np.float32(0.0)
    for k in range(len(a)):
        total += a[k] * b[k]
    return total


@kernel
def blend(own: Vectors, seen: Vectors, memory: np.float32) -> None:
    """Move a track's (D,) embedding towards the (D,) unit vector seen, in place, and back to unit length.

    `memory` is the share of the old embedding; 0 takes the new one.
    """
    for i in range(len(own)):
        own[i] = memory * own[i] + (np.float32(1.0) - memory) * seen[i]
    length = max(np.sqrt(inner_product(own, own)), np.float32(1e-12))
    for i in range(len(own)):
        own[i] /= length


@kernel
def assign_maximum(score: Floats) -> Rows:
    """(n,) column of each row, or -1, in an assignment of maximal total of (n, m) finite scores, SciPy's on -score."""
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
def _solve(cost: Floats) -> Rows:
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
    cost: Floats, u: Floats, v: Floats, path: Rows, row_of: Rows, shortest: Floats, row: int,
    seen_row: NDArray[np.bool_], seen_column: NDArray[np.bool_], remaining: Rows,
) -> tuple[int, float]:  # fmt: skip
    """Cheapest alternating path from `row` to a free column: that column and the path's reduced cost."""
    columns = cost.shape[1]
    left = columns
    for k in range(columns):
        remaining[k], seen_column[k], shortest[k] = columns - k - 1, False, np.inf
    seen_row[:] = False
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
def assign_below(cost: Floats, limit: float) -> Rows:
    """Column of each row, or -1, in an assignment of least total (n, m) cost - limit; every pair costs less than it.

    NaN and infinity are pairs that may not be. Rows and columns that no candidate connects do not bear on each other,
    so each connected group is solved by itself; one of a single row or column needs no solver.
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
def _candidates(cost: Floats, limit: float) -> tuple[Rows, Rows]:
    """Partners that each row, and then each column, may have: that of `k` is `near[starts[k] : starts[k + 1]]`.

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
    starts: Rows, near: Rows, first: int, group_of_row: Rows, group_of_column: Rows, members: Rows
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
def _take_cheapest(cost: Floats, members: Rows, column_of: Rows) -> None:
    """Match the cheapest pair of a group of one row or one column, the first among equals."""
    n = len(cost)
    best, lowest, at = -1, -1, np.inf
    for one in members:
        for other in members:
            if one < n <= other and cost[one, other - n] < at:
                best, lowest, at = one, other - n, cost[one, other - n]
    column_of[best] = lowest


@kernel
def _solve_group(cost: Floats, limit: float, members: Rows, rows: int, column_of: Rows) -> None:
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


@kernel
def choose_then_drop(cost: Floats, limit: float) -> Rows:
    """Return the column of each row, or -1, in an assignment of least total (M, N) cost less the pairs above `limit`.

    Where every pair within the limit is alone in its row and column, those are the answer without solving (SORT,
    OC-SORT).
    """
    choice, alone = lone(cost <= limit)
    return choice if alone else choose_allowed(-cost, cost <= limit)


@kernel
def choose_allowed(total: Floats, allowed: NDArray[np.bool_]) -> Rows:
    """Return the column of each row, or -1, in an assignment of greatest (M, N) total less the pairs not allowed.

    Raises ValueError: a total that is not finite, from which the solver would never come back.
    """
    if not np.isfinite(total).all():
        raise ValueError("what pairs cost is not finite; boxes are far too large")
    choice = assign_maximum(total)
    for i in range(len(choice)):
        if choice[i] >= 0 and not allowed[i, choice[i]]:
            choice[i] = -1
    return choice


@kernel
def lone(wanted: NDArray[np.bool_]) -> tuple[Rows, bool]:
    """Last wanted column of each row, or -1, and whether no row and no column of (M, N) has two that are wanted."""
    choice, taken = np.full(wanted.shape[0], -1, np.int64), np.zeros(wanted.shape[1], np.bool_)
    alone = True
    for i in range(wanted.shape[0]):
        for j in range(wanted.shape[1]):
            if wanted[i, j]:
                alone = alone and choice[i] < 0 and not taken[j]
                choice[i] = j
                taken[j] = True
    return choice, alone

"""Assignment over all pairs of tracks and boxes, of which those beyond a limit are dropped afterwards.

`msfp.assignment.assign_below` is the assignment in which no pair may cost the limit or more.
"""

import numpy as np
from numpy.typing import NDArray

from msfp.assignment import assign_maximum
from msfp.compiled import kernel

Floats = NDArray[np.float64]
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

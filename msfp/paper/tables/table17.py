"""Table 17: smoothing of ATL over time, from none to one threshold a sequence."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msfp.errors import NotComputable
from msfp.paper.measured_cells import absent, cell
from msfp.paper.registry import table
from msfp.paper.threshold_rows import Column, Rule, Rules, atl, calibrated_cells, hota_cells, main, predicted
from msfp.pipeline.run import Run
from msfp.types import Cell

ROWS = (
    Rules("Per-frame (β=0)", atl("single", "frame"), learned=True),
    Rules("Light smoothing (β=0.7)", atl("single", "ema", beta=0.7), learned=True),
    Rules("Default (β=0.9)", atl("single", "ema", beta=0.9), learned=True),
    Rules("Heavy smoothing (β=0.95)", atl("single", "ema", beta=0.95), learned=True),
    Rules("Per-sequence (single τ)", atl("single", "sequence"), learned=True),
)
STD, CHANGE, LEFT, WORD = "τ std", "mean |Δτ| a frame, thousandths", "change left", "Stability"
NO_RULE = "the paper gives no rule for its word; what it speaks of is measured beside it: τ std, the change a frame"


@dataclass(frozen=True)
class Course:
    """How one seed's thresholds move, mean over sequences.

    Attributes:
        std: standard deviation over the frames of a sequence.
        change: mean absolute change from one frame to the next.
    """

    std: float
    change: float


@table(17, needs=("tracks", "scores", "thresholds"))
def smoothing(run: Run) -> list[Cell]:
    """HOTA, spread of tau within a sequence, its mean change from frame to frame, and how much of that is left.

    For noise without memory a share of (1 - beta) / sqrt(1 + beta) of the change is left: 23, 7 and 4 % at 0.7, 0.9 and
    0.95. A prediction that drifts keeps more of its change.
    """
    column = main(run, "HOTA")
    cells = hota_cells(run, column, ROWS) + calibrated_cells(run, main, "HOTA", ROWS)
    cells += [c for row in ROWS for c in absent(row.label, [WORD], NO_RULE)]
    seeds = run.settings.seeds
    try:
        found = {row.label: [courses(run, column, row.rule, seed) for seed in seeds] for row in ROWS}
    except NotComputable as error:
        return cells + [c for row in ROWS for c in absent(row.label, [STD, CHANGE, LEFT], str(error))]
    unsmoothed = [c.change for c in found[ROWS[0].label]]
    for label, mine in found.items():
        left = [100 * c.change / max(raw, 1e-12) for c, raw in zip(mine, unsmoothed, strict=True)]
        cells.append(cell(label, STD, [c.std for c in mine]))
        cells.append(cell(label, CHANGE, [1000 * c.change for c in mine]))
        cells.append(cell(label, LEFT, left, "%"))
    return cells


def courses(run: Run, column: Column, rule: Rule, seed: int) -> Course:
    """How ATL's thresholds move on the column's sequences."""
    return course(tau for _, tau in predicted(run, column, rule, seed))


def course(taus: Iterable[NDArray[np.float32]]) -> Course:
    """Means over sequences of (T,) thresholds."""
    found = [np.asarray(tau, np.float64) for tau in taus]
    steps = [np.abs(np.diff(tau)).mean() if len(tau) > 1 else 0.0 for tau in found]
    return Course(float(np.mean([tau.std() for tau in found])), float(np.mean(steps)))

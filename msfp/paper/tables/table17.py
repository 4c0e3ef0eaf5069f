"""Table 17: smoothing of ATL over time, from none to one threshold a sequence."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from msfp.errors import NotComputable
from msfp.paper.registry import table
from msfp.paper.spread import absent, cell
from msfp.paper.threshold_rows import Column, Rule, Rules, atl, hota_cells, main, predicted
from msfp.pipeline.run import Run
from msfp.types import Cell

ROWS = (
    Rules("Per-frame (β=0)", atl("single", "frame"), learned=True),
    Rules("Light smoothing (β=0.7)", atl("single", "ema", beta=0.7), learned=True),
    Rules("Default (β=0.9)", atl("single", "ema", beta=0.9), learned=True),
    Rules("Heavy smoothing (β=0.95)", atl("single", "ema", beta=0.95), learned=True),
    Rules("Per-sequence (single τ)", atl("single", "sequence"), learned=True),
)
STD, CHANGE, WORD = "τ std", "mean |Δτ| a frame, thousandths", "Stability"
LEVELS = ((0.0, "Static"), (0.05, "Over-damped"), (0.15, "Stable"), (0.5, "Moderate"))
RULE = (
    "the word says how much of the unsmoothed prediction's mean frame-to-frame change is left: above 50 % "
    "oscillating, to 50 % moderate, to 15 % stable, to 5 % over-damped, none static; the paper gives no rule"
)


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
    """HOTA, spread of tau within a sequence, its mean change from frame to frame, and a word for how much is left.

    For noise without memory a share of (1 - beta) / sqrt(1 + beta) of the change is left: 23, 7 and 4 % at 0.7, 0.9 and
    0.95, so that the word's levels lie between these. A prediction that drifts keeps more of its change.
    """
    column = main(run, "HOTA")
    cells = hota_cells(run, column, ROWS)
    try:
        unsmoothed = [courses(run, column, ROWS[0].rule, seed).change for seed in run.settings.seeds]
    except NotComputable as error:
        return cells + [c for row in ROWS for c in absent(row.label, [STD, WORD, CHANGE], str(error))]
    for row in ROWS:
        found = [courses(run, column, row.rule, seed) for seed in run.settings.seeds]
        left = float(np.mean([c.change for c in found])) / max(float(np.mean(unsmoothed)), 1e-12)
        shown = cell(row.label, STD, [c.std for c in found])
        word = Cell(row.label, WORD, stability(left), reason=RULE, detail={"change left": f"{100 * left:.1f} %"})
        change = cell(row.label, CHANGE, [1000 * c.change for c in found])
        cells += [shown, word, replace(change, detail={**change.detail, **word.detail})]
    return cells


def courses(run: Run, column: Column, rule: Rule, seed: int) -> Course:
    """How ATL's thresholds move on the column's sequences."""
    return course(tau for _, tau in predicted(run, column, rule, seed))


def course(taus: Iterable[NDArray[np.float32]]) -> Course:
    """Means over sequences of (T,) thresholds."""
    found = [np.asarray(tau, np.float64) for tau in taus]
    steps = [np.abs(np.diff(tau)).mean() if len(tau) > 1 else 0.0 for tau in found]
    return Course(float(np.mean([tau.std() for tau in found])), float(np.mean(steps)))


def stability(left: float) -> str:
    """The word for a share of the unsmoothed change."""
    return next((word for level, word in LEVELS if left <= level), "Oscillating")

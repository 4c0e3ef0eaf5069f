"""Table 9: how far ATL depends on the bounds of its prediction."""

import numpy as np

from msfp.paper.measured_cells import attempt
from msfp.paper.registry import table
from msfp.paper.threshold_rows import Column, Rule, Rules, atl, calibrated_cells, detectors, hota_cells, main, predicted
from msfp.pipeline.run import Run
from msfp.types import Cell

BOUNDS = {
    "[0.01, 0.30]": (0.01, 0.30),
    "[0.01, 0.50] (default)": (0.01, 0.50),
    "[0.01, 0.70]": (0.01, 0.70),
    "[0.05, 0.50]": (0.05, 0.50),
}
AVERAGE = "Avg τ predicted"


@table(9, needs=("tracks", "scores", "thresholds"))
def bounds(run: Run) -> list[Cell]:
    """ATL trained anew within each bounds on the same searched targets; combined, for each public detector, and on
    calibrated scores."""
    column = main(run, "HOTA")
    rows = tuple(
        Rules(label, atl("single", tau_min=pair[0], tau_max=pair[1]), learned=True) for label, pair in BOUNDS.items()
    )
    cells = hota_cells(run, column, rows, by_detector=True)
    cells += calibrated_cells(run, main, "HOTA", rows)
    for row in rows:
        for detector in ("", *detectors(column)):
            label = f"{row.label} · {detector}" if detector else row.label
            cells.append(average(run, column, label, row.rule, detector))
    return cells


def average(run: Run, column: Column, label: str, rule: Rule, detector: str = "") -> Cell:
    """Mean over the frames of all sequences (of one detector) of the threshold that ATL gives the tracker."""

    def over_frames() -> list[float]:
        found = []
        for seed in run.settings.seeds:
            taus = [tau for name, tau in predicted(run, column, rule, seed) if detector in ("", name)]
            found.append(float(np.concatenate(taus).mean(dtype=np.float64)))
        return found

    return attempt(label, AVERAGE, over_frames)

"""Table 14: what teaches ATL: searched thresholds, identities, scores, or tracks."""

from msfp.errors import NotComputable
from msfp.paper.measured_cells import absent
from msfp.paper.registry import table
from msfp.paper.tables.table09 import average
from msfp.paper.threshold_rows import Rules, atl, calibrated_cells, cross, hota_cells, main
from msfp.pipeline.run import Run
from msfp.types import Cell

CROSS = "Cross-domain (PP22)"
REDERIVED = "re-derived, as the paper only names it: "
ROWS = (
    Rules("Grid-searched HOTA-optimal (ours)", atl("single"), learned=True),
    Rules(
        "Differentiable IDF1 surrogate",
        atl("single", supervision="idf1"),
        learned=True,
        remark=REDERIVED
        + "ATL's loss is 1 - soft IDF1, in which a detection counts with sigmoid((score - τ) / 0.05) and "
        "is known by matching the labels to show a person or none",
    ),
    Rules(
        "Detection score statistics",
        atl("single", supervision="statistics"),
        learned=True,
        remark=REDERIVED
        + "the target is the threshold that 85 % of a learning sequence's scores exceed; no label is read",
    ),
    Rules(
        "Self-supervised calibration",
        atl("single", supervision="consistency"),
        learned=True,
        remark=REDERIVED
        + "the target is the grid's τ of highest F1 for boxes of tracks that last half a second against "
        "all others, tracked by motion; no label is read",
    ),
)


@table(14, needs=("tracks", "scores", "thresholds"))
def supervision(run: Run) -> list[Cell]:
    """HOTA on the main data set and on another domain, and the mean threshold; combined and for each detector."""
    column = main(run, "HOTA")
    cells = hota_cells(run, column, ROWS, by_detector=True) + calibrated_cells(run, main, "HOTA", ROWS)
    try:
        cells += hota_cells(run, cross(run, CROSS), ROWS, by_detector=True)
    except NotComputable as error:
        cells += [c for row in ROWS for c in absent(row.label, [CROSS], str(error))]
    return cells + [average(run, column, row.label, row.rule) for row in ROWS]

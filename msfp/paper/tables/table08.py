"""Table 8: ATL against thresholds that are fixed, searched, or read off the scores."""

from msfp.errors import NotComputable
from msfp.paper.measured_cells import NO_TIME, absent
from msfp.paper.registry import table
from msfp.paper.threshold_rows import (
    ORACLE,
    Column,
    Rules,
    atl,
    calibrated_cells,
    fixed,
    hota_cells,
    main,
    motion_cells,
    policy,
    searched,
)
from msfp.pipeline import data
from msfp.pipeline.run import Run
from msfp.types import Cell

HEURISTICS = ("steepest-drop", "percentile")
LEARNED = "ATL (ours)"
NO_RULE = "nothing is computed while tracking"
SEARCHED = "τ of highest HOTA on the same sequence's learning part; with split=paper that is what is evaluated"


@table(8, needs=("tracks", "scores", "thresholds"))
def baselines(run: Run) -> list[Cell]:
    """HOTA of MSFP (attention) under each rule, combined and for each public detector.

    All give one threshold a frame but steepest-drop, which its authors made for ByteTrack's two stages. Rows without
    appearance follow, for what needs no pixels, then the rules on calibrated scores.
    """
    column = main(run, "HOTA")
    fixed_row = Rules("Fixed τ=0.25", fixed(0.25, 0.25))
    searched_row = Rules("Per-sequence grid search", searched, remark=SEARCHED)
    heuristics = tuple(policy(name) for name in HEURISTICS)
    learned = Rules(LEARNED, atl("single"), learned=True)
    rows = (fixed_row, searched_row, *heuristics, learned, ORACLE)
    cells = hota_cells(run, column, rows, by_detector=True) + motion_cells(run, column, rows)
    cells += calibrated_cells(run, main, "HOTA", rows)
    tuning = {fixed_row: "Manual", searched_row: "Per-seq"}
    cells += [Cell(row.label, "Tuning", tuning.get(row, "None")) for row in (fixed_row, searched_row, *heuristics)]
    cells.append(learning(learned.label, column))
    for row in (fixed_row, searched_row, *heuristics, learned):
        cells += absent(row.label, ["Runtime"], NO_TIME if row in (*heuristics, learned) else NO_RULE)
    return cells


def learning(label: str, column: Column) -> Cell:
    """`Learned from 7 sequences`, or why nothing was learned."""
    try:
        for leg in column.legs:
            data.need_pixels(leg.atl)
    except NotComputable as error:
        return Cell(label, "Tuning", None, source="n/a", reason=str(error))
    count = max(len(leg.atl) for leg in column.legs)
    return Cell(label, "Tuning", f"Learned from {count} sequence{'s' if count != 1 else ''}")

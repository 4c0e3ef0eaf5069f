"""Table 2: trackers on the crowded data set's test split; heads come from the main data set (A.2)."""

from msfp.errors import NotComputable
from msfp.paper.external_rows import IMPORTS, imported_cells, server_cells
from msfp.paper.measured_cells import absent
from msfp.paper.methods import (
    BOTSORT,
    BYTETRACK,
    DEEPSORT,
    LITE,
    LITE_FREE,
    LITE_HOSTS,
    MSFP_ATTENTION,
    OC_SORT,
    msfp_track,
)
from msfp.paper.registry import table
from msfp.paper.tracking_rows import (
    ceiling_cells,
    evaluated,
    heads_for,
    measure_rows,
    other_dataset,
    row_cells,
    together,
)
from msfp.pipeline.data import Fold
from msfp.pipeline.run import Run
from msfp.types import Cell

COLUMNS = ("HOTA", "AssA", "DetA", "IDF1", "MOTA", "IDSW")
NO_FPS = "speed differs from run to run: Tables 7 and 24 measure it, so that this table repeats exactly"
ROWS = (DEEPSORT, BYTETRACK, OC_SORT, BOTSORT, LITE, LITE_FREE, *LITE_HOSTS, MSFP_ATTENTION, msfp_track())


@table(2, needs=("tracks", "scores", IMPORTS))
def crowded_results(run: Run) -> list[Cell]:
    """All sequences with all public detectors combined; then each detector; then ceilings.

    Fusion heads are those of Table 1, "no fine-tuning on MOT20"; MSFP-Track's ATL is one of the crowded training
    split (Table 12), trained alone, as it shares no parameter with a head that was fine-tuned elsewhere.
    """
    try:
        name = other_dataset(run, "crowded", "mot20")
        folds = evaluated(run, name, 2)
    except NotComputable as error:
        return [c for row in ROWS for c in absent(row.label, (*COLUMNS, "FPS"), str(error))]
    found = [
        measure_rows(run, (*ROWS[:-1], msfp_track(atl=f.learn)), Fold(f.name, heads_for(run, f), f.evaluate, f.learn))
        for f in folds
    ]
    cells = row_cells(together(found), COLUMNS)
    cells += [c for row in ROWS for c in absent(row.label, ["FPS"], NO_FPS)]
    cells += imported_cells(run, folds)
    return cells + ceiling_cells(run, folds, COLUMNS) + server_cells(run, name, ROWS)

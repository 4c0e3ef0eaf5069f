"""Table 19: people who look alike (DanceTrack, or its embedded stand-in); nothing is trained on them."""

from msfp.paper.comparison import ceiling_cells, evaluated, heads_for, measure_rows, row_cells, together
from msfp.paper.methods import BYTETRACK, LITE, LITE_FREE, MSFP_TRACK, OC_SORT
from msfp.paper.registry import table
from msfp.paper.spread import absent
from msfp.pipeline.data import Fold
from msfp.pipeline.run import Run
from msfp.types import Cell

COLUMNS = ("HOTA", "AssA", "DetA")
ROWS = (BYTETRACK, OC_SORT, LITE, LITE_FREE, MSFP_TRACK)


@table(19, needs=("tracks", "scores"))
def alike(run: Run) -> list[Cell]:
    """All sequences with all public detectors combined; then each detector; then ceilings.

    Table 12 trains nothing on DanceTrack, so heads and ATL are those of the main data set. DanceTrack itself has no
    public detections: its cells say so unless a det.txt is put beside the frames.
    """
    name = run.settings.data.dance
    if name is None:
        why = f"profile {run.settings.profile} has no data set of people alike; name one with -p data.dance=dancetrack"
        return [c for row in ROWS for c in absent(row.label, COLUMNS, why)]
    folds = [Fold(f.name, heads_for(run, f), f.evaluate) for f in evaluated(run, name, 19)]
    cells = row_cells(together([measure_rows(run, ROWS, fold) for fold in folds]), COLUMNS)
    return cells + ceiling_cells(run, folds, COLUMNS)

"""Table 19: people who look alike (DanceTrack, or its embedded stand-in); nothing is trained on them."""

from msfp.errors import NotComputable
from msfp.paper.measured_cells import absent
from msfp.paper.methods import BYTETRACK, LITE, LITE_FREE, MSFP_TRACK, OC_SORT
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
from msfp.pipeline import data
from msfp.pipeline.data import Fold
from msfp.pipeline.run import Run
from msfp.types import Cell

COLUMNS = ("HOTA", "AssA", "DetA")
ROWS = (BYTETRACK, OC_SORT, LITE, LITE_FREE, MSFP_TRACK)


@table(19, needs=("tracks", "scores"))
def alike(run: Run) -> list[Cell]:
    """All sequences with all public detectors combined; then each detector; then ceilings.

    Table 12 trains nothing on DanceTrack, so heads and ATL are those of the main data set. DanceTrack itself has no
    public detections: its cells say so unless a det.txt is put beside the frames or the detector's boxes are tracked.
    """
    try:
        name = other_dataset(run, "dance", "dancetrack")
        folds = [Fold(f.name, heads_for(run, f), f.evaluate) for f in evaluated(run, name, 19)]
        if not any(data.sequences(p) for f in folds for p in f.evaluate):
            raise NotComputable(
                f"{name} has no public detections; put det/det.txt into its sequences, or track the detector's own "
                "boxes with -p detections=detector"
            )
    except NotComputable as error:
        return [c for row in ROWS for c in absent(row.label, COLUMNS, str(error))]
    cells = row_cells(together([measure_rows(run, ROWS, fold) for fold in folds]), COLUMNS)
    return cells + ceiling_cells(run, folds, COLUMNS)

"""Table 10: whether recovery of missed people adds to the tracker."""

from dataclasses import replace

from msfp.paper.methods import BYTETRACK, LITE, MSFP_TRACK, recovered
from msfp.paper.registry import table
from msfp.paper.tracking_rows import measure_rows, row_cells, together
from msfp.pipeline import data
from msfp.pipeline.run import Run
from msfp.types import Cell

COLUMNS = ("HOTA", "IDSW", "DetA", "AssA")
ADDS_BOXES = (
    "adds boxes that no detector reported, which public-detection rules forbid; after BUSCA, own decision network "
    "trained on the learning parts alone"
)
PLAIN = (MSFP_TRACK, LITE, BYTETRACK)
RECOVERED = tuple(recovered(row) for row in PLAIN)


@table(10, needs=("tracks", "scores"))
def recovery(run: Run) -> list[Cell]:
    """Validation parts, all public detectors combined, then each; every tracker without and with recovery.

    The paper's three rows, and what they leave open: LITE, and ByteTrack without. Its numbers are called MOT17-train
    and equal Table 1's test numbers; here nothing that was trained on is evaluated.
    """
    run.note(f"Table 10's rows with recovery are no public-detection results: recovery {ADDS_BOXES.partition(';')[0]}.")
    folds = data.folds(run, run.settings.data.main)
    cells = row_cells(together([measure_rows(run, (*PLAIN, *RECOVERED), fold) for fold in folds]), COLUMNS)
    mine = tuple(row.label for row in RECOVERED)
    return [replace(c, reason=ADDS_BOXES) if c.row.startswith(mine) and c.source == "measured" else c for c in cells]

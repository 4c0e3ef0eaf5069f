"""Table 24: time per frame under both protocols."""

from msfp.paper import timing
from msfp.paper.registry import table
from msfp.paper.tables.table15 import ROWS
from msfp.pipeline.run import Run
from msfp.types import Cell


@table(24, needs=("speed",))
def both_protocols(run: Run) -> list[Cell]:
    """(A) detections given, (B) with the detector for all; medians over frames on this machine."""
    alone = (("A: ms/frame", timing.alone), ("A: FPS", timing.alone))
    unified = (("B: ms/frame", timing.unified), ("B: FPS", timing.unified))
    cells: list[Cell] = []
    for label in (*(row.label for row in ROWS), timing.LARGE):
        cells += timing.time_cells(run, label, alone, remarks=True)
        cells += timing.time_cells(run, label, unified)
    return cells

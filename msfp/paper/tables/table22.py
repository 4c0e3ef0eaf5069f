"""Table 22: MSFP-Track on the features of several detectors."""

from dataclasses import replace

from msfp.errors import NotComputable
from msfp.paper.families import PRESETS, described, rows
from msfp.paper.measured_cells import absent, tracking_cells
from msfp.paper.methods import MSFP_TRACK
from msfp.paper.registry import table
from msfp.paper.tracking_rows import measure_rows, together
from msfp.pipeline import data
from msfp.pipeline.detectors import run_with
from msfp.pipeline.run import Run
from msfp.types import Cell

COLUMNS = ("HOTA", "AssA")
NO_FPS = "speed differs from run to run: extra table 104 has it for the run's own detector"
SOURCE = "public boxes; head and ATL are trained on this detector's features; the control is --weights random-init"


@table(22, needs=("tracks", "scores", "thresholds"))
def families(run: Run) -> list[Cell]:
    """The same public boxes with another detector's features behind them, on the validation parts."""
    cells: list[Cell] = []
    for label, preset in rows(run, {name: name for name in PRESETS}).items():
        try:
            one = run_with(run, preset)
            cells += detector_cells(one, label)
            cells.append(Cell(label, "Notes", described(one, preset)))
        except NotComputable as error:
            cells += absent(label, (*COLUMNS, "Notes"), str(error))
        cells += absent(label, ["FPS"], NO_FPS)
    return cells


def detector_cells(run: Run, label: str) -> list[Cell]:
    """One detector's row."""
    folds = data.folds(run, run.settings.data.main)
    groups = together([measure_rows(run, (MSFP_TRACK,), fold) for fold in folds])
    cells = tracking_cells(label, groups[MSFP_TRACK.label], COLUMNS)
    return [replace(c, reason=SOURCE) if c.source == "measured" else c for c in cells]

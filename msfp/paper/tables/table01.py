"""Table 1: trackers on the main data set's test split with public detections."""

from collections.abc import Sequence as ListLike

from msfp.paper.external_rows import IMPORTS, imported_cells, server_cells
from msfp.paper.joint import joint_cells
from msfp.paper.measured_cells import NO_TIME, absent, tracking_cells
from msfp.paper.methods import MSFP_TRACK_CAMERA, TABLE_1
from msfp.paper.registry import table
from msfp.paper.tracking_rows import ceiling_cells, evaluated, measure_rows, row_cells, together
from msfp.pipeline import data
from msfp.pipeline.data import Fold
from msfp.pipeline.run import Run
from msfp.types import Cell

COLUMNS = ("HOTA", "AssA", "DetA", "IDF1", "MOTA", "IDSW")
RELEASED = {"HOTA": "HOTA, as released", "AssA": "AssA, as released"}
ROWS = (*TABLE_1, MSFP_TRACK_CAMERA)  # BoT-SORT and others compensate camera motion: here it is a row of its own


@table(1, needs=("tracks", "scores", IMPORTS))
def main_results(run: Run) -> list[Cell]:
    """All sequences with all public detectors combined, and each detector; the same as released; imported results;
    then scenes never seen, ceilings, and what a server keeps."""
    dataset = run.settings.data.main
    folds = evaluated(run, dataset, 1)
    cells = row_cells(together([measure_rows(run, ROWS, fold) for fold in folds]), COLUMNS)
    cells += released_cells(run, folds)
    for row in ROWS:
        cells += absent(row.label, ["FPS"], NO_TIME)
    cells += joint_cells(run, folds, COLUMNS) + imported_cells(run, folds)
    cells += unseen_cells(run, folds[0])
    cells += ceiling_cells(run, folds, COLUMNS)
    return cells + server_cells(run, dataset, TABLE_1)


def released_cells(run: Run, folds: ListLike[Fold]) -> list[Cell]:
    """The same rows with each author's published settings in place of selected ones."""
    if run.settings.tuning != "selected":
        return []
    released = run.variant(tuning="released")
    groups = together([measure_rows(released, ROWS, fold) for fold in folds])
    return [c for label, found in groups.items() for c in tracking_cells(label, found, tuple(RELEASED), RELEASED)]


def unseen_cells(run: Run, fold: Fold) -> list[Cell]:
    """Rows for scenes that took no part in training."""
    cells: list[Cell] = []
    for part in data.unseen(run, run.settings.data.main):
        found = measure_rows(run, TABLE_1, Fold("unseen", fold.learn, (part,)))
        for label, groups in found.items():
            cells += tracking_cells(f"{label} · {part.scene.name} (never seen)", groups, COLUMNS)
    return cells

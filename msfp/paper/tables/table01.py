"""Table 1: trackers on the main data set's test split with public detections."""

from collections.abc import Sequence as ListLike

from msfp.paper.methods import TABLE_1, Row
from msfp.paper.outside import IMPORTS, imported_cells, server_cells
from msfp.paper.registry import table
from msfp.paper.spread import absent, tracking_cells
from msfp.pipeline import data
from msfp.pipeline.data import Fold
from msfp.pipeline.run import Run
from msfp.pipeline.scores import Measured, ceilings, measure
from msfp.types import Cell

COLUMNS = ("HOTA", "AssA", "DetA", "IDF1", "MOTA", "IDSW")
NO_FPS = "speed differs from run to run; `msfp bench` measures it, so that this table repeats exactly"


@table(1, needs=("tracks", "scores", IMPORTS))
def main_results(run: Run) -> list[Cell]:
    """All sequences with all public detectors combined, and each detector; imported results; then scenes never seen,
    ceilings, and what a server keeps."""
    dataset = run.settings.data.main
    folds = evaluated(run, dataset)
    cells: list[Cell] = []
    measured = [measure_rows(run, TABLE_1, fold) for fold in folds]
    for row in TABLE_1:
        everything = [[m for fold in measured for m in fold[row.label][i]] for i in range(len(measured[0][row.label]))]
        cells += tracking_cells(row.label, everything, COLUMNS)
        cells += absent(row.label, ["FPS"], NO_FPS)
        for detector in detectors(everything[0]):
            kept = [[m for m in group if m.sequence.detector == detector] for group in everything]
            cells += tracking_cells(f"{row.label} · {detector}", kept, COLUMNS)
    cells += imported_cells(run, folds)
    cells += unseen_cells(run, folds[0])
    cells += ceiling_cells(run, folds)
    return cells + server_cells(run, dataset, TABLE_1)


def evaluated(run: Run, dataset: str) -> tuple[Fold, ...]:
    """The test split where its labels are at hand, else the validation folds, with a note."""
    found, reason = data.judged_folds(run, dataset)
    if reason:
        run.note(f"Table 1 shows validation ({', '.join(f.name for f in found)}), as {reason}.")
    return found


def measure_rows(run: Run, rows: ListLike[Row], fold: Fold) -> dict[str, list[list[Measured]]]:
    """label -> for each seed, its measurements on the fold's evaluated parts."""
    methods = [m for row in rows for m in row.methods(fold.learn, run.settings.seeds)]
    found = measure(run, methods, fold.evaluate, f"tracking, {fold.name}")
    return {
        row.label: [[m for m in found if m.method == method] for method in row.methods(fold.learn, run.settings.seeds)]
        for row in rows
    }


def detectors(measured: ListLike[Measured]) -> tuple[str, ...]:
    """Public detectors that occur, where there are several."""
    names = tuple(sorted({m.sequence.detector for m in measured}))
    return names if len(names) > 1 else ()


def unseen_cells(run: Run, fold: Fold) -> list[Cell]:
    """Rows for scenes that took no part in training."""
    cells: list[Cell] = []
    for part in data.unseen(run, run.settings.data.main):
        found = measure_rows(run, TABLE_1, Fold("unseen", fold.learn, (part,)))
        for label, groups in found.items():
            cells += tracking_cells(f"{label} · {part.scene.name} (never seen)", groups, COLUMNS)
    return cells


def ceiling_cells(run: Run, folds: ListLike[Fold]) -> list[Cell]:
    """What no tracker that adds no box can exceed."""
    parts = tuple(p for f in folds for p in f.evaluate)
    found = ceilings(run, parts)
    cells = []
    for detector in detectors(found) or ("",):
        kept = [m for m in found if detector in ("", m.sequence.detector)]
        cells += tracking_cells(f"recall ceiling · {detector}".rstrip(" ·"), [kept], COLUMNS)
    return cells

"""Rows of the ablations: one embedding each, by how well it tells people apart and by association accuracy."""

from collections.abc import Iterable, Mapping
from math import isnan
from statistics import fmean

from msfp.errors import NotComputable
from msfp.paper.measured_cells import attempt, tracking_cells
from msfp.paper.methods import MSFP_ATTENTION
from msfp.pipeline import data, reid
from msfp.pipeline.data import Fold
from msfp.pipeline.heads import Appearance, train_heads
from msfp.pipeline.reid import Discrimination, usable
from msfp.pipeline.run import Run
from msfp.pipeline.scores import measure
from msfp.pipeline.tracks import Method, settled_as
from msfp.types import Cell

Found = Mapping[Appearance, list[Discrimination | str]]
COLUMNS = {
    "AUC": "auc",
    "Gap": "gap",
    "AUC, hard pairs": "hard_auc",
    "First of two": "first_of_two",
    "AUC, hard pairs of one frame": "same_frame_auc",
}
HARD = tuple(column for column, name in COLUMNS.items() if name in reid.HARD)


def embedding_rows(run: Run, rows: Mapping[str, list[Appearance]], columns: Iterable[str] = COLUMNS) -> list[Cell]:
    """Each row's cells on the validation parts of the main data set: section 4.2, and AssA of tracking.

    Args:
        run: the run.
        rows: label -> one embedding a seed.
        columns: of `COLUMNS`.
    """
    fold = data.folds(run, run.settings.data.main)[0]
    every = list(dict.fromkeys(look for looks in rows.values() for look in looks))
    train_heads(run, every)
    found = reid.measure(run, every, reid.paper_parts(fold.evaluate, run), "re-identification")
    cells: list[Cell] = []
    for label, looks in rows.items():
        cells += [reid_cell(label, column, looks, found, COLUMNS[column]) for column in columns]
        cells += association(run, label, looks, fold)
    return cells


def reid_cell(row: str, column: str, looks: list[Appearance], found: Found, name: str) -> Cell:
    """A measure of section 4.2: mean over scenes, then over seeds, with draws of people."""

    def values() -> list[float]:
        return [mean_over_scenes([getattr(d, name) for d in usable(found[look])]) for look in looks]

    return attempt(row, column, values, basis=lambda: reid.people_sample([usable(found[look]) for look in looks], name))


def mean_over_scenes(values: list[float]) -> float:
    """Mean over the scenes that have the measure; a short scene has no pairs 20 frames apart.

    Raises:
        NotComputable: none has.
    """
    found = [v for v in values if not isnan(v)]
    if not found:
        raise NotComputable("no scene has people seen again 20 to 30 frames later")
    return fmean(found)


def association(run: Run, row: str, looks: list[Appearance], fold: Fold) -> list[Cell]:
    """AssA on the validation parts, all public detectors combined; association and thresholds as MSFP (attention) has
    them, so that rows differ in the embedding alone."""
    plain = [Method(row, "msfp-attention", look) for look in looks]
    methods = settled_as(run, plain, MSFP_ATTENTION.methods(fold.learn, run.settings.seeds)[0])
    found = measure(run, methods, fold.evaluate, f"tracking, {row}")
    return tracking_cells(row, [[m for m in found if m.method == method] for method in methods], ["AssA"])

"""How much of each gain is leakage: every learned row on the same frames, by what it had learned from (SETTLED: split).

Trained on all scenes whole, as the paper's protocol allows, a model has seen the people and the frames it is judged on.
Leave-one-scene-out has seen neither, and the field's halves have seen earlier frames of the same people.
"""

from collections.abc import Callable
from functools import partial

import pandas as pd

from msfp.errors import NotComputable
from msfp.experiment.evaluate import evaluate, of_row, tracked
from msfp.experiment.method import Method
from msfp.metrics.statistics import Sample, difference
from msfp.paper.measure import UNITS, cell
from msfp.paper.methods import LITE, LITE_FREE, MSFP_ATTENTION, MSFP_CONCAT, MSFP_TRACK
from msfp.pipeline import data, reid
from msfp.pipeline.data import Fold
from msfp.pipeline.heads import Appearance, train_heads
from msfp.pipeline.learning import looks_of
from msfp.pipeline.reid import people_sample, usable
from msfp.pipeline.run import Run
from msfp.types import Cell

ROWS = (LITE_FREE, LITE, MSFP_CONCAT, MSFP_ATTENTION, MSFP_TRACK)
HONEST, LEAKING = "loso", "paper"
ONE_SCENE = "one training scene only: there is no other to learn from"
Protocols = dict[str, tuple[Fold, ...]]
Samples = dict[tuple[str, str], Sample | str]
"""(protocol, measure) -> the number, or why there is none."""


def embeddings(run: Run) -> list[Appearance]:
    """Of all rows, folds and seeds, and those that thresholds are searched with."""
    folds = [fold for folds in data.protocols(run, run.settings.data.main).values() for fold in folds]
    return looks_of(run, [m for row in ROWS for fold in folds for m in row.each_seed(fold.learn, run.settings.seeds)])


def leakage_cells(run: Run) -> list[Cell]:
    """HOTA and AUC under each protocol; what the paper's adds to leave-one-out; gains over the untrained row."""
    protocols = data.protocols(run, run.settings.data.main)
    train_heads(run, embeddings(run))  # of all folds at once, so that workers do not wait for each other
    hota = tracking(run, protocols)
    rows = {row.row: {**hota[row.row], **discrimination(run, row, protocols)} for row in ROWS}
    untrained = rows[LITE_FREE.row]
    return [c for label, samples in rows.items() for c in row_cells(label, samples, untrained)]


def tracking(run: Run, protocols: Protocols) -> dict[str, Samples]:
    """HOTA combined over the scenes of all folds of each protocol; the association is the one selected on the first
    halves in each, so that protocols differ in what head and ATL learned from."""
    half, seed = protocols["half"][0].learn, run.settings.seeds[0]
    rows = [row.but(like=row.configured(half, seed)) for row in ROWS]
    frames = {name: evaluate(run, rows, folds) for name, folds in protocols.items()}
    return {
        row.row: {
            (name, "HOTA"): _or_reason(protocols[name], partial(_tracked, found, row.row))
            for name, found in frames.items()
        }
        for row in ROWS
    }


def _tracked(found: pd.DataFrame, row: str) -> Sample:
    return tracked(of_row(found, row)).sample("HOTA")


def discrimination(run: Run, row: Method, protocols: Protocols) -> Samples:
    """AUC of section 4.2 on the evaluated parts of scenes 02, 04 and 09."""
    found: Samples = {}
    for name, folds in protocols.items():
        wanted = reid.paper_parts([p for fold in folds for p in fold.evaluate], run)
        found[name, "AUC"] = _or_reason(folds, partial(_people, run, row, folds, {p.scene for p in wanted}))
    return found


def _people(run: Run, row: Method, folds: tuple[Fold, ...], scenes: set[object]) -> Sample:
    groups: list[list[reid.Discrimination]] = [[] for _ in row.each_seed(folds[0].learn, run.settings.seeds)]
    for fold in folds:
        parts = [p for p in reid.paper_parts(fold.evaluate, run) if p.scene in scenes]
        methods = row.each_seed(fold.learn, run.settings.seeds)
        looks: list[Appearance] = [m.look for m in methods if m.look is not None]
        known = reid.measure(run, looks, parts, f"re-identification, {row.row}") if parts else {}
        for group, look in zip(groups, looks, strict=True):
            group += usable(known[look]) if parts else []
    return people_sample(groups, "auc")


def _or_reason(folds: tuple[Fold, ...], compute: Callable[[], Sample]) -> Sample | str:
    if not folds:
        return ONE_SCENE
    try:
        return compute()
    except NotComputable as error:
        return str(error)


def row_cells(label: str, samples: Samples, untrained: Samples) -> list[Cell]:
    """Each measure under each protocol, what leaks, and the gain in HOTA over the row that learns nothing."""
    cells: list[Cell] = []
    for measure in ("HOTA", "AUC"):
        unit = UNITS.get(measure, "")
        for name in ("half", HONEST, LEAKING):
            cells.append(_cell(label, f"{measure}, {name}", unit, samples[name, measure]))
        cells.append(_cell(label, f"leakage in {measure}", unit, samples[LEAKING, measure], samples[HONEST, measure]))
        if measure == "HOTA":
            for name in (HONEST, LEAKING):
                column = f"{measure} gain, {name}"
                cells.append(_cell(label, column, unit, samples[name, measure], untrained[name, measure]))
    return cells


def _cell(row: str, column: str, unit: str, *given: Sample | str) -> Cell:
    """A number, or the first less the second, with its interval for those who point at it."""
    reasons = [s for s in given if isinstance(s, str)]
    known = [s for s in given if isinstance(s, Sample)]
    try:
        if reasons:
            raise NotComputable(reasons[0])
        sample = known[0] if len(known) == 1 else difference(*known)
    except NotComputable as error:
        return Cell(row, column, None, source="n/a", reason=str(error), unit=unit)
    detail: dict[str, str | float | int] = {"drawn": f"{len(sample.units)} {sample.kind}"}
    try:
        low, high = sample.interval()
        detail["95 % interval"] = f"{low:.3g} to {high:.3g}"
    except NotComputable as error:
        detail["95 % interval"] = str(error)
    return cell(row, column, sample.seeds.tolist(), unit, detail, sample)

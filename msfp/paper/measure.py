"""The makings of cells: where a table is measured, measurements as cells with their spread, and rows
whose numbers come from elsewhere."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Sequence as ListLike
from dataclasses import replace
from math import isnan
from pathlib import Path
from statistics import fmean, stdev

import pandas as pd

from msfp.data.sequences import expected
from msfp.errors import InputError, NotComputable
from msfp.experiment import data, external, reid
from msfp.experiment.data import Fold, Part
from msfp.experiment.external import Imported
from msfp.experiment.heads import Appearance, train_heads
from msfp.experiment.methods import (
    Learn,
    Method,
    as_frame,
    combine,
    difference,
    evaluate,
    looks_of_seeds,
    need_scores,
    of_row,
    tracked,
)
from msfp.experiment.reid import Discrimination, usable
from msfp.experiment.run import Run
from msfp.experiment.verbs import CEILING
from msfp.metrics.bootstrap import Sample, Tracked
from msfp.paper import methods
from msfp.paper.cells import MeasuredCell
from msfp.paper.layout import SEPARATOR
from msfp.types import Cell, Scene

UNITS = {"HOTA": "%", "AssA": "%", "DetA": "%", "IDF1": "%", "MOTA": "%", "IDSW": ""}
MEASURES = tuple(UNITS)
NO_TIME = "time differs from run to run: extra table 104 has it (`msfp table 104`), so that this table repeats exactly"
REID = {
    "AUC": "auc",
    "Gap": "gap",
    "AUC, hard pairs": "hard_auc",
    "First of two": "first_of_two",
    "AUC, hard pairs of one frame": "same_frame_auc",
}
HARD = {column: name for column, name in REID.items() if name in reid.HARD}
Detail = dict[str, str | float | int]
Embeddings = Mapping[str, str | Appearance]
"""Row -> a strategy, or a template with other layers, pooling or detector weights."""


def every_scene(run: Run) -> list[tuple[str, str, Scene]]:
    """(data set, split, scene) of all data the run uses."""
    used = run.settings.data
    names = [used.main, used.crowded, used.cross, used.embedded]
    wanted = [(name, split) for name in dict.fromkeys(n for n in names if n) for split in ("train", "test")]
    if used.dance:  # on which nothing is trained
        wanted.append((used.dance, "test"))
    found = []
    for name, split in wanted:
        try:
            found += [(name, split, s) for s in data.scenes(run, name, split)]
        except NotComputable:
            continue
    return found


def judged(run: Run, number: int, dataset: str = "") -> tuple[Fold, ...]:
    """The test split where its labels are at hand, else the published validation split, else the validation folds.

    A note says which where it is not the test split that table `number` has in the paper.

    Example:
        >>> [fold.name for fold in msfp.judged(run, 1)] != []
        True
    """
    found, reason = data.judged_folds(run, dataset or run.settings.data.main)
    if reason:
        run.note(f"Table {number} shows validation ({', '.join(f.name for f in found)}), as {reason}.")
    return found


def other_dataset(run: Run, part: str, example: str) -> str:
    """The data set that plays a part beside the main one: `crowded`, `cross` or `dance`; NotComputable: none does."""
    name = getattr(run.settings.data, part)
    if name is None:
        raise NotComputable(
            f"profile {run.settings.profile} names none: -p data.{part}={example}, and its data in ROOT"
        )
    return str(name)


def heads_for(run: Run, fold: Fold) -> Learn:
    """Learning parts of heads evaluated on another data set's fold: the whole main training split where the fold
    is a published split of its own, else the main learning parts."""
    main = run.settings.data.main
    if fold.name in ("test", "val"):
        return tuple(data.whole(s) for s in data.learnable(run, main))
    return data.all_learning(run, main)


def validation(run: Run) -> tuple[Fold, ...]:
    """Validation folds of the main data set.

    Example:
        >>> len(msfp.validation(run)) > 0
        True
    """
    return data.folds(run, run.settings.data.main)


def other_validation(run: Run, dataset: str) -> tuple[Fold, ...]:
    """Validation parts of another data set: the main set's head, an ATL of its own (A.2)."""
    heads = data.all_learning(run, run.settings.data.main)
    return tuple(Fold(f.name, heads, f.evaluate, f.learn, f.learn) for f in data.folds(run, dataset))


def crowded(run: Run) -> tuple[Fold, ...]:
    """Validation parts of the crowded data set: the main set's head, an ATL of its own (A.2); NotComputable: none.

    Example:
        >>> if run.settings.data.crowded is not None:
        ...     assert len(msfp.crowded(run)) > 0
    """
    name = run.settings.data.crowded
    if name is None:
        raise NotComputable(f"profile {run.settings.profile} has no crowded data set")
    return other_validation(run, name)


def cross_domain(run: Run) -> tuple[Fold, ...]:
    """Another domain without retraining: the cross-domain data set, or the scenes held out of the main one.

    NotComputable: the profile has neither.

    Example:
        >>> len(msfp.cross_domain(run)) > 0
        True
    """
    main, name = run.settings.data.main, run.settings.data.cross
    parts = data.unseen(run, main) if name is None else tuple(data.whole(s) for s in data.scenes(run, name))
    if not parts:
        raise NotComputable(f"profile {run.settings.profile} has no data of another domain")
    scenes = ", ".join(dict.fromkeys(p.scene.name for p in parts))
    run.note(
        f"Cross-domain columns on thresholds are measured on {scenes}, with what was learned on the main data set."
    )
    return (Fold("cross-domain", data.all_learning(run, main), parts),)


def cell(
    row: str,
    column: str,
    values: Iterable[float],
    unit: str = "",
    detail: Detail | None = None,
    basis: Tracked | Sample | None = None,
    measure: str = "",
) -> Cell:
    """Mean over seeds (one value a seed), and their sample standard deviation where there are several.

    `basis`: what intervals can be computed from; `measure`: its name there, where it is not the column's.

    Example:
        >>> msfp.cell("row", "AUC", [0.71, 0.72, 0.70]).value
        0.71
    """
    found = list(values)
    spread = stdev(found) if len(found) > 1 else None
    known = {**(detail or {}), "runs": len(found)}
    return MeasuredCell(
        row, column, fmean(found), spread, unit=unit, detail=known, seeds=tuple(found), basis=basis, measure=measure
    )


def attempt(
    row: str,
    column: str,
    values: Callable[[], Iterable[float]],
    unit: str = "",
    basis: Callable[[], Sample] | None = None,
) -> Cell:
    """The cell of values that may not be computable; then it says why.

    Example:
        >>> msfp.attempt("row", "HOTA", lambda: [46.1, 46.9]).value
        46.5
    """
    try:
        return cell(row, column, values(), unit, basis=basis() if basis else None)
    except NotComputable as error:
        return Cell(row, column, None, source="n/a", reason=str(error), unit=unit)


def absent(row: str, columns: Iterable[str], reason: str) -> list[Cell]:
    """Cells that share one reason.

    Example:
        >>> [cell.reason for cell in msfp.absent("row", ["HOTA", "IDSW"], "no labels here")]
        ['no labels here', 'no labels here']
    """
    return [Cell(row, column, None, source="n/a", reason=reason, unit=UNITS.get(column, "")) for column in columns]


def tracking_cells(
    evaluated: pd.DataFrame, columns: ListLike[str] | Mapping[str, str], *, by_detector: bool = False
) -> list[Cell]:
    """Cells of each row of `run.evaluate`, its sequences combined; a remark goes with its measured cells.

    `columns`: measures; or measure -> column of the table. `by_detector`: a line more for each public detector, where
    there are several.

    Example:
        >>> frame = run.evaluate([msfp.Method("SORT", "sort")], fold)
        >>> [cell.column for cell in msfp.tracking_cells(frame, ["HOTA", "IDSW"])]
        ['HOTA', 'IDSW']
    """
    names = columns if isinstance(columns, Mapping) else {name: name for name in columns}
    cells: list[Cell] = []
    for label, mine in evaluated.groupby("row", sort=False):
        for suffix, kept in each_detector(mine) if by_detector else [("", mine)]:
            cells += _combined_cells(f"{label}{suffix}", kept, names)
    return cells


def each_detector(evaluated: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """All lines with an empty suffix, then those of each public detector with ` · FRCNN`, where there are several."""
    yield "", evaluated
    kinds = sorted(set(evaluated["detector"]))
    for detector in kinds if len(kinds) > 1 else ():
        yield f" · {detector}", evaluated[evaluated["detector"] == detector]


def _combined_cells(label: str, lines: pd.DataFrame, names: Mapping[str, str]) -> list[Cell]:
    try:
        total, basis = combine(lines, by="seed"), tracked(lines)
    except NotComputable as error:
        return [Cell(label, c, None, source="n/a", reason=str(error), unit=UNITS[m]) for m, c in names.items()]
    found = [
        cell(label, c, total[m].tolist(), UNITS[m], {"sequences": len(basis.scenes)}, basis, m)
        for m, c in names.items()
    ]
    return remarked(found, lines["remark"].iloc[0])


def remarked(cells: Iterable[Cell], remark: str) -> list[Cell]:
    """Cells whose measured ones say a remark."""
    return [replace(c, reason=remark) if remark and c.source == "measured" else c for c in cells]


def ceiling_cells(ceiling: pd.DataFrame, columns: ListLike[str] | Mapping[str, str]) -> list[Cell]:
    """Cells of `run.ceiling`: a line for each public detector, one where there is one.

    Example:
        >>> cells = msfp.ceiling_cells(run.ceiling([fold]), ["HOTA"])
        >>> {cell.column for cell in cells}
        {'HOTA'}
    """
    if ceiling["detector"].nunique() > 1:
        ceiling = ceiling.assign(row=CEILING + SEPARATOR + ceiling["detector"]).sort_values("row", kind="stable")
    return tracking_cells(ceiling, columns)


def difference_cell(
    evaluated: pd.DataFrame, row: str, other: str, place: tuple[str, str], measure: str = "HOTA"
) -> Cell:
    """A measure of one row of `run.evaluate` less that of another, seed by seed, with draws of scenes, for a `place`
    (row and column) of the table.

    Example:
        >>> frame = run.evaluate([msfp.Method("SORT", "sort"), msfp.Method("ByteTrack", "bytetrack")], fold)
        >>> msfp.difference_cell(frame, "SORT", "ByteTrack", ("SORT less ByteTrack", "HOTA")).column
        'HOTA'
    """

    def values() -> list[float]:
        mine, theirs = (of_row(evaluated, label) for label in (row, other))
        need_scores(pd.concat([mine, theirs]))
        found = [combine(lines, by="seed")[measure].tolist() for lines in (mine, theirs)]
        if len(found[0]) != len(found[1]):
            raise NotComputable(f"{len(found[1])} runs of {other} beside {len(found[0])} of {row}")
        return [a - b for a, b in zip(*found, strict=True)]

    return attempt(*place, values, UNITS[measure], lambda: difference(evaluated, row, other, measure))


def reid_cells(
    run: Run, rows: Embeddings, parts: ListLike[Part], learn: Learn, columns: Mapping[str, str] = REID
) -> list[Cell]:
    """Measures of section 4.2 of embeddings on the labelled boxes of `parts`: mean over scenes, then over seeds, with
    draws of people.

    `learn`: what heads learn from; `columns`: column of the table -> measure, of `REID`'s values.

    Example:
        >>> [cell.column for cell in msfp.reid_cells(run, {"as they are": "native"}, fold.evaluate, fold.learn)][:2]
        ['AUC', 'Gap']
    """
    if unknown := set(columns.values()) - set(REID.values()):
        raise InputError(f"measure {min(unknown)!r}: there are {', '.join(REID.values())}")
    looks = {label: looks_of_seeds(one, learn, run.settings.seeds) for label, one in rows.items()}
    train_heads(run, dict.fromkeys(look for group in looks.values() for look in group))
    found = reid.measure(run, [look for group in looks.values() for look in group], parts, "re-identification")

    def of(label: str) -> list[list[Discrimination]]:
        return [usable(found[look]) for look in looks[label]]

    return [
        attempt(
            label,
            column,
            lambda label=label, name=name: [mean_over_scenes([getattr(d, name) for d in one]) for one in of(label)],  # type: ignore[misc]
            basis=lambda label=label, name=name: reid.people_sample(of(label), name),  # type: ignore[misc]
        )
        for label in rows
        for column, name in columns.items()
    ]


def mean_over_scenes(values: list[float]) -> float:
    """Mean over the scenes that have the measure (short ones have no such pairs); NotComputable: none has."""
    found = [v for v in values if not isnan(v)]
    if not found:
        raise NotComputable("no scene has people seen again 20 to 30 frames later")
    return fmean(found)


def association_cells(run: Run, rows: Embeddings) -> list[Cell]:
    """AssA on the main validation parts, all public detectors combined; association and thresholds are those of MSFP
    (attention), so that rows differ in the embedding alone.

    Example:
        >>> [cell.column for cell in msfp.association_cells(run, {"as they are": "native"})]
        ['AssA']
    """
    made = [Method(label, "msfp-attention", one, like=methods.MSFP_ATTENTION) for label, one in rows.items()]
    return tracking_cells(evaluate(run, made, validation(run)[:1]), ["AssA"])


def embedding_cells(run: Run, rows: Embeddings, columns: Mapping[str, str] = REID) -> list[Cell]:
    """Section 4.2 on the main validation parts, and the association accuracy of a tracker that uses the embedding.

    Example:
        >>> [cell.column for cell in msfp.embedding_cells(run, {"as they are": "native"})][:2]
        ['AUC', 'Gap']
    """
    fold = validation(run)[0]
    cells = reid_cells(run, rows, reid.paper_parts(fold.evaluate, run), fold.learn, columns)
    return cells + association_cells(run, rows)


def imported_cells(run: Run, folds: Iterable[Fold]) -> list[Cell]:
    """A row for each name under which results were imported, measured on the folds like our own, and saying so."""
    every = tuple(folds)
    cells: list[Cell] = []
    for name in external.names(run):
        if found := [m for fold in every for m in external.measured(run, name, fold)]:
            cells += tracking_cells(as_frame(name, found, f"imported results: {name}"), MEASURES, by_detector=True)
    return cells


def take(run: Run, name: str, folder: Path) -> tuple[Imported, dict[str, list[Cell]]]:
    """Import result files and score them at once: what was taken, and for each data set its cells."""
    measured_here = {row.row.partition(SEPARATOR)[0] for row in (*methods.TABLE_1, *methods.JOINT_ROWS)}
    kept = external.take(run, name, folder, reserved={*measured_here, CEILING})
    scored = {}
    for dataset in external.datasets(run):
        cells = imported_cells(run, data.judged_folds(run, dataset)[0])
        scored[dataset] = [c for c in cells if c.row.partition(SEPARATOR)[0] == name]
    return kept, {dataset: cells for dataset, cells in scored.items() if cells}


def submit_row(run: Run, label: str, dataset: str = "", path: Path | None = None) -> Path:
    """The zip of a row of Table 1 for the evaluation server, its heads learned on the whole main training split.

    `label`: the row's, or the name of its tracker where one row alone has it; case does not matter. `dataset`: empty:
    the run's main one. `path`: of the zip; None: `runs/<profile>/submissions/`.
    """
    rows = methods.rows_named(label)
    if len(rows) != 1:
        raise InputError(f"method {label!r}: several rows have it: {', '.join(row.row for row in rows)}")
    row = rows[0]
    chosen = dataset or run.settings.data.main
    stem = re.sub(r"[^a-z0-9]+", "-", row.row.lower()).strip("-")
    target = path or run.out / "submissions" / f"{chosen}-{stem}.zip"
    expected(chosen, "test")  # a data set without a server is refused before a world is rendered
    main = run.settings.data.main
    heads = tuple(data.whole(s) for s in data.learnable(run, main))
    select = heads if chosen == main else tuple(data.whole(s) for s in data.learnable(run, chosen))
    atl = select if chosen != main else ()  # as in Table 2: an ATL of its own (A.2)
    return external.submit(run, chosen, row.configured(heads, run.settings.seeds[0], select, atl), target)

"""Rows whose numbers come from elsewhere: imported result files, and test splits whose labels a server keeps."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from msfp.data.sequences import DATASETS, expected
from msfp.errors import InputError
from msfp.experiment import data, external
from msfp.experiment.data import Fold
from msfp.experiment.external import Imported, submit
from msfp.experiment.methods import Method, as_frame
from msfp.experiment.run import Run
from msfp.experiment.verbs import CEILING
from msfp.paper import methods
from msfp.paper.layout import SEPARATOR
from msfp.paper.measure import UNITS, tracking_cells
from msfp.types import Cell

MEASURES = ("HOTA", "AssA", "DetA", "IDF1", "MOTA", "IDSW")
TEST_SET = "test set"
SERVER = "motchallenge.net"


def imported_cells(
    run: Run, folds: Iterable[Fold], columns: Iterable[str] = MEASURES, rename: Mapping[str, str] | None = None
) -> list[Cell]:
    """A row for each name under which results were imported, measured on the folds like our own, and saying so."""
    every, wanted = tuple(folds), tuple(columns)
    cells: list[Cell] = []
    for name in external.names(run):
        found = [m for fold in every for m in external.measured(run, name, fold)]
        if not found:
            continue
        lines = as_frame(name, found, f"imported results: {name}")
        cells += tracking_cells(lines, {c: (rename or {}).get(c, c) for c in wanted}, by_detector=True)
    return cells


def take(run: Run, name: str, folder: Path) -> tuple[Imported, dict[str, list[Cell]]]:
    """Import result files and score them at once: what was taken, and for each data set its cells."""
    measured_here = {row.row.partition(SEPARATOR)[0] for row in (*methods.TABLE_1, *methods.JOINT_ROWS)}
    kept = external.take(run, name, folder, reserved={*measured_here, CEILING})
    scored = {}
    for dataset in external.datasets(run):
        cells = [
            c for c in imported_cells(run, data.judged_folds(run, dataset)[0]) if c.row.partition(SEPARATOR)[0] == name
        ]
        if cells:
            scored[dataset] = cells
    return kept, scored


def server_cells(
    run: Run,
    dataset: str,
    rows: Iterable[Method],
    columns: Iterable[str] = MEASURES,
    rename: Mapping[str, str] | None = None,
) -> list[Cell]:
    """For a data set whose test labels MOTChallenge keeps: a row a method on its test set, without any number."""
    entry = DATASETS.get(dataset)
    if entry is None or SERVER not in entry.homepage or not data.judged_folds(run, dataset)[1]:
        return []
    reason = (
        f"{SERVER} keeps the labels of {entry.title}'s test set; `msfp submit METHOD --dataset {dataset}` writes the "
        f"zip that it takes, submissions/{dataset}-METHOD.zip"
    )
    places = [(f"{row.row}{SEPARATOR}{TEST_SET}", column) for row in rows for column in columns]
    return [
        Cell(row, (rename or {}).get(column, column), None, None, "server", reason, UNITS.get(column, ""))
        for row, column in places
    ]


def submit_row(run: Run, label: str, dataset: str = "", path: Path | None = None) -> Path:
    """The zip of a row of Table 1 for the evaluation server, its heads learned on the whole main training split.

    Args:
        run: whose folder holds training and test split.
        label: the row's, or the name of its tracker where one row alone has it; case does not matter.
        dataset: `mot17`, `mot20`, ...; empty: the run's main one.
        path: of the zip; None: `runs/<profile>/submissions/`.
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
    return submit(run, chosen, row.configured(heads, run.settings.seeds[0], select, atl), target)

"""Settings that were selected for the rows of Tables 1 and 2, and what that is worth (`msfp tune`)."""

import contextlib
from collections.abc import Iterator
from collections.abc import Sequence as ListLike
from dataclasses import dataclass

from msfp.errors import NotComputable
from msfp.experiment import data, selection
from msfp.experiment.data import Fold
from msfp.experiment.methods import Method as Row
from msfp.experiment.methods import evaluate, of_row, tracked
from msfp.experiment.run import Run
from msfp.experiment.scores import affordable
from msfp.experiment.selection import Selection, open_settings, select_all, words
from msfp.experiment.tracks import Method, subject_of
from msfp.metrics.bootstrap import Sample, difference
from msfp.paper.methods import TABLE_1, TABLE_2, rows_named


@dataclass(frozen=True)
class Chosen:
    """A row's settings on one data set.

    Attributes:
        label: of the row.
        dataset: on whose learning part they were selected.
        method: of the first seed.
        found: the outcome; None where the tracker has nothing open, or nothing could be selected.
        reason: why there is none.
    """

    label: str
    dataset: str
    method: Method
    found: Selection | None
    reason: str = ""


def rows_of(run: Run) -> Iterator[tuple[str, Row, Fold]]:
    """Data set, row and validation fold of Tables 1 and 2, whose settings the other tables share."""
    main, crowded = run.settings.data.main, run.settings.data.crowded
    folds = data.folds(run, main)
    yield from ((main, row, folds[0]) for row in TABLE_1)
    if crowded is not None:
        try:
            learn = data.folds(run, crowded)[0].learn
        except NotComputable:
            return
        fold = Fold("crowded", data.all_learning(run, main), (), learn)
        yield from ((crowded, row, fold) for row in TABLE_2)


def chosen(run: Run, *, search: bool = True) -> list[Chosen]:
    """The settings of every row of Tables 1 and 2; without `search` only what was selected before."""
    methods = [
        (name, row.configured(fold.learn, run.settings.seeds[0], fold.select)) for name, row, fold in rows_of(run)
    ]
    methods = [(name, m) for name, m in methods if affordable(run, m)]
    if search:
        select_all(run, [subject_of(m) for _, m in methods])
    return [_chosen(run, name, m, search) for name, m in methods]


def _chosen(run: Run, dataset: str, method: Method, search: bool) -> Chosen:
    subject = subject_of(method)
    if not open_settings(subject.tracker, subject.fixed):
        return Chosen(method.label, dataset, method, None, "nothing is open")
    try:
        found = selection.select(run, subject) if search else selection.kept(run, subject)
    except NotComputable as error:
        return Chosen(method.label, dataset, method, None, str(error))
    return Chosen(method.label, dataset, method, found, "" if found else "not selected in this run")


def outcome(found: Selection) -> str:
    """How good the choice is where it was made: `53.4 HOTA on held-out learning frames (as released 52.1; ...)`."""
    low, middle, high = (f"{100 * q:.1f}" for q in found.quartiles)
    return (
        f"{100 * found.hota:.1f} HOTA on held-out learning frames, as released {100 * found.released:.1f}; "
        f"{found.draws} draws, quartiles {low}, {middle}, {high}"
    )


def choices(run: Run) -> list[tuple[str, str, str, str]]:
    """Lines for the report's list of choices: (what, value used, other choices, why); what was not made is left out."""
    if run.settings.tuning != "selected":
        return []
    return [
        (f"settings of {one.label}, {one.dataset}", words(one.found.options), "", outcome(one.found))
        for one in chosen(run, search=False)
        if one.found is not None
    ]


@dataclass(frozen=True)
class Tuned:
    """A row before and after selection, on frames that took no part in it.

    Attributes:
        chosen: its settings.
        released, selected: HOTA on the evaluated part, percent, mean of the seeds; None where it cannot be measured.
        gain: 95 % interval of selected less released over scenes and seeds, percent; None where there is none.
        reason: why there is no interval.
    """

    chosen: Chosen
    released: float | None
    selected: float | None
    gain: tuple[float, float] | None = None
    reason: str = ""


def tune(run: Run, labels: ListLike[str]) -> list[Tuned]:
    """Select the open settings of rows of Table 1, and measure what that is worth on the validation part.

    Args:
        run: data, budget and seeds.
        labels: names of rows or of their trackers, case does not matter; empty: every row.

    Raises:
        InputError: no such row; names what there is.
    """
    rows = list(dict.fromkeys(row for label in labels for row in rows_named(label))) or list(TABLE_1)
    folds = data.folds(run, run.settings.data.main)
    every = [m for row in rows for fold in folds for m in row.each_seed(fold.learn, run.settings.seeds)]
    select_all(run, [subject_of(m) for m in every if affordable(run, m)])
    scores: dict[tuple[str, str], Sample] = {}
    for tuning in ("released", "selected"):
        variant = run.variant(tuning=tuning)
        found = evaluate(variant, rows, folds)
        for row in rows:
            with contextlib.suppress(NotComputable):
                scores[row.row, tuning] = tracked(of_row(found, row.row)).sample("HOTA")
    name = run.settings.data.main
    out = []
    for row in rows:
        one = _chosen(run, name, row.configured(folds[0].learn, run.settings.seeds[0]), search=True)
        out.append(_tuned(one, scores.get((row.row, "released")), scores.get((row.row, "selected"))))
    return out


def _tuned(one: Chosen, released: Sample | None, selected: Sample | None) -> Tuned:
    if released is None or selected is None:
        return Tuned(one, None, None, reason="it cannot be measured on the validation part")
    values = released.value, selected.value
    try:
        low, high = difference(selected, released).interval()
    except NotComputable as error:
        return Tuned(one, *values, reason=str(error))
    return Tuned(one, *values, (low, high))

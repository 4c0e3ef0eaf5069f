"""Table 12: what each module learned from and is used for, read from the settings and the folds of this run."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Sequence as ListLike
from dataclasses import dataclass

from msfp.errors import NotComputable
from msfp.experiment import data, selection
from msfp.experiment.data import Fold, Part
from msfp.experiment.methods import Method as Row
from msfp.experiment.methods import evaluate, of_row, tracked
from msfp.experiment.run import Run
from msfp.experiment.scores import affordable
from msfp.experiment.selection import Selection, open_settings, select_all, words
from msfp.experiment.thresholds import detectors_of
from msfp.experiment.tracks import Method, subject_of
from msfp.metrics.bootstrap import Sample, difference
from msfp.paper.measure import absent
from msfp.paper.methods import TABLE_1, TABLE_2, rows_named
from msfp.types import Cell


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


DATA, USED, NOTES = "Training Data", "Used For", "Notes"
TRACKED = {
    "public": "its own boxes are discarded",
    "detector": "its own boxes are tracked",
    "ground_truth": "its own boxes are discarded, labelled ones tracked",
}
FUSION, ATL_MAIN, ATL_CROWDED, ATL_EMBEDDED = "Fusion (MSFP)", "ATL (MOT17)", "ATL (MOT20)", "ATL (embedded)"


def protocol_cells(run: Run) -> list[Cell]:
    """One row a module; the detector and the embedded worlds' ATL beside the paper's three."""
    config = run.settings
    rows: dict[str, Callable[[Run], tuple[str, str, str]]] = {
        FUSION: _fusion,
        ATL_MAIN: lambda run: _atl(run, _folds(run, config.data.main), [_cross_name(run)]),
        ATL_CROWDED: _crowded,
    }
    if config.data.embedded is not None:
        rows[ATL_EMBEDDED] = _embedded
    cells = [
        Cell("Detector", DATA, _weights(run)),
        Cell("Detector", USED, "features of every box; scene vector of every frame"),
        Cell("Detector", NOTES, f"{config.input.preset}, frozen; {TRACKED[config.detections]}"),
    ]
    for label, describe in rows.items():
        try:
            cells += [Cell(label, c, text) for c, text in zip((DATA, USED, NOTES), describe(run), strict=True)]
        except NotComputable as error:
            cells += absent(label, [DATA, USED, NOTES], str(error))
    return cells + selection_cells(run)


def selection_cells(run: Run) -> list[Cell]:
    """One row a method of Tables 1 and 2: on what its open settings were selected, which, and how good they are."""
    if run.settings.tuning != "selected":
        return []
    cells: list[Cell] = []
    for one in chosen(run):
        label = f"Settings of {one.label} ({one.dataset})"
        if one.found is None:
            cells += absent(label, [DATA, USED, NOTES], one.reason)
            continue
        texts = (f"held out to select on: {', '.join(one.found.held_out)}", one.dataset)
        notes = f"{words(one.found.options)}; {outcome(one.found)}"
        cells += [Cell(label, c, text) for c, text in zip((DATA, USED, NOTES), (*texts, notes), strict=True)]
    return cells


def _fusion(run: Run) -> tuple[str, str, str]:
    training = run.settings.training
    folds = _folds(run, run.settings.data.main)
    used = _evaluated(folds) + [n for n in (run.settings.data.crowded, _cross_name(run)) if n]
    notes = [
        "one head for all data sets",
        f"triplet loss of {training.positives} positives, P={training.identities}, K={training.instances}, "
        f"m={training.margin:g}, within {training.window} frames",
        f"{training.epochs} epochs at {training.learning_rate:g}, then {training.joint_epochs} with ATL",
        _seeds(run),
        *_leaks(folds),
    ]
    return _learned(folds), "; ".join(used), "; ".join(notes)


def _crowded(run: Run) -> tuple[str, str, str]:
    name = run.settings.data.crowded
    if name is None:
        raise NotComputable(f"profile {run.settings.profile} has no crowded data set")
    data_text, used, notes = _atl(run, data.folds(run, name), [])
    return data_text, used, f"separate model; {notes}"


def _atl(run: Run, folds: ListLike[Fold], others: ListLike[str]) -> tuple[str, str, str]:
    """One encoder for each public detector, taught by one searched threshold a learning sequence."""
    names = detectors_of(folds[0].learn)
    grid = run.settings.atl.grid
    count = sorted({len(fold.learn) for fold in folds})
    notes = [
        f"τ* from grid search over {len(grid)} values, {grid[0]:g} to {grid[-1]:g}, tracking with the settings "
        "selected for MSFP (attention) and a head that did not learn from the searched frames",
        f"{' or '.join(map(str, count))} target{'s' if count[-1] > 1 else ''} a detector ({', '.join(names)})",
        f"MSE, {run.settings.training.epochs} epochs, L2 {run.settings.atl.weight_decay:g}, dropout "
        f"{run.settings.atl.dropout:g}",
        _seeds(run),
        *_leaks(folds),
    ]
    return _learned(folds), "; ".join([*_evaluated(folds), *(n for n in others if n)]), "; ".join(notes)


def _embedded(run: Run) -> tuple[str, str, str]:
    """The second ATL of a profile of real data: whole worlds for Table 5, halves as everywhere for Table 21."""
    name = run.settings.data.embedded or ""
    worlds = tuple(data.whole(s) for s in data.scenes(run, name))
    _, used, notes = _atl(run, data.folds(run, name), [])
    return spans(worlds), f"{run.settings.data.main}; {used}, from the learning parts there", notes


def _folds(run: Run, dataset: str) -> list[Fold]:
    """The validation folds, and the test fold where its labels are at hand."""
    found = list(data.folds(run, dataset))
    try:
        return [*found, data.test_fold(run, dataset)]
    except NotComputable:
        return found


def _learned(folds: ListLike[Fold]) -> str:
    """What the folds learn from; several folds of one kind are told by their first and their number.

    Raises:
        NotComputable: frames are missing, so that nothing was learned.
    """
    for fold in folds:
        data.need_pixels(fold.learn)
    return "; ".join(f"{spans(group[0].learn)}{_each(group)}" for group in _kinds(folds))


def _evaluated(folds: ListLike[Fold]) -> list[str]:
    return [f"{spans(group[0].evaluate)}{_each(group)}" for group in _kinds(folds)]


def _kinds(folds: Iterable[Fold]) -> list[list[Fold]]:
    """Folds by kind, `half`, `loso`, `test`."""
    kinds: dict[str, list[Fold]] = {}
    for fold in folds:
        kinds.setdefault(fold.name.partition(":")[0], []).append(fold)
    return list(kinds.values())


def _each(group: ListLike[Fold]) -> str:
    name = group[0].name.partition(":")[0]
    return f" ({name}: the first of {len(group)} folds)" if len(group) > 1 else f" ({name})"


def spans(parts: Iterable[Part]) -> str:
    """`synth17: first half of 7 train sequences (02, 04, ...), 350 frames`, one such a data set and split."""
    groups: dict[tuple[str, str, str], list[Part]] = {}
    for part in parts:
        pixels = part.scene.pixels
        groups.setdefault((pixels.dataset, pixels.split, _share(part)), []).append(part)
    return "; ".join(_span(*key, group) for key, group in groups.items())


def _span(dataset: str, split: str, share: str, parts: ListLike[Part]) -> str:
    names = ", ".join(p.scene.name.partition("-")[2] or p.scene.name for p in parts)
    plural = "s" if len(parts) > 1 else ""
    frames = sum(p.length for p in parts)
    return f"{dataset}: {share} {len(parts)} {split} sequence{plural} ({names}), {frames} frames"


def _share(part: Part) -> str:
    first, second = data.halves(part.scene)
    if part == data.whole(part.scene):
        return "whole of"
    return {first: "first half of", second: "second half of"}.get(part, f"frames {part.first} to {part.last} of")


def _leaks(folds: Iterable[Fold]) -> list[str]:
    """Said where a frame is both learned from and evaluated."""
    shared = any(
        a.scene == b.scene and a.first <= b.last and b.first <= a.last
        for fold in folds
        for a in fold.learn
        for b in fold.evaluate
    )
    return ["evaluated on frames it learned from"] if shared else []


def _seeds(run: Run) -> str:
    seeds = run.settings.seeds
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


def _cross_name(run: Run) -> str:
    """What plays another domain: a data set, or the scenes that `data.learn_from` leaves out."""
    if run.settings.data.cross:
        return run.settings.data.cross
    held_out = data.unseen(run, run.settings.data.main)
    return spans(held_out) if held_out else ""


def _weights(run: Run) -> str:
    given = run.settings.input.weights
    if given == "embedded":
        return "worlds of other seeds than those evaluated (`scripts/make_weights.py backbone`)"
    return (
        "none: random weights"
        if given == "random-init"
        else f"as it came: {given.replace(chr(92), '/').rpartition('/')[2]}"
    )

"""Rows and columns of the tables on thresholds: MSFP (attention) under a rule, measured on a data set's parts."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from msfp.errors import NotComputable
from msfp.heads.threshold import Mode
from msfp.paper.measured_cells import absent, tracking_cells
from msfp.paper.methods import Learn, Options, Row
from msfp.pipeline import data
from msfp.pipeline.data import Part
from msfp.pipeline.heads import appearance
from msfp.pipeline.learning import learn_all
from msfp.pipeline.run import Run
from msfp.pipeline.scores import Measured, measure
from msfp.pipeline.supervision import Supervision
from msfp.pipeline.tracks import Method, Threshold, atl_thresholds
from msfp.tracking.thresholds import Temporal, policies
from msfp.types import Cell

Rule = Callable[[Learn, int], Threshold]
Groups = dict[str, list[list[Measured]]]


@dataclass(frozen=True)
class Rules:
    """A row's label and its thresholds for given ATL learning parts and seed.

    Attributes:
        label: of the row.
        rule: its thresholds.
        learned: whether ATL is trained for it.
        remark: said with its numbers, such as how what the paper only names is derived here.
        options: of the tracker, as (name, value), where they belong to the rule.
    """

    label: str
    rule: Rule
    learned: bool = False
    remark: str = ""
    options: Options = ()


@dataclass(frozen=True)
class EvaluationSplit:
    """Parts evaluated with one trained head and ATL: `heads` and `atl` are what those learned from.

    `select` are the learning parts on which the association is selected, the same for every rule.
    """

    heads: Learn
    atl: Learn
    parts: tuple[Part, ...]
    select: Learn


@dataclass(frozen=True)
class Column:
    """A column of the paper, measured on all legs together (several under leave-one-sequence-out)."""

    label: str
    legs: tuple[EvaluationSplit, ...]

    def taught_on(self, learn: Learn) -> "Column":
        """The same parts with an ATL that learned from others."""
        return Column(self.label, tuple(replace(leg, atl=learn) for leg in self.legs))

    def left_out(self) -> "Column":
        """The same parts, each with an ATL that learned from the other sequences only.

        Raises:
            NotComputable: there is no other sequence.
        """
        legs = []
        for leg in self.legs:
            for part in leg.parts:
                others = tuple(p for p in leg.atl if p.scene.name != part.scene.name)
                if not others:
                    raise NotComputable("only one sequence is there to learn from, so none can be left out")
                legs.append(EvaluationSplit(leg.heads, others, (part,), leg.select))
        return Column(self.label, tuple(legs))


def fixed(high: float, low: float) -> Rule:
    """The same thresholds everywhere."""
    return lambda _learn, _seed: Threshold("fixed", high, low)


def atl(
    mode: Mode = "single", temporal: Temporal | None = None, supervision: Supervision = "grid", **changes: object
) -> Rule:
    """ATL in a mode; temporal None: the run's setting; `changes` are other settings than the run's."""
    kept = tuple(sorted(changes.items()))
    return lambda learn, seed: Threshold(
        "atl", mode=mode, temporal=temporal, learn=learn, seed=seed, supervision=supervision, changes=kept
    )


def policy(name: str) -> Rules:
    """A registered policy that sees scores only."""
    known = policies()[name]
    threshold = Threshold("policy", policy=name)
    return Rules(known.label, lambda _learn, _seed: threshold, remark=known.remark, options=known.options)


def searched(learn: Learn, _seed: int) -> Threshold:
    """The optimum of the same sequence's learning part."""
    return Threshold("grid", learn=learn)


def oracle(_learn: Learn, _seed: int) -> Threshold:
    """The optimum of the evaluated frames themselves."""
    return Threshold("oracle")


CALIBRATED = " · calibrated scores"
ORACLE = Rules("Grid search on the evaluated frames (bound)", oracle)


def measured(run: Run, column: Column, rules: Iterable[Rules], suffix: str = "") -> Groups:
    """label -> for each seed of the head (and of ATL where it has one) what was measured on every sequence."""
    rows = tuple(rules)
    groups: Groups = {}
    legs = [(leg, [Row(r.label + suffix, partial(_method, r, leg, suffix)) for r in rows]) for leg in column.legs]
    every = [m for _, made in legs for row in made for m in row.methods((), run.settings.seeds)]
    learn_all(run, every, [p for leg in column.legs for p in leg.parts])  # of all legs at once, as each alone is little
    for leg, made in legs:
        methods = [m for row in made for m in row.methods((), run.settings.seeds)]
        found = measure(run, methods, leg.parts, f"thresholds, {column.label}")
        for row in made:
            mine = groups.setdefault(row.label, [[] for _ in run.settings.seeds])
            for group, method in zip(mine, row.methods((), run.settings.seeds), strict=True):
                group += [m for m in found if m.method == method]
    return groups


def _method(rules: Rules, leg: EvaluationSplit, suffix: str, _learn: Learn, seed: int) -> Method:
    look = appearance("attention-instance", leg.heads, seed)
    return Method(
        rules.label + suffix, "msfp-attention", look, rules.rule(leg.atl, seed), rules.options, learn=leg.select
    )


def hota_cells(
    run: Run, column: Column, rules: Iterable[Rules], suffix: str = "", *, by_detector: bool = False
) -> list[Cell]:
    """HOTA of every rule, all public detectors combined, and of each detector where asked."""
    rows = tuple(rules)
    remarks = {r.label + suffix: r.remark for r in rows}
    cells: list[Cell] = []
    for label, groups in measured(run, column, rows, suffix).items():
        for detector in ("", *(detectors(column) if by_detector else ())):
            kept = [[m for m in group if detector in ("", m.sequence.detector)] for group in groups]
            named = f"{label} · {detector}" if detector else label
            found = tracking_cells(named, kept, ["HOTA"], {"HOTA": column.label})
            cells += [replace(c, reason=remarks[label]) if c.source == "measured" else c for c in found]
    return cells


def calibrated_cells(
    run: Run, column_of: Callable[[Run, str], Column], label: str, rules: Iterable[Rules]
) -> list[Cell]:
    """HOTA of rules on calibrated scores, on which a threshold means the same for every detector.

    Everything that reads scores is done anew on them: selection, searched targets, ATL. Boxes, features and heads stay.
    Empty where the run itself tracks calibrated scores.
    """
    if run.settings.scores == "calibrated":
        return []
    rows, scored = tuple(rules), run.variant(scores="calibrated")
    try:
        return hota_cells(scored, column_of(scored, label), rows, CALIBRATED)
    except NotComputable as error:
        return [c for row in rows for c in absent(row.label + CALIBRATED, [label], str(error))]


def motion_cells(run: Run, column: Column, rules: Iterable[Rules]) -> list[Cell]:
    """The rules that need no pixels, on ByteTrack's association: computable wherever there are labels."""
    cells: list[Cell] = []
    for row in rules:
        if row.learned:
            continue
        found = []
        for leg in column.legs:
            method = Method(row.label, "bytetrack", None, row.rule(leg.atl, 0), row.options, learn=leg.select)
            found += measure(run, [method], leg.parts, f"motion only, {column.label}")
        made = tracking_cells(f"{row.label} · motion only", [found], ["HOTA"], {"HOTA": column.label})
        cells += [replace(c, reason=row.remark) if c.source == "measured" else c for c in made]
    return cells


def detectors(column: Column) -> tuple[str, ...]:
    """Public detectors of a column's parts, where there are several."""
    names = tuple(sorted({s.detector for leg in column.legs for p in leg.parts for s in data.sequences(p)}))
    return names if len(names) > 1 else ()


def predicted(run: Run, column: Column, rule: Rule, seed: int) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Public detector and (T,) tau of every sequence of a column, as ATL predicts it.

    Raises:
        NotComputable: frames that ATL needs are missing.
    """
    for leg in column.legs:
        threshold = rule(leg.atl, seed)
        for part in leg.parts:
            for sequence in data.sequences(part):
                yield sequence.detector, atl_thresholds(run, part, sequence.detector, threshold)[:, 0]


def main(run: Run, label: str = "MOT17") -> Column:
    """Validation parts of the main data set."""
    folds = data.folds(run, run.settings.data.main)
    return Column(label, tuple(EvaluationSplit(f.learn, f.learn, f.evaluate, f.learn) for f in folds))


def other(run: Run, dataset: str, label: str) -> Column:
    """Validation parts of another data set: the main set's head, an ATL of its own (A.2)."""
    heads = data.all_learning(run, run.settings.data.main)
    return Column(label, tuple(EvaluationSplit(heads, f.learn, f.evaluate, f.learn) for f in data.folds(run, dataset)))


def crowded(run: Run, label: str = "MOT20") -> Column:
    """Validation parts of the crowded data set.

    Raises:
        NotComputable: the profile has none.
    """
    name = run.settings.data.crowded
    if name is None:
        raise NotComputable(f"profile {run.settings.profile} has no crowded data set")
    return other(run, name, label)


def cross(run: Run, label: str = "Cross-domain") -> Column:
    """Another domain without retraining: the cross-domain data set, or the scenes held out of the main one.

    Raises:
        NotComputable: the profile has neither.
    """
    learn = data.all_learning(run, run.settings.data.main)
    name = run.settings.data.cross
    parts = (
        data.unseen(run, run.settings.data.main)
        if name is None
        else tuple(data.whole(s) for s in data.scenes(run, name))
    )
    if not parts:
        raise NotComputable(f"profile {run.settings.profile} has no data of another domain")
    scenes = ", ".join(dict.fromkeys(p.scene.name for p in parts))
    run.note(
        f"Cross-domain columns on thresholds are measured on {scenes}, with what was learned on the main data set."
    )
    return Column(label, (EvaluationSplit(learn, learn, parts, learn),))

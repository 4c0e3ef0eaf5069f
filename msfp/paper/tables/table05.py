"""Table 5: fixed, searched and learned thresholds, alone and in ByteTrack's two stages, on three data sets."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from msfp.errors import NotComputable
from msfp.paper.methods import Learn, Row
from msfp.paper.registry import table
from msfp.paper.spread import absent, tracking_cells
from msfp.pipeline import data
from msfp.pipeline.data import Part
from msfp.pipeline.heads import appearance
from msfp.pipeline.run import Run
from msfp.pipeline.scores import Measured, measure
from msfp.pipeline.tracks import Method, Threshold
from msfp.types import Cell

Rule = Callable[[Learn, int], Threshold]


@dataclass(frozen=True)
class Rules:
    """A row's label and its thresholds for given ATL learning parts and seed."""

    label: str
    rule: Rule
    learned: bool = False


@dataclass(frozen=True)
class Leg:
    """Parts evaluated with one trained head and ATL: `heads` and `atl` are what those learned from."""

    heads: Learn
    atl: Learn
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Column:
    """A column of the paper, measured on all legs together (several under leave-one-sequence-out)."""

    label: str
    legs: tuple[Leg, ...]


def fixed(high: float, low: float) -> Rule:
    """The same thresholds everywhere."""
    return lambda _learn, _seed: Threshold("fixed", high, low)


def atl(mode: str, temporal: str | None = None) -> Rule:
    """ATL in a mode; temporal None: the run's setting."""
    return lambda learn, seed: Threshold("atl", mode=mode, temporal=temporal, learn=learn, seed=seed)  # type: ignore[arg-type]


PAPER = (
    Rules("Fixed τ=0.25", fixed(0.25, 0.25)),
    Rules("Fixed τ=0.10", fixed(0.10, 0.10)),
    Rules("Grid-search optimal", lambda learn, _: Threshold("grid", learn=learn)),
    Rules("ATL (per-frame)", atl("single", "frame"), learned=True),
    Rules("ATL (EMA, β=0.9)", atl("single", "ema"), learned=True),
    Rules("Fixed τ_h=0.6, τ_l=0.1", fixed(0.6, 0.1)),
    Rules("ATL dual thresholds", atl("dual"), learned=True),
    Rules("ATL + fixed offset", atl("offset"), learned=True),
)
OURS = (
    Rules("Fixed τ_h=0.5, τ_l=0.05 (offset 0)", fixed(0.5, 0.05)),
    Rules("Grid search on the evaluated frames (bound)", lambda _, __: Threshold("oracle")),
)


@table(5, needs=("tracks", "scores", "thresholds"))
def thresholds(run: Run) -> list[Cell]:
    """HOTA of MSFP (attention) under each rule; then ATL from the embedded worlds; then motion-only rows."""
    cells: list[Cell] = []
    for name, columns in (("MOT17", _main), ("MOT20", _crowded), ("Cross-domain", _cross)):
        try:
            column = columns(run)
        except NotComputable as error:
            cells += [c for r in PAPER for c in absent(r.label, [name], str(error))]
            continue
        cells += _column(run, column, PAPER + OURS)
        cells += _motion(run, column)
        cells += _from_embedded(run, column)
    return cells


def _column(run: Run, column: Column, rules: tuple[Rules, ...], suffix: str = "") -> list[Cell]:
    """One column: every rule with every seed of the head, and of ATL where it has one."""
    groups: dict[str, list[list[Measured]]] = {}
    for leg in column.legs:
        rows = [Row(r.label + suffix, partial(_method, r, leg, suffix)) for r in rules]
        methods = [m for row in rows for m in row.methods((), run.settings.seeds)]
        found = measure(run, methods, leg.parts, f"thresholds, {column.label}")
        for row in rows:
            mine = groups.setdefault(row.label, [[] for _ in run.settings.seeds])
            for group, method in zip(mine, row.methods((), run.settings.seeds), strict=True):
                group += [m for m in found if m.method == method]
    return [c for label, g in groups.items() for c in tracking_cells(label, g, ["HOTA"], {"HOTA": column.label})]


def _method(rules: Rules, leg: Leg, suffix: str, _learn: Learn, seed: int) -> Method:
    look = appearance("attention-instance", leg.heads, seed)
    return Method(rules.label + suffix, "msfp-attention", look, rules.rule(leg.atl, seed))


def _motion(run: Run, column: Column) -> list[Cell]:
    """The rules that need no pixels, on ByteTrack's association: computable wherever there are labels."""
    cells: list[Cell] = []
    for rules in PAPER + OURS:
        if rules.learned:
            continue
        found = []
        for leg in column.legs:
            method = Method(rules.label, "bytetrack", None, rules.rule(leg.atl, 0))
            found += measure(run, [method], leg.parts, f"motion only, {column.label}")
        cells += tracking_cells(f"{rules.label} · motion only", [found], ["HOTA"], {"HOTA": column.label})
    return cells


def _from_embedded(run: Run, column: Column) -> list[Cell]:
    """ATL trained on the embedded worlds and used on real data, where the profile asks for it."""
    name = run.settings.data.embedded
    if name is None:
        return []
    learn = tuple(data.whole(s) for s in data.scenes(run, name))
    moved = Column(column.label, tuple(replace(leg, atl=learn) for leg in column.legs))
    return _column(run, moved, tuple(r for r in PAPER if r.learned), " · ATL from the embedded worlds")


def _main(run: Run) -> Column:
    """Validation parts of the main data set."""
    folds = data.folds(run, run.settings.data.main)
    return Column("MOT17", tuple(Leg(f.learn, f.learn, f.evaluate) for f in folds))


def _crowded(run: Run) -> Column:
    """Validation parts of the crowded data set: the main set's head, an ATL of its own (A.2)."""
    name = run.settings.data.crowded
    if name is None:
        raise NotComputable(f"profile {run.settings.profile} has no crowded data set")
    heads = data.all_learning(run, run.settings.data.main)
    return Column("MOT20", tuple(Leg(heads, f.learn, f.evaluate) for f in data.folds(run, name)))


def _cross(run: Run) -> Column:
    """Another domain without retraining: the cross-domain data set, or the scenes held out of the main one."""
    learn = data.all_learning(run, run.settings.data.main)
    name = run.settings.data.cross
    parts = (
        data.unseen(run, run.settings.data.main)
        if name is None
        else tuple(data.whole(s) for s in data.scenes(run, name))
    )
    if not parts:
        raise NotComputable(f"profile {run.settings.profile} has no data of another domain")
    return Column("Cross-domain", (Leg(learn, learn, parts),))

"""What single tables and figures compute: attention weights, ATL's range, leakage, conditions of the mistakes."""

import csv
import io
from collections.abc import Callable, Iterable
from collections.abc import Sequence as ListLike
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from msfp.engine.files import atomic_write
from msfp.engine.html import csv_cell
from msfp.errors import NotComputable
from msfp.experiment import data, reid
from msfp.experiment.data import Fold, Part, benchmark
from msfp.experiment.heads import Appearance, appearance, train_heads
from msfp.experiment.methods import Method, atl, evaluate, need_scores, of_row, tracked
from msfp.experiment.reid import Weighed, people_sample, usable, weigh
from msfp.experiment.run import Run
from msfp.experiment.scores import Measured, looks_of
from msfp.experiment.thresholds import Threshold, detectors_of, targets
from msfp.experiment.tracks import tracks
from msfp.metrics import bootstrap, hota
from msfp.metrics.bootstrap import Sample, difference
from msfp.metrics.hota import KEPT
from msfp.metrics.rules import rules
from msfp.metrics.switches import CAUSES, HIDDEN, SHOWN, Boxes, accuracy, association, describe, explain, find_switches
from msfp.paper.measure import UNITS, Detail, absent, cell, predicted, validation
from msfp.paper.methods import LITE, LITE_FREE, MSFP_ATTENTION, MSFP_CONCAT, MSFP_TRACK
from msfp.types import Cell

TRAITS = {"size": "box size (px)", "occluded": "hidden share", "crowd": "people in frame"}
HIDDEN_EDGES = (0.0, 0.05, 0.25, 0.5, 0.75, 1.0)
BINS, FEWEST = 5, 20


@dataclass(frozen=True)
class Binned:
    """Weights of the layers in bins of one trait, over boxes and seeds.

    Attributes:
        middle: (B,) mean of the trait in each bin.
        mean, low, high: (B, L) mean and quartiles of the weights.
        count: (B,) boxes.
    """

    middle: NDArray[np.float64]
    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    count: NDArray[np.int64]


def weighed(run: Run) -> list[Weighed]:
    """Attention on all labelled pedestrians of the validation parts, for each seed of the head.

    Raises:
        NotComputable: frames are missing.
    """
    fold = data.folds(run, run.settings.data.main)[0]
    looks = [appearance("attention-instance", fold.learn, seed) for seed in run.settings.seeds]
    train_heads(run, looks)
    return [joined(weigh(run, part, look) for part in fold.evaluate) for look in looks]


def joined(parts: Iterable[Weighed]) -> Weighed:
    """The boxes of several parts."""
    found = list(parts)
    size, occluded, crowd = (np.concatenate([getattr(w, name) for w in found]) for name in TRAITS)
    return Weighed(found[0].layers, size, occluded, crowd, np.concatenate([w.weights for w in found]))


def edges(trait: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Edges of the bins: fixed for the hidden share, most of which is 0; quantiles for the others."""
    if trait == "occluded":
        return np.array(HIDDEN_EDGES)
    return np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)))


def binned(seeds: list[Weighed], trait: str) -> Binned:
    """Weights in bins of a trait; bins with fewer than 20 boxes are left out."""
    values = getattr(seeds[0], trait)
    cuts = edges(trait, values)
    place = np.clip(np.searchsorted(cuts, values, side="right") - 1, 0, max(len(cuts) - 2, 0))
    bins = [b for b in range(max(len(cuts) - 1, 1)) if (place == b).sum() >= FEWEST]
    inside = [np.concatenate([w.weights[place == b] for w in seeds]) for b in bins]
    return Binned(
        middle=np.array([values[place == b].mean() for b in bins]),
        mean=np.array([w.mean(axis=0) for w in inside]),
        low=np.array([np.quantile(w, 0.25, axis=0) for w in inside]),
        high=np.array([np.quantile(w, 0.75, axis=0) for w in inside]),
        count=np.array([(place == b).sum() for b in bins], np.int64),
    )


def trends(run: Run) -> pd.DataFrame | str:
    """One line a trait and layer: weight in the lowest and highest bin, and Spearman's rank correlation over seeds.

    A reason in words where it cannot be computed.
    """
    from scipy.stats import spearmanr

    try:
        seeds = weighed(run)
    except NotComputable as error:
        return f"n/a: {error}"
    rows = []
    for trait, name in TRAITS.items():
        found = binned(seeds, trait)
        if len(found.middle) < 2:
            continue
        for column, layer in enumerate(seeds[0].layers):
            rank = [spearmanr(getattr(w, trait), w.weights[:, column]).statistic for w in seeds]
            rows.append(
                {
                    "trait": name,
                    "layer": layer,
                    "weight, lowest bin": found.mean[0, column],
                    "weight, highest bin": found.mean[-1, column],
                    "rank correlation": float(np.mean(rank)),
                    "over seeds": f"{min(rank):+.2f} to {max(rank):+.2f}",
                }
            )
    return pd.DataFrame(rows).round(3)


@dataclass(frozen=True)
class Reach:
    """Thresholds that sequences get.

    Attributes:
        low, high: least and greatest mean of a sequence, over detectors and seeds.
        spread: mean standard deviation over the frames of a sequence.
    """

    low: float
    high: float
    spread: float


def reach(run: Run, folds: tuple[Fold, ...], rule: Threshold) -> Reach:
    """What ATL gives the evaluated sequences.

    Raises:
        NotComputable: frames that ATL needs are missing.
    """
    taus = [tau for seed in run.settings.seeds for _, tau in predicted(run, folds, rule, seed)]
    means = [float(tau.mean(dtype=np.float64)) for tau in taus]
    return Reach(min(means), max(means), float(np.mean([tau.std(dtype=np.float64) for tau in taus])))


def taught(run: Run, folds: tuple[Fold, ...]) -> tuple[float, float]:
    """Least and greatest threshold that a learning sequence was found to be best with."""
    best = [
        float(found.best[0])
        for fold in folds
        for detector in detectors_of(fold.learn)
        for found in targets(run, fold.learn, detector, "single").values()
    ]
    return min(best), max(best)


def note(run: Run) -> None:
    """Remark for the report: what was taught, and how much of it either kind of input reaches."""
    try:
        folds = validation(run)
        low, high = taught(run, folds)
        found = {way: reach(run, folds, atl("single", input=way)) for way in ("raw", "standardised")}
    except NotComputable:
        return
    config = run.settings
    start = (config.atl.tau_min + config.atl.tau_max) / 2
    said = {way: f"{r.low:.3f} to {r.high:.3f} (spread within a sequence {r.spread:.4f})" for way, r in found.items()}
    run.note(
        f"ATL, single threshold: its searched targets lie between {low:.2f} and {high:.2f}; untrained it says about "
        f"{start:.3f}. After {config.training.epochs} epochs at {config.training.learning_rate:g} the mean of an "
        f"evaluated sequence lies at {said['raw']} with the paper's raw scene vectors and at "
        f"{said['standardised']} with `atl.input=standardised`."
    )


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


PROPERTIES = ("all", "small", "medium", "large", "in sight", "partly hidden", "hidden", "after a gap")
APART = "AssA, small less large"
COLUMNS = (*(f"AssA, {name}" for name in PROPERTIES), APART)
EVENTS = ("IDSW", *(f"IDSW, {kind}" for kind in CAUSES))
HEAD = ("row", "seed", "sequence", "frame", "person", "before", "after", "cause", "frames missed", "least visible",
        "overlap", "area")  # fmt: skip
FILE = "switches.csv"
Event = tuple[str | int | float, ...]


@dataclass(frozen=True)
class Counted:
    """One sequence under one method.

    Attributes:
        scene: its scene.
        sums: (8, 2, 19) sums of association accuracy of each property, and their numbers.
        events: switches, as in `HEAD` less row and seed.
    """

    scene: str
    sums: NDArray[np.float64]
    events: tuple[Event, ...]


def condition_cells(run: Run, rows: ListLike[Method], folds: ListLike[Fold]) -> list[Cell]:
    """Association by property and switches by cause, all public detectors combined; also writes `switches.csv`.

    Small, medium and large are thirds of the labelled boxes by area, over all evaluated parts.
    """
    cuts = thirds([p for fold in folds for p in fold.evaluate])
    found = evaluate(run, rows, folds)
    cells: list[Cell] = []
    lines: list[Event] = []
    for row in rows:
        mine = of_row(found, row.row)
        try:
            need_scores(mine)
        except NotComputable as error:
            cells += absent(row.row, (*COLUMNS, *EVENTS), str(error))
            continue
        every = run.map(partial(count, run=run, cuts=cuts), list(mine["of"]), f"switches, {row.row}")
        groups: dict[int, list[Counted]] = {}
        for seed, one in zip(mine["seed"], every, strict=True):
            groups.setdefault(int(seed), []).append(one)
        cells += condition_row_cells(row.row, list(groups.values()), cuts)
        lines += [(row.row, seed, *event) for seed, group in groups.items() for one in group for event in one.events]
    write(run, lines)
    return cells


def thirds(parts: list[Part]) -> tuple[float, float]:
    """Areas in square pixels that cut the labelled boxes that count into thirds."""
    areas = []
    for part in parts:
        truth, boxes = labelled(part)
        areas.append(boxes.area[truth.kind == KEPT])
    every = np.concatenate(areas)
    if not len(every):
        raise NotComputable("the evaluated parts have no label that counts")
    low, high = np.quantile(every, [1 / 3, 2 / 3])
    return float(low), float(high)


def labelled(part: Part) -> tuple[hota.PreparedTruth, Boxes]:
    """A part's truth, and what its boxes are like."""
    truth, rule = data.window(data.truth(part.scene), part), benchmark(part.scene)
    return hota.prepare(truth, part.length, benchmark=rule), describe(truth, rule)


def count(measured: Measured, run: Run, cuts: tuple[float, float]) -> Counted:
    """Association by property and the switches of one sequence."""
    part, sequence = measured.part, measured.sequence
    truth, boxes = labelled(part)
    found = tracks(run, part, sequence, measured.method)
    sums = association(truth, found, masks(boxes, cuts))
    switches = find_switches(truth, found)
    people = names(part)
    events = []
    for k, why in enumerate(explain(truth, boxes.visibility, switches, cuts[0])):
        x0, y0, x1, y1 = switches.xyxy[k]
        events.append((
            sequence.name, int(switches.frame[k]) + part.first - 1, int(people[switches.person[k]]),
            int(switches.before[k]), int(switches.after[k]), why.kind, why.missed, round(why.visibility, 3),
            round(why.overlap, 3), round(float((x1 - x0) * (y1 - y0))),
        ))  # fmt: skip
    return Counted(part.scene.name, sums, tuple(events))


def masks(boxes: Boxes, cuts: tuple[float, float]) -> NDArray[np.bool_]:
    """(8, N) which boxes have each of `PROPERTIES`."""
    small, large = boxes.area <= cuts[0], boxes.area > cuts[1]
    shown, hidden = boxes.visibility >= SHOWN, boxes.visibility < HIDDEN
    whole = np.ones_like(small)
    return np.stack([whole, small, ~(small | large), large, shown, ~(shown | hidden), hidden, boxes.returning])


def names(part: Part) -> NDArray[np.int32]:
    """Identities of the labels, as the truth of `fast.prepare` numbers them."""
    truth = data.window(data.truth(part.scene), part)
    chosen = rules(benchmark(part.scene))
    kept = chosen.kept(truth) & ~chosen.regions(truth)
    return np.unique(truth.id[kept])


def condition_row_cells(label: str, groups: list[list[Counted]], cuts: tuple[float, float]) -> list[Cell]:
    """Association by property with draws of scenes, then switches by cause."""
    cells = []
    sized = {"small": f"up to {cuts[0]:.0f} px²", "large": f"above {cuts[1]:.0f} px²"}
    for column in COLUMNS:
        try:
            sample = drawn(groups, column)
        except NotComputable as error:
            cells += absent(label, [column], str(error))
            continue
        detail: Detail = {k: v for k, v in sized.items() if k in column}
        cells.append(cell(label, column, sample.seeds.tolist(), "%", detail, sample))
    for column in EVENTS:
        kind = column.removeprefix("IDSW, ")
        counts = [sum(kind in ("IDSW", e[5]) for c in group for e in c.events) for group in groups]
        cells.append(cell(label, column, counts))
    return cells


def drawn(groups: list[list[Counted]], column: str) -> Sample:
    """A column's number with draws of scenes.

    Raises:
        NotComputable: no box with the property is followed.
    """
    scenes = tuple(sorted({c.scene for c in groups[0]}))
    sums = np.array([[sum(c.sums for c in group if c.scene == s) for s in scenes] for group in groups])
    weights = np.concatenate([np.ones((1, len(scenes))), bootstrap.draws(scenes)])
    shape = (len(groups), len(weights), *sums.shape[2:])
    total = np.stack([weights @ one.reshape(len(scenes), -1) for one in sums]).reshape(shape)
    value = 100 * accuracy(total)  # (K, 1 + B, properties)
    at = PROPERTIES.index
    found = value[..., at("small")] - value[..., at("large")] if column == APART else value[..., at(column[6:])]
    if np.isnan(found[:, 0]).any():
        raise NotComputable("nobody like that is followed")
    return Sample(found[:, 0], found[:, 1:].T, scenes)


def write(run: Run, lines: list[Event]) -> None:
    """Every switch, a line each."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEAD)
    writer.writerows([csv_cell(str(value)) for value in line] for line in lines)
    atomic_write(run.out / FILE, text.getvalue().encode())

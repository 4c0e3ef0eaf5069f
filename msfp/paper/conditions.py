"""Association by size, occlusion and gap: whether RoIAlign helps small people most (A.3); why identities switch.

Every switch is also written, with its frame, identities and cause, to `switches.csv` in the run's folder.
"""

import csv
import io
from collections.abc import Sequence as ListLike
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from msfp.engine.escapes import csv_cell
from msfp.engine.files import atomic_write
from msfp.errors import NotComputable
from msfp.experiment.evaluate import evaluate, need_scores, of_row
from msfp.experiment.method import Method
from msfp.metrics import fast, statistics
from msfp.metrics.conditions import HIDDEN, SHOWN, Boxes, accuracy, association, describe
from msfp.metrics.kernels import KEPT
from msfp.metrics.rules import rules
from msfp.metrics.statistics import Sample
from msfp.metrics.switches import CAUSES, explain, find_switches
from msfp.paper.measure import Detail, absent, cell
from msfp.pipeline import data
from msfp.pipeline.data import Fold, Part, benchmark
from msfp.pipeline.run import Run
from msfp.pipeline.scores import Measured
from msfp.pipeline.tracks import tracks
from msfp.types import Cell

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
        cells += row_cells(row.row, list(groups.values()), cuts)
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


def labelled(part: Part) -> tuple[fast.PreparedTruth, Boxes]:
    """A part's truth, and what its boxes are like."""
    truth, rule = data.window(data.truth(part.scene), part), benchmark(part.scene)
    return fast.prepare(truth, part.length, benchmark=rule), describe(truth, rule)


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


def row_cells(label: str, groups: list[list[Counted]], cuts: tuple[float, float]) -> list[Cell]:
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
    weights = np.concatenate([np.ones((1, len(scenes))), statistics.draws(scenes)])
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

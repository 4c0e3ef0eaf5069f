"""What the tracking tables share: where they are evaluated, their rows measured, and the cells made of them."""

from collections.abc import Sequence as ListLike

from msfp.errors import NotComputable
from msfp.paper.measured_cells import tracking_cells
from msfp.paper.methods import Learn, Row
from msfp.pipeline import data
from msfp.pipeline.data import Fold
from msfp.pipeline.run import Run
from msfp.pipeline.scores import Measured, ceilings, measure
from msfp.types import Cell

CEILING = "recall ceiling"
Groups = dict[str, list[list[Measured]]]


def evaluated(run: Run, dataset: str, number: int) -> tuple[Fold, ...]:
    """The test split where its labels are at hand, else the published validation split, else the validation folds.

    A note says which where it is not the test split that table `number` has in the paper.
    """
    found, reason = data.judged_folds(run, dataset)
    if reason:
        run.note(f"Table {number} shows validation ({', '.join(f.name for f in found)}), as {reason}.")
    return found


def other_dataset(run: Run, part: str, example: str) -> str:
    """The data set that plays a part beside the main one: `crowded`, `cross` or `dance`.

    Raises:
        NotComputable: the run has none; says how one is named.
    """
    name = getattr(run.settings.data, part)
    if name is None:
        raise NotComputable(
            f"profile {run.settings.profile} names none: -p data.{part}={example}, and its data in ROOT"
        )
    return str(name)


def heads_for(run: Run, fold: Fold) -> Learn:
    """What heads learn from that are evaluated on another data set's fold.

    The whole main training split where the fold is a published split of its own, else the main learning parts.
    """
    main = run.settings.data.main
    if fold.name in ("test", "val"):
        return tuple(data.whole(s) for s in data.learnable(run, main))
    return data.all_learning(run, main)


def measure_rows(run: Run, rows: ListLike[Row], fold: Fold) -> Groups:
    """label -> for each seed, its measurements on the fold's evaluated parts."""
    made = {row.label: row.methods(fold.learn, run.settings.seeds, fold.select) for row in rows}
    found = measure(run, [m for methods in made.values() for m in methods], fold.evaluate, f"tracking, {fold.name}")
    return {label: [[m for m in found if m.method == method] for method in methods] for label, methods in made.items()}


def together(folds: ListLike[Groups]) -> Groups:
    """The same rows measured on several folds as one."""
    return {
        label: [[m for fold in folds for m in fold[label][i]] for i in range(len(group))]
        for label, group in folds[0].items()
    }


def row_cells(groups: Groups, columns: ListLike[str]) -> list[Cell]:
    """Each row over all sequences and public detectors combined, then over those of each detector."""
    cells: list[Cell] = []
    for label, group in groups.items():
        cells += tracking_cells(label, group, columns)
        for detector in detectors(group[0]):
            cells += tracking_cells(f"{label} · {detector}", of_detector(group, detector), columns)
    return cells


def of_detector(group: ListLike[ListLike[Measured]], detector: str) -> list[list[Measured]]:
    """A row's measurements on one public detector's boxes."""
    return [[m for m in one if m.sequence.detector == detector] for one in group]


def detectors(measured: ListLike[Measured]) -> tuple[str, ...]:
    """Public detectors that occur, where there are several."""
    names = tuple(sorted({m.sequence.detector for m in measured}))
    return names if len(names) > 1 else ()


def ceiling_cells(run: Run, folds: ListLike[Fold], columns: ListLike[str]) -> list[Cell]:
    """What no tracker that adds no box can exceed."""
    parts = tuple(p for f in folds for p in f.evaluate)
    found = ceilings(run, parts)
    cells = []
    for detector in detectors(found) or ("",):
        kept = [m for m in found if detector in ("", m.sequence.detector)]
        cells += tracking_cells(f"{CEILING} · {detector}".rstrip(" ·"), [kept], columns)
    return cells

"""Rows on the boxes of the network trained for detection and embedding together: what JDE and FairMOT stand for.

The first is our stand-in for both. The others take its boxes and scores as they are and change the embedding, the
association, or both, so that training together is compared with frozen features on the same boxes.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from msfp.paper.methods import TWO_STAGE, Learn, Row
from msfp.paper.sheet import SEPARATOR
from msfp.paper.spread import tracking_cells
from msfp.pipeline.data import Fold
from msfp.pipeline.heads import Appearance, appearance
from msfp.pipeline.joint import JOINT, LOOK
from msfp.pipeline.run import Run
from msfp.pipeline.scores import Measured, measure
from msfp.pipeline.tracks import Method, Threshold
from msfp.types import Cell

PART = f"{SEPARATOR}boxes of the joint detector†"
REMARK = (
    "†: private detections, as of JDE and FairMOT; not comparable with rows on public ones. Boxes, scores and "
    "embedding are of one YOLOv8n trained for both on the embedded worlds; it departs from JDE and FairMOT in "
    "backbone, identity loss and pooling, as the model card says"
)


def _own(_learn: Learn, _seed: int) -> Appearance:
    return LOOK


def _frozen(learn: Learn, seed: int) -> Appearance:
    return appearance("attention-instance", learn, seed)


def _row(label: str, tracker: str, look: Callable[[Learn, int], Appearance]) -> Row:
    rule = TWO_STAGE if tracker == "msfp-attention" else Threshold()

    def make(learn: Learn, seed: int) -> Method:
        return Method(label, tracker, look(learn, seed), rule, boxes=JOINT)

    return Row(label, make, trained=look is _frozen)


JOINTLY_TRAINED = _row("Joint (YOLOv8n + embedding)†", "joint", _own)
ROWS = (
    JOINTLY_TRAINED,
    _row(f"Joint association, frozen MSFP embedding{PART}", "joint", _frozen),
    _row(f"MSFP association, joint embedding{PART}", "msfp-attention", _own),
    _row(f"MSFP (attention){PART}", "msfp-attention", _frozen),
)


def joint_cells(run: Run, folds: Iterable[Fold], columns: Iterable[str]) -> list[Cell]:
    """Cells of all these rows; every public detector's sequence of a scene has the same tracks here."""
    every, wanted = tuple(folds), tuple(columns)
    groups: dict[str, list[list[Measured]]] = {
        row.label: [[] for _ in row.methods((), run.settings.seeds)] for row in ROWS
    }
    for fold in every:
        methods = {row.label: row.methods(fold.learn, run.settings.seeds) for row in ROWS}
        found = measure(run, [m for some in methods.values() for m in some], fold.evaluate, f"joint, {fold.name}")
        for label, some in methods.items():
            for group, method in zip(groups[label], some, strict=True):
                group += [m for m in found if m.method == method]
    cells = [c for label, group in groups.items() for c in tracking_cells(label, group, wanted)]
    return [replace(c, reason=REMARK) if c.source == "measured" else c for c in cells]

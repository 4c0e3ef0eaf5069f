"""Rows on the boxes of the network trained for detection and embedding together: what JDE and FairMOT stand for.

The first is our stand-in for both. The others take its boxes and scores as they are and change the embedding, the
association, or both, so that training together is compared with frozen features on the same boxes.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from msfp.paper.measured_cells import tracking_cells
from msfp.paper.methods import Learn, Row
from msfp.paper.table_layout import SEPARATOR
from msfp.paper.tracking_rows import measure_rows, together
from msfp.pipeline.data import Fold
from msfp.pipeline.heads import Appearance, appearance
from msfp.pipeline.joint import JOINT, LOOK
from msfp.pipeline.run import Run
from msfp.pipeline.tracks import Method, Threshold
from msfp.types import Cell

PART = f"{SEPARATOR}boxes of the joint detector†"
# FairMOT's threshold for every row: MSFP's own 0.6 is made for the scores of public detectors.
THRESHOLDS = Threshold("fixed", 0.4, 0.1)
REMARK = (
    "†: private detections, as of JDE and FairMOT; not comparable with rows on public ones. Boxes, scores and "
    "embedding are of one YOLOv8n trained for both on the embedded worlds. It departs from JDE (DarkNet-53, anchors) "
    "and FairMOT (DLA-34, object centres) in its network, tells identities apart by contrast within a batch where they "
    "classify training people, and averages a vector under the box where they read one place. Its tracks of a scene "
    "count once for each public detector, so that switches compare with the other rows'"
)


def _own(_learn: Learn, _seed: int) -> Appearance:
    return LOOK


def _frozen(learn: Learn, seed: int) -> Appearance:
    return appearance("attention-instance", learn, seed)


def _row(label: str, tracker: str, look: Callable[[Learn, int], Appearance]) -> Row:
    def make(learn: Learn, seed: int) -> Method:
        return Method(label, tracker, look(learn, seed), THRESHOLDS, boxes=JOINT)

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
    groups = together([measure_rows(run, ROWS, fold) for fold in folds])
    wanted = tuple(columns)
    cells = [c for label, group in groups.items() for c in tracking_cells(label, group, wanted)]
    return [replace(c, reason=REMARK) if c.source == "measured" else c for c in cells]

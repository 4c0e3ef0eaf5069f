"""Table 11: time per frame with the detector and without it."""

from msfp.errors import NotComputable
from msfp.paper import timing
from msfp.paper.methods import DEEPSORT, LITE, MSFP_TRACK, STRONGSORT
from msfp.paper.registry import table
from msfp.pipeline.run import Run
from msfp.pipeline.speed import Speeds, Times
from msfp.types import Cell

NO_ALONE = "reads the detector's feature maps; Table 15 counts the network in as far as it is needed"


@table(11, needs=("speed",))
def with_and_without(run: Run) -> list[Cell]:
    """As Table 7; ReID-only is ReID and association, for methods that can do without a forward pass."""
    columns = (
        ("Det", timing.detection),
        ("ReID", timing.reid),
        ("Assoc", timing.association),
        ("Total", timing.unified),
        ("ReID-only", without_detector),
    )
    labels = [*(row.label for row in (DEEPSORT, STRONGSORT, LITE, MSFP_TRACK)), timing.LARGE]
    return [cell for label in labels for cell in timing.time_cells(run, label, columns)]


def without_detector(found: Speeds, label: str) -> Times:
    """(T,) ReID and association.

    Raises:
        NotComputable: the method needs feature maps.
    """
    if found.course(label).taps:
        raise NotComputable(NO_ALONE)
    return timing.alone(found, label)

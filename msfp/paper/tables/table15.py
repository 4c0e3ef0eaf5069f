"""Table 15: time per frame of tracking alone, with given detections."""

from msfp.errors import NotComputable
from msfp.paper import timing
from msfp.paper.methods import BYTETRACK, DEEPSORT, LITE, MSFP_TRACK, OC_SORT, SORT, STRONGSORT
from msfp.paper.registry import table
from msfp.pipeline.run import Run
from msfp.pipeline.speed import Speeds, Times
from msfp.types import Cell

ROWS = (SORT, BYTETRACK, OC_SORT, DEEPSORT, STRONGSORT, LITE, MSFP_TRACK)


@table(15, needs=("speed",))
def tracking_alone(run: Run) -> list[Cell]:
    """Medians over frames on this machine; LITE's and MSFP-Track's ReID begins with the image and the cut network."""
    columns = (
        ("ReID", from_pixels),
        ("Assoc", timing.association),
        ("Total", timing.alone),
        ("FPS (tracking-only)", timing.alone),
    )
    labels = [*(row.label for row in ROWS), timing.LARGE]
    return [cell for label in labels for cell in timing.time_cells(run, label, columns, remarks=True)]


def from_pixels(found: Speeds, label: str) -> Times:
    """(T,) from the image to embeddings.

    Raises:
        NotComputable: the method compares no appearances.
    """
    network = timing.CUT_NETWORK if found.course(label).taps else ()
    if not found.course(label).reid:
        raise NotComputable("compares no appearances")
    return found.total(*network, *found.course(label).reid)

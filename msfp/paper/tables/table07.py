"""Table 7: time per frame with the detector, and where MSFP-Track's goes."""

from msfp.errors import NotComputable
from msfp.paper import timing
from msfp.paper.methods import DEEPSORT, LITE, MSFP_ATTENTION, MSFP_CONCAT, MSFP_TRACK, STRONGSORT
from msfp.paper.registry import table
from msfp.pipeline.run import Run
from msfp.pipeline.speed import CUT, DECODE, DETECTOR, PREPARE
from msfp.types import Cell

ROWS = (DEEPSORT, STRONGSORT, LITE, MSFP_CONCAT, MSFP_ATTENTION, MSFP_TRACK)
COLUMNS = (
    ("Det", timing.detection),
    ("ReID", timing.reid),
    ("Assoc", timing.association),
    ("Total", timing.unified),
    ("FPS", timing.unified),
)


@table(7, needs=("speed",))
def breakdown(run: Run) -> list[Cell]:
    """Medians over frames on this machine. Assoc holds ATL and camera motion, Det preprocessing and suppression."""
    labels = [*(row.label for row in ROWS), timing.LARGE]
    cells = [cell for label in labels for cell in timing.time_cells(run, label, COLUMNS)]
    return cells + parts_of(run, MSFP_TRACK.label)


def parts_of(run: Run, label: str) -> list[Cell]:
    """One row a part of a method's frame, decoding and the cut network too, which Total leaves out."""
    try:
        found = timing.timings(run)
        course = found.course(label)
        parts = {
            "decode (not in Total)": (DECODE,),
            "preprocess": (PREPARE,),
            "detector": (DETECTOR,),
            "network to its deepest tapped layer (not in Total)": (CUT,),
            "pooling": course.pooling,
            "head": course.embedding,
            "ATL": course.atl,
            "association": course.assoc,
        }
        return [timing.time_cell(f"{label}: {name}", "Total", found.total(*stages)) for name, stages in parts.items()]
    except NotComputable as error:
        return [Cell(f"{label}: parts", "Total", None, source="n/a", reason=str(error), unit="ms")]

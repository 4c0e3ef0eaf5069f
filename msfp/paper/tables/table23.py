"""Table 23: thresholds of the scene (ATL), boosting by the single track (BoostTrack++), and both."""

from dataclasses import replace

from msfp.paper.methods import MSFP_ATTENTION, Learn, Row, fused, motion, scene_adapted
from msfp.paper.registry import table
from msfp.paper.tracking_rows import measure_rows, row_cells, together
from msfp.pipeline import data
from msfp.pipeline.camera import default_camera
from msfp.pipeline.run import Run
from msfp.pipeline.tracks import Method, Threshold
from msfp.types import Cell

COLUMNS = ("HOTA", "IDSW")
NOTES = {
    "ByteTrack (fixed τ)": "Baseline",
    "+ BoostTrack++ (tracklet-level)": "Per-tracklet",
    "+ ATL (scene-level)": "Per-scene",
    "+ Both (ATL + BoostTrack++)": "Complementary",
}
WHOLE = "the whole of BoostTrack++, with its own association, births and camera motion (ECC)"
ENTERS = "; ATL's τ_high takes the place of its detection threshold, and what scores below τ_low is ignored"


def four(tracker: str, strategy: str, suffix: str = "") -> tuple[Row, ...]:
    """The table's rows over one tracker and embedding (none: motion only)."""
    fixed, boosted, adapted, both = (label + suffix for label in NOTES)
    first = fused(fixed, tracker, strategy) if strategy else motion(fixed, tracker)
    third = scene_adapted(adapted, tracker, strategy)
    return (first, boosting(boosted, first, Threshold()), third, boosting(both, third))


def boosting(label: str, row: Row, threshold: Threshold | None = None) -> Row:
    """A row's embedding and thresholds, or others, in BoostTrack++."""

    def make(learn: Learn, seed: int) -> Method:
        method = row.make(learn, seed)
        tracker = "boosttrack" if method.look else "boosttrack-motion"
        rule, camera = threshold or method.threshold, default_camera(tracker)
        return replace(method, label=label, tracker=tracker, threshold=rule, options=(), camera=camera)

    return Row(label, make, row.trained)


# The paper's baseline row is called ByteTrack and has the value of MSFP with one threshold: both are shown.
ROWS = (*four("bytetrack", ""), *four("msfp-attention", "attention-instance", f" · {MSFP_ATTENTION.label}"))


@table(23, needs=("tracks", "scores", "thresholds"))
def granularity(run: Run) -> list[Cell]:
    """Validation parts, all public detectors combined, then each; ATL is the offset of Tables 1 and 2.

    BoostTrack++ is a tracker of its own, not a step that ByteTrack can be given: its rows are that tracker, so that
    they differ from the others in more than the boosting of scores.
    """
    folds = data.folds(run, run.settings.data.main)
    cells = row_cells(together([measure_rows(run, ROWS, fold) for fold in folds]), COLUMNS)
    cells = [replace(c, reason=remark(c.row)) if c.source == "measured" else c for c in cells]
    return cells + [Cell(label, "Notes", words(label)) for label in NOTES]


def remark(row: str) -> str:
    """Say what a row takes of BoostTrack++."""
    if not row.startswith(("+ BoostTrack++", "+ Both")):
        return ""
    return WHOLE + (ENTERS if row.startswith("+ Both") else "")


def words(label: str) -> str:
    """What the row's thresholds depend on; only the paper calls a row complementary."""
    kinds = {"ByteTrack (fixed τ)": "Baseline", "+ Both (ATL + BoostTrack++)": "Per-scene and per-tracklet"}
    return kinds.get(label, NOTES[label])

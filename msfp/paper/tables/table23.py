"""Table 23: thresholds of the scene (ATL), acceptance by the single track (BoostTrack++), and both."""

from msfp.paper.comparison import measure_rows, row_cells, together
from msfp.paper.methods import MSFP_ATTENTION, Row, fused, motion, scene_adapted
from msfp.paper.registry import table
from msfp.pipeline import data
from msfp.pipeline.run import Run
from msfp.types import Cell

COLUMNS = ("HOTA", "IDSW")
NOTES = {
    "ByteTrack (fixed τ)": "Baseline",
    "+ BoostTrack++ (tracklet-level)": "Per-tracklet",
    "+ ATL (scene-level)": "Per-scene",
    "+ Both (ATL + BoostTrack++)": "Complementary",
}
ACCEPT = (("tracklet_acceptance", True),)


def four(tracker: str, strategy: str, suffix: str = "") -> tuple[Row, ...]:
    """The table's rows over one tracker and embedding (none: motion only)."""
    fixed, boosted, adapted, both = (label + suffix for label in NOTES)
    if strategy:
        first = (fused(fixed, tracker, strategy), fused(boosted, tracker, strategy, options=ACCEPT))
    else:
        first = (motion(fixed, tracker), motion(boosted, tracker, options=ACCEPT))
    last = (scene_adapted(adapted, tracker, strategy), scene_adapted(both, tracker, strategy, ACCEPT))
    return (*first, *last)


# The paper's baseline row is called ByteTrack and has the value of MSFP with one threshold: both are shown.
ROWS = (*four("bytetrack", ""), *four("msfp-attention", "attention-instance", f" · {MSFP_ATTENTION.label}"))


@table(23, needs=("tracks", "scores", "thresholds"))
def granularity(run: Run) -> list[Cell]:
    """Validation parts, all public detectors combined, then each; ATL is the offset of Tables 1 and 2.

    Of BoostTrack++ the rows take what depends on a track's history: it accepts a box whose similarity (motion, shape,
    soft IoU) reaches a limit that falls with the frames it has gone without one, or whose score that similarity raises
    above tau_high. An accepted box counts as just above tau_high, whatever set that, so that the two compose; it begins
    no track. The rest of BoostTrack++ stays out, and
    the whole tracker is `msfp run --tracker boosttrack`.
    """
    folds = data.folds(run, run.settings.data.main)
    cells = row_cells(together([measure_rows(run, ROWS, fold) for fold in folds]), COLUMNS)
    return cells + [Cell(label, "Notes", words(label)) for label in NOTES]


def words(label: str) -> str:
    """What the row's thresholds depend on; only the paper calls a row complementary."""
    kinds = {"ByteTrack (fixed τ)": "Baseline", "+ Both (ATL + BoostTrack++)": "Per-scene and per-tracklet"}
    return kinds.get(label, NOTES[label])

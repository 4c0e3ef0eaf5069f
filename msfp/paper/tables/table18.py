"""Table 18: a fixed threshold and ATL on the boxes of several detectors."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from msfp.errors import NotComputable
from msfp.metrics.statistics import Sample, difference
from msfp.paper.cell_samples import tracked
from msfp.paper.families import rows
from msfp.paper.measured_cells import absent, attempt, tracking_cells
from msfp.paper.registry import table
from msfp.paper.threshold_rows import Rules, atl, fixed, main, measured
from msfp.pipeline import data
from msfp.pipeline.detectors import run_with
from msfp.pipeline.run import Run
from msfp.pipeline.scores import Measured, combined
from msfp.types import Cell

LABELS = {"YOLOv8m (same)": "YOLOv8m", "YOLOv8s": "YOLOv8s", "YOLOv8l": "YOLOv8l", "YOLOv8x": "YOLOv8x"}
FIXED, ATL, DELTA = "HOTA (fixed τ)", "HOTA (ATL)", "Δ"
RULES = (Rules(FIXED, fixed(0.25, 0.25)), Rules(ATL, atl("single"), learned=True))
SOURCE = (
    "boxes, features and scene vectors are this detector's own, and head and ATL are trained on them: another "
    "detector's channels do not fit"
)


@table(18, needs=("tracks", "scores", "thresholds"))
def variants(run: Run) -> list[Cell]:
    """MSFP (attention) on each detector's own boxes, τ 0.25 or ATL's; Δ over the same seeds."""
    cells: list[Cell] = []
    for label, preset in rows(run, LABELS).items():
        try:
            cells += detector_cells(run_with(run, preset).variant(detections="detector"), label)
        except NotComputable as error:
            cells += absent(label, (FIXED, ATL, DELTA), str(error))
    return cells


def detector_cells(run: Run, label: str) -> list[Cell]:
    """One detector's row."""
    validation = main(run, label)
    data.need_pixels(tuple(part for leg in validation.legs for part in (*leg.heads, *leg.parts)))
    groups = measured(run, validation, RULES)
    cells: list[Cell] = []
    for column in (FIXED, ATL):
        cells += tracking_cells(label, groups[column], ["HOTA"], {"HOTA": column})
    cells.append(
        attempt(label, DELTA, lambda: differences(groups[ATL], groups[FIXED]), "%", lambda: drawn_differences(groups))
    )
    return [replace(c, reason=SOURCE) if c.source == "measured" else c for c in cells]


def drawn_differences(groups: Mapping[str, list[list[Measured]]]) -> Sample:
    """The same with draws of scenes.

    Raises:
        NotComputable: a sequence has no score.
    """
    return difference(*(tracked(groups[column]).sample("HOTA") for column in (ATL, FIXED)))


def differences(first: Iterable[list[Measured]], second: Iterable[list[Measured]]) -> list[float]:
    """HOTA of the first less the second, seed by seed.

    Raises:
        NotComputable: a sequence has no score.
    """
    return [combined(a)["HOTA"] - combined(b)["HOTA"] for a, b in zip(first, second, strict=True)]

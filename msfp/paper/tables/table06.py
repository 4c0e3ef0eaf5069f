"""Table 6: HOTA of LITE and MSFP-Track on each training sequence, and by how much they differ."""

from collections.abc import Sequence as ListLike

from msfp.errors import NotComputable
from msfp.paper import reference
from msfp.paper.measured_cells import absent, attempt, tracking_cells
from msfp.paper.methods import LITE, MSFP_TRACK
from msfp.paper.registry import table
from msfp.paper.tracking_rows import Groups, detectors, measure_rows, of_detector, together
from msfp.pipeline import data
from msfp.pipeline.data import Fold
from msfp.pipeline.run import Run
from msfp.pipeline.scores import Measured, combined
from msfp.types import Cell

ALL = "all"


@table(6, needs=("tracks", "scores"))
def sequence_by_sequence(run: Run) -> list[Cell]:
    """Validation parts of each training scene, all its public detectors combined, then each detector alone.

    A column is a scene; scenes never trained on and all training scenes together have columns of their own. Δ is
    the difference seed by seed.
    """
    name = run.settings.data.main
    folds = data.folds(run, name)
    groups = together([measure_rows(run, (LITE, MSFP_TRACK), fold) for fold in folds])
    cells = scene_cells(groups)
    known = {c.column for c in cells}
    missing = [column for column in reference.columns(6) if column not in known]
    for row in (LITE.label, MSFP_TRACK.label, "Δ"):
        cells += absent(row, missing, f"{name} has no such training sequence here")
    for part in data.unseen(run, name):
        found = measure_rows(run, (LITE, MSFP_TRACK), Fold("unseen", folds[0].learn, (part,)))
        cells += difference_cells(found, f"{part.scene.name} (never seen)")
    return cells


def scene_cells(groups: Groups) -> list[Cell]:
    """Cells of every scene and of all together, first with all detectors, then of each."""
    everything = groups[LITE.label][0]
    scenes = list(dict.fromkeys(m.part.scene.name for m in everything))
    cells: list[Cell] = []
    for detector in ("", *detectors(everything)):
        suffix = f" · {detector}" if detector else ""
        mine = {label: of_detector(g, detector) if detector else g for label, g in groups.items()}
        for scene in scenes:
            here = {label: [[m for m in one if m.part.scene.name == scene] for one in g] for label, g in mine.items()}
            cells += difference_cells(here, scene.rpartition("-")[2], suffix)
        cells += difference_cells(mine, ALL, suffix)
    return cells


def difference_cells(groups: Groups, column: str, suffix: str = "") -> list[Cell]:
    """HOTA of both rows and their difference in one column."""
    cells: list[Cell] = []
    for label, group in groups.items():
        cells += tracking_cells(label + suffix, group, ["HOTA"], {"HOTA": column})
    return [*cells, attempt(f"Δ{suffix}", column, lambda: differences(groups), "%")]


def differences(groups: Groups) -> list[float]:
    """HOTA of MSFP-Track less LITE's, seed by seed.

    Raises:
        NotComputable: a sequence has no score.
    """
    lite, ours = (hota(groups[label]) for label in (LITE.label, MSFP_TRACK.label))
    if len(lite) != len(ours):
        raise NotComputable(f"{len(lite)} runs of {LITE.label} beside {len(ours)} of {MSFP_TRACK.label}")
    return [b - a for a, b in zip(lite, ours, strict=True)]


def hota(group: ListLike[ListLike[Measured]]) -> list[float]:
    """HOTA of each seed, percent."""
    return [combined(one)["HOTA"] for one in group]

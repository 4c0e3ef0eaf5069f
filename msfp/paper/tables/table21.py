"""Table 21: ATL trained on one data set and used on another."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import permutations

from msfp.errors import NotComputable
from msfp.paper.measured_cells import absent, cell, tracking_cells
from msfp.paper.registry import table
from msfp.paper.threshold_rows import CALIBRATED, Column, Rules, atl, crowded, fixed, main, measured, other
from msfp.pipeline import data
from msfp.pipeline.run import Run
from msfp.pipeline.scores import combined
from msfp.types import Cell

GAP = "Gap"
FIXED = (Rules("Fixed τ=0.25", fixed(0.25, 0.25)), Rules("Fixed τ=0.10", fixed(0.10, 0.10)))
SAME = Rules("ATL (same dataset)", atl("single"), learned=True)
PLACES = {"MOT17": "MOT17-val", "MOT20": "MOT20-val", "embedded": "embedded-val"}


@table(21, needs=("tracks", "scores", "thresholds"))
def transfer(run: Run) -> list[Cell]:
    """HOTA of MSFP (attention) with one threshold; the gap is what is lost against an ATL of the data set's own.

    Then the same on calibrated scores: what is left of a gap there is not for want of a common scale.
    """
    cells = transfers(run)
    if run.settings.scores == "raw":
        scored = transfers(run.variant(scores="calibrated"))
        cells += [replace(c, row=c.row + CALIBRATED) for c in scored]
    return cells


def transfers(run: Run) -> list[Cell]:
    """Every data set's own ATL, and each on the others."""
    columns, missing = places(run)
    cells = [c for place, why in missing.items() for row in (*FIXED, SAME) for c in absent(row.label, [place], why)]
    own: dict[str, list[list]] = {}
    for name, column in columns.items():
        found = measured(run, column, (*FIXED, SAME))
        cells += [c for label, groups in found.items() for c in tracking_cells(label, groups, ["HOTA"], hota(column))]
        own[name] = found[SAME.label]
    cells += [Cell(row.label, GAP, "–") for row in FIXED] + [Cell(SAME.label, GAP, 0.0, unit="%")]
    for source, target in permutations(PLACES, 2):
        label = f"ATL ({source}→{target})"
        if source in columns and target in columns:
            cells += moved(run, label, source, columns[target], own[target])
        elif "embedded" not in (source, target):
            why = missing.get(PLACES[source]) or missing[PLACES[target]]
            cells += [*absent(label, [PLACES[target], GAP], why), Cell(label, PLACES[source], "–")]
    return cells


def places(run: Run) -> tuple[dict[str, Column], dict[str, str]]:
    """The data sets at hand by their part in the paper, and why another is not."""
    columns, missing = {"MOT17": main(run, PLACES["MOT17"])}, {}
    try:
        columns["MOT20"] = crowded(run, PLACES["MOT20"])
    except NotComputable as error:
        missing[PLACES["MOT20"]] = str(error)
    if run.settings.data.embedded is not None:
        columns["embedded"] = other(run, run.settings.data.embedded, PLACES["embedded"])
    return columns, missing


def hota(column: Column) -> Mapping[str, str]:
    """The measure's name in the table."""
    return {"HOTA": column.label}


def dataset(run: Run, place: str) -> str:
    """Name of the data set that plays a part."""
    config = run.settings.data
    return {"MOT17": config.main, "MOT20": config.crowded, "embedded": config.embedded}[place] or ""


def moved(run: Run, label: str, source: str, column: Column, own: list[list]) -> list[Cell]:
    """One transfer: an ATL that learned elsewhere, and what it loses seed by seed."""
    learn = data.all_learning(run, dataset(run, source))
    groups = measured(run, column.taught_on(learn), (Rules(label, atl("single"), learned=True),))[label]
    cells = [*tracking_cells(label, groups, ["HOTA"], hota(column)), Cell(label, PLACES[source], "–")]
    try:
        pairs = zip(groups, own, strict=True)
        return [*cells, cell(label, GAP, [combined(a)["HOTA"] - combined(b)["HOTA"] for a, b in pairs], "%")]
    except NotComputable as error:
        return [*cells, *absent(label, [GAP], str(error))]

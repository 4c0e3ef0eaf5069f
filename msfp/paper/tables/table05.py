"""Table 5: fixed, searched and learned thresholds, alone and in ByteTrack's two stages, on three data sets."""

from msfp.errors import NotComputable
from msfp.paper import atl_range
from msfp.paper.measured_cells import absent
from msfp.paper.registry import table
from msfp.paper.threshold_rows import (
    ORACLE,
    Column,
    Rules,
    atl,
    calibrated_cells,
    cross,
    crowded,
    fixed,
    hota_cells,
    main,
    motion_cells,
    searched,
)
from msfp.pipeline import data
from msfp.pipeline.run import Run
from msfp.types import Cell

PAPER = (
    Rules("Fixed τ=0.25", fixed(0.25, 0.25)),
    Rules("Fixed τ=0.10", fixed(0.10, 0.10)),
    Rules("Grid-search optimal", searched),
    Rules("ATL (per-frame)", atl("single", "frame"), learned=True),
    Rules("ATL (EMA, β=0.9)", atl("single", "ema"), learned=True),
    Rules("Fixed τ_h=0.6, τ_l=0.1", fixed(0.6, 0.1)),
    Rules("ATL dual thresholds", atl("dual"), learned=True),
    Rules("ATL + fixed offset", atl("offset"), learned=True),
)
READINGS = {"literal": "d is added as predicted", "centered": "d less the mean target is added, so that it has a sign"}
OURS = (
    *(
        Rules(f"ATL + fixed offset ({way})", atl("offset", offset=way), learned=True, remark=f"eq. 6's d: {how}")
        for way, how in READINGS.items()
    ),
    Rules("Fixed τ_h=0.5, τ_l=0.05 (offset 0)", fixed(0.5, 0.05)),
    Rules("ATL (EMA), standardised scene vectors", atl("single", "ema", input="standardised"), learned=True),
    ORACLE,
)
LEFT_OUT = ("ATL (EMA, β=0.9)", "ATL + fixed offset")


@table(5, needs=("tracks", "scores", "thresholds"))
def thresholds(run: Run) -> list[Cell]:
    """HOTA of MSFP (attention) under each rule; beside it motion only, calibrated scores, ATL of other scenes.

    The paper's offset row is read as `atl.offset` says; both readings stand beside it.
    """
    cells: list[Cell] = []
    for name, column_of in (("MOT17", main), ("MOT20", crowded), ("Cross-domain", cross)):
        try:
            column = column_of(run, name)
        except NotComputable as error:
            cells += [c for r in PAPER for c in absent(r.label, [name], str(error))]
            continue
        cells += hota_cells(run, column, PAPER + OURS)
        cells += motion_cells(run, column, PAPER + OURS)
        cells += _from_embedded(run, column)
        if name == "MOT17":
            cells += calibrated_cells(run, main, name, PAPER)
            cells += _left_out(run, column)
            atl_range.note(run, column)
    return cells


def _left_out(run: Run, column: Column) -> list[Cell]:
    """ATL beside the paper's protocol: each sequence under one that learned from the others only."""
    rules, suffix = [r for r in PAPER if r.label in LEFT_OUT], " · the sequence left out of its training"
    try:
        return hota_cells(run, column.left_out(), rules, suffix)
    except NotComputable as error:
        return [c for r in rules for c in absent(r.label + suffix, [column.label], str(error))]


def _from_embedded(run: Run, column: Column) -> list[Cell]:
    """ATL trained on the embedded worlds and used on real data, where the profile asks for it."""
    name = run.settings.data.embedded
    if name is None:
        return []
    learn = tuple(data.whole(s) for s in data.scenes(run, name))
    learned = tuple(r for r in PAPER if r.learned)
    return hota_cells(run, column.taught_on(learn), learned, " · ATL from the embedded worlds")

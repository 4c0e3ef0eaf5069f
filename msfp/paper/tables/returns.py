"""Long-term re-identification: people who leave the picture for seconds and come back as they were.

A track that nothing matches is deleted after its buffer, so a buffer of 30 frames forgets everybody who is away longer,
whatever the embedding; one of 300 keeps them, and appearance has to tell them from whoever else walks in.
"""

from collections.abc import Sequence as ListLike
from functools import partial

from msfp.errors import NotComputable
from msfp.metrics import fast
from msfp.metrics.returns import find_returns
from msfp.paper.measured_cells import absent, cell, tracking_cells
from msfp.paper.methods import BOTSORT, BYTETRACK, LITE, LITE_FREE, OC_SORT, Row, fused, motion, msfp_track
from msfp.paper.registry import table
from msfp.paper.tracking_rows import heads_for, measure_rows
from msfp.pipeline import data
from msfp.pipeline.data import Fold, benchmark
from msfp.pipeline.run import Run
from msfp.pipeline.scores import Measured
from msfp.pipeline.tracks import tracks
from msfp.types import Cell

DATASET = "synthlong"
COLUMNS = ("HOTA", "AssA", "IDF1", "IDSW")
RECOVERED = "Returns recovered"
AWAY = 60
"""Frames without a label that make a return a long one."""
LONG = (("buffer", 300),)
ROWS: tuple[Row, ...] = (
    BYTETRACK,
    OC_SORT,
    BOTSORT,
    LITE,
    LITE_FREE,
    msfp_track(),
    motion("ByteTrack, buffer 300", "bytetrack", options=LONG),
    fused("LITE, buffer 300", "lite", "single", options=LONG),
    msfp_track("MSFP-Track, buffer 300", options=LONG),
)


@table(103, needs=("heads", "thresholds", "tracks"))
def long_term(run: Run) -> list[Cell]:
    """Tracking measures over both scenes and all public detectors, and the share of returns under the old identity."""
    try:
        if not (run.embedded_folder / DATASET).is_dir():  # one of an older version is rendered anew
            raise NotComputable(
                f"{DATASET} is not rendered yet: `msfp data make {DATASET}`, some minutes with its passes"
            )
        parts = tuple(data.whole(s) for s in data.scenes(run, DATASET, "test"))
        fold = Fold("test", heads_for(run, Fold("test", (), ())), parts)
        groups = measure_rows(run, ROWS, fold)
    except NotComputable as error:
        return [c for row in ROWS for c in absent(row.label, (*COLUMNS, RECOVERED), str(error))]
    cells: list[Cell] = []
    for label, group in groups.items():
        cells += tracking_cells(label, group, COLUMNS)
        cells.append(recovered_cell(run, label, group))
    return cells


def recovered_cell(run: Run, row: str, seeds: ListLike[ListLike[Measured]]) -> Cell:
    """The share of returns after at least `AWAY` frames whose first match is the track of before, in percent."""
    missing = [m.reason for group in seeds for m in group if m.score is None]
    if missing:
        return absent(row, (RECOVERED,), missing[0])[0]
    found = [run.map(partial(_returned, run=run), group, f"returns, {row}") for group in seeds]
    counts = [(sum(kept for kept, _ in one), sum(all_ for _, all_ in one)) for one in found]
    if not all(number for _, number in counts):
        return absent(row, (RECOVERED,), f"nobody who was tracked comes back after {AWAY} frames or more")[0]
    detail: dict[str, str | float | int] = {"returns": counts[0][1]}
    return cell(row, RECOVERED, [100 * kept / number for kept, number in counts], "%", detail)


def _returned(one: Measured, run: Run) -> tuple[int, int]:
    """Returns recovered, and all, of one sequence."""
    part = one.part
    labels = data.window(data.truth(part.scene), part)
    truth = fast.prepare(labels, part.length, benchmark=benchmark(part.scene))
    found = find_returns(truth, tracks(run, part, one.sequence, one.method), AWAY)
    return int(found.recovered.sum()), len(found)

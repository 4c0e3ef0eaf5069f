"""Table 13: how a box is pooled from the maps."""

from msfp.paper.embedding_rows import embedding_rows
from msfp.paper.measured_cells import NO_TIME, absent
from msfp.paper.registry import table
from msfp.pipeline import data
from msfp.pipeline.feature_variants import variants_all
from msfp.pipeline.features import ROI_ALIGN, Pooling
from msfp.pipeline.heads import appearance
from msfp.pipeline.run import Run
from msfp.types import Cell

PAPER: dict[str, Pooling] = {
    "Nearest neighbor crop": "nearest",
    "Bilinear interpolation": "bilinear",
    "Average pooling (fixed grid)": "average",
    "RoIAlign (ours)": ROI_ALIGN,
}


@table(13, needs=("heads", "reid", "tracks"))
def pooling(run: Run) -> list[Cell]:
    """Instance-adaptive attention over three layers, a head trained on each way to pool.

    The paper names the simpler ways and does not define them: see `features.pooling.pool`.
    """
    fold = data.folds(run, run.settings.data.main)[0]
    variants_all(run, [p.scene for p in (*fold.learn, *fold.evaluate)])
    rows = {
        label: [appearance("attention-instance", fold.learn, seed, pooling=mode) for seed in run.settings.seeds]
        for label, mode in PAPER.items()
    }
    times = [c for label in PAPER for c in absent(label, ["ms/frame"], NO_TIME)]
    return embedding_rows(run, rows) + times

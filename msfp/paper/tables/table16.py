"""Table 16: how the levels of a box are brought together."""

from dataclasses import replace

from msfp.paper.embedding_rows import HARD, embedding_rows
from msfp.paper.measured_cells import NO_TIME, absent
from msfp.paper.registry import table
from msfp.paper.tables.table03 import heads
from msfp.pipeline import data
from msfp.pipeline.heads import Appearance
from msfp.pipeline.roi_cells import MOST
from msfp.pipeline.run import Run
from msfp.types import Cell

THINNED = f"of more than {MOST} learning boxes it trains on those of evenly spaced frames: cells take 50 KB a box"
SPATIAL = "Spatial attention over RoIs"
PAPER = {
    "Single level (L14)": "single",
    "Hard assignment (by box size)": "hard-assignment",
    "Soft RoI selection (AugFPN-style)": "soft-roi",
    SPATIAL: "spatial-attention",
    "Instance-adaptive attention (ours)": "attention-instance",
}
BEYOND = "parameters that choose or weigh, as the paper's 0 for one level implies; projections are counted beside"


def embeddings(run: Run) -> dict[str, list[Appearance]]:
    """Row -> a trained head a seed."""
    learn = data.folds(run, run.settings.data.main)[0].learn
    return {label: heads(run, learn, strategy) for label, strategy in PAPER.items()}


@table(
    16, needs=("heads", "reid", "tracks"), heads=lambda run: [look for row in embeddings(run).values() for look in row]
)
def aggregation(run: Run) -> list[Cell]:
    """A trained head for each way and seed; the other ways, named in the paper, are re-derived: `heads.aggregation`."""
    cells = embedding_rows(run, embeddings(run), ("AUC", *HARD))
    cells = [replace(c, reason=c.reason or THINNED) if c.row == SPATIAL else c for c in cells]
    for label, strategy in PAPER.items():
        cells += parameters(run, label, strategy)
        cells += absent(label, ["ms/frame"], NO_TIME)
    return cells


def parameters(run: Run, label: str, strategy: str) -> list[Cell]:
    """Counts from the module made for the run's detector."""
    from msfp.heads.fusion import make_head

    head = make_head(strategy, run.backbone().channels, run.settings.fusion)
    every = {name: p.numel() for name, p in head.named_parameters()}
    beyond = sum(n for name, n in every.items() if not name.startswith("project."))
    return [
        Cell(label, "Params", beyond, reason=BEYOND),
        Cell(label, "Params, with projections", sum(every.values())),
    ]

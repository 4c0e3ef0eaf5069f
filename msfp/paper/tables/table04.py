"""Table 4: which layers the attention sees."""

from dataclasses import replace

from msfp.paper.embedding_rows import embedding_rows
from msfp.paper.registry import table
from msfp.pipeline import data
from msfp.pipeline.feature_variants import preset, variants_all
from msfp.pipeline.heads import Appearance, appearance
from msfp.pipeline.run import Run
from msfp.types import Cell

PAPER = {
    "Layer 14 only": (14,),
    "Layer 4 + 14": (4, 14),
    "Layer 9 + 14": (9, 14),
    "Layer 4 + 9 + 14": (4, 9, 14),
    "Layer 4 + 9 + 14 + 17": (4, 9, 14, 17),
}
TWICE = "layer 14 is the concatenation of layer 13 and layer 4, so that layer 4 counts twice"
ALONE = "layer 14 contains layer 4 unchanged: this row is not without it"


@table(4, needs=("heads", "reid", "tracks"))
def layers(run: Run) -> list[Cell]:
    """Instance-adaptive attention over subsets of the tapped layers, and with one more that needs a deeper cut."""
    fold = data.folds(run, run.settings.data.main)[0]
    if preset(run).further:
        variants_all(run, [p.scene for p in (*fold.learn, *fold.evaluate)])
    cells = embedding_rows(run, {label: looks(run, fold.learn, taps) for label, taps in PAPER.items()})
    return [replace(c, reason=c.reason or remark(run, PAPER[c.row])) for c in cells]


def looks(run: Run, learn: tuple[data.Part, ...], taps: tuple[int, ...]) -> list[Appearance]:
    """One head a seed; all of the preset's layers are the head of the other tables."""
    chosen = () if taps == preset(run).layers else taps
    return [appearance("attention-instance", learn, seed, layers=chosen) for seed in run.settings.seeds]


def remark(run: Run, taps: tuple[int, ...]) -> str:
    """What the architecture says about a row: YOLOv8's layer 14 is a concatenation."""
    if not preset(run).architecture.startswith("yolov8"):
        return ""
    return TWICE if {4, 14} <= set(taps) else ALONE

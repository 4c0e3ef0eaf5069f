"""Extra table 104: the times that Tables 1, 8, 13, 16 and 22 name, apart from them, so that those repeat exactly."""

from dataclasses import replace
from functools import partial

from msfp.errors import NotComputable
from msfp.paper import timing
from msfp.paper.families import PRESETS
from msfp.paper.methods import MSFP_TRACK, TABLE_1
from msfp.paper.registry import table
from msfp.paper.tables.table08 import HEURISTICS, LEARNED
from msfp.paper.tables.table13 import PAPER as WAYS_TO_POOL
from msfp.paper.tables.table16 import PAPER as HEADS
from msfp.pipeline import choices
from msfp.pipeline.choices import Given, Work, embedder, learned_threshold, untrained
from msfp.pipeline.run import Run
from msfp.tracking.thresholds import Policy, make_policy
from msfp.types import Cell

FROM_MAPS = (
    "from feature maps to embeddings, after the network; an untrained head, which takes as long as a trained one"
)
OF_SCORES = "from the frame's scores to its threshold"
OF_SCENE = "from the scene layer to the threshold: its mean, the encoder (untrained), smoothing"


@table(104, needs=("speed",))
def times(run: Run) -> list[Cell]:
    """Medians over frames on this machine; all choices see the same frames and boxes, in turn."""
    cells: list[Cell] = []
    for row in TABLE_1:
        cells += timing.time_cells(run, row.label, [("FPS", timing.unified)])
    own = next((name for name, preset in PRESETS.items() if preset == run.settings.input.preset), "")
    if own:
        ours = timing.time_cells(run, MSFP_TRACK.label, [("FPS", timing.unified)])
        cells += [replace(c, row=own) for c in ours]
    works = _works(run)
    try:
        found = choices.measure(run, timing.places(run), {name: work for name, (_, _, work) in works.items()})
    except NotComputable as error:
        return cells + [Cell(n, c, None, source="n/a", reason=str(error), unit="ms") for n, (c, _, _) in works.items()]
    return cells + [
        timing.time_cell(name, column, found[name], remark=remark) for name, (column, remark, _) in works.items()
    ]


def _from_scores(policy: Policy, frame: Given) -> object:
    return policy.update(frame.scores)


def _works(run: Run) -> dict[str, tuple[str, str, Work]]:
    """Row -> its column, what is timed in words, and the work."""
    found: dict[str, tuple[str, str, Work]] = {}
    backbone = run.backbone()
    for label, mode in WAYS_TO_POOL.items():
        found[label] = "ms/frame", FROM_MAPS, embedder(backbone, untrained(run, "attention-instance"), mode)
    for label, strategy in HEADS.items():
        found[label] = "ms/frame", FROM_MAPS, embedder(backbone, untrained(run, strategy))
    for name in HEURISTICS:
        policy = make_policy(name, low=run.settings.atl.tau_min, high=run.settings.atl.tau_max)
        found[policy.label] = "Runtime", OF_SCORES, partial(_from_scores, policy)
    found[LEARNED] = "Runtime", OF_SCENE, learned_threshold(run)
    return found

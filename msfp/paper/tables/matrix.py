"""Every association with every embedding, so that what either of them adds can be told apart.

A row has its tracker's camera motion and one set of settings throughout, those selected for the embedding that the
tracker comes with, so its cells differ in the embedding alone. Two columns bound the others: no embedding at all, and a
perfect one, which reads identities from the labels of the judged frames.
"""

from dataclasses import replace

from msfp.errors import NotComputable
from msfp.paper.measured_cells import tracking_cells
from msfp.paper.methods import Row, hosted
from msfp.paper.registry import table
from msfp.paper.timing import time_cell
from msfp.paper.tracking_rows import CEILING, Groups, evaluated, together
from msfp.pipeline import data
from msfp.pipeline.association_time import association_times
from msfp.pipeline.bounds import NOTHING, PERFECT
from msfp.pipeline.data import Fold
from msfp.pipeline.heads import Appearance
from msfp.pipeline.reid_features import REID
from msfp.pipeline.run import Run
from msfp.pipeline.scores import SWITCHED_OFF, affordable, ceilings, measure
from msfp.pipeline.tracks import Method, settled_as
from msfp.types import Cell

Place = tuple[str, str]
"""An association and an embedding, as the table names them."""
ASSOCIATIONS = {
    "MSFP": "msfp-attention",
    "BoT-SORT": "botsort",
    "DeepSORT": "deepsort",
    "StrongSORT": "strongsort",
    "Deep OC-SORT": "deep-ocsort",
}
EMBEDDINGS = {
    "none": NOTHING,
    "LITE as released": "lite",
    "layer 14 RoIAligned": "native",
    "concat": "concat",
    "attention": "attention-instance",
    "separate ReID": REID,
    "perfect (labels)": PERFECT,
}
OWN = {name: "attention" if name == "MSFP" else "separate ReID" for name in ASSOCIATIONS}
"""The embedding that each association comes with: its settings are selected with this one."""
MEASURES, TIME = ("HOTA", "AssA", "IDSW"), "ms/frame"
BOUND = "an upper bound: whom a box shows is read from the labels of these very frames"
ROWS: dict[Place, Row] = {
    (association, embedding): hosted(f"{association} with {embedding}", tracker, strategy)
    for association, tracker in ASSOCIATIONS.items()
    for embedding, strategy in EMBEDDINGS.items()
}


def embeddings(run: Run) -> list[Appearance]:
    """Of all cells, folds and seeds."""
    folds, _ = data.judged_folds(run, run.settings.data.main)
    rows = ROWS.values()
    methods = [m for row in rows for fold in folds for m in row.methods(fold.learn, run.settings.seeds)]
    return [m.look for m in methods if m.look is not None]


@table(102, needs=("heads", "tracks", "scores"), heads=embeddings)
def matrix(run: Run) -> list[Cell]:
    """All sequences and public detectors combined; the association's time a frame, everything else being there."""
    folds = evaluated(run, run.settings.data.main, 102)
    made = [settled_methods(run, fold) for fold in folds]
    groups = together([measured(run, fold, methods) for fold, methods in zip(folds, made, strict=True)])
    cells = score_cells(groups) + time_cells(run, folds, {place: found[0] for place, found in made[0].items()})
    place = {f"{m}, {e}": n for n, (m, e) in enumerate((m, e) for m in (*MEASURES, TIME) for e in EMBEDDINGS)}
    cells.sort(key=lambda c: (list(ASSOCIATIONS).index(c.row), place[c.column]))
    kept = ceilings(run, [p for f in folds for p in f.evaluate])
    return cells + tracking_cells(CEILING, [kept], MEASURES, _columns("perfect (labels)"))


def settled_methods(run: Run, fold: Fold) -> dict[Place, list[Method]]:
    """Each cell's methods, one a seed, with the settings selected for the association's own embedding.

    Where a run does without the separate ReID network, that is the untrained layer 14.
    """
    seeds, out = run.settings.seeds, {}
    for association, own in OWN.items():
        model = ROWS[association, own].methods(fold.learn, seeds, fold.select)[0]
        if not affordable(run, model):
            model = ROWS[association, "layer 14 RoIAligned"].methods(fold.learn, seeds, fold.select)[0]
        for embedding in EMBEDDINGS:
            methods = ROWS[association, embedding].methods(fold.learn, seeds, fold.select)
            out[association, embedding] = settled_as(run, methods, model)
    return out


def measured(run: Run, fold: Fold, made: dict[Place, list[Method]]) -> Groups:
    """Label of each cell's row -> for each seed, its measurements."""
    every = [method for methods in made.values() for method in methods]
    found = measure(run, every, fold.evaluate, f"associations and embeddings, {fold.name}")
    return {ROWS[at].label: [[m for m in found if m.method == one] for one in methods] for at, methods in made.items()}


def score_cells(groups: Groups) -> list[Cell]:
    """Each cell's measures; those of the perfect embedding say what they are."""
    cells = []
    for (association, embedding), row in ROWS.items():
        found = tracking_cells(association, groups[row.label], MEASURES, _columns(embedding))
        if EMBEDDINGS[embedding] == PERFECT:
            found = [replace(c, reason=BOUND) if c.source == "measured" else c for c in found]
        cells += found
    return cells


def time_cells(run: Run, folds: tuple[Fold, ...], made: dict[Place, Method]) -> list[Cell]:
    """Median milliseconds a frame of each association, with the first seed's embeddings."""
    timed = [method for method in made.values() if affordable(run, method)]
    try:
        found = association_times(run, timed, [p for f in folds for p in f.evaluate])
    except NotComputable as error:
        found = {method.label: str(error) for method in timed}
    cells = []
    for (association, embedding), method in made.items():
        column, times = f"{TIME}, {embedding}", found.get(method.label, SWITCHED_OFF)
        if isinstance(times, str):
            cells.append(Cell(association, column, None, source="n/a", reason=times, unit="ms"))
        else:
            cells.append(time_cell(association, column, times))
    return cells


def _columns(embedding: str) -> dict[str, str]:
    return {measure: f"{measure}, {embedding}" for measure in MEASURES}

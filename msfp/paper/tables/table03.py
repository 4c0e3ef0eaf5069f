"""Table 3: fusion strategies by how well they tell people apart and by association accuracy."""

from msfp.errors import NotComputable
from msfp.paper.embedding_rows import COLUMNS, HARD, Found, association, reid_cell
from msfp.paper.measured_cells import attempt
from msfp.paper.methods import Learn
from msfp.paper.registry import table
from msfp.pipeline import data, reid
from msfp.pipeline.data import Fold, Part
from msfp.pipeline.heads import Appearance, appearance
from msfp.pipeline.run import Run
from msfp.types import Cell

PAPER = {
    "Single Layer (LITE)": "single",
    "Concat + MLP": "concat",
    "Attention (global)": "attention-global",
    "Attention (instance)": "attention-instance",
    "SE-style (single)": "se-single",
    "SE-style (two-stage)": "se-two-stage",
}
CONTROLS = {"Single Layer (training-free)": "native", "Concatenation (training-free)": "native-concat"}
RANDOM = "random-init"


@table(3, needs=("heads", "reid", "tracks"))
def fusion(run: Run) -> list[Cell]:
    """Section 4.2 on the validation parts of scenes 02, 04 and 09, and on scenes never trained on; AssA beside it."""
    fold = data.folds(run, run.settings.data.main)[0]
    strangers = unseen_parts(run)
    looks = {label: heads(run, fold.learn, strategy) for label, strategy in {**PAPER, **CONTROLS}.items()}
    every = [look for group in looks.values() for look in group]
    known = reid.measure(run, every, reid.paper_parts(fold.evaluate, run), "re-identification")
    other = reid.measure(run, every, strangers, "re-identification, unseen scenes")
    cells: list[Cell] = []
    for label, group in looks.items():
        cells += reid_cells(label, group, known, other)
        cells += association(run, label, group, fold)
        cells.append(attempt(label, "Dim", lambda group=group: [width(run, group[0], fold)]))  # type: ignore[misc]
    return cells + layer_cells(run, fold, strangers)


def heads(run: Run, learn: Learn, strategy: str) -> list[Appearance]:
    """One embedding a seed, one in all where it is training-free."""
    return list(dict.fromkeys(appearance(strategy, learn, seed) for seed in run.settings.seeds))


def unseen_parts(run: Run) -> tuple[Part, ...]:
    """Scenes whose people nobody trained on: held-out scenes, else the test split where its labels are at hand."""
    name = run.settings.data.main
    found = data.unseen(run, name)
    if found:
        return reid.paper_parts(found, run)
    try:
        return reid.paper_parts(data.test_fold(run, name).evaluate[:3], run)
    except NotComputable:
        return ()


def reid_cells(row: str, looks: list[Appearance], known: Found, other: Found) -> list[Cell]:
    """AUC, gap, the hard measures, and AUC on unseen scenes."""
    return [
        reid_cell(row, "AUC", looks, known, "auc"),
        reid_cell(row, "Gap", looks, known, "gap"),
        *(reid_cell(row, column, looks, known, COLUMNS[column]) for column in HARD),
        reid_cell(row, "AUC, unseen scenes", looks, other, "auc"),
        reid_cell(row, "AUC, unseen, hard pairs", looks, other, "hard_auc"),
    ]


def width(run: Run, look: Appearance, fold: Fold) -> float:
    """Size of the embedding."""
    from msfp.pipeline.embeddings import embeddings
    from msfp.pipeline.features import TRUTH

    return embeddings(run, fold.evaluate[0], TRUTH, look).shape[1]


def layer_cells(run: Run, fold: Fold, strangers: tuple[Part, ...]) -> list[Cell]:
    """Each layer as it is, and all together, with trained and with random detector weights: what position leaks."""
    cells: list[Cell] = []
    for weights, suffix in (("", ""), (RANDOM, ", random weights")):
        rows = {f"Layer {k}, as it is{suffix}": Appearance("native", layers=(k,), weights=weights) for k in taps(run)}
        rows[f"Layers together, as they are{suffix}"] = Appearance("native-concat", weights=weights)
        known = reid.measure(run, list(rows.values()), reid.paper_parts(fold.evaluate, run), "layers")
        other = reid.measure(run, list(rows.values()), strangers, "layers, unseen scenes")
        for label, look in rows.items():
            cells += reid_cells(label, [look], known, other)
    return cells


def taps(run: Run) -> list[int]:
    """The tapped layers."""
    return list(run.backbone().channels)

"""Figure 3: ROC curves of the embeddings, with the random-weights control and the area by frame gap."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from msfp.paper.registry import figure
from msfp.paper.style import COLUMN, PALETTE
from msfp.paper.tables.table03 import RANDOM, heads
from msfp.pipeline import data, reid
from msfp.pipeline.heads import Appearance
from msfp.pipeline.reid import Discrimination, usable
from msfp.pipeline.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CURVES = {
    "single layer (LITE)": ("single", "orange", "-"),
    "concat + MLP": ("concat", "green", "-"),
    "attention (instance)": ("attention-instance", "blue", "-"),
    "SE (two-stage)": ("se-two-stage", "pink", "-"),
    "random weights": ("native-concat", "black", ":"),
}


@figure(3, needs=("heads", "reid"))
def roc(run: Run) -> "Figure":
    """Mean curve over scenes and seeds, shaded over seeds; right, the area for positives so many frames apart."""
    import matplotlib.pyplot as plt

    fold = data.folds(run, run.settings.data.main)[0]
    parts = reid.paper_parts(fold.evaluate, run)
    fig, (left, right) = plt.subplots(1, 2, figsize=(COLUMN, COLUMN * 0.66), layout="constrained")
    looks = {label: heads(run, fold.learn, strategy) for label, (strategy, _, _) in CURVES.items()}
    looks["random weights"] = [Appearance("native-concat", weights=RANDOM)]
    found = reid.measure(run, [look for group in looks.values() for look in group], parts, "ROC curves")
    for label, (_, colour, style) in CURVES.items():
        draw(left, right, [usable(found[look]) for look in looks[label]], label, PALETTE[colour], style)
    left.set(xscale="log", xlim=(0.005, 1), ylim=(0, 1.01), xlabel="false positive rate", ylabel="true positive rate")
    right.set(xlabel="frames apart", ylabel="AUC")
    handles, names = left.get_legend_handles_labels()
    fig.legend(handles, names, loc="outside lower center", ncols=2, frameon=False)
    return fig


def draw(left: "Axes", right: "Axes", seeds: list[list[Discrimination]], label: str, colour: str, style: str) -> None:
    """One embedding's two curves: mean, and range over seeds where there are several."""
    rates = seeds[0][0].false_positive
    curves = np.array([np.mean([d.true_positive for d in scenes], axis=0) for scenes in seeds])
    left.plot(rates, curves.mean(axis=0), color=colour, ls=style, lw=1.1, label=label)
    left.fill_between(rates, curves.min(axis=0), curves.max(axis=0), color=colour, alpha=0.2, lw=0)
    gaps, area = by_gap(seeds)
    right.plot(gaps, area, color=colour, ls=style, lw=1.1, marker="o", ms=2)


def by_gap(seeds: list[list[Discrimination]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Middle of each range of gaps that every scene has, and the mean area there."""
    every = [d for scenes in seeds for d in scenes]
    shared = set.intersection(*(set(zip(d.first_gap, d.last_gap, strict=True)) for d in every))
    ranges = sorted(shared)
    area = [
        np.mean([a for d in every for f, g, a in zip(d.first_gap, d.last_gap, d.gap_auc, strict=True) if (f, g) == r])
        for r in ranges
    ]
    return np.array([(f + g) / 2 for f, g in ranges]), np.array(area)

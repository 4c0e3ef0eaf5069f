"""Figure 6: similarity of the same person and of different people, single layer against attention."""

from typing import TYPE_CHECKING

import numpy as np

from msfp.paper.registry import figure
from msfp.paper.style import COLUMN, PALETTE
from msfp.paper.tables.table03 import heads
from msfp.pipeline import data, reid
from msfp.pipeline.reid import usable
from msfp.pipeline.run import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANELS = {"single layer (LITE)": "single", "attention (instance)": "attention-instance"}


@figure(6, needs=("heads", "reid"))
def similarities(run: Run) -> "Figure":
    """Densities over all pairs of section 4.2, mean over scenes, first seed; the gap between their means is printed."""
    import matplotlib.pyplot as plt

    fold = data.folds(run, run.settings.data.main)[0]
    parts = reid.paper_parts(fold.evaluate, run)
    fig, axes = plt.subplots(2, 1, figsize=(COLUMN, COLUMN * 0.85), sharex=True, layout="constrained")
    lowest = 1.0
    for ax, (label, strategy) in zip(axes, PANELS.items(), strict=True):
        look = heads(run, fold.learn, strategy)[0]
        found = usable(reid.measure(run, [look], parts, f"similarity, {label}")[look])
        edges = found[0].edges
        for name, colour, hatch in (("negatives", "orange", None), ("positives", "blue", "////")):
            density = np.mean([getattr(d, name) for d in found], axis=0)
            shown = {"negatives": "different people", "positives": "same person"}[name]
            ax.stairs(density, edges, fill=True, color=PALETTE[colour], alpha=0.35, label=shown)
            ax.stairs(density, edges, color=PALETTE[colour], lw=0.9, hatch=hatch)
            lowest = min(lowest, float(edges[:-1][density > 0.01].min()))
        gap = np.mean([d.gap for d in found])
        ax.set_title(f"{label}: gap {gap:.3f}")
        ax.set_ylabel("density")
    axes[0].legend(frameon=False, loc="upper left")
    axes[1].set(xlabel="cosine similarity", xlim=(max(-1, lowest - 0.05), 1))
    return fig

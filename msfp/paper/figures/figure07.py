"""Figure 7: embeddings of one scene in the plane, coloured by person, single layer beside attention."""

from typing import TYPE_CHECKING

import numpy as np

from msfp.paper.registry import figure
from msfp.paper.style import COLUMN, ORDER, PALETTE
from msfp.paper.tables.table03 import heads
from msfp.pipeline import data, reid
from msfp.pipeline.run import Run
from msfp.pipeline.tsne import Projection, lay_out

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS = {"single layer (LITE)": "single", "attention (instance)": "attention-instance"}
MARKERS = ("o", "^", "s", "D", "v", "P", "X")


@figure(7, needs=("heads", "reid"))
def embeddings_in_the_plane(run: Run) -> "Figure":
    """t-SNE of the first of section 4.2's scenes, validation part, first seed; the silhouette is of the embeddings."""
    import matplotlib.pyplot as plt

    fold = data.folds(run, run.settings.data.main)[0]
    part = reid.paper_parts(fold.evaluate, run)[0]
    planes = {label: lay_out(run, part, heads(run, fold.learn, strategy)[0]) for label, strategy in PANELS.items()}
    fig, axes = plt.subplots(1, 2, figsize=(COLUMN, COLUMN * 0.62), layout="constrained")
    for ax, (label, found) in zip(axes, planes.items(), strict=True):
        draw(ax, found)
        ax.set_title(f"{label}\nsilhouette {found.silhouette:.3f}")
    shown = next(iter(planes.values()))
    people, every = len(np.unique(shown.person)), f", every {shown.every}th frame" if shown.every > 1 else ""
    fig.supxlabel(f"{part.scene.name}: {len(shown.person)} boxes of {people} people{every}", fontsize=6)
    return fig


def draw(ax: "Axes", found: Projection) -> None:
    """One panel: a colour and a marker a person, as there are more people than colours."""
    for number, person in enumerate(np.unique(found.person)):
        x, y = found.place[found.person == person].T
        colour, marker = PALETTE[ORDER[number % len(ORDER)]], MARKERS[(number // len(ORDER)) % len(MARKERS)]
        ax.scatter(x, y, s=4, color=colour, marker=marker, lw=0, alpha=0.8)
    ax.set(xticks=[], yticks=[], aspect="auto")
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)

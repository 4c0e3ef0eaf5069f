"""Figure 2: attention weights of the layers by the boxes' size, occlusion and crowd."""

from typing import TYPE_CHECKING

from msfp.paper.attention import TRAITS, Binned, binned, weighed
from msfp.paper.registry import figure
from msfp.paper.style import COLUMN, DASHES, ORDER, PALETTE
from msfp.pipeline.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKERS = ("o", "s", "^", "D", "v")


@figure(2, needs=("heads",))
def attention_weights(run: Run) -> "Figure":
    """Mean weight in bins over all labelled validation boxes and seeds; shaded, the middle half of the boxes.

    The dotted line is where every layer weighs the same.
    """
    import matplotlib.pyplot as plt

    seeds = weighed(run)
    fig, axes = plt.subplots(1, len(TRAITS), figsize=(COLUMN, COLUMN * 0.6), sharey=True, layout="constrained")
    for ax, (trait, name) in zip(axes, TRAITS.items(), strict=True):
        found = binned(seeds, trait)
        ax.set_xlabel(name)
        if len(found.middle) < 2:
            ax.text(0.5, 0.5, "one value\nonly", ha="center", va="center", transform=ax.transAxes)
            ax.set_xticks([])
            continue
        ax.axhline(1 / len(seeds[0].layers), color="0.6", lw=0.6, ls=":")
        draw(ax, found, seeds[0].layers)
    axes[0].set_ylabel("attention weight")
    handles, names = next((ax.get_legend_handles_labels() for ax in axes if ax.lines), ([], []))
    fig.legend(handles, names, loc="outside upper center", ncols=len(names) or 1)
    return fig


def draw(ax: "Axes", found: Binned, layers: tuple[int, ...]) -> None:
    """One panel."""
    for column, layer in enumerate(layers):
        colour = PALETTE[ORDER[column % len(ORDER)]]
        dash, marker = DASHES[column % len(DASHES)], MARKERS[column % len(MARKERS)]
        ax.fill_between(found.middle, found.low[:, column], found.high[:, column], color=colour, alpha=0.18, lw=0)
        ax.plot(
            found.middle, found.mean[:, column], color=colour, label=f"layer {layer}", ls=dash, marker=marker, ms=2.5
        )

"""Figure 4: the threshold that ATL predicts over time, in a sparse and in a crowded scene."""

from typing import TYPE_CHECKING

import numpy as np

from msfp.errors import NotComputable
from msfp.paper.methods import Learn
from msfp.paper.registry import figure
from msfp.paper.style import COLUMN, PALETTE
from msfp.pipeline import data
from msfp.pipeline.data import Part
from msfp.pipeline.run import Run
from msfp.pipeline.search import Search, detectors_of, member, search, searching_subject
from msfp.pipeline.selection import options_for
from msfp.pipeline.tracks import Threshold, atl_thresholds

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PREFERRED = ("FRCNN", "public", "DPM", "SDP")  # FRCNN's scores fill the range of tau, none of SDP's lies below 0.4


@figure(4, needs=("thresholds",))
def threshold_over_time(run: Run) -> "Figure":
    """Per-frame prediction, its EMA, and the optimum of a grid search on the same frames (which ATL never sees).

    Where HOTA is the same for several thresholds of the grid the line lies in their middle and a band says how far
    they reach.
    """
    import matplotlib.pyplot as plt

    panels = [chosen(run, dense) for dense in (False, True)]
    fig, axes = plt.subplots(1, 2, figsize=(COLUMN, COLUMN * 0.62), sharey=True, layout="constrained")
    for ax, (part, learn) in zip(axes, panels, strict=True):
        draw(ax, run, part, learn)
    axes[0].set_ylabel("threshold τ")
    axes[0].set_ylim(0, run.settings.atl.tau_max * 1.04)
    handles, names = axes[0].get_legend_handles_labels()
    fig.legend(handles, names, loc="outside lower center", ncols=3, frameon=False)
    return fig


def density(part: Part) -> float:
    """Labelled pedestrians a frame."""
    truth = data.window(data.labels(part.scene), part)
    return float(truth.pedestrian.sum()) / part.length


def chosen(run: Run, dense: bool) -> tuple[Part, Learn]:
    """The sparsest validation part of the main data set, or the densest of the crowded one (else of the main's)."""
    name = (run.settings.data.crowded if dense else None) or run.settings.data.main
    fold = data.folds(run, name)[0]
    parts = fold.evaluate if name != run.settings.data.main else fold.evaluate + data.unseen(run, name)
    with_pixels = [p for p in parts if not data.missing_pixels(p)]
    if not with_pixels:
        raise NotComputable("; ".join(data.missing_pixels(p) for p in parts))
    return (max if dense else min)(with_pixels, key=density), fold.learn


def draw(ax: "Axes", run: Run, part: Part, learn: Learn) -> None:
    """One panel."""
    shared = set(detectors_of((part,))) & set(detectors_of(learn))
    detector = next(d for d in PREFERRED if d in shared)
    frames = np.arange(part.first, part.last + 1)
    for temporal, label, colour, width in (
        ("ema", f"EMA, β = {run.settings.atl.beta:g}", "sky", 2.0),
        ("frame", "per frame", "blue", 0.6),
    ):
        rule = Threshold("atl", mode="single", temporal=temporal, learn=learn)  # type: ignore[arg-type]
        tau = atl_thresholds(run, part, detector, rule)[:, 0]
        ax.plot(frames, tau, label=label, color=PALETTE[colour], lw=width)
    subject = searching_subject(run, learn)
    options = options_for(run, subject)
    found = search(run, part, member(part, detector), "single", subject.look, subject.tracker, options)
    ax.axhspan(*plateau(found), color=PALETTE["vermillion"], alpha=0.15, lw=0)
    ax.axhline(found.best[0], color=PALETTE["vermillion"], ls="--", lw=0.9, label="grid optimum (band: ties)")
    ax.set_title(f"{part.scene.name}, {detector}\n{density(part):.0f} people a frame")
    ax.set_xlabel("frame")


def plateau(found: Search) -> tuple[float, float]:
    """Least and greatest of the neighbouring thresholds that are as good as the chosen one."""
    tau = found.grid[:, 0]
    worse = found.hota < found.hota.max() - 1e-12
    below, above = tau[worse & (tau < found.best[0])], tau[worse & (tau > found.best[0])]
    kept = tau[~worse & (tau > below.max(initial=-np.inf)) & (tau < above.min(initial=np.inf))]
    return float(kept.min()), float(kept.max())

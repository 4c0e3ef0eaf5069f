"""Figure 2's numbers: layer weights in bins of size, occlusion and crowd, and whether they go as the paper says."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from msfp.errors import NotComputable
from msfp.pipeline import data
from msfp.pipeline.attention import Weighed, weigh
from msfp.pipeline.heads import appearance, train_heads
from msfp.pipeline.run import Run

TRAITS = {"size": "box size (px)", "occluded": "hidden share", "crowd": "people in frame"}
HIDDEN_EDGES = (0.0, 0.05, 0.25, 0.5, 0.75, 1.0)
BINS, FEWEST = 5, 20


@dataclass(frozen=True)
class Binned:
    """Weights of the layers in bins of one trait, over boxes and seeds.

    Attributes:
        middle: (B,) mean of the trait in each bin.
        mean, low, high: (B, L) mean and quartiles of the weights.
        count: (B,) boxes.
    """

    middle: NDArray[np.float64]
    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    count: NDArray[np.int64]


def weighed(run: Run) -> list[Weighed]:
    """Attention on all labelled pedestrians of the validation parts, for each seed of the head.

    Raises:
        NotComputable: frames are missing.
    """
    fold = data.folds(run, run.settings.data.main)[0]
    looks = [appearance("attention-instance", fold.learn, seed) for seed in run.settings.seeds]
    train_heads(run, looks)
    return [joined(weigh(run, part, look) for part in fold.evaluate) for look in looks]


def joined(parts: Iterable[Weighed]) -> Weighed:
    """The boxes of several parts."""
    found = list(parts)
    size, occluded, crowd = (np.concatenate([getattr(w, name) for w in found]) for name in TRAITS)
    return Weighed(found[0].layers, size, occluded, crowd, np.concatenate([w.weights for w in found]))


def edges(trait: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Edges of the bins: fixed for the hidden share, most of which is 0; quantiles for the others."""
    if trait == "occluded":
        return np.array(HIDDEN_EDGES)
    return np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)))


def binned(seeds: list[Weighed], trait: str) -> Binned:
    """Weights in bins of a trait; bins with fewer than 20 boxes are left out."""
    values = getattr(seeds[0], trait)
    cuts = edges(trait, values)
    place = np.clip(np.searchsorted(cuts, values, side="right") - 1, 0, max(len(cuts) - 2, 0))
    bins = [b for b in range(max(len(cuts) - 1, 1)) if (place == b).sum() >= FEWEST]
    inside = [np.concatenate([w.weights[place == b] for w in seeds]) for b in bins]
    return Binned(
        middle=np.array([values[place == b].mean() for b in bins]),
        mean=np.array([w.mean(axis=0) for w in inside]),
        low=np.array([np.quantile(w, 0.25, axis=0) for w in inside]),
        high=np.array([np.quantile(w, 0.75, axis=0) for w in inside]),
        count=np.array([(place == b).sum() for b in bins], np.int64),
    )


def trends(run: Run) -> pd.DataFrame | str:
    """One line a trait and layer: weight in the lowest and highest bin, and Spearman's rank correlation over seeds.

    A reason in words where it cannot be computed.
    """
    from scipy.stats import spearmanr

    try:
        seeds = weighed(run)
    except NotComputable as error:
        return f"n/a: {error}"
    rows = []
    for trait, name in TRAITS.items():
        found = binned(seeds, trait)
        if len(found.middle) < 2:
            continue
        for column, layer in enumerate(seeds[0].layers):
            rank = [spearmanr(getattr(w, trait), w.weights[:, column]).statistic for w in seeds]
            rows.append(
                {
                    "trait": name,
                    "layer": layer,
                    "weight, lowest bin": found.mean[0, column],
                    "weight, highest bin": found.mean[-1, column],
                    "rank correlation": float(np.mean(rank)),
                    "over seeds": f"{min(rank):+.2f} to {max(rank):+.2f}",
                }
            )
    return pd.DataFrame(rows).round(3)

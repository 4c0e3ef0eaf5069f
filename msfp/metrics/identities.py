"""Section 4.2's measures when other people had been filmed: AUC and gap under resampling of identities.

A person drawn w times brings each positive pair w times and each negative pair with a person drawn v times w v times;
copies of one person are not compared with each other. AUC is a sum over (positive's person, negative's two people), so
the similarities are sorted once and every draw is a product of matrices.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msfp.compiled import kernel
from msfp.metrics import statistics
from msfp.metrics.pairs import Pairs

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Resampled:
    """AUC and gap of bootstrap draws of identities.

    Attributes:
        auc, gap: (B,); NaN where a draw has no negative pair.
        people: names of the identities drawn from.
    """

    auc: Floats
    gap: Floats
    people: tuple[str, ...]


def resample(
    sim: NDArray[np.float32], chosen: Pairs, identity: NDArray[np.integer], scene: str, count: int = statistics.DRAWS
) -> Resampled:
    """Draw people with replacement and measure again.

    Args:
        sim: (P,) similarities of the pairs.
        chosen: the pairs, by row.
        identity: (N,) of each row.
        scene: names the people, so that every embedding sees the same draws.
        count: number of draws.
    """
    used = np.unique(identity[np.concatenate([chosen.i, chosen.j])])
    first, second = (np.searchsorted(used, identity[rows]) for rows in (chosen.i, chosen.j))
    low, high = np.minimum(first, second), np.maximum(first, second)
    couples, couple = np.unique((low * len(used) + high)[~chosen.same], return_inverse=True)
    owner = np.empty(len(sim), np.int64)
    owner[chosen.same], owner[~chosen.same] = first[chosen.same], couple
    order = np.argsort(sim)  # in whatever order the equal ones come: they are taken together
    wins = _wins(sim[order], chosen.same[order], owner[order], len(used), len(couples))
    people = tuple(f"{scene}/{k}" for k in used)
    weights = statistics.draws(people, count)
    pairs = weights[:, couples // len(used)] * weights[:, couples % len(used)]

    def sums(values: NDArray[np.floating], of: NDArray[np.bool_], size: int) -> Floats:
        return np.asarray(np.bincount(owner[of], weights=values[of], minlength=size), np.float64)

    ones = np.ones(len(sim))
    positive, negative = chosen.same, ~chosen.same
    drawn_positive = weights @ sums(ones, positive, len(used))
    drawn_negative = pairs @ sums(ones, negative, len(couples))
    with np.errstate(invalid="ignore", divide="ignore"):
        auc = ((weights @ wins) * pairs).sum(axis=1) / (drawn_positive * drawn_negative)
        mean_positive = weights @ sums(sim, positive, len(used)) / drawn_positive
        mean_negative = pairs @ sums(sim, negative, len(couples)) / drawn_negative
    auc[~np.isfinite(auc)] = np.nan
    return Resampled(auc, mean_positive - mean_negative, people)


@kernel
def _wins(sim: NDArray[np.float32], same: NDArray[np.bool_], owner: Ints, people: int, couples: int) -> Floats:
    """(people, couples) over a person's positives, how many negatives of a couple are less similar, ties half."""
    out = np.zeros((people, couples))
    below = np.zeros(couples)
    start = 0
    while start < len(sim):
        stop = start
        while stop < len(sim) and sim[stop] == sim[start]:
            stop += 1
        for p in range(start, stop):
            if not same[p]:
                below[owner[p]] += 0.5
        for p in range(start, stop):
            if same[p]:
                out[owner[p]] += below
        for p in range(start, stop):
            if not same[p]:
                below[owner[p]] += 0.5
        start = stop
    return out

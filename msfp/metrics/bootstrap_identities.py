"""AUC and gap (section 4.2) under resampling of identities.

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
class ResampledMeasures:
    """(B,) AUC and gap of bootstrap draws, NaN where a draw has no negative pair; names of the people drawn from."""

    auc: Floats
    gap: Floats
    people: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class PeopleDraws:
    """Draws of the people of one set of pairs, the same whatever the similarities are.

    Attributes:
        owner: (P,) number of a positive's person, or of a negative's couple.
        weights: (B, U) how often each person is drawn.
        pairs: (B, K) the same of each couple that has a negative pair.
        positive, negative: (B,) pairs in each draw.
        people: (U,) their names.
    """

    same: NDArray[np.bool_]
    owner: Ints
    weights: Floats
    pairs: Floats
    positive: Floats
    negative: Floats
    people: tuple[str, ...]

    def sums(self, values: NDArray[np.floating], same: bool) -> Floats:
        """(U,) or (K,) sums of values over each person's positives, or each couple's negatives."""
        of, size = self.same == same, (self.weights if same else self.pairs).shape[1]
        return np.asarray(np.bincount(self.owner[of], weights=values[of], minlength=size), np.float64)


def drawing(chosen: Pairs, identity: NDArray[np.integer], scene: str, count: int = statistics.DRAWS) -> PeopleDraws:
    """Draw the people of pairs with replacement; (N,) `identity` of each row, named by scene so that every embedding
    sees the same draws."""
    seen = np.zeros(len(identity), np.bool_)
    seen[chosen.i] = seen[chosen.j] = True
    used = np.unique(identity[seen])
    number = np.searchsorted(used, identity)
    first, second = number[chosen.i], number[chosen.j]
    couple = np.minimum(first, second) * len(used) + np.maximum(first, second)
    met = np.zeros(len(used) ** 2, np.bool_)
    met[couple[~chosen.same]] = True
    couples = np.flatnonzero(met)
    owner = np.where(chosen.same, first, (np.cumsum(met) - 1)[couple])
    people = tuple(f"{scene}/{k}" for k in used)
    weights = statistics.draws(people, count)
    pairs = weights[:, couples // len(used)] * weights[:, couples % len(used)]
    counts = [
        np.bincount(owner[of], minlength=size).astype(np.float64)
        for of, size in ((chosen.same, len(used)), (~chosen.same, len(couples)))
    ]
    return PeopleDraws(chosen.same, owner, weights, pairs, weights @ counts[0], pairs @ counts[1], people)


def resample(sim: NDArray[np.float32], drawn: PeopleDraws) -> ResampledMeasures:
    """Measure (P,) similarities of the pairs again in every draw."""
    order = np.argsort(sim)  # in whatever order the equal ones come: they are taken together
    weights, pairs = drawn.weights, drawn.pairs
    wins = _wins(sim[order], drawn.same[order], drawn.owner[order], weights.shape[1], pairs.shape[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        auc = ((weights @ wins) * pairs).sum(axis=1) / (drawn.positive * drawn.negative)
        mean_positive = weights @ drawn.sums(sim, True) / drawn.positive
        mean_negative = pairs @ drawn.sums(sim, False) / drawn.negative
    auc[~np.isfinite(auc)] = np.nan
    return ResampledMeasures(auc, mean_positive - mean_negative, drawn.people)


def resample_first(won: Floats, drawn: PeopleDraws) -> Floats:
    """(B,) share of questions answered right in every draw: each counts as often as its two people together.

    won: (Q,) 1, .5 or 0 for each of the pairs' negatives, each a question of its own as in `hard_pairs`.
    """
    values = np.zeros(len(drawn.same))
    values[~drawn.same] = won
    with np.errstate(invalid="ignore", divide="ignore"):
        share = drawn.pairs @ drawn.sums(values, False) / drawn.negative
    return np.asarray(np.where(np.isfinite(share), share, np.nan))


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

"""Intervals and tests by bootstrap: over seeds, scenes and people."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from msfp.compiled import kernel
from msfp.errors import InputError, NotComputable
from msfp.metrics import scores
from msfp.metrics.reid import Pairs

DRAWS = 2000  # a standard error of so many draws is off by 1.6 %
STUDY_DRAWS = 1000  # a study's by 2 %
LEVEL = 0.95
FEWEST = 6  # units below which no interval is given: the standard error is a guess, and a skewed unit decides it
FEWEST_SEEDS = 3  # seeds below which what is random in the training alone has no interval
SEEDS = "seeds"

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sample:
    """A number with what is known about its spread."""

    seeds: Floats  # (K,) the number of each training seed; one where nothing is random
    # (B, K) that of each seed in each bootstrap draw of units; empty where nothing could be drawn
    replicates: Floats = field(default_factory=lambda: np.zeros((0, 1)))
    units: tuple[str, ...] = ()  # names of what was drawn; samples of the same units share their draws
    kind: str = "scenes"  # what a unit is, or `people`, `frames`; `seeds` where they alone are random, nothing drawn

    @property
    def value(self) -> float:
        return float(np.mean(self.seeds))

    @property
    def spread(self) -> float | None:
        """Sample standard deviation over seeds, None for one seed."""
        return float(np.std(self.seeds, ddof=1)) if len(self.seeds) > 1 else None

    @property
    def over(self) -> str:
        """`7 scenes, 3 seeds`; of one seed, `7 scenes`."""
        drawn = [f"{len(self.units)} {self.kind}"] if self.units else []
        return ", ".join([*drawn, f"{len(self.seeds)} seeds"] if len(self.seeds) > 1 else drawn)

    @property
    def fixed(self) -> int:
        """Scenes that stay the same in all draws of people, who are named `scene/number`; 0 where scenes are drawn."""
        return len({unit.rpartition("/")[0] for unit in self.units}) if self.kind == "people" else 0

    @cached_property
    def error(self) -> tuple[float, float]:
        """Standard error of the two-way bootstrap, and its degrees of freedom (formulas: `08_report`).

        Raises NotComputable: too few units or seeds, or the number is undefined in most draws.
        """
        units, seeds = len(self.units), len(self.seeds)
        if self.kind == SEEDS:
            if seeds < FEWEST_SEEDS:
                raise NotComputable(f"an interval over seeds takes {FEWEST_SEEDS}; here: {seeds}")
            return float(np.std(self.seeds, ddof=1) / np.sqrt(seeds)), seeds - 1.0
        if not len(self.replicates):
            raise NotComputable("no interval: it was not measured unit by unit")
        if units < FEWEST:
            raise NotComputable(f"an interval takes {FEWEST} {self.kind}; here: {units}")
        drawn = self.replicates @ np.full(self.replicates.shape[1], 1 / self.replicates.shape[1])
        known = drawn[np.isfinite(drawn)]
        if len(known) < len(drawn) / 2:
            raise NotComputable(f"no interval: undefined in {len(drawn) - len(known)} of {len(drawn)} draws")
        variances = [float(np.var(known)) * units / (units - 1)]
        freedoms = [units - 1.0]
        if seeds > 1:
            variances.append(float(np.var(self.seeds, ddof=1)) / seeds)
            freedoms.append(seeds - 1.0)
        parts, freedom, total = np.array(variances), np.array(freedoms), sum(variances)
        if not total:
            return 0.0, float(freedom.min())
        power = 1 + freedom.min() / freedom.max()
        return float(np.sqrt(total)), float(1 / ((parts / total) ** power / freedom).sum())

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Interval over units and seeds together; errors as `error`."""
        return student(self.value, *self.error, level)


@dataclass(frozen=True)
class Pooled:
    """A number with a standard error that others share, and its degrees of freedom; read as a `Sample`."""

    value: float
    error: float
    freedom: float
    over: str
    spread: float | None = None

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        return student(self.value, self.error, self.freedom, level)


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's correlation of two measures over rows; the choice of rows is what is random.

    Interval by Fisher's z with the variance (1 + r^2 / 2) / (n - 3) of Bonett and Wright (Psychometrika, 2000). A
    perfect order of n rows counts as half a step (the least change of r) below 1, else it would be certain.
    There is no spread over seeds, which are averaged before they are ranked.
    """

    value: float
    rows: int
    kind: str
    spread: float | None = None

    @property
    def over(self) -> str:
        return f"{self.rows} {self.kind}"

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Interval over rows. Raises NotComputable: fewer than `FEWEST`, or all are equal in one measure."""
        if self.rows < FEWEST:
            raise NotComputable(f"an interval takes {FEWEST} {self.kind}; here: {self.rows}")
        if not np.isfinite(self.value):
            raise NotComputable("no rank correlation: all rows are equal in one of the two")
        most = 1 - 6 / (self.rows * (self.rows**2 - 1))
        z = np.arctanh(np.clip(self.value, -most, most))
        half = special.ndtri((1 + level) / 2) * np.sqrt((1 + self.value**2 / 2) / (self.rows - 3))
        return float(np.tanh(z - half)), float(np.tanh(z + half))


Spread = Sample | Pooled | RankCorrelation


def student(value: float, error: float, freedom: float, level: float) -> tuple[float, float]:
    """Both ends of Student's interval."""
    half = float(special.stdtrit(freedom, (1 + level) / 2)) * error if error else 0.0
    return value - half, value + half


def draws(units: Sequence[str], count: int = DRAWS) -> Floats:
    """(B, U) how often each unit is drawn in each bootstrap sample; the same names give the same draws."""
    if not units:
        raise InputError("units: nothing to draw from")
    rng = np.random.default_rng([0, zlib.crc32("\n".join(units).encode())])
    return rng.multinomial(len(units), np.full(len(units), 1 / len(units)), size=count).astype(np.float64)


def difference(a: Sample, b: Sample) -> Sample:
    """a - b, draw by draw and seed by seed; what has one seed is compared with every seed of the other.

    Raises NotComputable: measured on different units, or with different numbers of seeds.
    """
    if len(a.seeds) != len(b.seeds) and 1 not in (len(a.seeds), len(b.seeds)):
        raise NotComputable(f"one has {len(a.seeds)} seeds, the other {len(b.seeds)}")
    seeds = a.seeds - b.seeds
    if not len(a.replicates) or not len(b.replicates):
        return Sample(seeds, kind=a.kind)
    if a.units != b.units:
        raise NotComputable(f"measured on different {a.kind}: {len(a.units)} and {len(b.units)}, not the same ones")
    return Sample(seeds, a.replicates - b.replicates, a.units, a.kind)


def negative(sample: Sample) -> Sample:
    """The sample with its sign turned: where lower is better."""
    return Sample(-sample.seeds, -sample.replicates, sample.units, sample.kind)


@dataclass(frozen=True)
class Design:
    """Sizes of a study, and standard deviations (points of HOTA) between scenes, between seeds, of both together."""

    scenes: int = 7
    seeds: int = 3
    by_scene: float = 0.5
    by_seed: float = 0.2
    by_both: float = 0.1


def studies(design: Design, truth: float, count: int, rng: np.random.Generator) -> list[Sample]:
    """So many studies of a number whose true value is known."""
    shape = (count, design.scenes, design.seeds)
    measured = (
        truth
        + rng.normal(0, design.by_scene, (*shape[:2], 1))
        + rng.normal(0, design.by_seed, (count, 1, design.seeds))
        + rng.normal(0, design.by_both, shape)
    )
    units = tuple(f"scene {k}" for k in range(design.scenes))
    drawn = draws(units, STUDY_DRAWS) @ measured.transpose(1, 0, 2).reshape(design.scenes, -1) / design.scenes
    replicates = np.ascontiguousarray(drawn.reshape(len(drawn), count, design.seeds).transpose(1, 0, 2))
    return [Sample(y.mean(axis=0), r, units) for y, r in zip(measured, replicates, strict=True)]


@dataclass(frozen=True, eq=False)
class Tracked:
    """Scores of one row, sequence by sequence."""

    scenes: tuple[str, ...]  # (S,) scene of each sequence; the public detectors of a scene are one unit
    sums: Floats  # (K, S, WIDTH) contributions of each seed and sequence

    @cached_property
    def units(self) -> tuple[str, ...]:
        """The scenes, each once."""
        return tuple(sorted(set(self.scenes)))

    def sample(self, measure: str) -> Sample:
        """Combined measure of every seed, and in bootstrap draws of scenes."""
        scenes, seeds = self.units, len(self.sums)
        kept = np.zeros((seeds, len(scenes), self.sums.shape[2]))  # sums over the sequences of each scene
        for k, scene in enumerate(self.scenes):
            kept[:, scenes.index(scene)] += self.sums[:, k]
        drawn = draws(scenes) @ kept.transpose(1, 0, 2).reshape(len(scenes), -1)
        replicates = scores.measure(drawn.reshape(-1, *kept.shape[::2]), measure)
        return Sample(scores.measure(kept.sum(axis=1), measure), replicates, scenes)


Ints = NDArray[np.int64]


class ResampledMeasures(NamedTuple):
    """(B,) AUC and gap of bootstrap draws, NaN where a draw has no negative pair; names of the people drawn from."""

    auc: Floats
    gap: Floats
    people: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class PeopleDraws:
    """Draws of the people of one set of pairs, the same whatever the similarities are."""

    same: NDArray[np.bool_]  # (P,)
    owner: Ints  # (P,) number of a positive's person, or of a negative's couple
    weights: Floats  # (B, U) how often each person is drawn
    pairs: Floats  # (B, K) the same of each couple that has a negative pair
    # (B,) pairs in each draw
    positive: Floats
    negative: Floats
    people: tuple[str, ...]  # (U,) names

    def sums(self, values: NDArray[np.floating], same: bool) -> Floats:
        """(U,) or (K,) sums of values over each person's positives, or each couple's negatives."""
        of, size = self.same == same, (self.weights if same else self.pairs).shape[1]
        return np.asarray(np.bincount(self.owner[of], weights=values[of], minlength=size), np.float64)


def drawing(chosen: Pairs, identity: NDArray[np.integer], scene: str, count: int = DRAWS) -> PeopleDraws:
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
    weights = draws(people, count)
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

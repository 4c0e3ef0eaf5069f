"""Intervals of results over sequences, people and training seeds: a two-way bootstrap.

Random are the units filmed (scenes with all their public detections, or people with all their boxes) and the training
seeds. A draw's number is computed again from its units; compared methods see the same draws. The bootstrap gives the
standard error and Student's t the interval: three seeds give ten different draws, whose percentiles are no interval.
With n units, K seeds, R_bk the result of seed k in draw b of units
and x_k its result on all units,

    V_units = n / (n - 1) * var_b(mean_k R_bk)        V_seeds = 1 / K * var_k(x_k)
    SE = sqrt(V_units + V_seeds)
    1 / nu = (V_units / SE^2)^p / (n - 1) + (V_seeds / SE^2)^p / (K - 1),   p = 1 + least / most of n - 1 and K - 1
    interval = mean_k x_k -+ t_nu * SE

n / (n - 1) and the divisor K - 1 in var_k correct for small samples. What units and seeds do only together is counted
twice (Owen's pigeonhole bootstrap, Annals of Applied Statistics, 2007, counts it three times). p = 2 would be
Satterthwaite's degrees of freedom, under which a nominal 95 % are 92 % with 28 scenes and 3 seeds; p = 1 gives 98 %
at 7 scenes. As it is coverage stays between 94 and 97 % (simulated by `studies`, held by a test).
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import special  # `scipy.stats` takes a third of a second to import

from msfp.errors import InputError, NotComputable

DRAWS = 2000
"""A standard error of so many draws is off by 1.6 %."""
LEVEL = 0.95
FEWEST = 6
"""Units below which no interval is given: the standard error of fewer is a guess, and a skewed unit decides it."""
FEWEST_SEEDS = 3
"""Seeds below which what is random in the training alone has no interval."""
SEEDS = "seeds"

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sample:
    """A number with what is known about its spread.

    Attributes:
        seeds: (K,) the number of each training seed; one where nothing is random.
        replicates: (B, K) that of each seed in each bootstrap draw of units; empty where nothing could be drawn.
        units: names of what was drawn; samples of the same units share their draws.
        kind: what a unit is: `scenes`, `people`, `frames`; `seeds` where seeds alone are random and nothing is drawn.
    """

    seeds: Floats
    replicates: Floats = field(default_factory=lambda: np.zeros((0, 1)))
    units: tuple[str, ...] = ()
    kind: str = "scenes"

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
        """Standard error of the two-way bootstrap, and its degrees of freedom (the module's formulas).

        Raises:
            NotComputable: too few units or seeds, or the number is undefined in most draws.
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
        """Interval over rows.

        Raises:
            NotComputable: fewer than `FEWEST` rows, or all of them are equal in one measure.
        """
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

    Raises:
        NotComputable: measured on different units, or with different numbers of seeds.
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

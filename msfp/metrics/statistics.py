"""How far a result depends on which sequences, or which people, happened to be measured: the bootstrap.

Whole units are drawn with replacement: scenes, each with all its public detections, or identities, each with all its
boxes. What a draw gives is computed again from its units (a combined HOTA is not a mean of HOTAs), and two methods
that are compared see the same draws. The spread over training seeds is another thing and is kept apart.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import special  # `scipy.stats` takes a third of a second to import

from msfp.errors import InputError, NotComputable

DRAWS = 4000
LEVEL = 0.95
FEWEST = 4
"""Units below which no interval is given: with n units even their whole range misses the median with chance 2^(1-n)."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sample:
    """A number with what is known about its spread.

    Attributes:
        seeds: (K,) the number of each training seed; one where nothing is random.
        replicates: (B,) the mean over seeds in each bootstrap draw; empty where nothing could be drawn.
        units: names of what was drawn; samples of the same units share their draws.
        kind: what a unit is: `scenes`, `people`.
    """

    seeds: Floats
    replicates: Floats = field(default_factory=lambda: np.zeros(0))
    units: tuple[str, ...] = ()
    kind: str = "scenes"

    @property
    def value(self) -> float:
        """Mean over seeds."""
        return float(np.mean(self.seeds))

    @property
    def spread(self) -> float | None:
        """Sample standard deviation over seeds, None for one seed."""
        return float(np.std(self.seeds, ddof=1)) if len(self.seeds) > 1 else None

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Bootstrap interval over the units, seeds averaged.

        Raises:
            NotComputable: too few units, or none.
        """
        if not len(self.replicates):
            raise NotComputable("no interval: it was not measured unit by unit")
        return interval(self.replicates, len(self.units), self.kind, level)


def draws(units: Sequence[str], count: int = DRAWS) -> Floats:
    """(B, U) how often each unit is drawn in each bootstrap sample; the same names give the same draws."""
    if not units:
        raise InputError("units: nothing to draw from")
    rng = np.random.default_rng([0, zlib.crc32("\n".join(units).encode())])
    return rng.multinomial(len(units), np.full(len(units), 1 / len(units)), size=count).astype(np.float64)


def interval(replicates: Floats, units: int, kind: str = "scenes", level: float = LEVEL) -> tuple[float, float]:
    """Expanded percentile interval: pushed outwards by Student's t, as few units make plain percentiles too narrow.

    Tail probability Phi(-sqrt(n / (n - 1)) t_{n-1}) of n units (Hesterberg, What Teachers Should Know About the
    Bootstrap, 2015). Draws in which the number is undefined (NaN) are left out.

    Raises:
        NotComputable: fewer than `FEWEST` units, or the number is undefined in most draws.
    """
    if units < FEWEST:
        raise NotComputable(f"an interval takes {FEWEST} {kind}; here: {units}")
    known = replicates[np.isfinite(replicates)]
    if len(known) < len(replicates) / 2:
        raise NotComputable(f"no interval: undefined in {len(replicates) - len(known)} of {len(replicates)} draws")
    tail = special.ndtr(-np.sqrt(units / (units - 1)) * special.stdtrit(units - 1, (1 + level) / 2))
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)


def difference(a: Sample, b: Sample) -> Sample:
    """a - b, draw by draw and seed by seed; what has one seed is compared with every seed of the other.

    Raises:
        NotComputable: measured on different units, or with different numbers of seeds.
    """
    if len(a.seeds) != len(b.seeds) and 1 not in (len(a.seeds), len(b.seeds)):
        raise NotComputable(f"one has {len(a.seeds)} seeds, the other {len(b.seeds)}")
    seeds = a.seeds - b.seeds
    if not len(a.replicates) or not len(b.replicates):
        return Sample(seeds)
    if a.units != b.units:
        raise NotComputable(f"measured on different {a.kind}: {len(a.units)} and {len(b.units)}, not the same ones")
    return Sample(seeds, a.replicates - b.replicates, a.units, a.kind)


def largest(samples: Sequence[Sample]) -> Sample:
    """The largest of several in each draw and seed: what a best one has to be compared with.

    Raises:
        NotComputable: no sample, or measured on different units.
    """
    if not samples:
        raise NotComputable("nothing to compare with")
    seeds = max(len(s.seeds) for s in samples)
    every = np.stack([np.broadcast_to(s.seeds, (seeds,)) for s in samples]).max(axis=0)
    if any(not len(s.replicates) for s in samples):
        return Sample(every)
    if len({s.units for s in samples}) > 1:
        raise NotComputable(f"measured on different {samples[0].kind}")
    best = np.stack([s.replicates for s in samples]).max(axis=0)
    return Sample(every, best, samples[0].units, samples[0].kind)


def negative(sample: Sample) -> Sample:
    """The sample with its sign turned: where lower is better."""
    return Sample(-sample.seeds, -sample.replicates, sample.units, sample.kind)

"""Scores of one row of a tracking table, sequence by sequence, and bootstrap samples of the combined ones."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from msfp.metrics import additive_scores, statistics
from msfp.metrics.statistics import Sample


@dataclass(frozen=True, eq=False)
class Tracked:
    """Scores of one row, sequence by sequence.

    Attributes:
        scenes: (S,) scene of each sequence; the public detectors of a scene are one unit.
        sums: (K, S, WIDTH) contributions of each seed and sequence.
    """

    scenes: tuple[str, ...]
    sums: NDArray[np.float64]

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
        drawn = statistics.draws(scenes) @ kept.transpose(1, 0, 2).reshape(len(scenes), -1)
        replicates = additive_scores.measure(drawn.reshape(-1, *kept.shape[::2]), measure)
        return Sample(additive_scores.measure(kept.sum(axis=1), measure), replicates, scenes)

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
        scenes, kept = self.units, self._by_scene
        drawn = statistics.draws(scenes) @ kept.transpose(1, 0, 2).reshape(len(scenes), -1)
        replicates = additive_scores.measure(drawn.reshape(-1, len(kept), kept.shape[2]), measure)
        return Sample(additive_scores.measure(kept.sum(axis=1), measure), replicates, scenes)

    def by_scene(self, measure: str) -> dict[str, NDArray[np.float64]]:
        """scene -> (K,) the measure of each seed on its sequences combined."""
        found = additive_scores.measure(self._by_scene, measure)
        return {scene: found[:, k] for k, scene in enumerate(self.units)}

    @cached_property
    def _by_scene(self) -> NDArray[np.float64]:
        """(K, U, WIDTH) sums over the sequences of each scene."""
        place = np.array([self.units.index(s) for s in self.scenes])
        out = np.zeros((len(self.sums), len(self.units), self.sums.shape[2]))
        for k, unit in enumerate(place):
            out[:, unit] += self.sums[:, k]
        return out

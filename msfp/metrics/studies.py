"""Simulated studies with a known truth, to see how often intervals and verdicts are right.

A study measures a number on some scenes with some training seeds: y_sk = truth + scene_s + seed_k + both_sk, all three
normal. Many studies are drawn at once, as samples like those of a run.
"""

from dataclasses import dataclass

import numpy as np

from msfp.metrics.statistics import Sample, draws

DRAWS = 1000
"""A study's standard error is off by 2 %."""


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
    drawn = draws(units, DRAWS) @ measured.transpose(1, 0, 2).reshape(design.scenes, -1) / design.scenes
    replicates = np.ascontiguousarray(drawn.reshape(len(drawn), count, design.seeds).transpose(1, 0, 2))
    return [Sample(y.mean(axis=0), r, units) for y, r in zip(measured, replicates, strict=True)]

"""Small truths and trackers to score, made from a seed."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from msfp.types import GroundTruth, Tracks

Rows = list[tuple[float, ...]]


def truth(rows: Rows) -> GroundTruth:
    """Truth from (frame, id, left, top, width, height, flag, class)."""
    a = np.array(sorted(rows, key=lambda r: r[0]), dtype=np.float64).reshape(-1, 8)
    count = np.ones(len(a), np.float32)
    return GroundTruth(
        a[:, 0].astype(np.int32), a[:, 1].astype(np.int32), a[:, 2:6].copy(), a[:, 6].astype(np.float32),
        a[:, 7].astype(np.int32), count,
    )  # fmt: skip


def tracked(rows: Rows) -> Tracks:
    """Tracks from (frame, id, left, top, width, height)."""
    a = np.array(sorted(rows, key=lambda r: r[0]), dtype=np.float64).reshape(-1, 6)
    return Tracks(a[:, 0].astype(np.int32), a[:, 1].astype(np.int32), a[:, 2:6].copy(), np.ones(len(a), np.float32))


def random_scene(seed: int, *, grid: bool = False, people: int = 6, length: int = 8) -> tuple[GroundTruth, Tracks]:
    """A crowded truth of every class and an erring tracker; on a grid, where many overlaps tie exactly."""
    rng = np.random.default_rng(seed)
    truths: Rows = []
    tracks: Rows = []
    category = rng.choice([1, 1, 1, 1, 2, 6, 7, 8, 12, 13], people)
    swap = rng.permutation(people)
    box = np.column_stack([rng.uniform(0, 60, (people, 2)), rng.uniform(15, 40, (people, 2))])
    for t in range(1, length + 1):
        box[:, :2] += rng.normal(0, 4, (people, 2))
        seen = np.round(box / 10) * 10 if grid else box
        noisy = seen + rng.normal(0, 3, seen.shape) * (rng.random((people, 1)) < 0.7)
        noisy = np.round(noisy / 10) * 10 if grid else noisy
        for k in range(people):
            if rng.random() < 0.85:
                truths.append((t, k + 1, *seen[k], float(rng.random() < 0.9), category[k]))
            if rng.random() < 0.8:
                identity = swap[k] if t > length // 2 and rng.random() < 0.7 else k
                tracks.append((t, 10 + 3 * identity + 40 * (rng.random() < 0.1), *noisy[k]))
    unique = {(r[0], r[1]): r for r in tracks}
    return truth(truths), tracked(list(unique.values()))


@pytest.fixture(scope="session")
def make_truth() -> Callable[[Rows], GroundTruth]:
    return truth


@pytest.fixture(scope="session")
def make_tracks() -> Callable[[Rows], Tracks]:
    return tracked


@pytest.fixture(scope="session")
def make_scene() -> Callable[..., tuple[GroundTruth, Tracks]]:
    return random_scene


@pytest.fixture(scope="session")
def walk() -> Callable[..., Any]:
    """Function that gives rows (frame, id, box...) of somebody standing at `left` in some frames."""

    def rows(identity: int, frames: range | list[int], left: float = 0.0, *more: float) -> Rows:
        return [(t, identity, left, 0.0, 20.0, 40.0, *more) for t in frames]

    return rows

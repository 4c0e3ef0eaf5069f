"""Made-up scenes for trackers: people on straight ways, with what a detector does to them."""

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from msfp.types import Detections


@dataclass(frozen=True)
class Walk:
    """A scene with known identities.

    Attributes:
        detections: boxes of all frames.
        embeddings: (N, 8) near one direction per identity.
        person: (N,) identity of each row.
        length: number of frames.
    """

    detections: Detections
    embeddings: NDArray[np.float32]
    person: NDArray[np.int64]
    length: int


def walk(
    people: int = 6, length: int = 40, seed: int = 0, first: int = 1, misses: float = 0.1, unsure: float = 0.2
) -> Walk:
    """People in lanes of their own walking right, some boxes missing, scores sure and unsure."""
    rng = np.random.default_rng(seed)
    looks = rng.normal(size=(people, 8))
    rows = []
    for t in range(length):
        for p in range(people):
            if t and rng.random() < misses:
                continue
            left = 30 + 5.0 * t + rng.normal() * 0.5
            top = 100.0 * p + rng.normal() * 0.5
            score = 0.9 if rng.random() >= unsure else 0.4
            rows.append((t + first, left, top, 30.0, 80.0, score if t else 0.9, p))
    table = np.array(rows).reshape(-1, 7)
    person = table[:, 6].astype(np.int64)
    vectors = looks[person] + 0.05 * rng.normal(size=(len(table), 8))
    detections = Detections(table[:, 0].astype(np.int32), table[:, 1:5], table[:, 5].astype(np.float32))
    return Walk(detections, vectors.astype(np.float32), person, length)


@pytest.fixture(scope="session")
def scene() -> Walk:
    """Six people, forty frames."""
    return walk()

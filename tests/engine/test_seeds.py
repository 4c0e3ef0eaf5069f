"""Generators that depend on seed and name alone."""

import random
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from msfp.engine.seeds import rng, seed_everything

LABELS = st.lists(st.text(max_size=5) | st.integers(), max_size=3)


@given(st.integers(0, 2**40), LABELS, LABELS)
def test_a_generator_belongs_to_seed_and_labels(seed: int, a: list[str | int], b: list[str | int]) -> None:
    first = rng(seed, *a).integers(2**62, size=2)
    np.testing.assert_array_equal(first, rng(seed, *a).integers(2**62, size=2))
    assert np.array_equal(first, rng(seed, *b).integers(2**62, size=2)) == (a == b)
    assert not np.array_equal(first, rng(seed + 1, *a).integers(2**62, size=2))


def test_every_global_generator_is_seeded() -> None:
    state, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        drawn = []
        for _ in range(2):
            seed_everything(5)
            drawn.append((random.random(), np.random.random()))  # noqa: NPY002
            if "torch" in sys.modules:
                drawn[-1] += (sys.modules["torch"].rand(1).item(),)
        assert drawn[0] == drawn[1]
    finally:
        random.setstate(state)
        np.random.set_state(legacy)  # noqa: NPY002


def test_labels_are_independent() -> None:
    draws = np.stack([rng(0, "walker", n).normal(size=2000) for n in range(8)])
    off = np.corrcoef(draws)[~np.eye(8, dtype=bool)]
    assert np.abs(off).max() < 0.1

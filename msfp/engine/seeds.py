"""Every random source, from one seed and a name."""

import random
import sys

import numpy as np

from msfp.engine.hashing import digest


def seed_everything(seed: int) -> None:
    """Seed Python's, NumPy's and, where it is loaded, torch's global generators.

    Own code draws from `rng`; this is for libraries that draw from a global one.

    Args:
        seed: any non-negative integer.
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - libraries draw from this one
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


def rng(seed: int, *labels: str | int) -> np.random.Generator:
    """An independent generator for each (seed, labels), whatever was drawn before and in whichever process.

    Args:
        seed: the run's seed.
        labels: what the numbers are for, `"synth17", 3, "walkers"`.
    """
    return np.random.default_rng(int(digest([seed, list(labels)]), 16))

"""Fixtures every test may use."""

import os
from pathlib import Path

import pytest

# Before any numerical library is loaded: test processes fill the cores, and threads that spin beside them cost most.
os.environ.setdefault("OMP_NUM_THREADS", "1")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with real labels, frames, weights and oracles beside the checkout; skips where it is absent."""
    if not (SHARED / "mot17-dev").is_dir():
        pytest.skip(f"real data not found at {SHARED}")
    return SHARED

"""Fixtures every test may use."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with real labels, frames, weights and oracles beside the checkout; skips where it is absent."""
    if not (SHARED / "mot17-dev").is_dir():
        pytest.skip(f"real data not found at {SHARED}")
    return SHARED

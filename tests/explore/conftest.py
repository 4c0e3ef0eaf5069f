"""A sequence of the finished run, and the notebook over it."""

from pathlib import Path

import pytest
from papermill.iorw import load_notebook_node, write_ipynb
from papermill.parameterize import parameterize_notebook

from msfp.explore.session import Clip, open_clips
from tests.conftest import SMALL

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "explore.ipynb"


@pytest.fixture(scope="session")
def clips(finished: Path) -> dict[str, Clip]:
    """The sequences of the finished run by their detectors."""
    found = open_clips("smoke", home=finished, settings=SMALL)
    return {clip.sequence.detector: clip for clip in found.values()}


@pytest.fixture(scope="session")
def clip(clips: dict[str, Clip]) -> Clip:
    """One on which MSFP-Track switches identities."""
    return clips["SDP"]


@pytest.fixture
def notebook(finished: Path, clip: Clip, tmp_path: Path) -> Path:
    """The notebook with that run's parameters, in a folder of its own."""
    path = tmp_path / "explore.ipynb"
    parameters = {"profile": "smoke", "home": str(finished), "settings": SMALL, "sequence": clip.sequence.name}
    write_ipynb(parameterize_notebook(load_notebook_node(str(NOTEBOOK)), parameters), str(path))
    return path

"""A smoke run as far as exploring it needs: what three methods need on one data set."""

from pathlib import Path

import pytest
from papermill.iorw import load_notebook_node, write_ipynb
from papermill.parameterize import parameterize_notebook

from msfp.experiment import data
from msfp.experiment.methods import evaluate
from msfp.experiment.run import open_run
from msfp.explore.session import Clip, open_clips
from msfp.paper.methods import BYTETRACK, MSFP_TRACK

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "explore.ipynb"
SETTINGS = "data.separate_reid=false data.crowded=none"


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a smoke run in which MSFP-Track and ByteTrack have been tracked."""
    place = tmp_path_factory.mktemp("explored")
    run = open_run("smoke", home=place, overrides=SETTINGS)
    evaluate(run, (MSFP_TRACK, BYTETRACK), data.judged_folds(run, run.settings.data.main)[0])
    return place


@pytest.fixture(scope="session")
def clip(home: Path) -> Clip:
    """One sequence of that run."""
    return next(c for name, c in open_clips("smoke", home=home, settings=SETTINGS).items() if "FRCNN" in name)


@pytest.fixture
def notebook(home: Path, clip: Clip, tmp_path: Path) -> Path:
    """The notebook with that run's parameters, in a folder of its own."""
    path = tmp_path / "explore.ipynb"
    parameters = {"profile": "smoke", "home": str(home), "settings": SETTINGS, "sequence": clip.sequence.name}
    write_ipynb(parameterize_notebook(load_notebook_node(str(NOTEBOOK)), parameters), str(path))
    return path

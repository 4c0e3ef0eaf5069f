"""Tracking tables over small folders: what is missing says so in its cells, differences are taken seed by seed."""

from pathlib import Path

import pytest

from msfp.experiment.run import Run, open_run
from tests.experiment.conftest import FEW, LENGTH, write_sequence
from tests.tables import made

SMALL = {"training.identities": 2, "training.instances": 2, "training.epochs": 1, "training.joint_epochs": 1, **FEW}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Two training scenes with frames, a third without."""
    for name, frames in (("MOT17-02-SDP", LENGTH), ("MOT17-09-SDP", LENGTH), ("MOT17-13-SDP", 0)):
        write_sequence(tmp_path / "root" / "train" / name, frames, gt=True)
    overrides = {"input.size": (96, 64), "seeds": (0, 1), "atl.grid": (0.1, 0.4), **SMALL}
    return open_run("mot17", root=tmp_path / "root", weights="random-init", home=tmp_path, overrides=overrides)


@pytest.mark.parametrize(("number", "row", "part"), [(2, "ByteTrack", "crowded"), (19, "OC-SORT", "dance")])
def test_another_data_set_that_is_not_there_says_how_it_is_named(run: Run, number: int, row: str, part: str) -> None:
    cells = made(run, number)
    assert cells
    assert {c.source for c in cells.values()} == {"n/a"}
    assert f"-p data.{part}=" in cells[row, "HOTA"].reason
    absent = open_run(
        "mot17", root=run.settings.data.root or "", home=run.home, overrides={f"data.{part}": "mot20"}
    )  # named, but not in the folder
    assert "no mot20 sequences" in made(absent, number)[row, "HOTA"].reason


def test_table_6_has_a_column_a_scene_and_says_why_others_are_empty(run: Run) -> None:
    cells = made(run, 6)
    assert cells["LITE (trained 64-d)", "13"].source == "n/a"
    assert "MOT17-13: 0 of 9 frames present" in cells["LITE (trained 64-d)", "13"].reason
    assert "no such training sequence" in cells["MSFP-Track", "04"].reason
    assert cells["Δ", "13"].source == "n/a"

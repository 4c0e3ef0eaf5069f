"""Tracking tables over small folders: what is missing says so in its cells, differences are taken seed by seed."""

from pathlib import Path

import pytest

from msfp.paper.registry import get_table
from msfp.paper.tables import table06
from msfp.pipeline.run import Run, open_run
from msfp.pipeline.scores import Measured
from msfp.types import Cell
from tests.pipeline.conftest import FEW, LENGTH, write_sequence

SMALL = {"training.identities": 2, "training.instances": 2, "training.epochs": 1, "training.joint_epochs": 1, **FEW}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Two training scenes with frames, a third without."""
    for name, frames in (("MOT17-02-SDP", LENGTH), ("MOT17-09-SDP", LENGTH), ("MOT17-13-SDP", 0)):
        write_sequence(tmp_path / "root" / "train" / name, frames, gt=True)
    overrides = {"input.size": (96, 64), "seeds": (0, 1), "atl.grid": (0.1, 0.4), **SMALL}
    return open_run("mot17", root=tmp_path / "root", weights="random-init", home=tmp_path, overrides=overrides)


def named(cells: list[Cell]) -> dict[tuple[str, str], Cell]:
    return {(c.row, c.column): c for c in cells}


@pytest.mark.parametrize(("number", "row", "part"), [(2, "ByteTrack", "crowded"), (19, "OC-SORT", "dance")])
def test_another_data_set_that_is_not_there_says_how_it_is_named(run: Run, number: int, row: str, part: str) -> None:
    cells = get_table(number)(run)
    assert cells
    assert {c.source for c in cells} == {"n/a"}
    assert f"-p data.{part}=" in named(cells)[row, "HOTA"].reason
    absent = open_run(
        "mot17", root=run.settings.data.root or "", home=run.home, overrides={f"data.{part}": "mot20"}
    )  # named, but not in the folder
    assert "no mot20 sequences" in named(get_table(number)(absent))[row, "HOTA"].reason


def test_table_6_has_a_column_a_scene_and_says_why_others_are_empty(run: Run) -> None:
    cells = named(table06.sequence_by_sequence(run))
    assert cells["LITE (trained 64-d)", "13"].source == "n/a"
    assert "MOT17-13: 0 of 9 frames present" in cells["LITE (trained 64-d)", "13"].reason
    assert "no such training sequence" in cells["MSFP-Track", "04"].reason
    assert cells["Δ", "13"].source == "n/a"


def test_differences_are_taken_seed_by_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    hota = iter([{"HOTA": v} for v in (50.0, 60.0, 51.0, 64.0)])
    monkeypatch.setattr(table06, "combined", lambda group: next(hota))
    empty: list[list[Measured]] = [[], []]
    assert table06.differences({"LITE (trained 64-d)": empty, "MSFP-Track": empty}) == [1.0, 4.0]

"""`msfp tune`: settings for anybody's data, with what they are worth on frames that no draw saw."""

import json
from pathlib import Path

import pytest

from tests.experiment.conftest import LENGTH, write_sequence

from .conftest import Command, refused

SMALL = ("-p", "input.size=96,64", "-p", "seeds=0,", "--workers", 0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Six streets, the least that an interval takes."""
    for number in (2, 4, 5, 9, 10, 11):
        write_sequence(tmp_path / "root" / "train" / f"MOT17-{number:02d}-SDP", LENGTH, gt=True)
    return tmp_path / "root"


def test_settings_come_with_their_worth_on_unseen_frames(msfp: Command, root: Path) -> None:
    words = ("tune", "bytetrack", "SORT", "--root", root, "--trials", 5, *SMALL)
    found = msfp(*words, "--json")
    assert found.code == 0, found.err
    rows = json.loads(found.out)
    assert [row["tracker"] for row in rows] == ["bytetrack", "sort"]
    for row in rows:
        assert row["draws"] == 5
        assert row["inner"]["selected"] >= row["inner"]["released"]
        assert len(row["selected_on"]) == 2  # a fifth of six streets
        held = row["held_out"]
        assert 0 < held["released"] <= 100
        low, high = held["interval"]
        assert low <= held["selected"] - held["released"] <= high
    said = msfp(*words)  # from the store
    assert said.code == 0, said.err
    assert "on the validation part: " in said.out
    assert "--set " in said.out or "as released" in said.out


def test_few_scenes_have_no_interval_and_say_so(msfp: Command, tmp_path: Path) -> None:
    write_sequence(tmp_path / "root" / "train" / "MOT17-02-SDP", LENGTH, gt=True)
    found = msfp("tune", "SORT", "--root", tmp_path / "root", "--trials", 3, *SMALL, "--json")
    assert found.code == 0, found.err
    (row,) = json.loads(found.out)
    assert row["held_out"]["interval"] is None
    assert "an interval takes 6 scenes; here: 1" in row["held_out"]["reason"]


def test_an_unknown_row_is_refused_by_name(msfp: Command, root: Path) -> None:
    refused(msfp("tune", "NoTrack", "--root", root, *SMALL), "NoTrack", "ByteTrack")

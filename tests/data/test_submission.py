"""The zip for the MOTChallenge server, and the rules it is held to."""

import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from msfp.data.motchallenge import read_tracks, write_submission
from msfp.data.sequences import DATASETS
from msfp.errors import InputError
from msfp.types import Tracks


def tracks(frame: int = 1, identity: int = 1) -> Tracks:
    box = np.array([[10, 20, 30.5, 40]], np.float64)
    return Tracks(np.int32([frame]), np.int32([identity]), box, np.float32([0.9]))


def everything(dataset: str = "mot17") -> dict[str, Tracks]:
    return {name: tracks() for name in DATASETS[dataset].folders("test")}


@pytest.mark.parametrize(("dataset", "count"), [("mot17", 21), ("mot20", 4), ("mot15", 11)])
def test_a_complete_submission(tmp_path: Path, dataset: str, count: int) -> None:
    path = tmp_path / "a.zip"
    write_submission(path, everything(dataset), dataset)
    with zipfile.ZipFile(path) as archive:
        assert len(archive.namelist()) == count
        archive.extract(archive.namelist()[0], tmp_path)
    assert np.array_equal(read_tracks(tmp_path / archive.namelist()[0]).tlwh, tracks().tlwh)


def test_equal_results_make_equal_bytes(tmp_path: Path) -> None:
    write_submission(tmp_path / "a.zip", everything(), "mot17")
    write_submission(tmp_path / "b.zip", dict(reversed(everything().items())), "mot17")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"MOT17-01-DPM": None}, "a.zip: 1 of 21 sequences are missing: MOT17-01-DPM; add them"),
        ({"MOT17-02-DPM": tracks()}, "a.zip: MOT17-02-DPM.txt is no result file of the data set; remove it"),
        ({"MOT17-01-DPM": tracks(451)}, "a.zip:MOT17-01-DPM.txt: frame 451 of a sequence of 450 frames; remove rows"),
        ({"MOT17-01-DPM": tracks(1, 0)}, "a.zip:MOT17-01-DPM.txt: id 0; the server's ids count from 1: add 1"),
    ],
)
def test_a_broken_rule_stops_the_writing(tmp_path: Path, change: dict, message: str) -> None:
    given = {name: t for name, t in {**everything(), **change}.items() if t is not None}
    with pytest.raises(InputError, match=re.escape(message)):
        write_submission(tmp_path / "a.zip", given, "mot17")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("dataset", ["dancetrack", "synth17", "nothing"])
def test_a_data_set_without_the_server_is_told(tmp_path: Path, dataset: str) -> None:
    with pytest.raises(
        InputError, match=rf"dataset='{dataset}'.*MOTChallenge serves train and test of mot15, mot17, mot20"
    ):
        write_submission(tmp_path / "a.zip", {}, dataset)

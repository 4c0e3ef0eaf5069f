"""The zip for the evaluation server, from a row of the tables and a test split without labels."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from msfp.data.sequences import DATASETS
from msfp.errors import InputError, NotComputable
from msfp.experiment.run import Run, open_run
from msfp.paper.measure import submit_row

from .conftest import FEW

Make = Callable[..., Run]


@pytest.fixture
def crowded(tmp_path: Path) -> Run:
    """MOT20 as it is without pixels: one training and four test sequences, a walker in the first twenty frames."""
    lengths = {("train", "MOT20-01"): 40} | {("test", k): v for k, v in DATASETS["mot20"].sequences["test"].items()}
    for (split, name), length in lengths.items():
        folder = tmp_path / "root" / split / name
        (folder / "det").mkdir(parents=True)
        keys = f"name={name}\nimDir=img1\nframeRate=25\nseqLength={length}\nimWidth=96\nimHeight=64\nimExt=.jpg\n"
        (folder / "seqinfo.ini").write_text(f"[Sequence]\n{keys}")
        rows = [f"{t},-1,{4 + t},9,16,36,1\n" for t in range(1, 21)]
        (folder / "det" / "det.txt").write_text("".join(rows))
        if split == "train":
            (folder / "gt").mkdir()
            (folder / "gt" / "gt.txt").write_text("".join(f"{t},1,{4 + t},9,16,36,1,1,1\n" for t in range(1, 21)))
    return open_run(
        "full",
        root=tmp_path / "root",
        weights="random-init",
        home=tmp_path / "home",
        overrides={"data.main": "mot20", **FEW},
    )


def test_a_row_is_tracked_and_zipped_as_the_server_asks(crowded: Run) -> None:
    path = submit_row(crowded, "sort")
    assert path == crowded.out / "submissions" / "mot20-sort.zip"
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == [f"{name}.txt" for name in DATASETS["mot20"].folders("test")]
        rows = archive.read("MOT20-04.txt").decode().splitlines()
    assert len(rows) > 10
    assert {line.split(",")[1] for line in rows} == {"1"}
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_what_cannot_be_tracked_is_named_and_no_zip_is_left(crowded: Run, tmp_path: Path) -> None:
    with pytest.raises(NotComputable, match="no zip, as MOT20-04 cannot be tracked: .*: 0 of .* frames present"):
        submit_row(crowded, "LITE (training-free)", path=tmp_path / "out.zip")
    assert not (tmp_path / "out.zip").exists()


def test_refused_before_anything_is_computed(make_run: Make) -> None:
    run = make_run({"MOT17-02-SDP": 0, "test/MOT17-01-SDP": 0})
    with pytest.raises(InputError, match="mot17: 20 of 21 sequences of the test split are not there: MOT17-01-DPM, "):
        submit_row(run, "ByteTrack")
    with pytest.raises(InputError, match="dataset='synth17', split='test': MOTChallenge serves train and test of"):
        submit_row(run, "ByteTrack", "synth17")
    with pytest.raises(InputError, match="method 'JDE': not known; there are: DeepSORT, .*MSFP-Track"):
        submit_row(run, "JDE")

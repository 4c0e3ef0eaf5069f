"""The zip for the MOTChallenge server, and the rules it is held to."""

import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msfp.data.motchallenge import read_tracks
from msfp.data.sequences import DATASETS
from msfp.data.submission import check_submission, write_submission
from msfp.errors import InputError
from msfp.types import Tracks

ROW = "1,1,10,20,30,40,0.9,-1,-1,-1\n"


def tracks(frame: int = 1, identity: int = 1) -> Tracks:
    box = np.array([[10, 20, 30.5, 40]], np.float64)
    return Tracks(np.int32([frame]), np.int32([identity]), box, np.float32([0.9]))


def everything(dataset: str = "mot17") -> dict[str, Tracks]:
    return {name: tracks() for name in DATASETS[dataset].folders("test")}


def zipped(path: Path, files: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


@pytest.mark.parametrize(("dataset", "count"), [("mot17", 21), ("mot20", 4), ("mot15", 11)])
def test_a_complete_submission(tmp_path: Path, dataset: str, count: int) -> None:
    path = tmp_path / "a.zip"
    write_submission(path, everything(dataset), dataset)
    assert check_submission(path, dataset) == ()
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


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("data/MOT20-04.txt", ROW, "data/MOT20-04.txt lies in a folder; result files lie in the archive's root"),
        ("mot20-04.txt", ROW, "mot20-04.txt is no result file of the data set; remove it"),
        ("MOT20-04.csv", ROW, "MOT20-04.csv is no result file of the data set; remove it"),
        ("MOT20-04.txt", ROW.replace(",-1", ""), "MOT20-04.txt: rows of 7 columns; the server asks for 10: fill up"),
        ("MOT20-04.txt", ROW + ROW, "MOT20-04.txt:2: id 1 a second time in frame 1"),
        ("MOT20-04.txt", ROW + "2,1,a,2,3,4,1,-1,-1,-1\n", "MOT20-04.txt:2: column 3 is 'a'"),
        ("MOT20-04.txt", ROW.replace("1,", "0,", 1), "MOT20-04.txt:1: frame 0; frames are numbered 1"),
    ],
)
def test_every_broken_rule_is_told(tmp_path: Path, name: str, text: str, message: str) -> None:
    others = {f"{n}.txt": ROW for n in DATASETS["mot20"].folders("test") if n not in name}
    path = zipped(tmp_path / "a.zip", {**others, name: text})
    assert any(message in problem for problem in check_submission(path, "mot20"))


def test_a_file_that_is_no_zip_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with pytest.raises(InputError, match=r"a.zip: cannot be read \(No such file or directory\); name the zip"):
        check_submission(path, "mot17")
    path.write_bytes(b"PK nothing")
    assert check_submission(path, "mot17") == (f"{path}: not a zip file, or a damaged one; make it again",)
    write_submission(path, everything(), "mot17")
    data = bytearray(path.read_bytes())
    data[60] ^= 0xFF
    path.write_bytes(data)
    assert check_submission(path, "mot17") == (f"{path}: not a zip file, or a damaged one; make it again",)


def altered(path: Path, flag: int | None = None, method: int | None = None) -> Path:
    """The zip with another flag or method in every entry's heads, as odd programs write them."""
    data = bytearray(path.read_bytes())
    for head, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.find(head)
        while place >= 0:
            if flag is not None:
                data[place + at] |= flag
            if method is not None:
                data[place + at + 2] = method
            place = data.find(head, place + 4)
    path.write_bytes(data)
    return path


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_odd_entries_are_told_in_words(tmp_path: Path) -> None:
    path, names = tmp_path / "a.zip", DATASETS["mot20"].folders("test")
    files = {f"{name}.txt": ROW for name in names}
    told = check_submission(altered(zipped(path, files), flag=1), "mot20")
    assert told[0] == f"{path}:{names[0]}.txt: is encrypted; make the zip again without a password"
    for method in (9, 12, 14, 99):
        told = check_submission(altered(zipped(path, files), method=method), "mot20")
        assert [t.partition(": ")[2] for t in told] == [
            "is packed as few programs can unpack; make the zip again with the usual method, deflate"
        ] * len(names)
    zipped(path, files)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{names[0]}.txt", ROW)
    assert check_submission(path, "mot20") == (f"{path}: {names[0]}.txt is there 2 times; keep one",)
    for name in (f"../{names[0]}.txt", f"/{names[0]}.txt", f"..\\{names[0]}.txt"):
        (problem,) = check_submission(zipped(path, {**files, name: ROW}), "mot20")
        assert problem == f"{path}: {name} lies in a folder; result files lie in the archive's root"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(f"{name}.txt", bytes(40 << 20))
    (problem,) = check_submission(path, "mot20")
    assert problem.startswith(f"{path}: would grow to 167,772,160 bytes, at most ")


@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=4), st.integers(0, 2000), st.booleans())
def test_any_damage_is_a_line(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]], end: int, cut: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.zip"
    write_submission(path, everything("mot20"), "mot20")
    data = bytearray(path.read_bytes())
    for place, value in changes:
        data[place % len(data)] = value
    path.write_bytes(data[:end] if cut else data)
    for problem in check_submission(path, "mot20"):
        assert problem.startswith(str(path))
        assert len(problem.splitlines()) == 1


@pytest.mark.parametrize("dataset", ["dancetrack", "synth17", "nothing"])
def test_a_data_set_without_the_server_is_told(tmp_path: Path, dataset: str) -> None:
    with pytest.raises(
        InputError, match=rf"dataset='{dataset}'.*MOTChallenge serves train and test of mot15, mot17, mot20"
    ):
        check_submission(tmp_path / "a.zip", dataset)

"""`msfp import-results` and `msfp submit`: what a person and a program are told."""

import json
from pathlib import Path

import pytest

from .conftest import LENGTH, Command, refused, walkers

LEARN = ("--profile", "mot17", "-p", "data.learn_from=WALK-*,")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """The two walkers of each sequence, followed whole."""
    folder = tmp_path / "results"
    folder.mkdir()
    rows = [
        f"{t},{number},{left},{top},{width},{height},1,-1,-1,-1\n"
        for t in range(1, LENGTH + 1)
        for number, left, top, width, height in walkers(t)
    ]
    for name in ("WALK-01", "WALK-02"):
        (folder / f"{name}.txt").write_text("".join(rows))
    return folder


def test_imported_results_become_a_row(msfp: Command, root: Path, results: Path) -> None:
    told = msfp("import-results", "JDE", results, "--root", root, *LEARN, "--json")
    assert told.code == 0, told.err
    found = json.loads(told.out)
    assert found["sequences"] == {"WALK-01": 2 * LENGTH, "WALK-02": 2 * LENGTH}
    assert found["scores"]["mot17"]["JDE"]["HOTA"] == pytest.approx(100)
    assert Path(found["kept"], "WALK-01.txt").read_bytes() == (results / "WALK-01.txt").read_bytes()
    shown = msfp("import-results", "JDE", results, "--root", root, *LEARN)
    assert "2 result files kept at" in shown.out
    assert "mot17  JDE: HOTA 100.0  AssA 100.0" in shown.out


def test_a_bad_file_is_named_and_the_others_are_taken(msfp: Command, root: Path, results: Path) -> None:
    (results / "WALK-01.txt").write_text("1,1,NaN,2,3,4,1\n")
    told = msfp("import-results", "SGT", results, "--root", root, *LEARN)
    assert told.code == 1
    (line,) = told.err.splitlines()
    assert line.startswith("msfp: ")
    assert "WALK-01.txt:1: column 3 is nan" in line
    assert "1 result files kept at" in told.out
    found = msfp("import-results", "SGT", results, "--root", root, *LEARN, "--json")
    assert found.code == 1
    assert json.loads(found.out)["sequences"] == {"WALK-02": 2 * LENGTH}
    assert len(json.loads(found.out)["problems"]) == 1


def test_problems_come_a_line_each_and_nothing_on_standard_output(msfp: Command, root: Path, results: Path) -> None:
    (results / "WALK-01.txt").write_text("1,1,NaN,2,3,4,1\n")
    (results / "WALK-02.txt").unlink()
    (results / "WALK-09.txt").touch()
    told = msfp("import-results", "SGT", results, "--root", root, *LEARN)
    assert (told.code, told.out) == (2, "")
    lines = told.err.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("msfp: ") for line in lines)
    for line, words in zip(
        lines,
        ("WALK-01.txt:1: column 3 is nan", "WALK-09.txt: named after no", "WALK-02.txt is missing"),
        strict=True,
    ):
        assert words in line
    refused(
        msfp("import-results", "SORT", results, "--root", root, *LEARN), "'SORT'", "give the imported results another"
    )


def test_submissions_are_for_served_data_sets(msfp: Command, root: Path) -> None:
    refused(msfp("submit", "ByteTrack", "--root", root, "--dataset", "dancetrack"), "dancetrack", "MOTChallenge serves")
    refused(msfp("submit", "Wishful", "--root", root), "method 'Wishful': not known", "MSFP-Track")

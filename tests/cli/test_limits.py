"""Sequences, files and machines at their limits: done as quickly as ever, or refused in one line."""

import resource
from pathlib import Path

import pytest

from .conftest import LENGTH, Command, refused


def test_many_declared_frames_and_empty_lines_change_nothing(msfp: Command, root: Path) -> None:
    words = ("run", root, "--tracker", "sort", "--out", "results")
    assert msfp(*words).code == 0
    scored = msfp("evaluate", root, "results").out
    right = Path("results/WALK-01.txt").read_bytes()
    ini = root / "train" / "WALK-01" / "seqinfo.ini"
    ini.write_text(ini.read_text().replace(f"seqLength={LENGTH}", "seqLength=200000"))
    assert msfp(*words).code == 0
    assert Path("results/WALK-01.txt").read_bytes() == right
    for path in (Path("results/WALK-01.txt"), root / "train" / "WALK-01" / "gt" / "gt.txt"):
        path.write_bytes(path.read_bytes() + b"\n" * 500_000)
    again = msfp("evaluate", root, "results")
    assert (again.code, again.out) == (0, scored)


def test_too_few_open_files_for_workers_are_refused_in_one_line(msfp: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (20, 20))  # `ulimit -n 20`
    found = msfp("reproduce", "--profile", "smoke", "--workers", "2", "--home", ".")
    refused(found, "this process may open 20 files, and workers need ")

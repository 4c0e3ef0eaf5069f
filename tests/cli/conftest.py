"""The command line called in this process, and small folders for it."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest

from msfp.cli import main

WIDTH, HEIGHT, LENGTH = 96, 64, 8


class Result(NamedTuple):
    """What a command left: exit status, standard output, standard error."""

    code: int
    out: str
    err: str


Command = Callable[..., Result]


@pytest.fixture
def msfp(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """`msfp("list", "tables")` -> its result; the home is a folder of the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)

    def call(*words: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["msfp", *map(str, words)])
        capsys.readouterr()
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            main()
        except SystemExit as ended:
            found = capsys.readouterr()
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
            return Result(code, found.out, found.err)
        finally:  # the command may end this process at the next signal
            for number, handler in before.items():
                signal.signal(number, handler)
        raise AssertionError("the command did not exit")

    return call


def refused(result: Result, *words: str) -> None:
    """Hold that a command ended with status 2 and one line that says all of this."""
    assert result.code == 2, result
    assert result.out == ""
    lines = result.err.strip().splitlines()
    assert len(lines) == 1, result.err
    assert lines[0].startswith("msfp: ")
    for word in words:
        assert word in lines[0]


def walkers(t: int) -> list[tuple[int, float, float, float, float]]:
    """(id, left, top, width, height) of two people who walk apart."""
    return [(1, 10 + 2.0 * t, 10, 14, 36), (2, 70 - 2.0 * t, 14, 14, 38)]


def write_sequence(folder: Path, frames: int = LENGTH) -> Path:
    """A sequence of two walkers: pixels of the first `frames` frames, labels, detections."""
    (folder / "img1").mkdir(parents=True)
    keys = f"name={folder.name}\nimDir=img1\nframeRate=30\nseqLength={LENGTH}\nimWidth={WIDTH}\nimHeight={HEIGHT}\n"
    (folder / "seqinfo.ini").write_text(f"[Sequence]\n{keys}imExt=.jpg\n")
    gt, det = [], []
    for t in range(1, LENGTH + 1):
        image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
        for number, left, top, width, height in walkers(t):
            corner = (int(left) - 1, int(top) - 1)
            cv2.rectangle(image, corner, (corner[0] + int(width), corner[1] + int(height)), (0, 120 * number, 200), -1)
            gt.append(f"{t},{number},{left},{top},{width},{height},1,1,1")
            det.append(f"{t},-1,{left},{top},{width},{height},0.9")
        if t <= frames:
            cv2.imwrite(str(folder / "img1" / f"{t:06d}.jpg"), image)
    for kind, rows in (("gt", gt), ("det", det)):
        (folder / kind).mkdir()
        (folder / kind / f"{kind}.txt").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with two sequences in the MOTChallenge layout."""
    for name in ("WALK-01", "WALK-02"):
        write_sequence(tmp_path / "data set" / "train" / name)
    return tmp_path / "data set"

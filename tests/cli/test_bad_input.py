"""What a person can get wrong: one line on stderr, exit status 2, and nothing computed is lost."""

import errno
import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from .conftest import Command, refused


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--profile", "demoo"), ["profile 'demoo' is not known; there are: smoke, demo, mot17, full"]),
        (("--profile", "mot17"), ["profile 'mot17' reads real data: name its folder with --root"]),
        (("--root", "nowhere"), ["nowhere: there is no such folder of data"]),
        (("-p", "atl.betta=0.7"), ["setting 'atl.betta' is not known; there are: atl.tau_min"]),
        (("-p", "nonsense=1"), ["setting 'nonsense' is not known"]),
        (("-p", "atl.beta=high"), ["setting atl.beta = 'high'", "valid number"]),
        (("-p", "atl.beta=1.5"), ["setting atl.beta = 1.5", "less than 1"]),
        (("-p", "atl.beta"), ["-p atl.beta: write it as name=value"]),
        (("-p", "=1"), ["-p =1: write it as name=value"]),
        (("--weights", "nothing.safetensors"), ["weights nothing.safetensors: file not found"]),
    ],
)
@pytest.mark.parametrize("command", [("reproduce",), ("table", "20"), ("figure", "1")])
def test_options_of_a_run(msfp: Command, command: tuple[str, ...], words: tuple[str, ...], said: list[str]) -> None:
    if command[0] != "reproduce" and words[-1] == "mot17":
        pytest.skip("neither of these two reads data")
    refused(msfp(*command, "--weights", "random-init", *words), *said)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("table", "25"), "table 25: the paper has tables 1 to 24"),
        (("figure", "0"), "figure 0: the paper has figures 1 to 7"),
        (("list", "cats"), "list cats: there are: tables"),
        (("figure", "1", "--device", "cuda:1"), "give cuda, and CUDA_VISIBLE_DEVICES=1 in the environment"),
        (
            ("figure", "1", "--weights", "random-init", "--device", "abacus"),
            "device 'abacus' is not known; use cpu or cuda",
        ),
    ],
)
def test_what_does_not_exist(msfp: Command, words: tuple[str, ...], said: str) -> None:
    refused(msfp(*words), said)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--tracker", "sort", "--set", "fps=25"), "--set fps=25: the rate is the source's own"),
        (("--tracker", "sortt"), "--tracker sortt: not known; there are: "),
        (("--tracker", "lite", "--appearance", "smell"), "--appearance smell: not known; there are: none, attention"),
        (("--tracker", "lite", "--appearance", "none"), "--appearance none: lite compares appearances; choose one of"),
        (("--tracker", "sort", "--threshold", "often"), "--threshold often: write default, a number TAU"),
        (("--tracker", "sort", "--threshold", "0.1,0.6"), "--threshold 0.1,0.6: write default"),
        (("--tracker", "sort", "--threshold", "nan"), "--threshold nan: write default"),
        (("--tracker", "sort", "--set", "max_age"), "--set max_age: write it as name=value"),
        (("--tracker", "sort", "--set", "colour=red"), "tracker 'sort' has no setting 'colour'; it has: "),
        (("--tracker", "sort", "--split", "exam"), "split='exam' is not known; choose one of train"),
    ],
)
def test_options_of_tracking(msfp: Command, root: Path, words: tuple[str, ...], said: str) -> None:
    refused(msfp("run", root, *words, "--out", "results"), said)
    assert not list(Path("results").glob("*.txt"))


def test_notebooks_that_do_not_exist(msfp: Command) -> None:
    options = ("reproduce", "--profile", "smoke", "--weights", "random-init")
    refused(msfp(*options, "--only", "12"), "--only 12: no such notebook (there are: 00_data, ")
    refused(msfp(*options, "--only", "1", "--from", "2"), "--only and --from exclude each other")
    assert list(Path().iterdir()) == []


def test_output_that_cannot_be_written(msfp: Command, root: Path) -> None:
    Path("file").write_text("in the way")
    remedy = "a file lies where a folder is needed; move it or choose another output folder"
    refused(msfp("run", root, "--tracker", "sort", "--out", "file/results"), "file/results", "cannot write", remedy)
    weights = ("--weights", "random-init")
    refused(msfp("figure", 1, *weights, "--home", "file"), "cannot write", "choose another output folder")
    told = msfp("data", "make", "--home", "file", "--profile", "smoke")
    said = told.err.splitlines()
    assert (told.code, len(said)) == (2, 2)
    assert said[0].startswith("msfp: rendering ")
    assert "cannot write" in said[1]


DAMAGE = {
    "truncated": ("det/det.txt", "1,-1,10,10,14\n", ["det.txt:1: 5 columns; detections"]),
    "NaN": ("det/det.txt", "1,-1,10,10,nan,36,0.9\n", ["det.txt:1: ", "nan"]),
    "words": ("det/det.txt", "1,-1,ten,10,14,36,0.9\n", ["det.txt:1: ", "ten"]),
    "no seqinfo.ini": ("seqinfo.ini", None, ["WALK-02", "seqinfo.ini"]),
    "cut seqinfo.ini": ("seqinfo.ini", "[Sequence]\nname=WALK-02\n", ["seqinfo.ini", "imWidth"]),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_sequences_are_named_and_earlier_ones_kept(msfp: Command, root: Path, damage: str) -> None:
    name, text, said = DAMAGE[damage]
    path = root / "train" / "WALK-02" / name
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    told = msfp("run", root, "--tracker", "sort", "--out", "results")
    if "seqinfo" in name:
        refused(told, *said)
    else:
        assert told.code == 1
        assert told.err.startswith("msfp: WALK-02: not tracked: ")
        assert all(word in told.err for word in said)
    kept = [p.name for p in sorted(Path("results").glob("*.txt"))]
    assert kept == ([] if "seqinfo" in name else ["WALK-01.txt"])


def test_missing_detections_are_left_out_and_told(msfp: Command, root: Path) -> None:
    (root / "train" / "WALK-02" / "det" / "det.txt").unlink()
    result = msfp("run", root, "--tracker", "sort", "--out", "results")
    assert result.code == 1
    assert result.err == "msfp: WALK-02: not tracked: WALK-02 has no det/det.txt\n"
    (root / "train" / "WALK-01" / "det" / "det.txt").unlink()
    refused(msfp("run", root, "--tracker", "sort", "--out", "results"), "WALK-01 has no det/det.txt", "WALK-02")


def test_an_image_that_cannot_be_decoded(msfp: Command, root: Path) -> None:
    (root / "train" / "WALK-02" / "img1" / "000003.jpg").write_bytes(b"no picture")
    words = ("--tracker", "lite", "--appearance", "native", "--weights", "random-init", "-p", "input.size=96,64")
    told = msfp("run", root, *words, "--out", "results")
    assert (told.code, told.err.count("\n")) == (1, 1)
    assert told.err.startswith("msfp: WALK-02: not tracked: ")
    assert "000003.jpg" in told.err
    assert [p.name for p in Path("results").glob("*.txt")] == ["WALK-01.txt"]


def test_labels(msfp: Command, root: Path) -> None:
    assert msfp("run", root, "--tracker", "sort", "--out", "results").code == 0
    path = root / "train" / "WALK-02" / "gt" / "gt.txt"
    whole = path.read_text()
    for row, words in (
        ("8,3,10,10,inf,36,1,1,1\n", ["gt.txt:17: ", "inf"]),
        ("8,3,10,10\n", ["gt.txt:17: ", "columns"]),
    ):
        path.write_text(whole + row)
        told = msfp("evaluate", root, "results")
        assert told.code == 1
        assert [line.split()[0] for line in told.out.splitlines()[1:]] == ["WALK-01", "COMBINED"]
        assert told.err.startswith("msfp: WALK-02: not scored: ")
        assert all(word in told.err for word in words)
    path.unlink()
    told = msfp("evaluate", root, "results")
    assert told.code == 1
    assert "WALK-02: not scored: WALK-02 has no labels" in told.err


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("8,1,1,1,5,5,1,-1,-1,-1\n8,1,2,1,5,5,1,-1,-1,-1\n", "a second time in frame 8"),
        ("1,1,nan,1,5,5,1,-1,-1,-1\n", "nan"),
        ("99,1,1,1,5,5,1,-1,-1,-1\n", "99"),
    ],
)
def test_result_files(msfp: Command, root: Path, row: str, said: str) -> None:
    Path("results").mkdir()
    Path("results/WALK-01.txt").write_text(row)
    refused(msfp("evaluate", root, "results"), "WALK-01.txt", said)


def test_results_that_are_not_there(msfp: Command, root: Path) -> None:
    refused(msfp("evaluate", root, "results"), "results: there is no such folder of result files")
    Path("results").mkdir()
    refused(msfp("evaluate", root, "results"), "no file is named after a sequence", "such as WALK-01.txt")
    refused(msfp("evaluate", "nowhere", "results"), "nowhere: no such folder")
    refused(msfp("data", "check", "nowhere"), "nowhere: there is no such folder")


class Foreign:
    """What unpickles as a call."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return eval, ("open('executed', 'w')",)


@pytest.mark.parametrize("command", ["figure", "reproduce"])
def test_weights(msfp: Command, command: str) -> None:
    def refuse(name: str, *said: str) -> None:
        words = ("figure", 1) if command == "figure" else ("reproduce", "--profile", "smoke")
        refused(msfp(*words, "--weights", name), name, *said)

    save_file({"model.0.conv.weight": np.zeros((3, 3), np.float32)}, "shape.safetensors")
    refuse("shape.safetensors", "weights do not fit yolov8n")
    Path("corrupt.safetensors").write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00nonsense")
    refuse("corrupt.safetensors", "not a readable safetensors file")
    Path("foreign.pt").write_bytes(pickle.dumps(Foreign()))
    refuse("foreign.pt")
    assert not Path("executed").exists()
    Path("weights.onnx").write_bytes(b"")
    refuse("weights.onnx", "weights are .safetensors or .pt files")


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (OSError(errno.EMFILE, "Too many open files"), 3, r"Too many open files\); allow more open files"),
        (OSError(errno.ENOSPC, "No space left on device", "x"), 3, r"x: .*No space left on device\); free some space"),
        (MemoryError(), 3, "out of memory"),
        (KeyError("a\nb"), 4, r"a mistake of msfp's own \(KeyError: .* at test_bad_input\.py:\d+\).*MSFP_TRACEBACK=1"),
        (RecursionError("maximum recursion depth exceeded"), 4, "RecursionError"),
    ],
)
def test_what_the_machine_refuses_and_what_is_a_bug_is_one_line(
    msfp: Command, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, said: str
) -> None:
    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr("msfp.cli.listing.listing", fail)
    result = msfp("list", "tables")
    assert result.code == status
    assert len(result.err.splitlines()) == 1
    assert re.search(said, result.err)
    assert "Traceback" not in result.err


def ran(*words: object, **streams: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", "from msfp.cli import main; main()", *map(str, words)]
    return subprocess.run(command, stderr=subprocess.PIPE, text=True, **streams)  # type: ignore[call-overload]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize(
    ("words", "unbuffered"), [(("list", "trackers"), ""), (("list", "trackers"), "1"), (("--help",), "")]
)
def test_output_that_cannot_be_written_is_one_line(
    root: Path, tmp_path: Path, words: tuple[str, ...], unbuffered: str
) -> None:
    for name in ("WALK-01", "WALK-02"):
        shutil.copy(root / "train" / name / "gt" / "gt.txt", root / f"{name}.txt")
    with Path("/dev/full").open("w") as full:
        done = ran(*words, stdout=full, cwd=tmp_path, env={**os.environ, "PYTHONUNBUFFERED": unbuffered})
    assert done.returncode == 3, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("msfp: standard output: refused by the system (No space left on device); free some")


@pytest.mark.skipif(os.name != "posix", reason="closes a descriptor")
def test_closed_output_is_no_mistake(tmp_path: Path) -> None:
    done = ran("list", "trackers", preexec_fn=lambda: os.close(1), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")

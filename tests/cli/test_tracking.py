"""`msfp run` and `msfp evaluate`: files in, files out, the pipeline's own numbers."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msfp.data import catalog
from msfp.data.motchallenge import read_ground_truth, read_tracks
from msfp.data.sequences import SLACK, remedy, score_range
from msfp.metrics.scores import evaluate
from msfp.types import Detections

from .conftest import LENGTH, Command, write_sequence

APPEARANCE = ("--tracker", "lite", "--appearance", "native", "--weights", "random-init", "-p", "input.size=96,64")


@pytest.mark.parametrize("words", [("--tracker", "bytetrack"), ("--tracker", "sort", "--threshold", "0.3"), APPEARANCE])
def test_results_are_read_back_and_scored_as_the_library_does(
    msfp: Command, root: Path, words: tuple[str, ...]
) -> None:
    tracked = msfp("run", root, *words, "--out", "results", "--json")
    assert tracked.code == 0, tracked.err
    written = json.loads(tracked.out)
    assert written == {"written": ["results/WALK-01.txt", "results/WALK-02.txt"], "skipped": {}}
    scored = msfp("evaluate", root, "results", "--json")
    assert scored.code == 0
    rows = {row.pop("sequence"): row for row in json.loads(scored.out)}
    assert list(rows) == ["WALK-01", "WALK-02", "COMBINED"]
    for scene in catalog.load(root):
        tracks = read_tracks(Path("results") / f"{scene.name}.txt")
        assert len(tracks)
        truth = read_ground_truth(scene.pixels.path / "gt" / "gt.txt", scene.pixels)
        assert rows[scene.name] == evaluate(truth, tracks, LENGTH).row()
    assert rows["COMBINED"]["IDSW"] == 0
    assert rows["COMBINED"]["MOTA"] > 0.5
    for_people = msfp("evaluate", root, "results").out.splitlines()
    assert for_people[0].split() == ["HOTA", "DetA", "AssA", "MOTA", "IDF1", "IDSW"]
    assert for_people[-1].split()[1] == f"{100 * rows['COMBINED']['HOTA']:.3f}"


def test_what_lacks_pixels_is_named_and_left_out(msfp: Command, root: Path) -> None:
    write_sequence(root / "train" / "WALK-03", frames=3)
    tracked = msfp("run", root, *APPEARANCE, "--out", "results")
    assert tracked.code == 1
    assert tracked.out.splitlines() == ["results/WALK-01.txt", "results/WALK-02.txt"]
    assert tracked.err == f"msfp: WALK-03: not tracked: WALK-03: 3 of {LENGTH} frames present\n"
    scored = msfp("evaluate", root, "results")
    assert scored.code == 1
    assert scored.err == "msfp: COMBINED leaves out what has no result file: WALK-03\n"
    assert msfp("run", root, "--tracker", "sort", "--out", "results").code == 0


def test_tracker_settings_and_thresholds_take_effect(msfp: Command, root: Path) -> None:
    assert msfp("run", root, "--tracker", "bytetrack", "--threshold", "0.95,0.94", "--out", "none").code == 0
    assert len(read_tracks(Path("none/WALK-01.txt"))) == 0
    assert msfp("run", root, "--tracker", "sort", "--set", "min_score=0.95", "--out", "few").code == 0
    assert len(read_tracks(Path("few/WALK-01.txt"))) == 0
    assert msfp("run", root, "--tracker", "sort", "--set", "min_score=0.5", "--out", "all").code == 0
    assert len(read_tracks(Path("all/WALK-01.txt"))) == 2 * LENGTH


def test_data_check(msfp: Command, root: Path) -> None:
    whole = msfp("data", "check", root)
    assert whole.code == 0
    assert all(line.startswith("right") for line in whole.out.splitlines())
    (root / "train" / "WALK-02" / "img1" / "000004.jpg").unlink()
    partial = msfp("data", "check", root, "--json")
    assert partial.code == 1
    amiss = [f for f in json.loads(partial.out) if f["state"] != "right"]
    assert [(f["sequence"], f["state"]) for f in amiss] == [("WALK-02", "missing")]
    assert f"{LENGTH - 1} of {LENGTH} frames present" in amiss[0]["message"]
    (root / "train" / "WALK-01" / "img1" / "000002.jpg").write_bytes(b"no picture")
    assert "wrong" not in msfp("data", "check", root).out  # three frames a sequence are decoded
    assert "wrong" in msfp("data", "check", root, "--thorough").out


def linked(folder: Path, real: Path, *names: str) -> Path:
    """A root with links to some sequences of a real one."""
    (folder / "train").mkdir(parents=True)
    for name in names:
        (folder / "train" / name).symlink_to(real / "train" / name)
    return folder


@pytest.mark.real
def test_real_results_score_as_official_trackeval_does(msfp: Command, shared: Path, tmp_path: Path) -> None:
    names = [f"MOT17-{scene}-{detector}" for scene in ("09",) for detector in ("DPM", "FRCNN", "SDP")]
    root = linked(tmp_path / "real", shared / "mot17-dev", *names)
    scored = msfp("evaluate", root, shared / "oracle" / "MPNTrack", "--json")
    assert scored.code == 0
    rows = {row["sequence"]: row for row in json.loads(scored.out)}
    assert list(rows) == [*names, "COMBINED"]
    with (shared / "oracle" / "MPNTrack-scores.csv").open() as file:
        official = {line.pop("sequence"): line for line in csv.DictReader(file)}
    for name in names:
        for column in ("HOTA", "DetA", "AssA", "MOTA", "IDF1", "IDSW"):
            assert rows[name][column] == pytest.approx(float(official[name][column]), abs=1e-9), (name, column)


@pytest.mark.real
def test_real_detections_are_tracked_and_scored(msfp: Command, shared: Path, tmp_path: Path) -> None:
    name = "MOT17-09-SDP"
    root = linked(tmp_path / "real", shared / "mot17-dev", name)
    assert msfp("run", root, "--tracker", "bytetrack", "--out", "results").code == 0
    scored = json.loads(msfp("evaluate", root, "results", "--json").out)
    scene = catalog.load(root, "mot17")[0]
    truth = read_ground_truth(scene.pixels.path / "gt" / "gt.txt", scene.pixels)
    score = evaluate(truth, read_tracks(Path("results") / f"{name}.txt"), scene.pixels.length)
    assert {k: v for k, v in scored[0].items() if k != "sequence"} == score.row()
    assert score.row()["HOTA"] > 0.3


def rescored(root: Path, low: float, high: float) -> None:
    """Give the boxes of every sequence scores from low to high."""
    for path in root.glob("train/*/det/det.txt"):
        lines = [line.rpartition(",")[0] for line in path.read_text().splitlines()]
        steps = [low + (high - low) * i / (len(lines) - 1) for i in range(len(lines))]
        path.write_text("".join(f"{line},{score:.6f}\n" for line, score in zip(lines, steps, strict=True)))


@pytest.mark.parametrize(
    ("low", "high", "words", "told"),
    [
        (-0.5, 4.7733, (), "scores from -0.5 to 4.77, not from 0 to 1.*--threshold HIGH,LOW in their range, or -p"),
        (-0.5, 4.7733, ("--threshold", "1.5,0"), ""),
        (0, 99, (), "scores from 0 to 99, not from 0 to 1.*divide the seventh column by 100"),
        (0, 99, ("--threshold", "0.6,0.1"), "divide the seventh column by 100"),
        (0, 1, (), ""),
        (0.4, 1.000001, (), ""),
    ],
)
def test_scores_that_are_no_shares_are_told_once(
    msfp: Command, root: Path, low: float, high: float, words: tuple[str, ...], told: str
) -> None:
    rescored(root, low, high)
    tracked = msfp("run", root, "--tracker", "bytetrack", *words, "--out", "results")
    assert tracked.code == 0, tracked.err
    assert len(tracked.err.splitlines()) == bool(told)
    assert re.search(told, tracked.err)
    assert not told or "WALK-01/det/det.txt (and 1 more files): " in tracked.err


@given(st.floats(-1000, 1000, width=32), st.floats(0, 1000, width=32))
def test_a_range_is_that_of_shares_or_has_a_remedy(low: float, width: float) -> None:
    scores = np.array([low, low + width], np.float32)
    found = score_range(Detections(np.ones(2, np.int32), np.ones((2, 4)), scores))
    assert found.unit == bool((scores >= -SLACK).all() and (scores <= 1 + SLACK).all())
    assert not (found.unit and found.percent)
    assert remedy(found).startswith("divide" if found.percent else "give")


@pytest.mark.real
def test_the_published_dpm_margins_are_told_and_right(msfp: Command, shared: Path) -> None:
    told = msfp("data", "check", shared / "mot17-dev")
    lines = [line for line in told.out.splitlines() if "det/det.txt" in line]
    assert {("-DPM" in line) for line in lines if "not from 0 to 1" in line} == {True}
    assert all(("not from 0 to 1" in line) == ("-DPM" in line) for line in lines)
    assert all(line.startswith("right") for line in lines)

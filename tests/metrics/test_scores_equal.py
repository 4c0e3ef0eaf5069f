"""The kernels against TrackEval in memory, and that against TrackEval from files and its official results."""

import csv
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from msfp.errors import InputError
from msfp.metrics import hota, scores
from msfp.metrics.hota import pairwise_sum
from msfp.metrics.scores import identical
from msfp.tracking.costs import assign_maximum
from msfp.types import GroundTruth, Tracks

BENCHMARKS = st.sampled_from(["MOT17", "MOT20", "MOT15", "DanceTrack", "PersonPath22"])
SMALL = st.integers(0, 9)


@given(seed=st.integers(0, 2**32), grid=st.booleans(), people=st.integers(1, 14), benchmark=BENCHMARKS)
def test_kernels_equal_trackeval(make_scene, seed, grid, people, benchmark):
    gt, tracks = make_scene(seed, grid=grid, people=people)
    prepared = hota.prepare(gt, 8, benchmark=benchmark)
    reference = scores.evaluate(gt, tracks, 8, benchmark=benchmark)
    assert identical(hota.score(prepared, tracks), reference, 1e-9)
    assert identical(hota.score(prepared, tracks), reference, 1e-9), "a prepared truth serves again"


@pytest.mark.parametrize("people", [40, 150])
def test_kernels_equal_trackeval_in_a_crowd(make_scene, people):
    gt, tracks = make_scene(1, people=people, length=4)
    assert identical(hota.evaluate(gt, tracks, 4), scores.evaluate(gt, tracks, 4), 1e-9)


@given(st.integers(0, 2**32), SMALL, SMALL, st.integers(1, 5))
def test_assignment_breaks_ties_as_scipy_does(seed, n, m, values):
    score = np.random.default_rng(seed).integers(0, values, (n, m)) / 7
    rows, columns = linear_sum_assignment(-score)
    column_of = np.full(n, -1)
    column_of[rows] = columns
    assert assign_maximum(score).tolist() == column_of.tolist()


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 20, 127, 128, 129, 300, 1000])
def test_pairwise_sum_is_numpys_to_the_bit(n):
    values = np.random.default_rng(n).random((3, n))
    assert [pairwise_sum(row) for row in values] == values.sum(axis=1).tolist()


def test_in_memory_equals_trackevals_own_reading_of_files(make_scene, tmp_path):
    from trackeval.datasets import MotChallenge2DBox
    from trackeval.metrics import HOTA

    gt, tracks = make_scene(5, people=12)
    (tmp_path / "gt" / "A" / "gt").mkdir(parents=True)
    (tmp_path / "results" / "ours" / "data").mkdir(parents=True)
    none = -np.ones(len(tracks))
    truth_columns = [gt.frame, gt.id, gt.tlwh, gt.flag, gt.category, gt.visibility]
    save(tmp_path / "gt" / "A" / "gt" / "gt.txt", truth_columns)
    result_columns = [tracks.frame, tracks.id, tracks.tlwh, tracks.score, none, none, none]
    save(tmp_path / "results" / "ours" / "data" / "A.txt", result_columns)
    dataset = MotChallenge2DBox(
        {
            "GT_FOLDER": str(tmp_path / "gt"),
            "TRACKERS_FOLDER": str(tmp_path / "results"),
            "SEQ_INFO": {"A": 8},
            "SKIP_SPLIT_FOL": True,
            "PRINT_CONFIG": False,
        }
    )
    data = dataset.get_preprocessed_seq_data(dataset.get_raw_seq_data("ours", "A"), "pedestrian")
    expected = HOTA().eval_sequence(data)
    found = scores.evaluate(gt, tracks, 8)
    assert found.hota_alpha.tolist() == expected["HOTA"].tolist()
    assert found.loc_a.tolist() == expected["LocA"].tolist()
    assert found.hota_tp.tolist() == expected["HOTA_TP"].tolist()


def test_trackeval_says_nothing(make_scene, capfd):
    gt, tracks = make_scene(2)
    scores.combine({"a": scores.evaluate(gt, tracks, 8)})
    assert capfd.readouterr() == ("", "")


def test_nothing_to_combine():
    with pytest.raises(InputError, match="evaluate at least one sequence"):
        scores.combine({})


@pytest.mark.real
@pytest.mark.parametrize("scene", ["02", "04", "05", "09"])
@pytest.mark.parametrize("detector", ["DPM", "FRCNN", "SDP"])
def test_published_results_score_as_the_official_tool_says(shared, scene, detector):
    name = f"MOT17-{scene}-{detector}"
    gt, length = read_truth(shared / "mot17-dev" / "train" / f"MOT17-{scene}-FRCNN")
    a = read(shared / "oracle" / "MPNTrack" / f"{name}.txt")
    tracks = Tracks(a[:, 0].astype(np.int32), a[:, 1].astype(np.int32), a[:, 2:6].copy(), a[:, 6].astype(np.float32))
    score = scores.evaluate(gt, tracks, length)
    with (shared / "oracle" / "MPNTrack-scores.csv").open() as file:
        expected = next(row for row in csv.DictReader(file) if row["sequence"] == name)
    row = score.row() | {"CLR_TP": score.tp, "CLR_FN": score.fn, "CLR_FP": score.fp}
    for field in ("HOTA", "DetA", "AssA", "MOTA", "IDF1"):
        assert row[field] == pytest.approx(float(expected[field]), rel=0, abs=1e-9)
    assert all(row[field] == int(expected[field]) for field in ("IDSW", "CLR_TP", "CLR_FN", "CLR_FP"))
    assert identical(hota.evaluate(gt, tracks, length), score, 1e-9)


def read(path: Path) -> np.ndarray:
    """Rows of a MOTChallenge file in frame order."""
    a = pd.read_csv(path, header=None).to_numpy(np.float64)
    return a[np.argsort(a[:, 0], kind="stable")]


@cache
def read_truth(folder: Path) -> tuple[GroundTruth, int]:
    """Truth and length of a sequence folder."""
    a = read(folder / "gt" / "gt.txt")
    line = next(s for s in (folder / "seqinfo.ini").read_text().splitlines() if s.lower().startswith("seqlength"))
    whole, part = a.astype(np.int32), a.astype(np.float32)
    truth = GroundTruth(whole[:, 0], whole[:, 1], a[:, 2:6].copy(), part[:, 6], whole[:, 7], part[:, 8])
    return truth, int(line.partition("=")[2])


def save(path: Path, columns: list[np.ndarray]) -> None:
    """Columns as a MOTChallenge file, every digit kept."""
    np.savetxt(path, np.column_stack(columns), delimiter=",", fmt="%.17g")

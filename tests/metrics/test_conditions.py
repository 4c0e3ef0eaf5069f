"""Association by the boxes' properties against the whole, and switches with their causes, by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msfp.metrics import hota
from msfp.metrics.switches import accuracy, association, coming_back, describe, explain, find_switches
from msfp.types import GroundTruth, Tracks

BENCHMARKS = st.sampled_from(["MOT17", "MOT20", "DanceTrack", "PersonPath22"])


@given(seed=st.integers(0, 2**32), grid=st.booleans(), benchmark=BENCHMARKS)
def test_properties_share_out_association_accuracy(make_scene, seed, grid, benchmark):
    """All boxes together have AssA as scored, and what two halves add up to is the whole."""
    gt, tracks = make_scene(seed, grid=grid)
    truth = hota.prepare(gt, 8, benchmark=benchmark)
    boxes = describe(gt, benchmark)
    assert len(boxes.area) == len(truth.id)
    half = np.random.default_rng(seed).random(len(boxes.area)) < 0.5
    whole, one, other = association(truth, tracks, np.stack([np.ones_like(half), half, ~half]))
    np.testing.assert_allclose(one + other, whole, atol=1e-9)
    score = hota.score(truth, tracks)
    np.testing.assert_array_equal(whole[1], score.hota_tp)
    np.testing.assert_allclose(whole[0] / np.maximum(1, whole[1]), score.ass_a, atol=1e-9)


def labels(rows: list[tuple[float, ...]]) -> GroundTruth:
    """(frame, id, left, top, width, height, visibility) of people that count."""
    a = np.array(sorted(rows), np.float64)
    ones = np.ones(len(a))
    return GroundTruth(
        a[:, 0].astype(np.int32), a[:, 1].astype(np.int32), a[:, 2:6], ones.astype(np.float32), ones.astype(np.int32),
        a[:, 6].astype(np.float32),
    )  # fmt: skip


def results(rows: list[tuple[float, ...]]) -> Tracks:
    a = np.array(sorted(rows), np.float64)
    return Tracks(a[:, 0].astype(np.int32), a[:, 1].astype(np.int32), a[:, 2:6], np.ones(len(a), np.float32))


def test_a_track_that_breaks_on_the_small_person_costs_the_small_alone() -> None:
    gt = labels([(t, 1, 0, 0, 10, 20, 1) for t in range(1, 11)] + [(t, 2, 500, 0, 100, 200, 1) for t in range(1, 11)])
    tracks = results(
        [(t, 7 if t <= 5 else 8, 0, 0, 10, 20) for t in range(1, 11)] + [(t, 9, 500, 0, 100, 200) for t in range(1, 11)]
    )
    small = describe(gt, "MOT17").area < 1000
    sums = association(hota.prepare(gt, 10), tracks, np.stack([small, ~small]))
    np.testing.assert_allclose(accuracy(sums), [0.5, 1.0])
    assert np.isnan(accuracy(np.zeros((2, 19))))


def test_coming_back_by_hand() -> None:
    frame = np.array([1, 2, 3, 6, 7, 20, 21], np.int32)
    seen = np.array([True, True, False, True, True, True, False])
    assert coming_back(frame, seen).tolist() == [False, False, False, True, True, True, False]
    long = np.arange(1, 31, dtype=np.int32)
    assert coming_back(long, long != 5).tolist() == [6 <= t < 16 for t in range(1, 31)]
    assert not coming_back(long, np.ones(30, np.bool_)).any()


@pytest.mark.parametrize(
    ("visibility", "neighbour", "missed", "side", "cause"),
    [
        (0.3, False, 0, 100, "occlusion"),
        (1.0, True, 0, 100, "crossing"),
        (1.0, False, 2, 100, "gap"),
        (1.0, False, 0, 20, "small"),
        (1.0, False, 0, 100, "other"),
        (0.3, True, 2, 20, "occlusion"),
    ],
)
def test_causes_by_hand(visibility: float, neighbour: bool, missed: int, side: float, cause: str) -> None:
    """One person whose track changes at frame 6; frames before it may be missed, the person hidden or overlapped."""
    rows = [(t, 1, 0, 0, side, side, visibility if t == 6 else 1) for t in range(1, 9)]
    rows += [(t, 2, side / 2, 0, side, side, 1) for t in range(1, 9)] if neighbour else []
    gt = labels(rows)
    tracks = results([(t, 5 if t < 6 else 6, 0, 0, side, side) for t in range(1, 9) if not 6 - missed <= t < 6])
    truth = hota.prepare(gt, 8)
    found = find_switches(truth, tracks)
    assert (found.frame.tolist(), found.last.tolist()) == ([6], [5 - missed])
    (reason,) = explain(truth, describe(gt, "MOT17").visibility, found, small=1000)
    assert (reason.kind, reason.missed) == (cause, missed)
    assert reason.visibility == pytest.approx(visibility)
    assert (reason.overlap > 0) == neighbour

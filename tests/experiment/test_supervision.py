"""Targets of ATL that need no grid search: what they are on scenes whose answer is known."""

import numpy as np
import pytest

from msfp.config import AtlSettings
from msfp.experiment import data
from msfp.experiment.run import Run
from msfp.experiment.thresholds import (
    Threshold,
    atl_inputs,
    clips,
    consistency_target,
    distractors,
    sequence_targets,
    statistics_target,
    train_atl,
)
from msfp.types import Detections, GroundTruth

from .conftest import LENGTH, Make

ATL = AtlSettings()


def crowd(length: int = 30, seed: int = 0) -> Detections:
    """Four people who walk on with scores above 0.3, and boxes that flicker anywhere with scores below 0.25."""
    rng = np.random.default_rng(seed)
    rows = []
    for t in range(1, length + 1):
        rows += [(t, 100.0 * p + 2 * t, 50.0, rng.uniform(0.32, 0.9)) for p in range(4)]
        rows += [(t, rng.uniform(0, 900), rng.uniform(300, 900), rng.uniform(0.05, 0.23)) for _ in range(6)]
    frame, left, top, score = (np.array(column) for column in zip(*rows, strict=True))
    tlwh = np.stack([left, top, np.full(len(left), 40.0), np.full(len(left), 100.0)], axis=1)
    return Detections(frame.astype(np.int32), tlwh, score.astype(np.float32))


def test_scores_alone() -> None:
    scores = np.linspace(0.0, 0.4, 401, dtype=np.float32)
    found = Detections(np.ones(401, np.int32), np.ones((401, 4)), scores)
    assert statistics_target(ATL, found) == pytest.approx(0.06, abs=1e-3)
    sure = Detections(found.frame, found.tlwh, scores + 0.6)
    assert statistics_target(ATL, sure) == ATL.tau_max


def test_tracks_alone_tell_people_from_flicker() -> None:
    assert 0.23 < consistency_target(ATL, crowd(), 30, 30.0) <= 0.35


def test_tracks_alone_need_something_that_lasts() -> None:
    """Without any track all thresholds are as good: the middle of the whole grid."""
    nothing = Detections(np.zeros(0, np.int32), np.zeros((0, 4)), np.zeros(0, np.float32))
    assert consistency_target(ATL, nothing, 10, 30.0) == pytest.approx(ATL.grid[(len(ATL.grid) - 1) // 2])


def test_only_distractors_are_left_as_people() -> None:
    category = np.array([1, 7, 3, 12], np.int32)
    flag = np.array([1, 0, 0, 0], np.float32)
    truth = GroundTruth(np.ones(4, np.int32), np.arange(4, dtype=np.int32), np.ones((4, 4)), flag, category, flag)
    there = distractors(truth)
    assert there.id.tolist() == [1, 3]
    assert there.pedestrian.all()


def learning(make_run: Make, **settings: object) -> tuple[Run, tuple[data.Part, ...]]:
    run = make_run({"MOT17-02-SDP": LENGTH}, **settings)
    return run, tuple(data.whole(s) for s in data.scenes(run, "mot17"))


def test_clips_hold_every_detection_once(make_run: Make) -> None:
    run, (part,) = learning(make_run, **{"atl.batch": 4})
    found = list(clips(run, part, part.scene.sequences[0]))
    assert [len(c.scene) for c in found] == [4, 4, 1]
    assert sum(len(c.score) for c in found) == sum(c.truth for c in found) == 3 * LENGTH
    for own in found:
        assert own.frame.tolist() == np.repeat(np.arange(len(own.scene)), 3).tolist()
        assert sorted(set(own.person.tolist())) == [1, 2, 3]  # the boxes are the labels'
        assert own.buffer == 30


@pytest.mark.parametrize("supervision", ["idf1", "statistics", "consistency"])
def test_atl_is_taught_without_a_search(make_run: Make, supervision: str) -> None:
    run, learn = learning(make_run)
    state = train_atl(run, Threshold("atl", learn=learn, supervision=supervision), "SDP")[0].state
    assert all(np.isfinite(value).all() for value in state.values())
    assert not list(run.store.root.glob("grid/**/*.*"))
    own, grid = (
        atl_inputs(run, Threshold("atl", learn=learn, supervision=kind), "SDP") for kind in (supervision, "grid")
    )
    assert own != grid


def test_targets_are_one_a_sequence_and_within_the_grid(make_run: Make) -> None:
    run, learn = learning(make_run)
    for supervision in ("statistics", "consistency"):
        (target,) = sequence_targets(run, Threshold("atl", learn=learn, supervision=supervision), "SDP").values()
        assert target.shape == (1,)
        assert 0.01 <= target[0] <= 0.5

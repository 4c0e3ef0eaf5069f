"""Recovery around every registered tracker: who is kept, what is reported, what the decision sees."""

import numpy as np
import pytest

from msfp.tracking import FrameContext, Updates, frame_by_frame, gather, gathered, make, names, tracker_class
from msfp.tracking.recovery import (
    AT_PREDICTION,
    FIRST_NEIGHBOUR,
    HISTORY,
    MISSED,
    NEIGHBOURS,
    PLACE,
    TOKENS,
    Proposals,
    Recovered,
)
from msfp.types import Tracks
from tests.tracking.conftest import Walk

every_tracker = pytest.mark.parametrize("name", names())


class Always:
    """Chooses the same for everyone, and keeps what it was shown."""

    def __init__(self, choice: int) -> None:
        self.choice = choice
        self.seen: list[Proposals] = []

    def __call__(self, proposals: Proposals) -> np.ndarray:
        self.seen.append(proposals)
        return np.tile(np.eye(2 + NEIGHBOURS)[self.choice], (len(proposals), 1))


def look(_frame: int, boxes: np.ndarray) -> np.ndarray:
    """Appearance that says where a box is."""
    return np.asarray(boxes, np.float32).reshape(-1, 4)


def run(name: str, scene: Walk, choose: Always | None = None) -> Tracks:
    tracker = make(name)
    vectors = scene.embeddings if tracker.needs_embeddings else None
    driven = tracker if choose is None else Recovered(tracker, look, choose)
    return drive(driven, scene, vectors)


def drive(tracker: Updates, scene: Walk, vectors: np.ndarray | None) -> Tracks:
    tracker.reset()
    return gathered(list(frame_by_frame(tracker, gather(tracker, scene.detections, scene.length, vectors), 1)))


def same(a: Tracks, b: Tracks) -> bool:
    return all(np.array_equal(getattr(a, f), getattr(b, f)) for f in ("frame", "id", "tlwh", "score"))


def one_person(name: str, gaps: set[int], choose: Always, length: int = 16, **kwargs: object) -> list:
    """Outputs for a person walking right who is not detected in some frames."""
    tracker = Recovered(make(name), look, choose, **kwargs)
    outputs = []
    for t in range(1, length + 1):
        boxes = np.array([[10.0 + 4 * t, 10, 40 + 4 * t, 90]])[: t not in gaps]
        vectors = np.ones((len(boxes), 8)) if tracker_class(name).needs_embeddings else None
        outputs.append(tracker.update(boxes, np.full(len(boxes), 0.9), vectors, FrameContext(index=t)))
    return outputs


@every_tracker
def test_without_a_choice_nothing_changes(name: str, scene: Walk) -> None:
    assert same(run(name, scene), run(name, scene, Always(MISSED)))


@every_tracker
def test_a_missed_person_is_reported_where_the_filter_predicts(name: str) -> None:
    outputs = one_person(name, {10, 11, 12}, Always(AT_PREDICTION))
    assert [len(o) for o in outputs[5:]] == [1] * 11
    assert {int(o.ids[0]) for o in outputs[5:]} == {1}
    for t in (10, 11, 12):
        out = outputs[t - 1]
        assert out.detections.tolist() == [-1]
        assert abs(out.boxes[0, 0] - (10 + 4 * t)) < 8
    assert outputs[12].detections.tolist() == [0]


@every_tracker
def test_identities_stay_unique_and_reset_repeats(name: str, scene: Walk) -> None:
    tracker = Recovered(make(name), look, Always(AT_PREDICTION))
    vectors = scene.embeddings if tracker.tracker.needs_embeddings else None
    first = drive(tracker, scene, vectors)
    pairs = np.stack([first.frame, first.id], axis=1)
    assert len(np.unique(pairs, axis=0)) == len(pairs)
    assert same(first, drive(tracker, scene, vectors))


@every_tracker
def test_a_thousand_boxes_vanish_at_once(name: str) -> None:
    rng = np.random.default_rng(0)
    left_top = rng.uniform(0, 1800, size=(1000, 2))
    boxes = np.hstack([left_top, left_top + np.array([40, 100])])
    tracker = Recovered(make(name), look, Always(AT_PREDICTION))
    for t in range(5):
        vectors = rng.normal(size=(1000, 8)) if tracker.tracker.needs_embeddings else None
        found = boxes if t < 4 else boxes[:100]
        out = tracker.update(found, np.full(len(found), 0.9), None if vectors is None else vectors[: len(found)])
    assert np.isfinite(out.boxes).all()
    assert len(np.unique(out.ids)) == len(out.ids)


def test_nobody_is_kept_for_longer_than_allowed_nor_looked_for_once_missed() -> None:
    kept = one_person("bytetrack", set(range(6, 17)), Always(AT_PREDICTION), longest=4)
    assert [len(o) for o in kept] == [1] * 9 + [0] * 7
    missed = Always(MISSED)
    one_person("bytetrack", set(range(6, 17)), missed)
    assert sum(map(len, missed.seen)) == 1


def test_what_the_decision_sees() -> None:
    choose = Always(AT_PREDICTION)
    one_person("bytetrack", {10, 11}, choose, image=(70.0, 200.0))
    first, second = choose.seen
    assert first.look.shape == (1, TOKENS, 4)
    assert first.place.shape == (1, TOKENS, PLACE)
    assert first.there[0].tolist() == [True] * (HISTORY + 1) + [False] * NEIGHBOURS
    assert np.allclose(first.look[0, HISTORY], first.boxes[0], atol=1e-3)
    assert np.allclose(first.place[0, :HISTORY, 4], np.arange(-HISTORY, 0) / 10)
    assert (np.diff(first.place[0, :HISTORY, 0]) > 0).all()  # walked right
    assert first.place[0, HISTORY, 5] == pytest.approx(1)  # IoU of the predicted box with itself
    assert 0.6 < first.place[0, HISTORY, 6] < 0.8  # right edge at 80 in an image 70 wide
    assert (first.last_frame[0], second.last_frame[0]) == (9, 9)
    assert second.place[0, HISTORY, 4] == pytest.approx(0.2)
    assert not first.look[0, HISTORY + 1 :].any()


def test_a_detection_that_nobody_has_is_taken_once() -> None:
    choose = Always(FIRST_NEIGHBOUR)
    tracker = Recovered(make("bytetrack"), look, choose)
    near = np.array([[10.0, 10, 40, 90], [100, 10, 130, 90]])
    for _ in range(6):
        out = tracker.update(near, [0.9, 0.9])
    out = tracker.update(np.array([[55.0, 10, 85, 90]]), [0.05])  # below tau_low: the tracker itself ignores it
    assert choose.seen[-1].detection[:, 0].tolist() == [0, 0]
    assert not choose.seen[-1].taken.any()
    assert out.detections.tolist() == [0]
    out = tracker.update(np.array([[55.0, 10, 85, 90], [300, 10, 330, 90]]), [0.9, 0.9])
    assert out.ids.tolist() == [1]


def test_a_detection_of_another_track_is_not_taken() -> None:
    choose = Always(FIRST_NEIGHBOUR)
    tracker = Recovered(make("bytetrack"), look, choose)
    pair = np.array([[10.0, 10, 40, 90], [35, 10, 65, 90]])
    for _ in range(6):
        tracker.update(pair, [0.9, 0.9])
    out = tracker.update(pair[:1], [0.9])
    assert choose.seen[-1].taken[0, 0]
    assert out.ids.tolist() == [1]

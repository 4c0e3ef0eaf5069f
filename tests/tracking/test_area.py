"""No tracker reports a box without area, whatever it is shown, frame by frame or a whole sequence at once."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from msfp.tracking import Given, Tracker, at_once, frame_by_frame, make, names, track, tracker_class
from msfp.tracking.base import TrackerOutput
from msfp.tracking.costs import has_area, with_area
from msfp.tracking.recovery import AT_PREDICTION, NEIGHBOURS, Proposals, Recovered
from msfp.types import Detections

LENGTH = 24
HEIGHTS = (80.0, 40.0, 100.0, 150.0, 60.0, 90.0)
SHRINK = (6.0, 3.0, 8.0, 10.0, 5.0, 0.0)  # pixels a frame; the last one's box flips between upright, a line and flat


def shrinking(missing: frozenset[int] = frozenset(), faster: float = 1.0, turn: int = 2, warped: bool = False) -> Given:
    """People who shrink to a speck and to nothing, and one whose box flips; seen in all frames but those missing."""
    rows = []
    for t in range(LENGTH):
        for p, (height, step) in enumerate(zip(HEIGHTS, SHRINK, strict=True)):
            if t in missing and p % 2 == 0:
                continue
            high = max(height - faster * step * t, 0.5 if p % 2 else 0.0)
            wide = 0.4 * high
            if not step:
                wide, high = [(36.0, 90.0), (180.0, 1.0), (90.0, 0.0), (0.0, 90.0)][t // turn % 4]
            left, foot = 100.0 + 300 * p + t, 300.0 + height
            rows.append((t, left, foot - high, left + wide, foot, (0.95, 0.5)[t % 5 == 4], p))
    table = np.array(rows)
    looks = np.eye(len(HEIGHTS))[table[:, 6].astype(int)]
    bounds = np.searchsorted(table[:, 0], np.arange(LENGTH + 1))
    warps = np.tile(np.array([[0.97, 0.0, 2.0], [0.0, 0.97, -1.0]]), (LENGTH, 1, 1)) if warped else None
    return Given(bounds, table[:, 1:5], table[:, 5].astype(np.float32), looks, None, None, warps)


def sound(parts: list[TrackerOutput]) -> TrackerOutput:
    """Hold that every box is finite and has an area; the parts as one."""
    names = ("ids", "boxes", "scores", "detections", "counts")
    whole = TrackerOutput(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
    assert np.isfinite(whole.boxes).all()
    assert (whole.boxes[:, 2:] > whole.boxes[:, :2]).all()
    assert whole.counts is not None
    assert len(whole.ids) == len(whole.boxes) == len(whole.scores) == whole.counts.sum()
    return whole


def stepped(tracker: Tracker, scene: Given) -> TrackerOutput:
    """Frame by frame; the reported rows of detections are those of the reported scores."""
    tracker.reset()
    return sound(list(frame_by_frame(tracker, scene, 1)))


@pytest.mark.parametrize("name", names())
@settings(max_examples=12)
@given(
    missing=st.frozensets(st.integers(3, LENGTH - 1), max_size=6),
    faster=st.floats(0.5, 3.0),
    turn=st.integers(1, 4),
    warped=st.booleans(),
)
@example(missing=frozenset(), faster=1.0, turn=2, warped=False)
@example(missing=frozenset({13, 14}), faster=1.0, turn=2, warped=False)
@example(missing=frozenset({6, 7, 9}), faster=2.0, turn=1, warped=True)
def test_every_reported_box_has_an_area(
    name: str, missing: frozenset[int], faster: float, turn: int, warped: bool
) -> None:
    scene = shrinking(missing, faster, turn, warped)
    tracker = make(name)
    one = stepped(tracker, scene)
    tracker.reset()
    whole = sound(at_once(tracker, scene))
    fields = ("ids", "boxes", "scores", "counts")
    assert all(np.array_equal(getattr(one, field), getattr(whole, field)) for field in fields)


@pytest.mark.parametrize("name", [n for n in names() if "output" in tracker_class(n).Settings.model_fields])
def test_detected_boxes_without_area_are_not_reported_either(name: str) -> None:
    scene, tracker = shrinking(turn=3), make(name, output="detection")
    one = stepped(tracker, scene)
    tracker.reset()
    whole = sound(at_once(tracker, scene))
    assert np.array_equal(one.ids, whole.ids)
    assert np.array_equal(one.boxes, whole.boxes)


@pytest.mark.parametrize("name", ["deepsort", "strongsort", "lite-deepsort"])
def test_a_state_without_area_is_left_out_and_its_track_lives_on(name: str) -> None:
    """A person who shrinks by 6 pixels a frame, unseen once small: the filter goes on shrinking, below nothing."""
    tracker, looks = make(name), np.ones((1, 8))
    for t in range(8):
        out = tracker.update([[100.0, 100 + 6.0 * t, 130, 180]], [0.9], looks)
    identity = int(out.ids[0])
    tracker._tracks.mean[0, 3] = 5.0
    tracker._tracks.mean[0, 7] = -6.0
    assert out.detections.tolist() == [0], "still seen"
    assert len(tracker.update(np.zeros((0, 4)), np.zeros(0), np.zeros((0, 8)))) == 0
    assert tracker.unmatched()[0].tolist() == [identity]
    assert not with_area(tracker.unmatched()[1]).any(), "it is the state that has no area"


def test_tracks_of_a_sequence_have_an_area() -> None:
    scene = shrinking(frozenset({13, 14}))
    frame = np.repeat(np.arange(1, LENGTH + 1), np.diff(scene.bounds)).astype(np.int32)
    tlwh = np.hstack([scene.boxes[:, :2], scene.boxes[:, 2:] - scene.boxes[:, :2]])
    for name in names():
        looks = scene.embeddings if tracker_class(name).needs_embeddings else None
        tracks = track(make(name), Detections(frame, tlwh, scene.scores), LENGTH, looks)
        assert len(tracks) > LENGTH / 2, name
        assert (tracks.tlwh[:, 2:] > 0).all(), name


def test_recovery_reports_no_box_without_area() -> None:
    """Not even where it is decided that a track is at a detection that has none."""

    def first_neighbour(proposals: Proposals) -> np.ndarray:
        weights = np.zeros((len(proposals), 2 + NEIGHBOURS), np.float32)
        weights[:, AT_PREDICTION] = 0.5
        weights[:, AT_PREDICTION + 1] = np.where(proposals.detection[:, 0] >= 0, 0.9, 0.0)
        return weights

    tracker = Recovered(make("bytetrack"), lambda _, boxes: np.zeros((len(boxes), 4), np.float32), first_neighbour)
    for t in range(6):
        tracker.update([[100.0 + t, 100, 130 + t, 180]], [0.9])
    out: TrackerOutput = tracker.update([[106.0, 140, 136, 140]], [0.05])
    assert with_area(out.boxes).all()


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ([1, 2, 3, 4], True),
        ([1, 2, 1, 4], False),
        ([3, 2, 1, 4], False),
        ([3, 4, 1, 2], False),
        ([1, 2, np.nan, 4], False),
        ([1, np.nan, 2, 4], False),
        ([-np.inf, 2, 3, 4], False),
        ([1, 2, 3, np.inf], False),
        ([np.inf, 2, np.inf, 4], False),
    ],
)
def test_what_has_an_area(box: list[float], expected: bool) -> None:
    assert has_area(np.array(box, float)) is expected
    assert with_area(np.array([box], float)).tolist() == [expected]

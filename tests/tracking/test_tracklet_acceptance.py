"""Tracks that accept boxes by their own history (BoostTrack++) inside the two-stage association."""

import numpy as np
import pytest

from msfp.tracking import FrameContext, TrackerOutput, make

BOX = np.array([[100.0, 100, 140, 200]])
FAR = np.array([[600.0, 100, 640, 200]])


def after_a_gap(score: float, box: np.ndarray = BOX, **settings: object) -> TrackerOutput:
    """Ten sure boxes at one place, three frames without, then one of the given score."""
    tracker = make("bytetrack", **settings)
    for t in range(1, 11):
        tracker.update(BOX, [0.9], frame=FrameContext(index=t))
    return tracker.update(box, [score], frame=FrameContext(index=14))


def test_a_lost_track_takes_an_unsure_box_only_where_it_accepts_it() -> None:
    assert not len(after_a_gap(0.4))
    found = after_a_gap(0.4, tracklet_acceptance=True)
    assert found.ids.tolist() == [1]


def test_accepted_boxes_are_near_above_tau_low_and_begin_nothing() -> None:
    assert not len(after_a_gap(0.4, FAR, tracklet_acceptance=True))
    assert not len(after_a_gap(0.05, tracklet_acceptance=True))
    tracker = make("bytetrack", tracklet_acceptance=True)
    for t in range(1, 5):
        assert not len(tracker.update(BOX, [0.4], frame=FrameContext(index=t)))


@pytest.mark.parametrize("high", [0.5, 0.8, 1.0])
def test_it_composes_with_thresholds_of_the_frame(high: float) -> None:
    """What is accepted lies just above whatever tau_high the scene has."""
    tracker = make("bytetrack", tracklet_acceptance=True)
    for t in range(1, 11):
        tracker.update(BOX, [0.95], frame=FrameContext(index=t, tau_high=0.6, tau_low=0.1))
    late = FrameContext(index=14, tau_high=high, tau_low=0.2)
    assert tracker.update(BOX, [0.4], frame=late).ids.tolist() == [1]
    assert not len(tracker.update(BOX, [0.15], frame=FrameContext(index=15, tau_high=high, tau_low=0.2)))


def test_resemblance_raises_a_score_over_tau_high() -> None:
    """0.65 score + 0.35 S^1.5: a box that no track accepts outright (S is about 0.90) but that scores well enough."""
    broader = np.array([[98.0, 100, 146, 200]])
    assert not len(after_a_gap(0.4, broader, tracklet_acceptance=True))
    assert not len(after_a_gap(0.58, broader))
    assert after_a_gap(0.58, broader, tracklet_acceptance=True).ids.tolist() == [1]

"""JDE's and FairMOT's association on cases worked out by hand."""

import numpy as np
import pytest

from msfp.tracking import FrameContext, make
from msfp.tracking.two_stage import Joint
from tests.tracking.test_by_hand import ALIKE, OTHER, at, show


def settled(**settings: float) -> Joint:
    """Two people who stood beside each other for eight frames: 1 at 100 looks ALIKE, 2 at 130 looks OTHER."""
    tracker = make("joint", **settings)
    for t in range(1, 9):
        assert show(tracker, t, (at(100), ALIKE), (at(130), OTHER)) == {0: 1, 1: 2}
    return tracker


def test_looks_decide_among_boxes_inside_the_motions_gate() -> None:
    """They change places while unseen, when the gate has grown: looks tell them apart, overlap would not."""
    tracker = settled()
    for t in range(9, 13):
        show(tracker, t)
    assert show(tracker, 13, (at(130), ALIKE), (at(100), OTHER)) == {0: 1, 1: 2}


def test_beyond_the_gate_looks_count_for_nothing() -> None:
    tracker = settled()
    show(tracker, 9, (at(900), ALIKE), (at(130), OTHER))
    assert show(tracker, 10, (at(900), ALIKE), (at(130), OTHER)) == {0: 3, 1: 2}


def test_what_looks_like_nobody_is_matched_by_overlap_among_people_in_sight() -> None:
    strange = np.eye(4)[3]
    assert show(settled(), 9, (at(101), strange), (at(130), OTHER)) == {0: 1, 1: 2}
    tracker = settled()
    for t in range(9, 12):  # 1 is out of sight: overlap alone does not bring it back
        show(tracker, t, (at(130), OTHER))
    show(tracker, 12, (at(90), strange), (at(130), OTHER))
    assert show(tracker, 13, (at(90), strange), (at(130), OTHER)) == {0: 3, 1: 2}


def test_unsure_boxes_are_not_tracked_at_all() -> None:
    tracker = settled()
    context = FrameContext(index=9)
    boxes, looks = np.array([at(100), at(130)]), np.array([ALIKE, OTHER])
    out = tracker.update(boxes, [0.39, 0.9], looks, context)
    assert out.ids.tolist() == [2]
    assert make("joint").settings.track_high == pytest.approx(0.4)
    out = tracker.update(boxes, [0.39, 0.9], looks, FrameContext(index=10, tau_high=0.3))
    assert sorted(out.ids.tolist()) == [1, 2], "a frame's own threshold counts"


def test_a_box_without_an_embedding_is_matched_by_overlap() -> None:
    tracker = settled()
    boxes, looks = np.array([at(100), at(130)]), np.array([OTHER, OTHER])
    context = FrameContext(index=9, has_embedding=np.array([False, True]))
    out = tracker.update(boxes, [0.9, 0.9], looks, context)
    assert dict(zip(out.detections.tolist(), out.ids.tolist(), strict=True)) == {0: 1, 1: 2}

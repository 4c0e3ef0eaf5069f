"""What sets each baseline apart, on cases worked out by hand or against a naive loop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msfp.tracking import FrameContext, Tracker, make, names, tracker_class
from msfp.tracking.boosttrack import (
    accepted_by_tracks,
    likely_objects,
    mahalanobis_similarity,
    shape_similarity,
    soft_biou,
    track_confidence,
    unlike_objects,
)
from msfp.tracking.kalman import XYSR
from msfp.tracking.observation_centric import adaptive_weight, confident_memory

from .definitions import Textbook, iou_plain

ALIKE, OTHER = np.eye(2, 4)


def at(left: float, top: float = 0.0, width: float = 40.0, height: float = 100.0) -> list[float]:
    return [left, top, left + width, top + height]


def show(tracker: Tracker, t: int, *people: tuple[list[float], np.ndarray], score: float = 0.9) -> dict[int, int]:
    """One frame; returns identity of each person reported, by position in `people`."""
    boxes = np.array([p[0] for p in people]).reshape(-1, 4)
    looks = np.array([p[1] for p in people]).reshape(-1, 4)
    out = tracker.update(boxes, np.full(len(people), score), looks, FrameContext(index=t))
    return {int(d): int(i) for d, i in zip(out.detections, out.ids, strict=True) if d >= 0}


@pytest.mark.parametrize("name", ["deepsort", "strongsort"])
def test_tracks_are_confirmed_by_the_third_match(name: str) -> None:
    tracker = make(name)
    seen = [show(tracker, t, (at(0), ALIKE)) for t in range(1, 5)]
    assert seen == [{}, {}, {0: 1}, {0: 1}]


@pytest.mark.parametrize("name", ["deepsort", "strongsort"])
def test_a_tentative_track_missed_once_is_gone(name: str) -> None:
    tracker = make(name)
    show(tracker, 1, (at(0), ALIKE))
    show(tracker, 2)
    for t in range(3, 6):
        last = show(tracker, t, (at(0), ALIKE))
    assert last == {0: 2}


@pytest.mark.parametrize("name", ["deepsort", "strongsort"])
def test_one_missed_frame_is_reported_from_the_filter(name: str) -> None:
    for coast, count in ((1, 1), (0, 0)):
        tracker = make(name, coast=coast)
        for t in range(1, 5):
            show(tracker, t, (at(4.0 * t), ALIKE))
        out = tracker.update(np.zeros((0, 4)), [], None)
        assert len(out) == count
        assert (out.detections == -1).all()
        assert len(tracker.update(np.zeros((0, 4)), [], None)) == 0


@pytest.mark.parametrize("name", ["deepsort", "strongsort"])
def test_looks_decide_within_the_gate_and_not_beyond(name: str) -> None:
    """Two people stand 30 px apart and change places while unseen; far away, looks alone match nobody."""
    tracker = make(name)
    for t in range(1, 8):
        before = show(tracker, t, (at(100), ALIKE), (at(130), OTHER))
    for t in range(8, 12):
        show(tracker, t)
    after = show(tracker, 12, (at(130), ALIKE), (at(100), OTHER))
    assert (after[0], after[1]) == (before[0], before[1])
    away = show(tracker, 13, (at(1500), ALIKE))
    assert away == {}


def test_cascade_gives_the_box_to_the_track_seen_last() -> None:
    """Both tracks look like the box; the one lost for longer must wait though its look is nearer."""
    tracker = make("deepsort")
    near = np.array([1.0, 0.1, 0, 0])
    for t in range(1, 6):
        ids = show(tracker, t, (at(100), ALIKE), (at(112), near))
    show(tracker, 6, (at(112), near))
    show(tracker, 7)
    taken = show(tracker, 8, (at(106), ALIKE))
    assert taken == {0: ids[1]}


def test_without_the_cascade_the_nearer_look_gets_the_box() -> None:
    """LITE's hosts match in one assignment: how long a track was lost plays no part."""
    for name, first in (("deepsort", 1), ("lite-deepsort", 0)):
        tracker = make(name, max_cosine=0.7)
        for t in range(1, 6):
            ids = show(tracker, t, (at(100), ALIKE), (at(112), np.array([1.0, 0.1, 0, 0])))
        show(tracker, 6, (at(112), np.array([1.0, 0.1, 0, 0])))
        show(tracker, 7)
        assert show(tracker, 8, (at(106), ALIKE)) == {0: ids[first]}


def test_lite_s_hosts_have_the_settings_of_lite_s_authors() -> None:
    """No cascade, a cosine distance up to 0.7 and, with motion in the cost, 0.05 more; its other hosts as they are."""
    deep, strong = make("lite-deepsort").settings, make("lite-strongsort").settings
    assert (deep.cascade, deep.max_cosine, deep.gallery, deep.track_high) == (False, 0.7, 100, 0.25)
    assert (strong.max_cosine, strong.weight, strong.ema, strong.track_high) == (0.75, 0.98, 0.9, 0.25)
    assert make("lite-botsort").settings == make("botsort").settings
    assert make("lite-deep-ocsort").settings == make("deep-ocsort").settings
    for name in names():
        released = name in ("lite-deepsort", "lite-strongsort", "lite-botsort", "lite-deep-ocsort")
        assert (tracker_class(name).appearance == "lite") == released


def test_a_wide_limit_admits_looks_that_the_host_refuses() -> None:
    """Looks at a cosine distance of a half, the person where the filter expects him long after his last box."""
    changed = np.array([1.0, np.sqrt(3.0), 0, 0]) / 2
    for name, found in (("deepsort", False), ("lite-deepsort", True), ("strongsort", False), ("lite-strongsort", True)):
        tracker = make(name)
        for t in range(1, 8):
            before = show(tracker, t, (at(10.0 * t), ALIKE))
        show(tracker, 8)
        show(tracker, 9)
        assert (show(tracker, 10, (at(100.0), changed)) == before) == found


def test_alike_people_far_apart_are_not_joined_unless_the_gate_is_opened() -> None:
    for name in ("lite", "msfp-concat", "msfp-attention", "msfp-track"):
        assert make(name).settings.min_iou == 0.2
        for options, joined in (({}, False), ({"min_iou": 0.0}, True)):
            tracker = make(name, **options)
            first = show(tracker, 1, (at(0), ALIKE))
            show(tracker, 2, (at(900), ALIKE))
            third = show(tracker, 3, (at(900), ALIKE))
            assert (third == first) == joined


def test_gallery_remembers_an_old_look() -> None:
    """The gallery is a ring: its oldest looks make room, the others stay as they were."""
    assert make("deepsort").settings.gallery == 100
    tracker = make("deepsort", gallery=3)
    looks = np.eye(4)
    for t in range(1, 4):
        show(tracker, t, (at(100), looks[0]))
    for t in range(4, 6):
        show(tracker, t, (at(100), looks[1]))
    tracks = tracker._tracks
    assert tracks.gallery[tracks.slot[0], :3].argmax(axis=1).tolist() == [1, 1, 0]


def test_sure_boxes_pull_strongsorts_filter_harder() -> None:
    """NSA: at confidence 1 the measurement has no noise and the state is the box."""
    states = {}
    for score in (0.65, 1.0):
        tracker = make("strongsort")
        for t in range(1, 6):
            show(tracker, t, (at(2.0 * t * t), ALIKE), score=score)
        states[score] = tracker._tracks.mean[0, 0]
    assert states[1.0] == pytest.approx(50 + 20, abs=1e-6)
    assert states[0.65] < states[1.0]


def test_rerun_follows_the_line_between_observations() -> None:
    """OC-SORT's ORU against the textbook filter stepped by hand over the virtual trajectory."""
    tracker = make("ocsort")
    boxes = {1: at(0), 2: at(6), 3: at(12), 8: at(40, 10)}
    book = Textbook(XYSR, np.array(boxes[1], float))
    for t in range(1, 9):
        seen = [boxes[t]] if t in boxes else []
        out = tracker.update(np.array(seen).reshape(-1, 4), [0.9] * len(seen), None, FrameContext(index=t))
    for t in (2, 3):
        book.predict()
        book.update(np.array(boxes[t], float))
    start, end = np.array(boxes[3], float), np.array(boxes[8], float)
    for step in range(1, 6):
        book.predict()
        book.update(start + (end - start) * step / 5)
    book.update(end)
    assert np.allclose(tracker._tracks.mean[0], book.mean, atol=1e-8)
    assert out.detections.tolist() == [] or out.ids.tolist() == [1]
    assert tracker.unmatched()[0].tolist() == []
    assert tracker._tracks.id[:2].tolist() == [1, 0]


def test_recovery_at_the_last_observation() -> None:
    """A runner stops while unseen: the filter is far ahead, the last observation is not."""
    ids = {}
    for name in ("sort", "ocsort"):
        tracker = make(name, max_age=30)
        for t in range(1, 8):
            tracker.update([at(20.0 * t)], [0.9])
        for _ in range(5):
            tracker.update(np.zeros((0, 4)), [])
        for _ in range(4):
            out = tracker.update([at(145.0)], [0.9])
        ids[name] = out.ids.tolist()
    assert ids == {"sort": [2], "ocsort": [1]}


def test_sort_forgets_after_max_age() -> None:
    tracker = make("sort")
    for _ in range(4):
        tracker.update([at(0)], [0.9])
    for _ in range(2):
        tracker.update(np.zeros((0, 4)), [])
    for _ in range(4):
        out = tracker.update([at(0)], [0.9])
    assert out.ids.tolist() == [2]


def test_botsort_lets_looks_speak_only_where_near() -> None:
    """Looks pair people who overlap crosswise; with no overlap they count for nothing."""
    tracker = make("botsort")
    show(tracker, 1, (at(100), ALIKE), (at(112), OTHER))
    assert show(tracker, 2, (at(112), ALIKE), (at(100), OTHER)) == {0: 1, 1: 2}
    assert 1 not in show(tracker, 3, (at(800), ALIKE)).values()


def test_botsort_follows_the_camera() -> None:
    tracker = make("botsort")
    box = np.array([at(100)])
    for t in range(1, 4):
        tracker.update(box, [0.9], [ALIKE], FrameContext(index=t))
    shift = np.array([[1.0, 0, 300], [0, 1, 0]])
    out = tracker.update(box + np.array([300, 0, 300, 0]), [0.9], [ALIKE], FrameContext(index=4, warp=shift))
    assert out.ids.tolist() == [1]


similarities = st.integers(1, 5).flatmap(
    lambda n: st.lists(st.lists(st.integers(-9, 9), min_size=4, max_size=4), min_size=n, max_size=n)
)


@given(similarities)
def test_adaptive_weight_against_a_loop(rows: list[list[int]]) -> None:
    look = np.array(rows) / 10
    expected = np.ones_like(look)
    for matrix, turn in ((look, False), (look.T, True)):
        for i, row in enumerate(matrix):
            order = sorted(row, reverse=True)
            if len(order) < 2:
                continue
            weight = 0.0 if order[0] == 0 else 1 - max(order[1] / order[0] - 0.5, 0) / 0.5
            if turn:
                expected[:, i] *= weight
            else:
                expected[i] *= weight
    assert np.allclose(adaptive_weight(look, 0.5), expected, rtol=1e-6)


def test_memory_grows_as_confidence_falls() -> None:
    out = [confident_memory(score, np.float32(0.6), 0.95) for score in np.float32([1.0, 0.8, 0.6, 1.7])]
    assert np.allclose(out, [0.95, 0.975, 1.0, 0.95])


def test_boost_similarities_by_hand() -> None:
    boxes, tracks = np.array([[0.0, 0, 20, 40]]), np.array([[0.0, 0, 10, 40], [0, 0, 20, 30]])
    assert np.allclose(shape_similarity(boxes, tracks, corrected=True), np.exp([[-0.5, -0.25]]))
    assert np.allclose(shape_similarity(boxes, tracks, False), np.exp([[-0.5, -0.5]]))
    assert np.allclose(soft_biou(boxes, tracks, np.ones(2)), iou_plain(boxes, tracks))
    grown = iou_plain(np.array([[-2.5, -5, 22.5, 45]]), np.array([[-2.5, -10, 12.5, 50]]))
    assert np.allclose(soft_biou(boxes, tracks[:1], np.array([0.5])), grown)
    distances = np.array([[0.0, 20.0], [3.0, 1.0]])
    share = np.exp(13.2767) / (np.exp(13.2767) + np.exp(10.2767))
    assert np.allclose(mahalanobis_similarity(distances)[:, 0], [share, 1 - share])
    assert mahalanobis_similarity(distances)[0, 1] == 0.0


def test_track_confidence_by_hand() -> None:
    """0.9^(7 - age) while young, then 0.9^(frames missed)."""
    out = [track_confidence(age, missed) for age, missed in ((1, 0), (6, 0), (7, 0), (30, 2))]
    assert np.allclose(out, [0.9**6, 0.9, 1.0, 0.81])


def test_likely_objects_are_raised_never_lowered() -> None:
    similarity = np.array([[0.9, 0.2], [0.1, 0.0]])
    for soft, expected in ((True, 0.65 * 0.5 + 0.35 * 0.9**1.5), (False, 0.585)):
        scores = np.array([0.5, 0.9])
        likely_objects(scores, similarity, soft, 0.65)
        assert np.allclose(scores, [expected, 0.9])


def test_tracks_accept_less_the_longer_they_miss() -> None:
    similarity = np.array([[0.9], [0.96], [0.82]])
    assert accepted_by_tracks(similarity, np.array([0]), 20.0).tolist() == [False, True, False]
    assert accepted_by_tracks(similarity, np.array([10]), 20.0).tolist() == [True, True, False]
    assert accepted_by_tracks(similarity, np.array([60]), 20.0).tolist() == [True, True, True]


def test_unlike_objects_are_the_best_of_their_kind() -> None:
    boxes = np.array([at(0), at(4), at(500), at(900)], float)
    scores = np.array([0.3, 0.4, 0.2, 0.9])
    far = np.full((4, 1), 100.0)
    assert unlike_objects(boxes, scores, far, 0.6).tolist() == [False, True, True, False]
    assert not unlike_objects(boxes, scores, np.zeros((4, 1)), 0.6).any()


def test_boosttrack_keeps_a_person_whose_score_sinks() -> None:
    """A box that a track expects passes below the threshold; the same box from nowhere does not."""
    tracker = make("boosttrack", boost_unlike=False)
    for t in range(1, 10):
        show(tracker, t, (at(0), ALIKE))
    assert show(tracker, 10, (at(0), ALIKE), score=0.45) == {0: 1}
    assert show(make("boosttrack", boost_unlike=False), 1, (at(0), ALIKE), score=0.45) == {}


def test_boosttrack_reports_upright_boxes_only() -> None:
    tracker = make("boosttrack")
    assert show(tracker, 1, (at(0, width=200), ALIKE), (at(400), OTHER)) == {1: 2}

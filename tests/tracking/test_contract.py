"""What every registered tracker has to hold."""

import time

import numpy as np
import pytest

from msfp.errors import InputError
from msfp.tracking import FrameContext, Tracker, make, names, track, tracker_class
from msfp.types import Detections, Tracks
from tests.tracking.conftest import Walk, walk

pytestmark = pytest.mark.parametrize("name", names())


def run(name: str, scene: Walk, first: int = 1, tracker: Tracker | None = None) -> Tracks:
    tracker = tracker or make(name)
    vectors = scene.embeddings if tracker.needs_embeddings else None
    return track(tracker, scene.detections, scene.length, vectors, first=first)


def feed(tracker: Tracker, boxes: np.ndarray, scores: np.ndarray, seed: int = 0, **context: object) -> object:
    vectors = np.random.default_rng(seed).normal(size=(len(boxes), 8)) if tracker.needs_embeddings else None
    return tracker.update(boxes, scores, vectors, FrameContext(**context) if context else None)


def same(a: Tracks, b: Tracks) -> bool:
    return all(np.array_equal(getattr(a, f), getattr(b, f)) for f in ("frame", "id", "tlwh", "score"))


def test_ids_are_unique_in_a_frame_and_positive(name: str, scene: Walk) -> None:
    out = run(name, scene)
    pairs = np.stack([out.frame, out.id], axis=1)
    assert len(np.unique(pairs, axis=0)) == len(pairs)
    assert out.id.min() >= 1


def test_follows_people_in_lanes(name: str) -> None:
    """Every lane is one identity, never two people under one."""
    scene = walk(misses=0.03, unsure=0.03)
    out = run(name, scene)
    lane = np.round(out.tlwh[:, 1] / 100).astype(int)
    for identity in np.unique(out.id):
        assert len(np.unique(lane[out.id == identity])) == 1
    assert len(out) > 0.6 * len(scene.detections)
    if name != "sort":  # which has no memory and loses an identity with every missed box
        assert len(np.unique(out.id)) <= 8


def test_reset_repeats_exactly(name: str, scene: Walk) -> None:
    tracker = make(name)
    assert same(run(name, scene, tracker=tracker), run(name, scene, tracker=tracker))


def test_two_instances_share_nothing(name: str, scene: Walk) -> None:
    alone = run(name, scene)
    first, second = make(name), make(name)
    other = walk(seed=5)
    bounds = np.searchsorted(scene.detections.frame, np.arange(1, 42))
    far = np.searchsorted(other.detections.frame, np.arange(1, 42))
    ids = []
    for t in range(40):
        for tracker, source, edges in ((first, scene, bounds), (second, other, far)):
            part = slice(edges[t], edges[t + 1])
            boxes = source.detections.tlwh[part].copy()
            boxes[:, 2:] += boxes[:, :2]
            vectors = source.embeddings[part] if tracker.needs_embeddings else None
            out = tracker.update(boxes, source.detections.score[part], vectors)
            if tracker is first:
                ids.append(out.ids)
    assert np.array_equal(np.concatenate(ids), alone.id)


def test_late_start_is_the_same_shifted(name: str) -> None:
    early, late = run(name, walk()), run(name, walk(first=500), first=500)
    assert np.array_equal(early.frame + 499, late.frame)
    assert np.array_equal(early.id, late.id)
    assert np.array_equal(early.tlwh, late.tlwh)


def test_sequence_without_boxes(name: str) -> None:
    nothing = Detections(np.zeros(0, np.int32), np.zeros((0, 4)), np.zeros(0, np.float32))
    vectors = np.zeros((0, 8), np.float32) if tracker_class(name).needs_embeddings else None
    assert len(track(make(name), nothing, 10, vectors)) == 0


def test_empty_frames_first_and_between(name: str, scene: Walk) -> None:
    keep = (scene.detections.frame > 3) & ((scene.detections.frame < 20) | (scene.detections.frame > 23))
    found = scene.detections
    cut = Detections(found.frame[keep], found.tlwh[keep], found.score[keep])
    vectors = scene.embeddings[keep] if tracker_class(name).needs_embeddings else None
    out = track(make(name), cut, scene.length, vectors)
    assert len(out)
    assert out.frame.min() >= 4


def test_skipped_frame_numbers_are_empty_frames(name: str) -> None:
    boxes, scores = np.array([[10.0, 10, 40, 90]]), np.array([0.9])
    jumped, stepped = make(name), make(name)
    for index in (1, 2, 3, 4, 9):
        a = feed(jumped, boxes, scores, index=index)
    for index in range(1, 10):
        seen = index not in (5, 6, 7, 8)
        b = feed(stepped, boxes[:seen], scores[:seen], index=index)
    assert np.array_equal(a.ids, b.ids)
    assert np.array_equal(a.boxes, b.boxes)


def test_order_of_detections_does_not_matter(name: str, scene: Walk) -> None:
    """The same boxes fall into the same groups; only the numbers of identities may differ."""
    rng = np.random.default_rng(1)
    found = scene.detections
    order = np.lexsort((rng.random(len(found)), found.frame))
    mixed = Walk(
        Detections(found.frame[order], found.tlwh[order], found.score[order]),
        scene.embeddings[order],
        scene.person[order],
        scene.length,
    )
    groups = []
    for out in (run(name, scene), run(name, mixed)):
        rows = [(t, *np.round(box, 6)) for t, box in zip(out.frame, out.tlwh, strict=True)]
        groups.append({frozenset(r for r, i in zip(rows, out.id, strict=True) if i == k) for k in np.unique(out.id)})
    assert groups[0] == groups[1]


def test_a_thousand_boxes_take_nobody_down(name: str) -> None:
    rng = np.random.default_rng(0)
    left_top = rng.uniform(0, 1800, size=(1000, 2))
    boxes = np.hstack([left_top, left_top + np.array([40, 100])])
    scores = rng.uniform(0, 1, size=1000)
    tracker = make(name)
    for t in range(2):
        feed(tracker, boxes, scores, seed=t)
    begin = time.process_time()
    feed(tracker, boxes + 2, scores, seed=0)
    assert time.process_time() - begin < 2.0


def test_degenerate_boxes(name: str) -> None:
    """Points, lines, doubles, specks and giants neither raise nor make anything that is not finite."""
    boxes = np.array(
        [
            *([5, 5, 5, 5], [5, 5, 5, 50], [5, 5, 50, 5], [10, 10, 40, 90], [10, 10, 40, 90], [0, 0, 1e-9, 1e-9]),
            *([-500, -500, 5000, 5000], [1e6, 1e6, 1e6 + 1, 1e6 + 3]),
        ],
        dtype=float,
    )
    tracker = make(name)
    for t in range(6):
        out = feed(tracker, boxes + t, np.full(len(boxes), 0.9))
        assert np.isfinite(out.boxes).all()
        assert len(np.unique(out.ids)) == len(out.ids)


def test_output_points_back_to_detections(name: str) -> None:
    tracker = make(name)
    boxes = np.array([[10.0, 10, 40, 90], [200, 10, 240, 110]])
    for _ in range(5):
        out = feed(tracker, boxes, np.array([0.9, 0.8]))
    assert sorted(out.detections.tolist()) == [0, 1]
    assert np.allclose(out.boxes, boxes[out.detections], atol=1)
    assert np.allclose(out.scores, np.array([0.9, 0.8], np.float32)[out.detections])


def test_thresholds_of_the_frame_are_obeyed(name: str) -> None:
    tracker = make(name)
    boxes = np.array([[10.0, 10, 40, 90], [200, 10, 240, 110]])
    for t in range(1, 7):
        out = feed(tracker, boxes, np.array([0.99, 0.3]), index=t, tau_high=0.5, tau_low=0.45)
        assert 1 not in out.detections
    assert out.detections.tolist() == [0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"boxes": [[1.0, 2, np.nan, 4]]}, r"frame 2: box 0 is not finite.*drop it"),
        ({"scores": [np.nan]}, r"frame 2: score 0 is not finite"),
        ({"boxes": [[1.0, 2, 3]]}, r"frame 2: boxes have shape \(1, 3\); give \(N, 4\)"),
        ({"scores": [0.9, 0.8]}, r"frame 2: 2 scores for 1 boxes"),
        ({"boxes": [[30.0, 2, 3, 40]]}, r"frame 2: box 0 has a negative size"),
        ({"embeddings": [[np.nan] * 8]}, r"frame 2: embedding 0 is not finite.*has_embedding"),
        ({"embeddings": np.ones((2, 8))}, r"frame 2: 2 embeddings for 1 boxes"),
        ({"embeddings": np.ones((1, 5))}, r"frame 2: embeddings are 5 wide, were 8"),
        ({"embeddings": np.ones(8)}, r"frame 2: embeddings have shape \(8,\); give \(N, D\)"),
        ({"scores": [4.2]}, r"frame 2: score 4.2 lies outside the declared range 0 to 1"),
    ],
)
def test_bad_input_is_refused_with_tracker_frame_and_remedy(name: str, change: dict, message: str) -> None:
    tracker = make(name, score_range=(0.0, 1.0))
    good = {"boxes": [[10.0, 10, 40, 90]], "scores": [0.9], "embeddings": np.ones((1, 8))}
    tracker.update(**good)
    with pytest.raises(InputError, match=message) as refused:
        tracker.update(**{**good, **change})
    assert str(refused.value).startswith(f"{name}, frame 2")
    assert len(tracker.update(**good).ids) <= 1  # and goes on with the next good frame


def test_frames_in_wrong_order_are_refused(name: str) -> None:
    tracker = make(name)
    feed(tracker, np.zeros((0, 4)), np.zeros(0), index=5)
    with pytest.raises(InputError, match=f"{name}, frame 5: follows frame 5; .* or call reset"):
        feed(tracker, np.zeros((0, 4)), np.zeros(0), index=5)


def test_missing_embeddings(name: str) -> None:
    """Forgotten ones are an error; ones marked unknown leave motion to decide."""
    tracker = make(name)
    boxes, scores = np.array([[10.0, 10, 40, 90]]), np.array([0.9])
    if tracker.needs_embeddings:
        with pytest.raises(InputError, match=f"{name}, frame 1: boxes come without embeddings"):
            tracker.update(boxes, scores)
    for t in range(1, 6):
        out = tracker.update(boxes, scores, None, FrameContext(index=t, has_embedding=np.zeros(1, bool)))
    assert out.ids.tolist() == [1]


def test_embeddings_known_now_and_then(name: str) -> None:
    tracker = make(name)
    rng = np.random.default_rng(0)
    boxes, scores = np.array([[10.0, 10, 40, 90], [300, 10, 340, 90]]), np.array([0.9, 0.9])
    looks = rng.normal(size=(2, 8))
    for t in range(1, 12):
        known = rng.random(2) < 0.5
        vectors = np.where(known[:, None], looks, 0.0)
        out = tracker.update(boxes, scores, vectors, FrameContext(index=t, has_embedding=known))
    assert sorted(out.ids.tolist()) == [1, 2]


def test_unknown_setting_names_the_known_ones(name: str) -> None:
    with pytest.raises(InputError, match=f"tracker '{name}' has no setting 'colour'; it has: .*fps"):
        make(name, colour=1)
    with pytest.raises(InputError, match=f"tracker '{name}', setting 'fps'"):
        make(name, fps=-1)


def test_declares_what_it_is(name: str) -> None:
    kind = tracker_class(name)
    assert kind.label
    assert (kind.appearance is not None) == kind.needs_embeddings
    assert kind.__doc__


def test_a_lost_track_is_kept_by_the_clock(name: str) -> None:
    """Frames at a constant rate give the same with their times as without; a gap of a second costs what it does."""
    if name == "sort":  # which counts frames, whatever they last
        return
    box, other = np.array([[100.0, 100, 140, 200]]), np.array([[600.0, 100, 640, 200]])
    score = np.array([0.95])

    def identities(gap: float | None, absent: int) -> tuple[int, int]:
        """Identities before and after `absent` frames without the person, `gap` seconds each."""
        tracker, seconds, before, after = make(name, fps=5), 0.0, 0, 0
        for t in range(1, 31 + absent):
            gone = 15 < t <= 15 + absent
            context = {"index": t} if gap is None else {"index": t, "seconds": seconds}
            out = feed(tracker, other if gone else box, score, int(gone), **context)
            seconds += (gap or 0) if gone else 0.2
            if t == 15:
                before = int(out.ids[0])
            if t == 30 + absent:
                after = int(out.ids[0])
        return before, after

    def survives(gap: float | None, absent: int) -> bool:
        before, after = identities(gap, absent)
        return before == after

    kept = max(n for n in range(1, 20) if survives(None, n))
    assert survives(0.2, kept)
    assert not survives(0.2, kept + 1)
    assert not survives(0.8, kept), "by the clock this is four times as long"
    assert survives(0.1, kept + 1), "and this half"


def test_times_ascend(name: str) -> None:
    tracker = make(name)
    box, score = np.array([[100.0, 100, 140, 200]]), np.array([0.9])
    feed(tracker, box, score, seconds=1.0)
    with pytest.raises(InputError, match="0.5 s lies before the last frame's 1 s"):
        feed(tracker, box, score, seconds=0.5)
    tracker.reset()
    feed(tracker, box, score, seconds=0.5)

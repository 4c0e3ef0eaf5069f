"""Costs of pairs against their definition, and what they do when two people cross."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msfp.tracking import FrameContext, make
from msfp.tracking.costs import blend, gallery_distance
from msfp.tracking.lifecycle import Frames
from msfp.tracking.two_stage import pair_costs

from .definitions import Textbook, cosine_distance_plain, cost_plain, iou_plain


def unit(rows: np.ndarray) -> np.ndarray:
    rows = rows.astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("embedded", [True, False])
@pytest.mark.parametrize("fuse_score", [True, False])
@pytest.mark.parametrize("fusion", ["sum", "min_gate", "mahalanobis"])
@given(seed=st.integers(0, 10_000), min_iou=st.sampled_from([0.0, 0.2]), proximity=st.sampled_from([0.3, 0.9]))
@settings(max_examples=20)
def test_costs_are_as_defined(
    fusion: str, fuse_score: bool, embedded: bool, seed: int, min_iou: float, proximity: float
) -> None:
    rng = np.random.default_rng(seed)
    options = {"min_iou": min_iou, "weight": 0.3, "proximity": proximity, "max_appearance": 0.6, "look_divisor": 1.5}
    tracker = make("lite", fusion=fusion, fuse_score=fuse_score, **options)
    places = rng.uniform(0, 30, (9, 2))
    boxes = np.hstack([places, places + rng.uniform(20, 40, (9, 2))])
    scores, known = rng.random(9).astype(np.float32), rng.random(9) < 0.7
    vectors = np.where(known[:, None], unit(rng.normal(size=(9, 6))), np.float32(0))
    tracker.update(boxes[:4], np.full(4, 0.9), vectors[:4], FrameContext(has_embedding=known[:4]))
    own = Frames(
        np.array([0, 5]),
        boxes[4:].copy(),
        scores[4:].copy(),
        vectors[4:].copy() if embedded else np.zeros((5, 0), np.float32),
        known[4:] & embedded,
        np.zeros((1, 2), np.float32),
        np.zeros((0, 2, 3)),
        np.zeros(1, np.int64),
    )
    rows, chosen = np.array([3, 0, 2]), np.array([1, 2, 4])
    found = pair_costs(own, tracker._rules, tracker._tracks, boxes[:4].copy(), rows, chosen, tracker._progress)
    cosine = cosine_distance_plain(vectors[:4], vectors[4:])
    for i, row in enumerate(rows):
        for j, column in enumerate(chosen):
            near = float(iou_plain(boxes[row][None], boxes[4 + column][None])[0, 0])
            both = embedded and known[row] and known[4 + column]
            trust = float(scores[4 + column]) if fuse_score and fusion != "mahalanobis" else 1.0
            apart = Textbook(tracker.motion, boxes[row]).distance(boxes[4 + column])
            plain = options if embedded else options | {"min_iou": 0.0}  # no gate where no frame had an embedding
            expected = cost_plain(fusion, near, trust, cosine[row, column] if both else None, apart, plain)
            assert found[i, j] == pytest.approx(expected, abs=1e-6)


def test_blend_by_hand() -> None:
    for own, seen, memory, expected in (
        ([1, 0], [0, 1], 0.75, np.array([3, 1]) / 10**0.5),
        ([0, 0], [0.6, 0.8], 0.0, [0.6, 0.8]),
    ):
        held = np.float32(own)
        blend(held, np.float32(seen), np.float32(memory))
        assert np.allclose(held, expected)


def cross(name: str, **settings: object) -> list[list[int]]:
    """Two people of the same size walk towards each other, pass, and turn back at the moment they overlap.

    Person A comes from the left, B from the right, 6 px a frame. In frame 10 they stand nearly on the same spot; then
    each goes back where it came from. Motion predicts that they go on and swaps them; appearance does not.

    Returns identities [A's, B's], one a frame.
    """
    tracker = make(name, **settings)
    looks = np.eye(2, 8)
    seen: list[list[int]] = [[], []]
    for t in range(20):
        step = 6.0 * min(t, 19 - t)
        left = np.array([100 + step, 214 - step])
        boxes = np.stack([left, np.full(2, 50.0), left + 40, np.full(2, 150.0)], axis=1)
        out = tracker.update(boxes, np.array([0.9, 0.9]), looks if tracker.needs_embeddings else None)
        of = dict(zip(out.detections.tolist(), out.ids.tolist(), strict=True))
        for person in range(2):
            seen[person].append(of.get(person, 0))
    return seen


def test_crossing_targets_swap_under_motion_and_not_under_appearance() -> None:
    a, b = cross("bytetrack")
    assert (a[0], b[0]) == (1, 2)
    assert (a[-1], b[-1]) == (2, 1)
    a, b = cross("msfp-attention")
    assert set(a) == {1}
    assert set(b) == {2}


def test_unsure_boxes_recover_a_track_but_start_none() -> None:
    tracker = make("bytetrack")
    box, other = [0.0, 0, 40, 100], [500.0, 0, 540, 100]
    tracker.update([box], [0.9])
    out = tracker.update([box, other], [0.3, 0.3])
    assert out.ids.tolist() == [1]
    assert out.detections.tolist() == [0]


def test_a_new_track_needs_the_margin() -> None:
    for score, count in ((0.65, 0), (0.75, 1)):
        tracker = make("bytetrack")
        assert len(tracker.update([[0.0, 0, 40, 100]], [score])) == count


def test_scores_are_compared_in_float32() -> None:
    """float32(0.6) lies above the float64 0.6; as float32 they are equal, so the box is not above tau_high."""
    tracker = make("bytetrack", new_track_margin=0.0)
    assert float(np.float32(0.6)) > 0.6
    assert len(tracker.update([[0.0, 0, 40, 100]], np.array([0.6], np.float32))) == 0


def test_embedding_is_remembered_as_moving_average() -> None:
    tracker = make("lite", ema=0.9)
    box = [[0.0, 0, 40, 100]]
    first, second = np.array([1.0, 0]), np.array([0.6, 0.8])
    tracker.update(box, [0.9], [first])
    tracker.update(box, [0.9], [second])
    mixed = 0.9 * first + 0.1 * second
    held = tracker._tracks.gallery[tracker._tracks.slot[0], 0]
    assert np.allclose(held, mixed / np.linalg.norm(mixed))
    before = held.copy()
    tracker.update(box, [0.3], [second])  # unsure boxes do not change the memory
    assert np.array_equal(held, before)


@given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 10_000))
def test_gallery_distance_is_the_smallest_of_the_asked_pairs(tracks: int, boxes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    gallery = rng.normal(size=(tracks + 2, 4, 8)).astype(np.float32)
    gallery /= np.linalg.norm(gallery, axis=2, keepdims=True)
    seen = rng.normal(size=(boxes, 8)).astype(np.float32)
    seen /= np.linalg.norm(seen, axis=1, keepdims=True)
    rows, counts = rng.permutation(tracks + 2)[:tracks], rng.integers(1, 5, tracks)
    wanted = rng.random((tracks, boxes)) < 0.6
    found = gallery_distance(gallery, rows, counts, seen, wanted)
    for i in range(tracks):
        plain = cosine_distance_plain(gallery[rows[i], : counts[i]], seen).min(axis=0)
        np.testing.assert_allclose(found[i], np.where(wanted[i], plain, np.inf), atol=1e-6)

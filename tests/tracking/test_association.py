"""Costs by hand, and what they do when two people cross."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msfp.tracking import make
from msfp.tracking.association import (
    Pairs,
    iou_cost,
    mahalanobis_cost,
    min_gate_cost,
    score_weighted_iou_cost,
    sum_cost,
)
from msfp.tracking.looks import gallery_distance

from .definitions import cosine_distance_plain

TRACKS = np.array([[0.0, 0, 10, 10], [100, 0, 110, 10]])
BOXES = np.array([[5.0, 0, 15, 10], [100, 0, 110, 10]])  # IoU 1/3, 0; 0, 1
GALLERY = np.array([[1.0, 0], [0, 1]], np.float32)
LOOKS = np.array([[0.6, 0.8], [0, 1]], np.float32)  # cosine distance .4, 1; .2, 0


def pairs(**change: object) -> Pairs:
    given = {"gallery": GALLERY, "embeddings": LOOKS, **change}
    return Pairs(TRACKS, BOXES, np.array([0.9, 0.5], np.float32), **given)


def test_costs_by_hand() -> None:
    assert np.allclose(iou_cost(pairs()), [[2 / 3, 1], [1, 0]])
    assert np.allclose(score_weighted_iou_cost(pairs()), [[1 - 0.3, 1], [1, 0.5]])
    assert np.allclose(sum_cost(0.5)(pairs()), [[(0.4 + 2 / 3) / 2, 1.0], [0.6, 0.0]])
    assert np.allclose(sum_cost(0.25)(pairs()), [[0.1 + 0.5, 1.0], [0.8, 0.0]])
    assert np.allclose(sum_cost(0.5, min_iou=0.2)(pairs()), [[(0.4 + 2 / 3) / 2, np.inf], [np.inf, 0.0]])


def test_min_gate_by_hand() -> None:
    """Half cosine distances are .2, .5; .1, 0: appearance counts where near enough and alike enough."""
    assert np.allclose(min_gate_cost(0.7, 0.25)(pairs()), [[0.2, 1], [1, 0]])
    assert np.allclose(min_gate_cost(0.5, 0.25)(pairs()), [[2 / 3, 1], [1, 0]])  # IoU distance 2/3: too far
    assert np.allclose(min_gate_cost(0.7, 0.15)(pairs()), [[2 / 3, 1], [1, 0]])  # half distance .2: too unlike


def test_mahalanobis_by_hand() -> None:
    motion = np.array([[1.0, 50.0], [9.4, 2.0]])
    cost = mahalanobis_cost(0.98)(pairs(motion=lambda: motion))
    expected = [[0.98 * 0.4 + 0.02, np.inf], [0.98 * 0.2 + 0.02 * 9.4, 0.04]]
    assert np.allclose(cost, expected)


@pytest.mark.parametrize("cost", [sum_cost(0.5), min_gate_cost(0.5, 0.25)])
def test_without_embeddings_motion_decides(cost: object) -> None:
    assert np.allclose(cost(pairs(gallery=None)), iou_cost(pairs()))
    known = np.array([[False, True], [True, True]])
    assert cost(pairs(known=known))[0, 0] == pytest.approx(2 / 3)


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
    assert np.allclose(tracker._table["embedding"][0], mixed / np.linalg.norm(mixed))
    before = tracker._table["embedding"][0].copy()
    tracker.update(box, [0.3], [second])  # unsure boxes do not change the memory
    assert np.array_equal(tracker._table["embedding"][0], before)


@given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 10_000))
@settings(deadline=None, max_examples=30)
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

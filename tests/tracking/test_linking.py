"""Stretches of one person get one identity; everything else stays as it is."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from msfp.tracking.postprocess import LENGTH, LONGEST, Stretch, link, may_follow, pair, stretches
from msfp.types import Tracks


def walk(identity: int, first: int, last: int, left: float = 0.0) -> list[tuple[int, int, float]]:
    """Rows of somebody who goes 2 px right a frame."""
    return [(t, identity, left + 2.0 * t) for t in range(first, last + 1)]


def tracks(*people: list[tuple[int, int, float]]) -> Tracks:
    rows = sorted(row for person in people for row in person)
    frame, identity, left = (np.array(column) for column in zip(*rows, strict=True))
    boxes = np.stack([left, np.zeros(len(rows)), np.full(len(rows), 20.0), np.full(len(rows), 50.0)], 1)
    return Tracks(frame.astype(np.int32), identity.astype(np.int32), boxes, np.ones(len(rows), np.float32))


def always(weight: float):
    return lambda pairs: np.full(len(pairs), weight)


def test_stretches_of_one_person_are_joined_in_a_chain() -> None:
    given = tracks(walk(4, 1, 10), walk(2, 15, 20), walk(9, 24, 30), walk(7, 1, 30, left=500.0))
    out = link(given, always(0.99))
    assert set(out.id.tolist()) == {4, 7}, "each takes the identity of its earliest stretch"
    assert np.array_equal(out.frame, given.frame)
    assert np.array_equal(out.tlwh, given.tlwh)


def test_unsure_pairs_stay_apart_and_the_least_weight_counts() -> None:
    given = tracks(walk(1, 1, 10), walk(2, 15, 20))
    assert np.array_equal(link(given, always(0.94)).id, given.id)
    assert set(link(given, always(0.95)).id.tolist()) == {1}


def test_the_better_of_two_followers_is_taken() -> None:
    given = tracks(walk(1, 1, 10), walk(2, 15, 20, left=10.0), walk(3, 15, 20))
    nearest = link(given, lambda pairs: 1.0 - 0.04 * np.abs(pairs[:, 1, 0, 1] - 0.2))
    assert nearest.id[nearest.frame == 18].tolist() == [1, 2] or nearest.id[nearest.frame == 18].tolist() == [2, 1]
    assert set(nearest.id.tolist()) == {1, 2}


def test_who_may_follow_whom() -> None:
    ended = stretches(tracks(walk(1, 1, 10)))[1]
    for first, left, expected in ((11, 0.0, True), (10, 0.0, False), (41, -60.0, False), (12, 200.0, False)):
        later = stretches(tracks(walk(2, first, first + 5, left)))[2]
        assert may_follow(ended, later) == expected, (first, left)


def test_a_pair_is_told_relative_to_where_the_first_ended() -> None:
    a, b = (stretches(tracks(walk(k, *span)))[k] for k, span in ((1, (1, 40)), (2, (45, 50))))
    seen = pair(a, b)
    assert seen.shape == (2, LENGTH, 3)
    assert np.allclose(seen[0, -1], 0)
    assert np.allclose(seen[1, 0], (5 / LONGEST, 10 / 50, 0))
    assert np.allclose(seen[1, 6:], seen[1, 5]), "padded with its last"
    moved = (
        Stretch(a.frame + 100, a.tlwh + np.array((7, 3, 0, 0))),
        Stretch(b.frame + 100, b.tlwh + np.array((7, 3, 0, 0))),
    )
    assert np.allclose(pair(*moved), seen, atol=1e-5)


@given(st.integers(0, 2**32), st.integers(1, 8))
def test_no_identity_is_twice_in_a_frame_and_no_box_is_lost(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    spans = [(k + 1, int(a), int(a + rng.integers(0, 20)), float(rng.uniform(0, 80))) for k, a in
             enumerate(rng.integers(1, 60, count))]  # fmt: skip
    given = tracks(*(walk(k, a, b, left) for k, a, b, left in spans))
    out = link(given, lambda pairs: rng.random(len(pairs)), least=0.3)
    assert len(set(zip(out.frame.tolist(), out.id.tolist(), strict=True))) == len(given)
    assert set(out.id.tolist()) <= set(given.id.tolist())

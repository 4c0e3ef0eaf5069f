"""Pairs of section 4.2 against their definition by double loop."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msfp.errors import InputError, NotComputable
from msfp.metrics.reid import hard_pairs, pairs, same_frame_pairs


def boxes(seed: int, people: int = 5, length: int = 20, seen: float = 0.6):
    """Frames, identities and boxes of people who come and go, in file order."""
    rng = np.random.default_rng(seed)
    frame, identity = np.divmod(np.flatnonzero(rng.random(length * people) < seen), people)
    tlwh = rng.uniform(5, 100, (len(frame), 4))
    return (frame + 1).astype(np.int32), (identity + 1).astype(np.int32), tlwh


@given(st.integers(0, 2**32), st.integers(2, 20), st.integers(1, 12))
def test_positives_are_all_pairs_of_the_definition(seed, frames, max_gap):
    frame, identity, _ = boxes(seed)
    window = range(1, 1 + frames)
    expected = [
        (i, j)
        for i, j in combinations(range(len(frame)), 2)
        if identity[i] == identity[j]
        and frame[i] in window
        and frame[j] in window
        and 1 <= abs(int(frame[j]) - int(frame[i])) <= max_gap
    ]
    taking_part = identity[frame <= frames]
    if not expected or len(set(taking_part)) < 2:
        with pytest.raises(NotComputable, match="no identity is seen twice|show one identity"):
            pairs(frame, identity, frames=frames, max_gap=max_gap)
        return
    found = pairs(frame, identity, frames=frames, max_gap=max_gap, negatives=3)
    assert list(zip(found.i[found.same].tolist(), found.j[found.same].tolist(), strict=True)) == expected
    assert (found.gap == np.abs(frame[found.i] - frame[found.j])).all()
    assert ((identity[found.i] == identity[found.j]) == found.same).all()
    assert set(frame[found.i]) | set(frame[found.j]) <= set(window)
    assert (~found.same).sum() == 3 * len(expected)


def test_negatives_are_uniform_over_ordered_pairs_of_different_people():
    frame, identity, _ = boxes(1, people=3, length=6, seen=1)
    found = pairs(frame, identity, negatives=2000, seed=4)
    drawn = ~found.same
    counts = np.zeros((len(frame), len(frame)))
    np.add.at(counts, (found.i[drawn], found.j[drawn]), 1)
    different = identity[:, None] != identity[None]
    assert counts[~different].sum() == 0
    mean = drawn.sum() / different.sum()
    assert np.abs(counts[different] - mean).max() < 6 * np.sqrt(mean)
    assert (found.gap[drawn] == 0).any(), "negatives may come from one frame"


def test_the_seed_decides():
    frame, identity, _ = boxes(2)
    one, same, other = (pairs(frame, identity, seed=seed) for seed in (1, 1, 2))
    assert (one.i == same.i).all()
    assert (one.j == same.j).all()
    assert (one.i != other.i).any()


def test_only_kept_rows_take_part():
    frame, identity, tlwh = boxes(3, length=40)
    keep = np.random.default_rng(0).random(len(frame)) < 0.7
    for found in (
        pairs(frame, identity, keep=keep),
        hard_pairs(frame, identity, tlwh, keep=keep),
        same_frame_pairs(frame, identity, tlwh, keep=keep),
    ):
        assert keep[found.i].all()
        assert keep[found.j].all()


@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(0, 6), st.integers(0, 8), st.floats(0.05, 1))
def test_hard_pairs_ask_who_of_two_it_is_in_the_later_frame(seed, people, first, further, seen):
    frame, identity, tlwh = boxes(seed, people, length=24, seen=seen)
    questions = []
    for i in range(len(frame)):
        for j in range(len(frame)):
            if identity[j] != identity[i] or not first <= frame[j] - frame[i] <= first + further or i == j:
                continue
            others = [k for k in range(len(frame)) if frame[k] == frame[j] and k != j]
            if others:
                questions.append((i, j, min(others, key=lambda k: distance(tlwh[j], tlwh[k]))))
    if not questions:
        with pytest.raises(NotComputable, match="no identity is seen again|near negative"):
            hard_pairs(frame, identity, tlwh, gap=(first, first + further))
        return
    found = hard_pairs(frame, identity, tlwh, gap=(first, first + further))
    yes, no = found.same, ~found.same
    assert (found.i[yes] == found.i[no]).all(), "the k-th negative asks about the k-th positive's earlier box"
    rows = (found.i[yes].tolist(), found.j[yes].tolist(), found.j[no].tolist())
    assert list(zip(*rows, strict=True)) == sorted(questions)
    assert ((identity[found.i] == identity[found.j]) == yes).all()


def test_same_frame_pairs_are_far_positives_and_nearest_neighbours():
    frame, identity, tlwh = boxes(4, people=6, length=60, seen=0.8)
    found = same_frame_pairs(frame, identity, tlwh)
    positive = {
        (i, j)
        for i, j in combinations(range(len(frame)), 2)
        if identity[i] == identity[j] and 20 <= frame[j] - frame[i] <= 30
    }
    negative = set()
    for i in range(len(frame)):
        rivals = [j for j in range(len(frame)) if j != i and frame[j] == frame[i]]
        if rivals:
            j = min(rivals, key=lambda j, i=i: distance(tlwh[i], tlwh[j]))
            negative.add((min(i, j), max(i, j)))
    couples = list(zip(found.i.tolist(), found.j.tolist(), strict=True))
    assert len(set(couples)) == len(couples)
    assert set(couples[: found.same.sum()]) == positive
    assert set(couples[found.same.sum() :]) == negative


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Squared distance of two boxes in place and size."""
    height = (a[3] + b[3]) / 2
    x = ((a[0] + a[2] / 2) - (b[0] + b[2] / 2)) / height
    y = ((a[1] + a[3] / 2) - (b[1] + b[3] / 2)) / height
    return x**2 + y**2 + np.log(a[2] / b[2]) ** 2 + np.log(a[3] / b[3]) ** 2


def test_clear_messages():
    frame, identity = np.array([1, 1, 2], np.int32), np.array([1, 2, 1], np.int32)
    tlwh = np.ones((3, 4))
    with pytest.raises(InputError, match="identity 1 appears more than once in frame 1"):
        pairs(frame, np.array([1, 1, 2], np.int32))
    with pytest.raises(InputError, match="identity: 2 values beside 3 frame numbers"):
        pairs(frame, identity[:2])
    with pytest.raises(InputError, match="keep: 1 values"):
        pairs(frame, identity, keep=np.ones(1, bool))
    with pytest.raises(NotComputable, match="one identity"):
        pairs(frame[1:], np.ones(2, np.int32))
    for choose in (hard_pairs, same_frame_pairs):
        with pytest.raises(NotComputable, match="no identity is seen again 20 to 30 frames later"):
            choose(frame, identity, tlwh)
        with pytest.raises(NotComputable, match="near negative"):
            choose(np.array([1, 25], np.int32), np.ones(2, np.int32), tlwh[:2])
        with pytest.raises(InputError, match="tlwh: 1 boxes"):
            choose(frame, identity, tlwh[:1])
    with pytest.raises(NotComputable, match="0 boxes"):
        pairs(frame[:0], identity[:0])

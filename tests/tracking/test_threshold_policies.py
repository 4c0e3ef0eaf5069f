"""What every registered threshold policy has to hold, and what each is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msfp.errors import InputError
from msfp.tracking import make, track
from msfp.tracking.thresholds import follow, make_policy, policies
from msfp.types import Detections
from tests.tracking.conftest import walk

every = pytest.mark.parametrize("name", policies())
frames = st.lists(st.lists(st.floats(-1, 5, width=32), max_size=8), min_size=1, max_size=12)


def spread(sequence: list[list[float]]) -> Detections:
    """Frames of scores as detections."""
    scores = np.array([s for frame in sequence for s in frame], np.float32)
    numbers = np.repeat(np.arange(1, len(sequence) + 1, dtype=np.int32), [len(frame) for frame in sequence])
    return Detections(numbers, np.tile([0.0, 0.0, 1.0, 1.0], (len(scores), 1)), scores)


@every
@given(sequence=frames, edges=st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted))
def test_within_the_bounds_whatever_the_scores(name: str, sequence: list[list[float]], edges: list[float]) -> None:
    low, high = edges
    taus = follow(make_policy(name, low=low, high=high), spread(sequence), len(sequence))
    assert taus.shape == (len(sequence), 2)
    assert taus.dtype == np.float32
    assert (taus[:, 1] <= taus[:, 0]).all()
    if policies()[name].bounded:
        assert (taus >= np.float32(low)).all()
        assert (taus <= np.float32(high)).all()


@every
@given(first=frames, second=frames)
def test_a_sequence_knows_nothing_of_the_one_before(
    name: str, first: list[list[float]], second: list[list[float]]
) -> None:
    used, fresh = make_policy(name), make_policy(name)
    follow(used, spread(first), len(first))
    again = follow(used, spread(second), len(second))
    assert np.array_equal(again, follow(fresh, spread(second), len(second)))


@every
@given(sequence=frames, later=frames)
def test_later_frames_change_nothing(name: str, sequence: list[list[float]], later: list[list[float]]) -> None:
    policy = make_policy(name)
    alone = follow(policy, spread(sequence), len(sequence))
    longer = sequence + later
    assert np.array_equal(follow(policy, spread(longer), len(longer))[: len(sequence)], alone)


@every
def test_two_policies_share_nothing(name: str) -> None:
    one, other = make_policy(name), make_policy(name)
    expected = follow(make_policy(name), walk().detections, 40)
    mixed = []
    for t in range(1, 41):
        mixed.append(one.update(walk().detections.score[walk().detections.frame == t]))
        other.update([0.02, 0.03])
    assert np.array_equal(mixed, expected)


@every
def test_only_the_latest_frames_count(name: str) -> None:
    policy = make_policy(name, memory=2)
    seen = [policy.update(scores) for scores in ([0.4] * 50, [0.1, 0.2, 0.2], [0.1, 0.2, 0.2])]
    policy.reset()
    assert np.array_equal(seen[-1], [policy.update([0.1, 0.2, 0.2]) for _ in range(2)][-1])


@every
def test_settings_that_make_no_sense(name: str) -> None:
    with pytest.raises(InputError, match=f"{name}': the lower bound 0.5 lies above the upper 0.1"):
        make_policy(name, low=0.5, high=0.1)
    with pytest.raises(InputError, match="memory is 0 frames"):
        make_policy(name, memory=0)


def test_registry() -> None:
    assert {"percentile", "steepest-drop"} <= set(policies())
    with pytest.raises(InputError, match="threshold policy 'none' is not known; there are: percentile, steepest-drop"):
        make_policy("none")


def test_percentile_keeps_its_share() -> None:
    scores = np.linspace(0, 0.5, 101)
    high, low = make_policy("percentile").update(scores)
    assert high == low
    assert (scores > high).mean() == pytest.approx(0.85, abs=0.01)
    assert make_policy("percentile").update([0.9, 0.95]).tolist() == [0.5, 0.5]
    np.testing.assert_allclose(make_policy("percentile").update([]), 0.01)


@given(scores=st.lists(st.floats(-1, 5, width=32), max_size=12))
def test_steepest_drop_is_the_naive_loop(scores: list[float]) -> None:
    falling, widest, before = sorted(scores, reverse=True), 0.0, 0.4
    for i in range(len(falling) - 1):
        drop = float(np.float32(falling[i]) - np.float32(falling[i + 1]))
        if i == 0 or drop > widest:
            widest, before = drop, falling[i]
    high, low = make_policy("steepest-drop").update(scores)
    wanted = np.float32(max(before, 0.4))
    assert high < wanted == np.nextafter(high, np.float32(np.inf)), "what scores exactly that is sure"
    assert low == np.float32(0.1)


@pytest.mark.parametrize(
    ("scores", "high"),
    [
        ([0.2, 0.97, 0.9, 0.15, 0.95], 0.9),  # .97 .95 .90 | .20 .15
        ([0.99, 0.5, 0.45, 0.4], 0.99),  # the best alone
        ([0.3, 0.2, 0.05], 0.4),  # the drop lies below the floor
        ([3.1, 2.9, 0.7, 0.6], 2.9),  # an SVM's margins have no bound
        ([0.9], 0.4),
        ([], 0.4),
    ],
)
def test_steepest_drop_by_hand(scores: list[float], high: float) -> None:
    np.testing.assert_allclose(make_policy("steepest-drop").update(scores), [high, 0.1], rtol=1e-6)


def test_steepest_drop_begins_tracks_at_its_threshold() -> None:
    """As its authors have it: ByteTrack's own margin of 0.1 above a threshold near 1 would begin none."""
    rule = policies()["steepest-drop"]
    found = spread([[0.95, 0.93, 0.3]] * 4)
    taus = follow(make_policy("steepest-drop"), found, 4)
    boxes = np.array([[0, 0, 50, 90], [300, 0, 50, 90], [600, 0, 50, 90]] * 4, np.float64)
    seen = {
        name: set(track(make("bytetrack", **options), Detections(found.frame, boxes, found.score), 4, None, taus).id)
        for name, options in (("own margin", {}), ("the rule's", dict(rule.options)))
    }
    assert [len(ids) for ids in seen.values()] == [0, 2]

"""What every registered threshold policy has to hold, and what each is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msfp.errors import InputError
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
    expected = follow(make_policy(name), walk().detections, 40)[:, 0]
    mixed = []
    for t in range(1, 41):
        mixed.append(one.update(walk().detections.score[walk().detections.frame == t]))
        other.update([0.02, 0.03])
    assert np.array_equal(np.float32(mixed), expected)


@every
def test_only_the_latest_frames_count(name: str) -> None:
    policy = make_policy(name, memory=2)
    seen = [policy.update(scores) for scores in ([0.4] * 50, [0.1, 0.2, 0.2], [0.1, 0.2, 0.2])]
    policy.reset()
    assert seen[-1] == [policy.update([0.1, 0.2, 0.2]) for _ in range(2)][-1]


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
    tau = make_policy("percentile").update(scores)
    assert (scores > tau).mean() == pytest.approx(0.85, abs=0.01)
    assert make_policy("percentile").update([0.9, 0.95]) == 0.5
    assert make_policy("percentile").update([]) == 0.01


def test_steepest_drop_lies_above_the_bulk_of_unsure_boxes() -> None:
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.normal(0.2, 0.01, 500), rng.uniform(0.5, 1, 300)])
    tau = make_policy("steepest-drop").update(scores)
    assert tau == pytest.approx(0.22, abs=0.02)
    drop = [int((scores > t).sum() - (scores > t + 0.03).sum()) for t in np.arange(0.01, 0.47, 0.01)]
    assert abs(0.01 * int(np.argmax(drop)) + 0.025 - tau) < 0.025  # the count above tau falls fastest just below it
    assert make_policy("steepest-drop").update([0.9]) == 0.01

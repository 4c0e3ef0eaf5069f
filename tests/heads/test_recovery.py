"""The recovery decision: padding is not looked at, seeds repeat, and what can be learned is learned."""

import numpy as np
import pytest
import torch

from msfp.errors import NotComputable
from msfp.heads.recovery import Cases, RecoveryNet, decide, fit_recovery
from msfp.heads.training import restore

HISTORY, DETECTIONS, LOOK, PLACE = 3, 2, 8, 4
TOKENS = HISTORY + 1 + DETECTIONS


def cases(count: int, seed: int = 0) -> Cases:
    """The person is at the predicted box where it looks like the history, else at the first detection or nowhere."""
    rng = np.random.default_rng(seed)
    person = rng.normal(size=(count, 1, LOOK))
    person /= np.linalg.norm(person, axis=2, keepdims=True)
    look = rng.normal(size=(count, TOKENS, LOOK))
    look /= np.linalg.norm(look, axis=2, keepdims=True)
    look[:, :HISTORY] = person
    choice = rng.integers(0, 3, count)
    look[choice == 1, HISTORY] = person[choice == 1, 0]
    look[choice == 2, HISTORY + 1] = person[choice == 2, 0]
    there = np.ones((count, TOKENS), np.bool_)
    there[:, -1] = False
    place = rng.normal(size=(count, TOKENS, PLACE)) * 0.1
    return Cases(look.astype(np.float32), place.astype(np.float32), there, choice)


def test_it_learns_to_compare_looks() -> None:
    trained = fit_recovery(cases(800), HISTORY, 15, seed=0)
    net = restore(RecoveryNet(LOOK, PLACE, HISTORY), trained.state)
    other = cases(400, seed=1)
    weights = decide(net, other)
    assert trained.loss[-1] < trained.loss[0]
    assert (weights.argmax(1) == other.choice).mean() > 0.8
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-5)
    assert not weights[:, -1].any()  # the detection that is not there


def test_padding_changes_nothing() -> None:
    torch.manual_seed(0)
    net = RecoveryNet(LOOK, PLACE, HISTORY).eval()
    given = cases(6)
    given.there[:, 0] = False
    before = decide(net, given)
    given.look[:, 0], given.place[:, 0], given.look[:, -1] = 7.0, -7.0, 5.0
    np.testing.assert_allclose(decide(net, given), before, atol=1e-6)
    assert decide(net, cases(0)).shape == (0, 2 + DETECTIONS)


def test_seeds_repeat_and_leave_the_random_state_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, again, other = (fit_recovery(cases(40), HISTORY, 2, seed) for seed in (0, 0, 1))
    assert torch.rand(1) == expected
    assert all(np.array_equal(first.state[k], again.state[k]) for k in first.state)
    assert not np.array_equal(first.state["look.weight"], other.state["look.weight"])


def test_it_is_small_and_says_when_there_is_nothing_to_learn() -> None:
    assert sum(p.numel() for p in RecoveryNet(128, 9, 5).parameters()) < 25_000
    with pytest.raises(NotComputable, match="no track loses its detection"):
        fit_recovery(cases(0), HISTORY, 1, 0)

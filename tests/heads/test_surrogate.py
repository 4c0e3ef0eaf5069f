"""The soft IDF1: equal to its definition by loops, to counts in the hard limit, and trainable."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from msfp.config import AtlSettings, TrainingSettings
from msfp.errors import NotComputable
from msfp.heads.training import Clip, SoftIdf1, fit_surrogate, predict


def clip(seed: int, length: int = 8, people: int = 3, buffer: int = 2, noise: int = 4) -> Clip:
    """People seen now and then with high scores, among boxes on nobody with low ones."""
    rng = np.random.default_rng(seed)
    rows = [(t, rng.uniform(0.2, 0.6), p) for t in range(length) for p in range(people) if rng.random() < 0.7]
    rows += [(int(rng.integers(length)), rng.uniform(0.0, 0.4), -1) for _ in range(noise)]
    rows.sort(key=lambda row: row[0])
    frame, score, person = (np.array([row[i] for row in rows]) for i in range(3))
    scene = rng.random((length, 6)).astype(np.float16)
    return Clip(
        scene, frame.astype(np.int64), score.astype(np.float32), person.astype(np.int64), length * people, buffer
    )


def by_loops(own: Clip, tau: list[float], temperature: float) -> float:
    kept = [1 / (1 + math.exp(-(s - tau[t]) / temperature)) for s, t in zip(own.score, own.frame, strict=True)]
    right = 0.0
    for i, person in enumerate(own.person):
        if person < 0:
            continue
        before = [j for j in range(len(kept)) if own.person[j] == person and own.frame[j] < own.frame[i]]
        none_so_far = math.prod(1 - kept[j] for j in before)
        none_in_buffer = math.prod(1 - kept[j] for j in before if own.frame[j] >= own.frame[i] - own.buffer)
        right += kept[i] * (1 - (none_in_buffer - none_so_far))
    return 2 * right / (own.truth + sum(kept))


@given(st.integers(0, 2**32), st.integers(1, 5), st.sampled_from([0.02, 0.05, 0.2]))
def test_is_its_definition(seed: int, buffer: int, temperature: float) -> None:
    own = clip(seed, buffer=buffer)
    tau = np.random.default_rng(seed).uniform(0.05, 0.5, 8).astype(np.float32)
    soft = SoftIdf1(own, temperature)(torch.from_numpy(tau)).item()
    assert soft == pytest.approx(by_loops(own, tau.tolist(), temperature), abs=1e-6)


def test_counts_in_the_hard_limit() -> None:
    """Without gaps longer than the buffer it is 2 TP / (truth + kept), as IDF1 of one track a person is."""
    own = clip(3, buffer=8)
    kept = own.score > 0.3
    right = kept & (own.person >= 0)
    soft = SoftIdf1(own, 1e-4)(torch.full((8,), 0.3)).item()
    assert soft == pytest.approx(2 * right.sum() / (own.truth + kept.sum()), abs=1e-6)


def test_a_break_longer_than_the_buffer_costs() -> None:
    frame = np.array([0, 1, 6, 7])
    own = Clip(np.zeros((8, 2), np.float16), frame, np.full(4, 0.9, np.float32), np.zeros(4, np.int64), 8, buffer=3)
    tau = torch.full((8,), 0.3)
    assert SoftIdf1(own, 1e-3)(tau).item() == pytest.approx(2 * 3 / 12)
    held = Clip(own.scene, frame, own.score, own.person, 8, buffer=5)
    assert SoftIdf1(held, 1e-3)(tau).item() == pytest.approx(2 * 4 / 12)


def test_gradient_is_that_of_the_value() -> None:
    soft = SoftIdf1(clip(1), 0.1)
    tau = torch.full((8,), 0.3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(soft, (tau,))


def test_training_finds_the_threshold_between_people_and_nobody() -> None:
    """People score 0.35 to 0.6, nobody 0.05 to 0.2 in bright scenes, both 0.25 less in dark ones."""
    rng = np.random.default_rng(0)
    clips = []
    for i in range(12):
        shift = 0.25 * (i % 2)
        frame = np.repeat(np.arange(10), 6)
        person = np.tile([0, 1, 2, -1, -1, -1], 10)
        score = np.where(person >= 0, rng.uniform(0.35, 0.6, 60), rng.uniform(0.05, 0.2, 60)) - shift
        scene = np.full((10, 4), 1.0 - i % 2, np.float16)
        clips.append(Clip(scene, frame, score.astype(np.float32), person, 30, buffer=5))
    atl = AtlSettings(weight_decay=0.0, dropout=0.0)
    fitted = fit_surrogate(clips, atl, TrainingSettings(epochs=80, learning_rate=1e-2), seed=0)
    assert fitted.loss[-1] < fitted.loss[0]
    bright, dark = (predict("single", clips[i].scene, fitted.state, atl)[0, 0] for i in (0, 1))
    assert 0.2 < bright < 0.35
    assert 0.01 <= dark < 0.1


def test_seeds_repeat_and_differ() -> None:
    clips, atl, training = [clip(i) for i in range(3)], AtlSettings(), TrainingSettings(epochs=2)
    states = [fit_surrogate(clips, atl, training, seed).state["mlp.0.weight"] for seed in (0, 0, 1)]
    assert np.array_equal(states[0], states[1])
    assert not np.array_equal(states[0], states[2])


def test_labels_are_needed() -> None:
    own = clip(0)
    empty = Clip(own.scene, own.frame, own.score, np.full_like(own.person, -1), 0, 2)
    with pytest.raises(NotComputable, match="no learning frame has labelled people"):
        fit_surrogate([empty], AtlSettings(), TrainingSettings(), seed=0)

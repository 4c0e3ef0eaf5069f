"""Strips, centring and whitening against their definitions, and identities that only they can tell."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from msfp.config import FusionSettings, TrainingSettings
from msfp.heads.fusion import make_head
from msfp.heads.parts import FrameCentring, centred, contrast, unit_strips, within_class_whitening
from msfp.heads.training import embed, fit_fusion, restore_head
from msfp.heads.triplets import Labels

STRIPS, CHANNELS = 4, 6
CONFIG = FusionSettings(width=16)


def test_strips_have_unit_length_and_a_strip_outside_stays_zero() -> None:
    vectors = np.random.default_rng(0).normal(size=(5, STRIPS * CHANNELS)).astype("f2")
    vectors[2, CHANNELS : 2 * CHANNELS] = 0
    found = unit_strips(vectors, STRIPS)
    length = np.linalg.norm(found.reshape(5, STRIPS, CHANNELS), axis=2)
    assert length[2, 1] == 0
    np.testing.assert_allclose(np.delete(length.ravel(), 2 * STRIPS + 1), 1, rtol=1e-6)
    np.testing.assert_allclose(found[0, :CHANNELS] * np.linalg.norm(vectors[0, :CHANNELS].astype("f4")),
                               vectors[0, :CHANNELS], rtol=1e-5)  # fmt: skip
    assert unit_strips(vectors[:0], STRIPS).shape == (0, STRIPS * CHANNELS)


@given(seed=st.integers(0, 10_000), counts=st.lists(st.integers(0, 5), min_size=1, max_size=12))
def test_frames_are_centred_as_the_definition_says(seed: int, counts: list[int]) -> None:
    rng = np.random.default_rng(seed)
    frame = np.repeat(np.arange(1, len(counts) + 1), counts).astype(np.int32)
    vectors = rng.normal(size=(len(frame), STRIPS * CHANNELS))
    people = rng.random(len(frame)) < 0.8
    found = centred({4: vectors}, frame, people, STRIPS)[4]
    unit, running = unit_strips(vectors, STRIPS), None
    for t in range(1, len(counts) + 1):
        rows, who = frame == t, (frame == t) & people
        if who.sum() >= 2:
            mean = sum(unit[who]) / who.sum()
            running = mean if running is None else 0.9 * running + 0.1 * mean
            wanted = unit[rows] - mean
        else:
            wanted = unit[rows] - (0 if running is None else running)
        np.testing.assert_allclose(found[rows], wanted, atol=1e-6)


def test_centring_looks_at_no_later_frame_and_begins_anew_where_it_is_cleared() -> None:
    vectors = np.random.default_rng(1).normal(size=(9, STRIPS * CHANNELS))
    frame = np.array([1, 1, 2, 3, 3, 3, 4, 5, 5], np.int32)
    whole = centred({4: vectors}, frame, np.ones(9, bool), STRIPS)[4]
    early = centred({4: vectors[:7]}, frame[:7], np.ones(7, bool), STRIPS)[4]
    np.testing.assert_array_equal(whole[:7], early)
    centring = FrameCentring(STRIPS)
    first = centring.step({4: vectors[:2]})[4]
    centring.mean.clear()
    np.testing.assert_array_equal(centring.step({4: vectors[:2]})[4], first)


def test_whitening_gives_what_changes_within_a_person_unit_covariance() -> None:
    rng = np.random.default_rng(2)
    person = rng.integers(0, 40, 4000)
    mixed = rng.normal(size=(10, 10))
    vectors = 5 * rng.normal(size=(40, 10))[person] + rng.normal(size=(4000, 10)) @ mixed
    white = vectors @ within_class_whitening(vectors, person, 1e-9)
    rest = np.concatenate([white[person == p] - white[person == p].mean(0) for p in range(40)])
    np.testing.assert_allclose(rest.T @ rest / len(rest), np.eye(10), atol=1e-6)


def scene(seed: int = 0, frames: int = 60, people: int = 12) -> tuple[np.ndarray, Labels]:
    """People whose strips differ a little, in a light that changes all of them far more, from frame to frame."""
    rng = np.random.default_rng(seed)
    who = np.tile(np.arange(people), frames)
    frame = np.repeat(np.arange(1, frames + 1), people)
    own, lit, moved = (rng.normal(size=(rows, STRIPS * CHANNELS)) for rows in (people, 3, 4))
    light, pose = 4 * rng.normal(size=(frames, 3)) @ lit, 1.5 * rng.normal(size=(len(who), 4)) @ moved
    vectors = 20 + own[who] + light[frame - 1] + pose
    return vectors.astype("f2"), Labels(np.zeros(len(who), np.int64), frame.astype(np.int64), who.astype(np.int64))


def apart(rows: np.ndarray, labels: Labels) -> float:
    """Share of times that a person of one frame is told from the next one, ten frames later."""
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    people = labels.identity.max() + 1
    grid = unit.reshape(-1, people, unit.shape[1])
    now, later = grid[:-10], grid[10:]
    own = (now * later).sum(2)
    return float((own > (now * np.roll(later, 1, axis=1)).sum(2)).mean())


@pytest.mark.parametrize("name", ["parts", "parts-linear"])
def test_heads_tell_people_that_the_strips_alone_do_not(name: str) -> None:
    vectors, labels = scene(1)
    given = centred({4: vectors}, labels.frame.astype(np.int32), np.ones(len(vectors), bool), STRIPS)
    fitted = fit_fusion(name, given, labels, CONFIG, TrainingSettings(), (0,))[0]
    other, truth = scene(1, frames=40)
    seen = centred({4: other}, truth.frame.astype(np.int32), np.ones(len(other), bool), STRIPS)
    head = restore_head(name, {4: STRIPS * CHANNELS}, fitted.state, CONFIG)
    plain, learned = apart(unit_strips(other, STRIPS), truth), apart(embed(head, seen), truth)
    assert learned > max(0.9, plain + 0.1)
    assert embed(head, {4: seen[4][:0]}).shape[0] == 0


def test_a_closed_form_is_the_same_for_every_seed_and_a_learned_one_for_its_own() -> None:
    vectors, labels = scene()
    given = centred({4: vectors}, labels.frame.astype(np.int32), np.ones(len(vectors), bool), STRIPS)
    one, two = fit_fusion("parts", given, labels, CONFIG, TrainingSettings(), (0, 5))
    np.testing.assert_array_equal(one.state["whitening"], two.state["whitening"])
    together = fit_fusion("parts-linear", given, labels, CONFIG, TrainingSettings(), (0, 5))
    alone = fit_fusion("parts-linear", given, labels, CONFIG, TrainingSettings(), (5,))[0]
    np.testing.assert_array_equal(together[1].state["map.weight"], alone.state["map.weight"])
    assert not np.array_equal(together[0].state["map.weight"], alone.state["map.weight"])
    assert alone.loss[-1] < alone.loss[0]


def test_the_contrast_is_its_definition() -> None:
    rows = torch.nn.functional.normalize(torch.randn(9, 5, generator=torch.Generator().manual_seed(3)), dim=1)
    whose = torch.tensor([0, 0, 1, 1, 1, 2, 3, 3, 4])
    terms = []
    for i in range(9):
        others = [j for j in range(9) if j != i]
        total = sum(torch.exp(rows[i] @ rows[j] / 0.1) for j in others)
        terms += [-torch.log(torch.exp(rows[i] @ rows[j] / 0.1) / total) for j in others if whose[j] == whose[i]]
    torch.testing.assert_close(contrast(rows, whose, 0.1), torch.stack(terms).mean())
    assert contrast(rows[:1], whose[:1], 0.1) == 0


def test_parts_of_a_fresh_head_are_its_strips() -> None:
    head = make_head("parts", {4: 8}, CONFIG).eval()
    rows = torch.randn(3, 8)
    torch.testing.assert_close(head({4: rows}), torch.nn.functional.normalize(rows, dim=1))

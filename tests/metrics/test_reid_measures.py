"""AUC, gap and ROC against their definitions over all pairs and against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from msfp.errors import InputError, NotComputable
from msfp.metrics import reid
from msfp.metrics.reid import Pairs, hard_pairs, pairs


def similarities(seed: int, ties: bool, count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    same = rng.random(count) < 0.4
    same[:2] = True, False
    sim = (rng.normal(size=count) + same).astype(np.float32)
    return (np.round(sim * 2) / 2 if ties else sim), same


@given(st.integers(0, 2**32), st.booleans())
def test_auc_and_gap_are_their_definitions(seed, ties):
    sim, same = similarities(seed, ties)
    wins = [(p > n) + 0.5 * (p == n) for p in sim[same] for n in sim[~same]]
    assert reid.auc(sim, same) == pytest.approx(np.mean(wins), abs=1e-12)
    assert reid.auc(sim, same) == pytest.approx(roc_auc_score(same, sim), abs=1e-12)
    assert reid.gap(sim, same) == pytest.approx(
        np.mean([p - n for p in sim[same] for n in sim[~same].astype(np.float64)]), abs=1e-6
    )


@given(st.integers(0, 2**32), st.booleans())
def test_roc_runs_through_scikit_learns_corners(seed, ties):
    sim, same = similarities(seed, ties)
    fpr, tpr, _ = roc_curve(same, sim, drop_intermediate=False)
    negatives = int((~same).sum())
    curve = reid.roc(sim, same, points=negatives + 1)  # a point at every possible rate
    assert (curve.fpr[0], curve.fpr[-1], curve.tpr[-1]) == (0, 1, 1)
    assert (np.diff(curve.tpr) >= -1e-12).all()
    for rate in np.unique(fpr):
        at = round(rate * negatives)
        assert curve.tpr[at] == pytest.approx(tpr[fpr == rate].max(), abs=1e-9)
    if not ties:
        assert np.mean(curve.tpr[:-1]) == pytest.approx(reid.auc(sim, same), abs=1e-9)


@pytest.mark.parametrize("width", [1, 7, 8, 64, 131])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_similarity_is_the_cosine(width, dtype):
    rng = np.random.default_rng(0)
    e = rng.normal(size=(30, width)).astype(dtype)
    e[3] = 0
    i, j = rng.integers(0, 30, (2, 200), dtype=np.int32)
    chosen = Pairs(i, j, i == j, np.zeros(200, np.int32))
    wide = e.astype(np.float64)
    norm = np.linalg.norm(wide, axis=1)
    expected = np.sum(wide[i] * wide[j], axis=1) / np.maximum(norm[i] * norm[j], 1e-30)
    assert reid.similarity(e, chosen) == pytest.approx(expected, abs=2e-6)


def test_by_gap_takes_positives_of_a_bin_against_all_negatives():
    rng = np.random.default_rng(0)
    sim, same = similarities(0, False, 400)
    gaps = rng.integers(1, 31, 400).astype(np.int32)
    rows = reid.measures(reid.Compared(sim, same, gaps), bins=((1, 5), (6, 30), (40, 50)))["by_gap"]
    assert [(row["first"], row["last"]) for row in rows] == [(1, 5), (6, 30)], "an empty bin has no row"
    for row in rows:
        chosen = ~same | ((gaps >= row["first"]) & (gaps <= row["last"]))
        assert row["auc"] == pytest.approx(roc_auc_score(same[chosen], sim[chosen]), abs=1e-12)
    whole = sum(row["auc"] * row["positives"] for row in rows) / sum(row["positives"] for row in rows)
    assert whole == pytest.approx(reid.auc(sim, same), abs=1e-12)


def crowd(seed: int = 0, people: int = 6, length: int = 60, width: int = 16, noise: float = 1.0):
    """Everybody in every frame, embeddings around one centre a person."""
    rng = np.random.default_rng(seed)
    frame = np.repeat(np.arange(1, length + 1), people).astype(np.int32)
    identity = np.tile(np.arange(people), length).astype(np.int32)
    embeddings = rng.normal(size=(people, width))[identity] + noise * rng.normal(size=(len(frame), width))
    return embeddings.astype(np.float32), frame, identity, rng.uniform(5, 50, (len(frame), 4))


def test_a_sequence_is_measured_whole():
    embeddings, frame, identity, tlwh = crowd()
    found = reid.evaluate_reid(embeddings, frame, identity, tlwh=tlwh, frames=50, seed=3)
    chosen = pairs(frame, identity, frames=50, seed=3)
    sim = reid.similarity(embeddings, chosen)
    assert found["auc"] == roc_auc_score(chosen.same, sim) or found["auc"] == pytest.approx(
        roc_auc_score(chosen.same, sim), abs=1e-12
    )
    assert (found["boxes"], found["identities"]) == (300, 6)
    assert found["positives"] == 6 * sum(50 - gap for gap in range(1, 31))
    assert found["negatives"] == 10 * found["positives"]
    assert found["hard_positives"] == 6 * sum(50 - gap for gap in range(20, 31))
    assert 0.5 < found["hard_auc"] < 1
    assert found["first_of_two"] > 0.5
    assert 0.5 < found["same_frame_auc"] < 1
    perfect = reid.evaluate_reid(*crowd(noise=0)[:3])
    assert perfect["auc"] == 1


def test_first_of_two_is_the_share_of_questions_answered_right():
    embeddings, frame, identity, tlwh = crowd(noise=2)
    embeddings[frame == 40] = 0  # every answer that lies in this frame is a tie
    chosen = hard_pairs(frame, identity, tlwh)
    unit = embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-12)
    right = []
    for i, j, k in zip(chosen.i[chosen.same], chosen.j[chosen.same], chosen.j[~chosen.same], strict=True):
        own, other = unit[i] @ unit[j], unit[i] @ unit[k]
        right.append(0.5 if own == other else float(own > other))
    assert 0.5 in right
    assert reid.first_of_two(reid.compare(embeddings, chosen)) == pytest.approx(np.mean(right))


def test_light_that_changes_costs_the_same_frame_measure_only():
    """Everybody turns alike from frame to frame: who it is of two in a later frame stays as easy as it was."""
    embeddings, frame, identity, tlwh = crowd(people=8, length=60, noise=0.5)
    drift = np.random.default_rng(5).normal(size=(61, embeddings.shape[1]))[frame] * 2
    still, moving = (
        reid.evaluate_reid(e.astype(np.float32), frame, identity, tlwh=tlwh) for e in (embeddings, embeddings + drift)
    )
    assert still["same_frame_auc"] - moving["same_frame_auc"] > still["first_of_two"] - moving["first_of_two"] + 0.1


def test_chance_is_a_half():
    embeddings, frame, identity, _ = crowd(length=100)
    blind = np.random.default_rng(1).normal(size=embeddings.shape)
    found = reid.evaluate_reid(blind, frame, identity)
    assert found["auc"] == pytest.approx(0.5, abs=0.02)
    assert found["gap"] == pytest.approx(0, abs=0.01)


def test_without_far_positives_the_hard_variant_says_why():
    embeddings, frame, identity, tlwh = crowd(length=10)
    found = reid.evaluate_reid(embeddings, frame, identity, tlwh=tlwh)
    assert found["hard_auc"] is found["first_of_two"] is found["same_frame_auc"] is None
    assert "20 to 30 frames later" in found["hard_reason"]


def test_clear_messages():
    embeddings, frame, identity, _ = crowd(length=5)
    embeddings[7, 3] = np.nan
    with pytest.raises(InputError, match="embeddings: row 7 holds NaN or infinity"):
        reid.evaluate_reid(embeddings, frame, identity)
    assert len(reid.similarity(embeddings, pairs(frame, identity, keep=np.arange(len(frame)) != 7)))
    with pytest.raises(InputError, match="embeddings: 10 rows beside 30 boxes"):
        reid.evaluate_reid(embeddings[:10], frame, identity)
    with pytest.raises(InputError, match="embeddings: 10 rows, but the pairs name row 29"):
        reid.similarity(embeddings[:10], pairs(frame, identity))
    with pytest.raises(InputError, match="give one row a box"):
        reid.similarity(embeddings[0], pairs(frame, identity))
    with pytest.raises(InputError, match="similarities: NaN"):
        reid.auc(np.array([np.nan, 1]), np.array([True, False]))
    with pytest.raises(NotComputable, match="0 positive and 2 negative pairs"):
        reid.auc(np.ones(2), np.zeros(2, bool))

"""Calibrated scores: isotonic regression against scikit-learn, outcomes against the definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from msfp.errors import NotComputable
from msfp.metrics.oracle import fit, outcomes
from msfp.metrics.scores import rules
from msfp.types import Detections, GroundTruth


@given(st.lists(st.tuples(st.integers(-8, 40), st.booleans()), min_size=1, max_size=60))
def test_the_map_is_scikit_learns_isotonic_regression(rows: list[tuple[int, bool]]) -> None:
    score = np.array([s / 8 for s, _ in rows], np.float32)
    hit = np.array([h for _, h in rows], np.int8)
    made = fit(score, hit)
    wanted = IsotonicRegression(out_of_bounds="clip").fit(score.astype(np.float64), hit)
    at = np.linspace(-2, 6, 97, dtype=np.float32)
    np.testing.assert_allclose(made(at), wanted.predict(at.astype(np.float64)), atol=1e-6)
    assert (np.diff(made(at)) >= 0).all()
    assert (made.true, made.false) == (hit.sum(), len(hit) - hit.sum())
    assert made.after <= made.before + 1e-12, "a constant and the identity are maps that never fall"


def test_probabilities_are_found_again() -> None:
    rng = np.random.default_rng(0)
    score = rng.uniform(-1, 5, 20_000).astype(np.float32)
    chance = 1 / (1 + np.exp(-2 * (score - 2)))
    made = fit(score, (rng.random(len(score)) < chance).astype(np.int8))
    assert np.abs(made(score) - chance).mean() < 0.02


def test_nothing_to_learn_from() -> None:
    with pytest.raises(NotComputable, match="no detection to learn from"):
        fit(np.zeros(0, np.float32), np.zeros(0, np.int8))


def test_a_detection_is_true_false_or_on_a_distractor() -> None:
    labels = [(1, 10, 1, 1), (1, 100, 1, 7), (2, 10, 1, 1)]  # frame, left, flag, class: 7 is a static person
    gt = GroundTruth(
        np.array([r[0] for r in labels], np.int32),
        np.array([1, 2, 1], np.int32),
        np.array([(r[1], 10, 20, 40) for r in labels], np.float64),
        np.array([r[2] for r in labels], np.float32),
        np.array([r[3] for r in labels], np.int32),
        np.ones(3, np.float32),
    )
    boxes = [(1, 11), (1, 14), (1, 101), (1, 300), (2, 100), (3, 10)]
    found = Detections(
        np.array([b[0] for b in boxes], np.int32),
        np.array([(b[1], 10, 20, 40) for b in boxes], np.float64),
        np.ones(6, np.float32),
    )
    assert outcomes(gt, found, rules("MOT17")).tolist() == [1, 0, -1, 0, 0, 0]
    assert outcomes(gt, found, rules("DanceTrack")).tolist()[2] in (0, 1)

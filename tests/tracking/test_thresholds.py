"""Thresholds from values: closed forms, bounds, resets."""

import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msfp.errors import InputError
from msfp.tracking import thresholds

raw = st.lists(st.floats(0.01, 0.5), min_size=1, max_size=30)


def test_fixed_and_single() -> None:
    assert np.array_equal(thresholds.fixed(0.6, 0.1, 3), np.float32([[0.6, 0.1]] * 3))
    assert np.array_equal(thresholds.single([0.2, 0.3]), np.float32([[0.2, 0.2], [0.3, 0.3]]))


def test_dual_keeps_low_below_high() -> None:
    assert np.array_equal(thresholds.dual([[0.5, 0.1], [0.2, 0.3]]), np.float32([[0.5, 0.1], [0.2, 0.2]]))


@given(raw, st.floats(0, 0.99))
def test_ema_is_its_closed_form(values: list[float], beta: float) -> None:
    """tau_t = beta^t raw_0 + (1 - beta) sum beta^(t - k) raw_k."""
    out = thresholds.smooth(values, "ema", beta)
    t = len(values) - 1
    expected = beta**t * values[0] + (1 - beta) * sum(beta ** (t - k) * values[k] for k in range(1, t + 1))
    assert out[-1] == pytest.approx(expected, abs=1e-6)
    assert out[0] == np.float32(values[0])
    assert min(values) - 1e-6 <= out.min()
    assert out.max() <= max(values) + 1e-6


def test_ema_starts_anew_with_each_sequence() -> None:
    first = thresholds.smooth([0.5, 0.5, 0.5])
    assert np.array_equal(thresholds.smooth([0.1, 0.1]), np.float32([0.1, 0.1]))
    assert np.array_equal(first, thresholds.smooth([0.5, 0.5, 0.5]))


def test_frame_and_sequence() -> None:
    values = np.array([[0.1, 0.2], [0.3, 0.6]])
    assert np.allclose(thresholds.smooth(values, "frame"), values)
    assert np.allclose(thresholds.smooth(values, "sequence"), [[0.2, 0.4]] * 2)
    with pytest.raises(InputError, match="temporal 'daily' is not known; there are: frame, ema, sequence"):
        thresholds.smooth(values, "daily")


def test_offset_moves_both_bases() -> None:
    assert np.allclose(thresholds.offset([0.0, 0.1]), [[0.5, 0.05], [0.6, 0.1]])
    assert np.allclose(thresholds.offset([0.1], base_high=0.6, base_low=0.1), [[0.7, 0.15]])
    assert np.allclose(thresholds.offset([0.1, 0.3], center=0.2), [[0.4, 0.0], [0.6, 0.1]])


@given(st.lists(st.floats(-3, 3), max_size=20))
def test_offset_is_bounded(values: list[float]) -> None:
    out = thresholds.offset(values)
    assert out.dtype == np.float32
    assert ((out >= 0) & (out <= 1)).all()


def test_saturation_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        thresholds.offset([0.2, 0.5], name="MOT17-02")
    assert "MOT17-02: tau_high reaches 1 in 1 of 2 frames" in caplog.text
    caplog.clear()
    thresholds.offset([0.2, 0.4])
    assert not caplog.text

"""Filling and smoothing of finished tracks."""

import numpy as np

from msfp.tracking.postprocess import fill_gaps, posterior_mean, smooth
from msfp.types import Tracks


def moving(frames: list[int], identity: int = 1) -> Tracks:
    """A box that moves 2 px right a frame."""
    t = np.array(frames, np.int32)
    boxes = np.stack([2.0 * t, np.zeros(len(t)), np.full(len(t), 40.0), np.full(len(t), 100.0)], axis=1)
    return Tracks(t, np.full(len(t), identity, np.int32), boxes, np.full(len(t), 0.9, np.float32))


def test_gaps_are_filled_on_the_line() -> None:
    out = fill_gaps(moving([1, 2, 5, 6]))
    whole = moving([1, 2, 3, 4, 5, 6])
    assert np.array_equal(out.frame, whole.frame)
    assert np.allclose(out.tlwh, whole.tlwh)


def test_long_gaps_stay() -> None:
    assert np.array_equal(fill_gaps(moving([1, 22]), most=20).frame, np.arange(1, 23))
    assert np.array_equal(fill_gaps(moving([1, 23]), most=20).frame, [1, 23])


def test_identities_are_filled_apart() -> None:
    a, b = moving([1, 3], 1), moving([2, 3], 2)
    order = np.argsort(np.concatenate([a.frame, b.frame]), kind="stable")
    columns = [np.concatenate([getattr(a, f), getattr(b, f)])[order] for f in ("frame", "id", "tlwh", "score")]
    out = fill_gaps(Tracks(*columns))
    assert sorted(zip(out.frame.tolist(), out.id.tolist(), strict=True)) == [(1, 1), (2, 1), (2, 2), (3, 1), (3, 2)]


def test_nothing_to_fill() -> None:
    nothing = Tracks(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros((0, 4)), np.zeros(0, np.float32))
    assert len(smooth(fill_gaps(nothing))) == 0


def test_a_straight_way_stays() -> None:
    way = moving(list(range(1, 40)))
    assert np.allclose(smooth(way).tlwh, way.tlwh, atol=1e-8)


def test_jitter_is_smoothed() -> None:
    way = moving(list(range(1, 60)))
    shaken = Tracks(way.frame, way.id, way.tlwh + np.random.default_rng(0).normal(size=way.tlwh.shape), way.score)
    assert np.abs(smooth(shaken).tlwh - way.tlwh).mean() < 0.5 * np.abs(shaken.tlwh - way.tlwh).mean()


def test_posterior_mean_is_scikit_learns() -> None:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF

    rng = np.random.default_rng(0)
    at, values = np.arange(20.0), rng.normal(size=(20, 2))
    design = np.stack([np.ones(20), at - at.mean()], axis=1)
    line = design @ np.linalg.lstsq(design, values, rcond=None)[0]
    peer = GaussianProcessRegressor(RBF(5.0, "fixed"), alpha=0.7).fit(at[:, None], values - line)
    assert np.allclose(posterior_mean(at, values, 5.0, 0.7), line + peer.predict(at[:, None]), atol=1e-8)

"""From given or predicted values to each frame's (tau_high, tau_low), and their smoothing over time (section 3.3).

All results are (T, 2) float32. Equal thresholds mean one stage: nothing lies between them.
"""

import logging
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from msfp.errors import InputError

Taus = NDArray[np.float32]
Temporal = Literal["frame", "ema", "sequence"]
_log = logging.getLogger(__name__)


def fixed(high: float, low: float, length: int) -> Taus:
    """The same two thresholds for every frame."""
    return np.tile(np.array([high, low], np.float32), (length, 1))


def single(tau: ArrayLike) -> Taus:
    """(T,) tau -> (tau, tau): one stage only."""
    raw = np.asarray(tau, np.float32).reshape(-1)
    return np.stack([raw, raw], axis=1)


def dual(pair: ArrayLike) -> Taus:
    """(T, 2) predicted pairs (eq. 8); tau_low is held at or below tau_high."""
    raw = np.asarray(pair, np.float32).reshape(-1, 2)
    return np.stack([raw[:, 0], np.minimum(raw[:, 0], raw[:, 1])], axis=1)


def offset(
    delta: ArrayLike,
    base_high: float = 0.5,
    base_low: float = 0.05,
    center: float | None = None,
    name: str = "",
    warn: bool = True,
) -> Taus:
    """Base thresholds moved by a predicted offset: tau_high = base + d, tau_low = base + d / 2 (section 4.1).

    `delta`: (T,) predicted d; eq. 6 holds it to [0.01, 0.50], so that it never lowers a threshold (`literal`).
    `base_high`, `base_low`: at d = 0. `center`: mean target; given, d is taken relative to it and has a sign
    (`centered`). `name`: sequence named in the warning. `warn`: whether to warn; a grid search tries such values on
    purpose.
    Returns thresholds held to [0, 1]. Warns where tau_high reaches 1, at which no score of a range up to 1 is above it.
    """
    d = np.asarray(delta, np.float32).reshape(-1) - np.float32(center or 0.0)
    out = np.stack([np.float32(base_high) + d, np.float32(base_low) + d / 2], axis=1)
    saturated = int((out[:, 0] >= 1.0).sum())
    if saturated and warn:
        where = f"{name}: " if name else ""
        _log.warning("%stau_high reaches 1 in %d of %d frames; no score can lie above it", where, saturated, len(d))
    return np.clip(out, 0.0, 1.0)


def smooth(raw: ArrayLike, temporal: Temporal = "ema", beta: float = 0.9) -> Taus:
    """Raw predictions over time (eq. 7).

    `raw`: (T,) or (T, k) of one sequence, in order of frames. `temporal`: `frame` leaves them; `ema` is tau_t = beta
    tau_(t-1) + (1 - beta) raw_t with tau_0 the first raw value; `sequence` is their mean. `beta`: memory of `ema`.
    Raises InputError: another `temporal`.
    """
    values = np.asarray(raw, np.float32)
    if temporal == "frame" or not len(values):
        return values.copy()
    if temporal == "sequence":
        return np.broadcast_to(values.mean(axis=0, dtype=np.float64).astype(np.float32), values.shape).copy()
    if temporal != "ema":
        raise InputError(f"temporal {temporal!r} is not known; there are: frame, ema, sequence")
    out = values.astype(np.float64)
    for t in range(1, len(out)):
        out[t] = beta * out[t - 1] + (1.0 - beta) * out[t]
    return out.astype(np.float32)

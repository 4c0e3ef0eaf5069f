"""Thresholds of frames: from given or predicted values (section 3.3), and policies, which see detection scores alone.

Thresholds of a sequence are (T, 2) float32, tau_high and tau_low. Where the two are equal there is one stage: what
lies below is ignored.
"""

import logging
from abc import ABC, abstractmethod
from collections import deque
from typing import ClassVar, Literal, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from msfp.errors import InputError

Taus = NDArray[np.float32]
Scores = NDArray[np.float32]
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
    `center`: mean target; given, d is taken relative to it and has a sign (`centered`). `name`: sequence named in the
    warning. `warn`: a grid search tries values that saturate on purpose.
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
    """(T,) or (T, k) raw predictions of one sequence over time (eq. 7).

    `frame` leaves them; `ema` is tau_t = beta tau_(t-1) + (1 - beta) raw_t, tau_0 the first raw value; `sequence` is
    their mean. Raises InputError: another `temporal`.
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


class Policy(ABC):
    """A policy: either abstract or final; concrete ones give `name`, `label` and `choose`.

    It looks at the scores of the latest frames, this one included and none that come later, so that it can run beside
    a tracker.
    """

    name: ClassVar[str] = ""
    label: ClassVar[str] = ""  # its row in the paper's tables
    remark: ClassVar[str] = ""  # how it is defined here where the paper only names it
    remembers: ClassVar[int] = 30  # frames that count where the maker does not say: a second at 30 a second
    bounded: ClassVar[bool] = True  # whether the bounds of eq. 6 hold it
    options: ClassVar[tuple[tuple[str, object], ...]] = ()  # settings of a two-stage tracker that belong to the rule

    def __init__(self, low: float = 0.01, high: float = 0.50, memory: int | None = None) -> None:
        """Bounds of the threshold (eq. 6), and how many frames back scores count; None: as the rule has it.

        Raises InputError: bounds out of order, or no frame to look at.
        """
        if not low <= high:
            raise InputError(f"threshold policy {self.name!r}: the lower bound {low:g} lies above the upper {high:g}")
        self.memory = self.remembers if memory is None else memory
        if self.memory < 1:
            raise InputError(f"threshold policy {self.name!r}: memory is {memory} frames; it has to be at least 1")
        self.low, self.high = low, high
        self.reset()

    @final
    def reset(self) -> None:
        """Forget the scores seen: another sequence begins."""
        self._recent: deque[Scores] = deque(maxlen=self.memory)

    @final
    def update(self, scores: ArrayLike) -> NDArray[np.float32]:
        """(2,) this frame's tau_high and tau_low, of its (N,) scores in the detector's own range."""
        self._recent.append(np.asarray(scores, np.float32).reshape(-1))
        chosen = np.array(self.choose(np.concatenate(self._recent)), np.float32)
        return chosen.clip(np.float32(self.low), np.float32(self.high)) if self.bounded else chosen

    @abstractmethod
    def choose(self, scores: Scores) -> tuple[float, float]:
        """Return tau_high and tau_low for any number of scores, also none; `update` holds them to the bounds."""


class Percentile(Policy):
    """A share p = 0.85 of the scores lies above; named with its p, not defined in the paper: re-derived.

    The other reading, the 85th percentile as threshold, keeps 15 % of the boxes and is no tracker's choice. With no
    score the threshold is the lower bound.
    """

    name, label = "percentile", "Percentile-based (p=0.85)"
    remark = (
        "re-derived, as the paper only names it: the threshold that 85 % of the latest 30 frames' scores exceed, "
        "held to the bounds"
    )
    share = 0.85

    def choose(self, scores: Scores) -> tuple[float, float]:
        """Return the (1 - p) quantile, in one stage."""
        tau = float(np.quantile(scores, 1.0 - self.share)) if len(scores) else self.low
        return tau, tau


class SteepestDrop(Policy):
    """The score just before the largest drop of a frame's sorted scores (Van Ma et al., the paper's reference 15).

    As its public code has it: the frame's scores in falling order, tau_high the last one before the largest drop
    between neighbours, and at least the floor of 0.4 (its least score of a sure detection, 0.3, and 0.1 more); the
    second stage takes what scores above 0.1; a new track needs no more than tau_high. Fewer than two scores: the floor.
    It has no upper bound, so that the bounds of eq. 6, which are ATL's, do not hold it.
    """

    name, label = "steepest-drop", "Steepest-drop heuristic"
    remark = (
        "as reference 15 and its public code define it, two stages: τ_high is each frame's score just before the "
        "largest drop, at least 0.4, τ_low 0.1, both in the detector's own range (an SVM's margin for DPM); a new "
        "track needs τ_high"
    )
    remembers, bounded = 1, False
    options = (("new_track_margin", 0.0),)
    floor, unsure = 0.4, 0.1

    def choose(self, scores: Scores) -> tuple[float, float]:
        """Return the score before the largest drop; the first of several as large."""
        falling = np.sort(scores)[::-1]
        before = falling[int(np.argmin(np.diff(falling)))] if len(falling) > 1 else self.floor
        high = np.float32(max(float(before), self.floor))
        # Trackers take what lies above tau_high, the rule what reaches it.
        return float(np.nextafter(high, np.float32(-np.inf))), self.unsure

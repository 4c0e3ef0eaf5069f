"""Threshold policies: rules that see nothing but detection scores, frame by frame."""

from abc import ABC, abstractmethod
from collections import deque
from typing import ClassVar, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from msfp.errors import InputError

Scores = NDArray[np.float32]


class Policy(ABC):
    """A policy: either abstract or final; concrete ones give `name`, `label` and `choose`.

    It looks at the scores of the latest frames, this one included and none that come later, so that it can run beside
    a tracker. Where both thresholds are the same there is one stage: what lies below is ignored.

    Attributes:
        name: as `make` knows it.
        label: its row in the paper's tables.
        remark: how it is defined here where the paper only names it; empty where the paper defines it.
        remembers: how many frames count where the maker does not say.
        bounded: whether the bounds of eq. 6 hold it.
        options: settings of a two-stage tracker that belong to the rule, as (name, value).
    """

    name: ClassVar[str] = ""
    label: ClassVar[str] = ""
    remark: ClassVar[str] = ""
    remembers: ClassVar[int] = 30  # one second at 30 frames per second
    bounded: ClassVar[bool] = True
    options: ClassVar[tuple[tuple[str, object], ...]] = ()

    def __init__(self, low: float = 0.01, high: float = 0.50, memory: int | None = None) -> None:
        """Bounds of the threshold (eq. 6), and how many frames back scores count; None: as the rule has it.

        Raises InputError: bounds out of order, or no frame to look at.
        """
        if not low <= high:
            raise InputError(f"threshold policy {self.name!r}: the lower bound {low:g} lies above the upper {high:g}")
        self.memory = self.remembers if memory is None else memory
        if self.memory < 1:
            raise InputError(f"threshold policy {self.name!r}: memory is {memory} frames; it has to be at least 1")
        self.low = low
        self.high = high
        self.reset()

    @final
    def reset(self) -> None:
        """Forget the scores seen: another sequence begins."""
        self._recent: deque[Scores] = deque(maxlen=self.memory)

    @final
    def update(self, scores: ArrayLike) -> NDArray[np.float32]:
        """(2,) this frame's tau_high and tau_low.

        `scores`: (N,) of the frame's detections, in the detector's own range.
        """
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

    name = "percentile"
    label = "Percentile-based (p=0.85)"
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

    name = "steepest-drop"
    label = "Steepest-drop heuristic"
    remark = (
        "as reference 15 and its public code define it, two stages: τ_high is each frame's score just before the "
        "largest drop, at least 0.4, τ_low 0.1, both in the detector's own range (an SVM's margin for DPM); a new "
        "track needs τ_high"
    )
    remembers = 1
    bounded = False
    options = (("new_track_margin", 0.0),)
    floor = 0.4
    unsure = 0.1

    def choose(self, scores: Scores) -> tuple[float, float]:
        """Return the score before the largest drop; the first of several as large."""
        falling = np.sort(scores)[::-1]
        before = falling[int(np.argmin(np.diff(falling)))] if len(falling) > 1 else self.floor
        high = np.float32(max(float(before), self.floor))
        # Trackers take what lies above tau_high, the rule what reaches it.
        return float(np.nextafter(high, np.float32(-np.inf))), self.unsure

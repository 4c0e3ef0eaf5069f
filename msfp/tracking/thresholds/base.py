"""What a threshold policy is: a rule that sees nothing but detection scores, frame by frame."""

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

        Raises:
            InputError: bounds out of order, or no frame to look at.
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

        Args:
            scores: (N,) of the frame's detections, in the detector's own range.
        """
        self._recent.append(np.asarray(scores, np.float32).reshape(-1))
        chosen = np.array(self.choose(np.concatenate(self._recent)), np.float32)
        return chosen.clip(np.float32(self.low), np.float32(self.high)) if self.bounded else chosen

    @abstractmethod
    def choose(self, scores: Scores) -> tuple[float, float]:
        """tau_high and tau_low for scores, as yet unbounded; any number of them, also none."""

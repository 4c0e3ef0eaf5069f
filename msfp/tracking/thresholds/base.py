"""What a threshold policy is: a rule that sees nothing but detection scores, frame by frame."""

from abc import ABC, abstractmethod
from collections import deque
from typing import ClassVar, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from msfp.errors import InputError

Scores = NDArray[np.float32]
MEMORY = 30  # frames, one second at 30 frames per second


class Policy(ABC):
    """A policy: either abstract or final; concrete ones give `name`, `label` and `choose`.

    It looks at the scores of the latest frames, this one included and none that come later, so that it can run beside
    a tracker. One threshold results: what lies below is ignored.

    Attributes:
        name: as `make` knows it.
        label: its row in the paper's tables.
        remark: how it is defined here where the paper only names it; empty where the paper defines it.
    """

    name: ClassVar[str] = ""
    label: ClassVar[str] = ""
    remark: ClassVar[str] = ""

    def __init__(self, low: float = 0.01, high: float = 0.50, memory: int = MEMORY) -> None:
        """Bounds of the threshold (eq. 6), and how many frames back scores count.

        Raises:
            InputError: bounds out of order, or no frame to look at.
        """
        if not low <= high:
            raise InputError(f"threshold policy {self.name!r}: the lower bound {low:g} lies above the upper {high:g}")
        if memory < 1:
            raise InputError(f"threshold policy {self.name!r}: memory is {memory} frames; it has to be at least 1")
        self.low = low
        self.high = high
        self.memory = memory
        self.reset()

    @final
    def reset(self) -> None:
        """Forget the scores seen: another sequence begins."""
        self._recent: deque[Scores] = deque(maxlen=self.memory)

    @final
    def update(self, scores: ArrayLike) -> float:
        """This frame's threshold, within the bounds.

        Args:
            scores: (N,) of the frame's detections, in the detector's own range.
        """
        self._recent.append(np.asarray(scores, np.float32).reshape(-1))
        return float(np.clip(self.choose(np.concatenate(self._recent)), self.low, self.high))

    @abstractmethod
    def choose(self, scores: Scores) -> float:
        """Threshold for scores, as yet unbounded; any number of them, also none."""

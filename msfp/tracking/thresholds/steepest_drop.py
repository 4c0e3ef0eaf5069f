"""The threshold above which the number of detections falls fastest."""

import numpy as np

from msfp.tracking.thresholds.base import Policy, Scores


class SteepestDrop(Policy):
    """Upper edge of the fullest bin of the scores' histogram; named, not defined in the paper: re-derived.

    The number of detections above tau, as a function of tau, drops steepest where the density of scores is highest.
    Between the bounds the histogram has bins of 0.01 and is smoothed over three; the upper edge of its fullest bin
    leaves the bulk of unsure boxes below. With no score between the bounds the threshold is the lower one.
    """

    name = "steepest-drop"
    label = "Steepest-drop heuristic"
    remark = (
        "re-derived, as the paper only names it: upper edge of the fullest bin of the latest 30 frames' scores between "
        "the bounds, where the number of detections above τ drops steepest"
    )
    width = 0.01

    def choose(self, scores: Scores) -> float:
        """Upper edge of the fullest smoothed bin."""
        inside = scores[(scores >= self.low) & (scores <= self.high)].astype(np.float64)
        if not len(inside):
            return self.low
        counts = np.bincount(((inside - self.low) / self.width).clip(0).astype(np.int64))
        padded = np.concatenate([[0], counts, [0]])
        return self.low + self.width * (int(np.argmax(padded[:-2] + padded[1:-1] + padded[2:])) + 1)

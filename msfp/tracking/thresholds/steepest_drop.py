"""The score above which a frame's sorted scores fall most."""

import numpy as np

from msfp.tracking.thresholds.base import Policy, Scores


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
        """The score before the largest drop; the first of several as large."""
        falling = np.sort(scores)[::-1]
        before = falling[int(np.argmin(np.diff(falling)))] if len(falling) > 1 else self.floor
        high = np.float32(max(float(before), self.floor))
        # Trackers take what lies above tau_high, the rule what reaches it.
        return float(np.nextafter(high, np.float32(-np.inf))), self.unsure

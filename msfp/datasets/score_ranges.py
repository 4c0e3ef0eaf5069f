"""The range of a detector's scores: thresholds mean shares from 0 to 1; margins and percentages are none."""

from typing import NamedTuple

from msfp.types import Detections

SLACK = 0.01  # a probability rounded past its end is still one
PERCENT = 10.0  # scores beyond this, none of them negative, are counted in hundredths


class ScoreRange(NamedTuple):
    """Smallest and largest score of a file."""

    low: float
    high: float

    @property
    def unit(self) -> bool:
        """The scores can be shares from 0 to 1."""
        return self.low >= -SLACK and self.high <= 1 + SLACK

    @property
    def percent(self) -> bool:
        """The scores seem to be percentages."""
        return self.low >= -SLACK and PERCENT < self.high <= 100 * (1 + SLACK)

    def __str__(self) -> str:
        return f"scores from {self.low:.3g} to {self.high:.3g}, not from 0 to 1"


def score_range(detections: Detections) -> ScoreRange:
    """The range of scores; that of shares where there are no boxes."""
    if not len(detections):
        return ScoreRange(0.0, 1.0)
    return ScoreRange(float(detections.score.min()), float(detections.score.max()))


def remedy(found: ScoreRange) -> str:
    """What to do with scores that are no shares."""
    if found.percent:
        return "divide the seventh column by 100"
    return "give `msfp run` --threshold HIGH,LOW in their range, or -p scores=calibrated"

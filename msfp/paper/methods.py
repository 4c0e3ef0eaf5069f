"""The rows of the tracking tables as methods: which tracker, which embedding, which thresholds, which seed."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from msfp.pipeline.data import Part
from msfp.pipeline.heads import appearance
from msfp.pipeline.tracks import Method, Threshold

Learn = tuple[Part, ...]
TWO_STAGE = Threshold("fixed", 0.6, 0.1)


@dataclass(frozen=True)
class Row:
    """A row: its label, whether seeds matter, and its method for given learning parts and seed."""

    label: str
    make: Callable[[Learn, int], Method]
    trained: bool = True

    def methods(self, learn: Learn, seeds: Iterable[int]) -> list[Method]:
        """One method a seed; one in all where nothing is random."""
        chosen = tuple(seeds)
        return [self.make(learn, seed) for seed in (chosen if self.trained else chosen[:1])]


def motion(label: str, tracker: str, threshold: Threshold | None = None) -> Row:
    """A row without appearance."""
    rule = threshold or Threshold()
    return Row(label, lambda _learn, _seed: Method(label, tracker, None, rule), trained=False)


def fused(label: str, tracker: str, strategy: str, threshold: Threshold = TWO_STAGE) -> Row:
    """A row with a fusion head and thresholds that do not depend on the scene."""
    trained = strategy not in ("native", "native-concat")
    return Row(label, lambda learn, seed: Method(label, tracker, appearance(strategy, learn, seed), threshold), trained)


def _msfp_track(learn: Learn, seed: int) -> Method:
    look = appearance("attention-instance", learn, seed, joint=True)
    return Method("MSFP-Track", "msfp-track", look, Threshold("atl", mode="offset", learn=learn, seed=seed, joint=True))


SORT = motion("SORT", "sort")
BYTETRACK = motion("ByteTrack", "bytetrack", TWO_STAGE)
LITE = fused("LITE", "lite", "single")
LITE_FREE = fused("LITE (training-free)", "lite", "native")
MSFP_CONCAT = fused("MSFP (concat)", "msfp-concat", "concat")
MSFP_ATTENTION = fused("MSFP (attention)", "msfp-attention", "attention-instance")
MSFP_TRACK = Row("MSFP-Track", _msfp_track)
TABLE_1 = (SORT, BYTETRACK, LITE, LITE_FREE, MSFP_CONCAT, MSFP_ATTENTION, MSFP_TRACK)

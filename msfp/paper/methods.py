"""The rows of the tracking tables as methods: which tracker, which embedding, which thresholds, which seed."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from msfp.pipeline.camera import default_camera
from msfp.pipeline.data import Part
from msfp.pipeline.heads import TRAINING_FREE, Appearance, appearance
from msfp.pipeline.reid_features import REID
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


def separate(label: str, tracker: str, threshold: Threshold | None = None) -> Row:
    """A row with the separate ReID network, and the camera motion and thresholds it was released with."""
    method = Method(label, tracker, Appearance(REID), threshold or Threshold(), camera=default_camera(tracker))
    return Row(label, lambda _learn, _seed: method, trained=False)


def fused(label: str, tracker: str, strategy: str, threshold: Threshold = TWO_STAGE) -> Row:
    """A row with a fusion head and thresholds that do not depend on the scene."""
    trained = strategy not in TRAINING_FREE
    return Row(label, lambda learn, seed: Method(label, tracker, appearance(strategy, learn, seed), threshold), trained)


def _msfp_track(learn: Learn, seed: int) -> Method:
    look = appearance("attention-instance", learn, seed, joint=True)
    return Method("MSFP-Track", "msfp-track", look, Threshold("atl", mode="offset", learn=learn, seed=seed, joint=True))


DEEPSORT = separate("DeepSORT", "deepsort")
STRONGSORT = separate("StrongSORT", "strongsort")
BOTSORT = separate("BoTSORT", "botsort")
SORT = motion("SORT", "sort")
BYTETRACK = motion("ByteTrack", "bytetrack", TWO_STAGE)
OC_SORT = motion("OC-SORT", "ocsort")
DEEP_OC_SORT = separate("Deep OC-SORT", "deep-ocsort")
LITE = fused("LITE", "lite", "single")
LITE_FREE = fused("LITE (training-free)", "lite", "native")
MSFP_CONCAT = fused("MSFP (concat)", "msfp-concat", "concat")
MSFP_ATTENTION = fused("MSFP (attention)", "msfp-attention", "attention-instance")
MSFP_TRACK = Row("MSFP-Track", _msfp_track)
SEPARATE_REID = (DEEPSORT, STRONGSORT, BOTSORT)
MOTION_OR_HYBRID = (SORT, BYTETRACK, OC_SORT, DEEP_OC_SORT)
TABLE_1 = (*SEPARATE_REID, *MOTION_OR_HYBRID, LITE, LITE_FREE, MSFP_CONCAT, MSFP_ATTENTION, MSFP_TRACK)

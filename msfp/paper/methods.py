"""The rows of the tracking tables as methods: which tracker, which embedding, which thresholds, which seed."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from msfp.errors import InputError
from msfp.pipeline.camera import default_camera
from msfp.pipeline.data import Part
from msfp.pipeline.heads import TRAINING_FREE, appearance
from msfp.pipeline.recovery import Recovery
from msfp.pipeline.reid_features import REID
from msfp.pipeline.tracks import Method, Threshold
from msfp.tracking import tracker_class

Learn = tuple[Part, ...]
Options = tuple[tuple[str, object], ...]


@dataclass(frozen=True)
class Row:
    """A row: its label, whether seeds matter, and its method for given learning parts and seed."""

    label: str
    make: Callable[[Learn, int], Method]
    trained: bool = True

    def methods(self, learn: Learn, seeds: Iterable[int], select: Learn = ()) -> list[Method]:
        """One method a seed, one in all where nothing is random; settings are selected on `select`, else on `learn`."""
        chosen = tuple(seeds)
        made = [self.make(learn, seed) for seed in (chosen if self.trained else chosen[:1])]
        return [m if m.learn else replace(m, learn=select or learn) for m in made]


def rows_named(label: str) -> list["Row"]:
    """Rows of Table 1 by label or tracker, case does not matter.

    Raises:
        InputError: there is none; names what there is.
    """
    wanted = label.casefold()
    rows = [row for row in TABLE_1 if wanted in (row.label.casefold(), row.make((), 0).tracker)]
    if not rows:
        raise InputError(f"method {label!r}: not known; there are: {', '.join(row.label for row in TABLE_1)}")
    return rows


def motion(label: str, tracker: str, threshold: Threshold | None = None, options: Options = ()) -> Row:
    """A row without appearance."""
    rule = threshold or Threshold()
    return Row(label, lambda _learn, _seed: Method(label, tracker, None, rule, options), trained=False)


def separate(label: str, tracker: str, threshold: Threshold | None = None) -> Row:
    """A row with the separate ReID network, and the camera motion and thresholds it was released with."""
    return hosted(label, tracker, REID, threshold)


def hosted(label: str, tracker: str, strategy: str, threshold: Threshold | None = None) -> Row:
    """A row with any embedding, and the camera motion and thresholds that its tracker was released with."""

    def make(learn: Learn, seed: int) -> Method:
        look, camera = appearance(strategy, learn, seed), default_camera(tracker)
        return Method(label, tracker, look, threshold or Threshold(), camera=camera)

    return Row(label, make, trained=strategy not in TRAINING_FREE)


def fused(label: str, tracker: str, strategy: str, threshold: Threshold | None = None, options: Options = ()) -> Row:
    """A row with a fusion head and thresholds that do not depend on the scene: the tracker's own unless given."""

    def make(learn: Learn, seed: int) -> Method:
        return Method(label, tracker, appearance(strategy, learn, seed), threshold or Threshold(), options)

    return Row(label, make, trained=strategy not in TRAINING_FREE)


def msfp_track(label: str = "MSFP-Track", atl: Learn | None = None, options: Options = ()) -> Row:
    """The paper's tracker: head and ATL fine-tuned jointly, or an ATL of its own learning parts beside such a head."""

    def make(learn: Learn, seed: int) -> Method:
        look = appearance("attention-instance", learn, seed, joint=True)
        rule = Threshold("atl", mode="offset", learn=atl or learn, seed=seed, joint=atl is None)
        return Method(label, "msfp-track", look, rule, options)

    return Row(label, make)


def with_camera(row: Row, camera: str) -> Row:
    """A row with camera motion compensated, which its authors do not do."""
    label = f"{row.label} + camera motion"
    return Row(label, lambda learn, seed: replace(row.make(learn, seed), label=label, camera=camera), row.trained)


def scene_adapted(label: str, tracker: str, strategy: str = "", options: Options = ()) -> Row:
    """A tracker whose thresholds are ATL's offsets; its embedding is a trained head, or none."""

    def make(learn: Learn, seed: int) -> Method:
        look = appearance(strategy, learn, seed) if strategy else None
        return Method(label, tracker, look, Threshold("atl", mode="offset", learn=learn, seed=seed), options)

    return Row(label, make)


def recovered(row: Row) -> Row:
    """A row with recovery, re-derived after BUSCA, whose decision learned from the same parts with the same seed."""
    label = f"{row.label} + recovery (after BUSCA)"

    def make(learn: Learn, seed: int) -> Method:
        method = row.make(learn, seed)
        return replace(method, label=label, recovery=Recovery(learn, seed))

    return Row(label, make)


DEEPSORT = separate("DeepSORT", "deepsort")
STRONGSORT = separate("StrongSORT", "strongsort")
BOTSORT = separate("BoTSORT", "botsort")
SORT = motion("SORT", "sort")
BYTETRACK = motion("ByteTrack", "bytetrack")
OC_SORT = motion("OC-SORT", "ocsort")
DEEP_OC_SORT = separate("Deep OC-SORT", "deep-ocsort")
LITE = fused("LITE (trained 64-d)", "lite", "single")
LITE_FREE = fused("LITE (training-free)", "lite", "native")
LITE_HOSTS = tuple(
    hosted(tracker_class(name).label, name, "lite")
    for name in ("lite-deepsort", "lite-strongsort", "lite-botsort", "lite-deep-ocsort")
)
MSFP_CONCAT = fused("MSFP (concat)", "msfp-concat", "concat")
MSFP_ATTENTION = fused("MSFP (attention)", "msfp-attention", "attention-instance")
MSFP_TRACK = msfp_track()
MSFP_TRACK_CAMERA = with_camera(MSFP_TRACK, "sparse-flow")
SEPARATE_REID = (DEEPSORT, STRONGSORT, BOTSORT)
MOTION_OR_HYBRID = (SORT, BYTETRACK, OC_SORT, DEEP_OC_SORT)
TABLE_1 = (*SEPARATE_REID, *MOTION_OR_HYBRID, LITE, LITE_FREE, *LITE_HOSTS, MSFP_CONCAT, MSFP_ATTENTION, MSFP_TRACK)

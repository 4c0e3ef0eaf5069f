"""The rows of Tables 1 and 2 (tracker, embedding, thresholds), and the settings that are selected for them.

A row that one table alone has is in the table's cell.
"""

from collections.abc import Sequence as ListLike
from contextlib import suppress
from dataclasses import dataclass, replace

from msfp.errors import InputError, NotComputable
from msfp.experiment import data, selection
from msfp.experiment.data import Fold
from msfp.experiment.features import REID, Pooling
from msfp.experiment.heads import ATTENTION
from msfp.experiment.methods import Method, atl, evaluate, of_row, tracked
from msfp.experiment.run import Run
from msfp.experiment.scores import affordable
from msfp.experiment.selection import Selection, open_settings, select_all, words
from msfp.experiment.tracks import Method as Configured
from msfp.experiment.tracks import subject_of
from msfp.metrics.bootstrap import Sample, difference
from msfp.tracking import tracker_class

DEEPSORT = Method("DeepSORT", "deepsort", REID)
STRONGSORT = Method("StrongSORT", "strongsort", REID)
BOTSORT = Method("BoTSORT", "botsort", REID)
SORT = Method("SORT", "sort")
BYTETRACK = Method("ByteTrack", "bytetrack")
OC_SORT = Method("OC-SORT", "ocsort")
DEEP_OC_SORT = Method("Deep OC-SORT", "deep-ocsort", REID)
LITE = Method("LITE (trained 64-d)", "lite", "single")
LITE_FREE = Method("LITE (training-free)", "lite", "native")
LITE_HOSTS = tuple(
    Method(tracker_class(name).label, name, "lite")
    for name in ("lite-deepsort", "lite-strongsort", "lite-botsort", "lite-deep-ocsort")
)
MSFP_CONCAT = Method("MSFP (concat)", "msfp-concat", "concat")
MSFP_ATTENTION = Method("MSFP (attention)", "msfp-attention", ATTENTION)
MSFP_TRACK = Method("MSFP-Track", "msfp-track", ATTENTION, atl("offset"), joint=True)
MSFP_TRACK_CAMERA = MSFP_TRACK.but(row="MSFP-Track + camera motion", camera="sparse-flow")
PARTS = Method("MSFP association, strips (parts)", "msfp-attention", "parts")
"""Not the paper's: its association with the embedding of notebook 09."""
SEPARATE_REID = (DEEPSORT, STRONGSORT, BOTSORT)
MOTION_OR_HYBRID = (SORT, BYTETRACK, OC_SORT, DEEP_OC_SORT)
TABLE_1 = (*SEPARATE_REID, *MOTION_OR_HYBRID, LITE, LITE_FREE, *LITE_HOSTS, MSFP_CONCAT, MSFP_ATTENTION, MSFP_TRACK)
TABLE_2 = (DEEPSORT, BYTETRACK, OC_SORT, BOTSORT, LITE, LITE_FREE, *LITE_HOSTS, MSFP_ATTENTION, MSFP_TRACK)
POOLINGS: dict[str, Pooling] = {
    "Nearest neighbor crop": "nearest",
    "Bilinear interpolation": "bilinear",
    "Average pooling (fixed grid)": "average",
    "RoIAlign (ours)": "roi_align",
}
"""Table 13: row -> how a box is pooled from the maps; the paper names the simpler ways and does not define them."""
AGGREGATIONS = {
    "Single level (L14)": "single",
    "Hard assignment (by box size)": "hard-assignment",
    "Soft RoI selection (AugFPN-style)": "soft-roi",
    "Spatial attention over RoIs": "spatial-attention",
    "Instance-adaptive attention (ours)": ATTENTION,
}
"""Table 16: row -> strategy that brings the levels of a box together; most are only named in the paper."""
PRESETS = {
    "YOLOv8s": "yolov8s-paper",
    "YOLOv8m": "yolov8m-paper",
    "YOLOv8l": "yolov8l-paper",
    "YOLOv8x": "yolov8x-paper",
    "YOLO11m": "yolo11m",
    "RT-DETR-R50": "rtdetr-resnet50",
    "RT-DETR-R101": "rtdetr-resnet101",
}
"""Tables 18 and 22: row -> detector."""
HEURISTICS, LEARNED = ("steepest-drop", "percentile"), "ATL (ours)"
"""Rows of Table 8 that compute a threshold in every frame."""
JOINT_PART = " · boxes of the joint detector†"
# FairMOT's thresholds for every row on the joint network's boxes: MSFP's own 0.6 is made for public detectors' scores.
_JOINT = Method(
    "", "joint", "joint", (0.4, 0.1), boxes="joint",
    remark="†: private detections, as of JDE and FairMOT; not comparable with rows on public ones. Boxes, scores and "
    "embedding are of one YOLOv8n trained for both on the embedded worlds. It departs from JDE (DarkNet-53, anchors) "
    "and FairMOT (DLA-34, object centres) in its network, tells identities apart by contrast within a batch where they "
    "classify training people, and averages a vector under the box where they read one place. Its tracks of a scene "
    "count once for each public detector, so that switches compare with the other rows'",
)  # fmt: skip
JOINT_ROWS = (
    _JOINT.but(row="Joint (YOLOv8n + embedding)†"),
    _JOINT.but(row=f"Joint association, frozen MSFP embedding{JOINT_PART}", embedding=ATTENTION),
    _JOINT.but(row=f"MSFP association, joint embedding{JOINT_PART}", tracker="msfp-attention"),
    _JOINT.but(row=f"MSFP (attention){JOINT_PART}", tracker="msfp-attention", embedding=ATTENTION),
)
"""Rows on the boxes of the network trained for detection and embedding together. The first stands for JDE and FairMOT;
the others change the embedding, the association, or both, so that training together is compared with frozen features
on the same boxes."""


def recovered(row: Method) -> Method:
    """A row with recovery, re-derived after BUSCA, whose decision learned from the same parts with the same seed."""
    return row.but(row=f"{row.row} + recovery (after BUSCA)", recovery=True)


def rows_named(label: str) -> list[Method]:
    """Rows of Table 1 by label or tracker, case does not matter; InputError names what there is."""
    wanted, known = label.casefold(), (*TABLE_1, PARTS)
    rows = [row for row in known if wanted in (row.row.casefold(), row.tracker)]
    if not rows:
        raise InputError(f"method {label!r}: not known; there are: {', '.join(row.row for row in known)}")
    return rows


@dataclass(frozen=True)
class Chosen:
    """A row's settings on one data set, and what they are worth on frames that took no part in the choice."""

    label: str  # of the row
    dataset: str  # on whose learning part they were selected
    method: Configured  # of the first seed
    found: Selection | None  # None where the tracker has nothing open, or nothing could be selected
    reason: str = ""  # why there is none
    released: float | None = None  # HOTA on the evaluated part, percent, mean of the seeds
    selected: float | None = None
    gain: tuple[float, float] | None = None  # 95 % interval of selected less released over scenes and seeds, percent
    remark: str = ""  # why there is no interval


def chosen(run: Run, *, search: bool = True) -> list[Chosen]:
    """The settings of every row of Tables 1 and 2, which the other tables share; without `search` only what was
    selected before."""
    main, crowded = run.settings.data.main, run.settings.data.crowded
    places = [(main, row, data.folds(run, main)[0]) for row in TABLE_1]
    with suppress(NotComputable):
        if crowded is not None:
            fold = Fold("crowded", data.all_learning(run, main), (), data.folds(run, crowded)[0].learn)
            places += [(crowded, row, fold) for row in TABLE_2]
    seed = run.settings.seeds[0]
    methods = [(name, row.configured(fold.learn, seed, fold.select)) for name, row, fold in places]
    methods = [(name, m) for name, m in methods if affordable(run, m)]
    if search:
        select_all(run, [subject_of(m) for _, m in methods])
    return [_chosen(run, name, m, search) for name, m in methods]


def _chosen(run: Run, dataset: str, method: Configured, search: bool = True) -> Chosen:
    subject = subject_of(method)
    if not open_settings(subject.tracker, subject.fixed):
        return Chosen(method.label, dataset, method, None, "nothing is open")
    try:
        found = selection.select(run, subject) if search else selection.kept(run, subject)
    except NotComputable as error:
        return Chosen(method.label, dataset, method, None, str(error))
    return Chosen(method.label, dataset, method, found, "" if found else "not selected in this run")


def outcome(found: Selection) -> str:
    """Words on the choice where it was made: `53.4 HOTA on held-out learning frames, as released 52.1; ...`."""
    low, middle, high = (f"{100 * q:.1f}" for q in found.quartiles)
    return (
        f"{100 * found.hota:.1f} HOTA on held-out learning frames, as released {100 * found.released:.1f}; "
        f"{found.draws} draws, quartiles {low}, {middle}, {high}"
    )


def choices(run: Run) -> list[tuple[str, str, str, str]]:
    """Lines for the report's list of choices: (what, value used, other choices, why); what was not made is left out."""
    return [
        (f"settings of {one.label}, {one.dataset}", words(one.found.options), "", outcome(one.found))
        for one in (chosen(run, search=False) if run.settings.tuning == "selected" else ())
        if one.found is not None
    ]


def tune(run: Run, labels: ListLike[str]) -> list[Chosen]:
    """Select the open settings of rows of Table 1, and measure what that is worth on the validation part.

    `labels`: names of rows or of their trackers, case does not matter; empty: every row. InputError: no such row.
    """
    rows = list(dict.fromkeys(row for label in labels for row in rows_named(label))) or list(TABLE_1)
    main, seeds = run.settings.data.main, run.settings.seeds
    folds = data.folds(run, main)
    every = [m for row in rows for fold in folds for m in row.each_seed(fold.learn, seeds)]
    select_all(run, [subject_of(m) for m in every if affordable(run, m)])
    scores: dict[tuple[str, str], Sample] = {}
    for tuning in ("released", "selected"):
        found = evaluate(run.variant(tuning=tuning), rows, folds)
        for row in rows:
            with suppress(NotComputable):
                scores[row.row, tuning] = tracked(of_row(found, row.row)).sample("HOTA")
    return [
        _valued(
            _chosen(run, main, row.configured(folds[0].learn, seeds[0])),
            scores.get((row.row, "released")),
            scores.get((row.row, "selected")),
        )
        for row in rows
    ]


def _valued(one: Chosen, released: Sample | None, selected: Sample | None) -> Chosen:
    if released is None or selected is None:
        return replace(one, remark="it cannot be measured on the validation part")
    one = replace(one, released=released.value, selected=selected.value)
    try:
        low, high = difference(selected, released).interval()
    except NotComputable as error:
        return replace(one, remark=str(error))
    return replace(one, gain=(low, high))

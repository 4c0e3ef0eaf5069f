"""The rows of Tables 1 and 2: which tracker, which embedding, which thresholds; a table's own rows are in its cell."""

from pathlib import Path

from msfp.errors import InputError
from msfp.experiment.detections import detectors
from msfp.experiment.features import REID, Pooling
from msfp.experiment.heads import ATTENTION
from msfp.experiment.methods import Method, atl
from msfp.experiment.run import Run
from msfp.features.presets import preset_named
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
HEURISTICS, LEARNED = ("steepest-drop", "percentile"), "ATL (ours)"
"""Rows of Table 8 that compute a threshold in every frame."""
RECOVERED = " + recovery (after BUSCA)"
JOINT_THRESHOLDS = (0.4, 0.1)
"""FairMOT's, for every row on the joint network's boxes: MSFP's own 0.6 is made for the scores of public detectors."""
JOINT_PART = " · boxes of the joint detector†"
JOINT_REMARK = (
    "†: private detections, as of JDE and FairMOT; not comparable with rows on public ones. Boxes, scores and "
    "embedding are of one YOLOv8n trained for both on the embedded worlds. It departs from JDE (DarkNet-53, anchors) "
    "and FairMOT (DLA-34, object centres) in its network, tells identities apart by contrast within a batch where they "
    "classify training people, and averages a vector under the box where they read one place. Its tracks of a scene "
    "count once for each public detector, so that switches compare with the other rows'"
)


def on_joint_boxes(row: str, tracker: str, embedding: str) -> Method:
    """A row on the boxes of the network trained for detection and embedding together, as JDE and FairMOT are."""
    return Method(row, tracker, embedding, JOINT_THRESHOLDS, boxes="joint", remark=JOINT_REMARK)


JOINT_ROWS = (
    on_joint_boxes("Joint (YOLOv8n + embedding)†", "joint", "joint"),
    on_joint_boxes(f"Joint association, frozen MSFP embedding{JOINT_PART}", "joint", ATTENTION),
    on_joint_boxes(f"MSFP association, joint embedding{JOINT_PART}", "msfp-attention", "joint"),
    on_joint_boxes(f"MSFP (attention){JOINT_PART}", "msfp-attention", ATTENTION),
)
"""The first stands for JDE and FairMOT. The others take its boxes and scores as they are and change the embedding, the
association, or both, so that training together is compared with frozen features on the same boxes."""


def recovered(row: Method) -> Method:
    """A row with recovery, re-derived after BUSCA, whose decision learned from the same parts with the same seed."""
    return row.but(row=row.row + RECOVERED, recovery=True)


def rows_named(label: str) -> list[Method]:
    """Rows of Table 1 by label or tracker, case does not matter.

    Raises:
        InputError: there is none; names what there is.
    """
    wanted = label.casefold()
    known = (*TABLE_1, PARTS)
    rows = [row for row in known if wanted in (row.row.casefold(), row.tracker)]
    if not rows:
        raise InputError(f"method {label!r}: not known; there are: {', '.join(row.row for row in known)}")
    return rows


PRESETS = {
    "YOLOv8s": "yolov8s-paper",
    "YOLOv8m": "yolov8m-paper",
    "YOLOv8l": "yolov8l-paper",
    "YOLOv8x": "yolov8x-paper",
    "YOLO11m": "yolo11m",
    "RT-DETR-R50": "rtdetr-resnet50",
    "RT-DETR-R101": "rtdetr-resnet101",
}


def rows(run: Run, labels: dict[str, str]) -> dict[str, str]:
    """Label -> preset: the paper's rows, then this run's detectors that the paper does not list.

    Args:
        run: the run.
        labels: the table's label -> name in `PRESETS`.
    """
    found = {label: PRESETS[name] for label, name in labels.items()}
    for preset, one in detectors(run).items():
        if preset not in found.values():
            found[f"{preset} ({Path(one.settings.input.weights).stem} weights)"] = preset
    return found


def described(run: Run, preset: str) -> str:
    """`layers 4/9/14: 64/256/192 channels at strides 8/32/8`, read from the network."""
    backbone = run.backbone()
    layers, channels, strides = ("/".join(map(str, each)) for each in (
        backbone.layers, backbone.channels.values(), backbone.strides.values()))  # fmt: skip
    return f"{preset_named(preset).architecture}, layers {layers}: {channels} channels at strides {strides}"

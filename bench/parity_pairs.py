"""Which reference is compared with which tracker of ours, and the parameters that mean the same on both sides."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Pair:
    """A reference and ours with the same parameters.

    Attributes:
        reference: `trackers` (roboflow), `boxmot`, `pyxtrackers` or `ultralytics`.
        tracker: name on both sides.
        theirs, ours: settings that mean the same; the value "fps" stands for the sequence's frame rate.
        claims: whether the reference claims the same algorithm; otherwise `remark` says what differs.
        boxes: whether the reference reports the filter's box (`state`) or the detected one.
    """

    reference: str
    tracker: str
    theirs: Mapping[str, object]
    ours: Mapping[str, object]
    claims: bool = True
    remark: str = ""
    boxes: str = "state"

    @property
    def key(self) -> tuple[str, str]:
        """Reference and tracker."""
        return self.reference, self.tracker

    @property
    def looks(self) -> bool:
        """True where the reference takes embeddings; roboflow's and pyxtrackers' do not."""
        return self.reference in ("boxmot", "ultralytics")


OC_SORT = {  # of both of ultralytics'
    "track_high_thresh": 0.6,
    "new_track_thresh": 0.6,
    "track_buffer": 30,
    "match_thresh": 0.7,
    "fuse_score": False,
    "delta_t": 3,
    "inertia": 0.2,
}
PAIRS = (
    Pair(
        "trackers",
        "sort",
        {
            "lost_track_buffer": 1,
            "frame_rate": 30.0,
            "track_activation_threshold": 0.0,
            "minimum_consecutive_frames": 3,
            "minimum_iou_threshold": 0.3,
            "state_estimator_class": "xysr",
        },
        {"max_age": 1, "min_hits": 3, "match_iou": 0.3},
        claims=False,
        remark="it counts matches in all, not in a row, drops tracks missed before they are proven, and reports none "
        "in the first frames; we follow the original SORT",
        boxes="detection",
    ),
    Pair(
        "trackers",
        "bytetrack",
        {
            "lost_track_buffer": 30,
            "frame_rate": "fps",
            "track_activation_threshold": 0.7,
            "minimum_consecutive_frames": 2,
            "minimum_iou_threshold": 0.2,
            "high_conf_det_threshold": 0.6,
        },
        {"match_low": 0.8, "fuse_score": False, "fps": "fps", "track_low": -1.0},
        claims=False,
        remark="its filter tracks corners with noise in pixels, its second stage includes lost tracks; we follow the "
        "original ByteTrack",
        boxes="detection",
    ),
    Pair(
        "trackers",
        "ocsort",
        {
            "lost_track_buffer": 30,
            "frame_rate": "fps",
            "minimum_consecutive_frames": 3,
            "minimum_iou_threshold": 0.3,
            "direction_consistency_weight": 0.2,
            "high_conf_det_threshold": 0.6,
            "delta_t": 3,
        },
        {"fps": "fps"},
        boxes="detection",
    ),
    Pair(
        "trackers",
        "botsort",
        {
            "lost_track_buffer": 30,
            "frame_rate": "fps",
            "track_activation_threshold": 0.7,
            "minimum_consecutive_frames": 2,
            "minimum_iou_threshold_first_assoc": 0.2,
            "minimum_iou_threshold_second_assoc": 0.5,
            "minimum_iou_threshold_unconfirmed_assoc": 0.3,
            "high_conf_det_threshold": 0.6,
            "enable_cmc": False,
        },
        {"match": 0.8, "fps": "fps"},
        remark="it moves unconfirmed tracks too, removes no coinciding tracks and keeps a lost track's change of "
        "size; we follow the released BoT-SORT, as boxmot does",
        boxes="detection",
    ),
    Pair(
        "boxmot",
        "bytetrack",
        {"min_conf": 0.1, "track_thresh": 0.6, "match_thresh": 0.8, "track_buffer": 30, "frame_rate": "fps"},
        {"new_track_margin": 0.0, "fps": "fps"},
    ),
    Pair(
        "boxmot",
        "ocsort",
        {"det_thresh": 0.6, "max_age": 30, "min_hits": 3, "iou_threshold": 0.3, "delta_t": 3, "inertia": 0.2},
        {},
        boxes="detection",
    ),
    Pair(
        "boxmot",
        "botsort",
        {
            "track_high_thresh": 0.6,
            "track_low_thresh": 0.1,
            "new_track_thresh": 0.7,
            "match_thresh": 0.7,
            "fuse_first_associate": True,
            "unconfirmed_emb_scale": 1.0,
            "appearance_thresh": 0.25,
            "use_cmc": False,
            "frame_rate": "fps",
        },
        {"look_divisor": 1.0, "fps": "fps"},
    ),
    Pair(
        "boxmot",
        "deep-ocsort",
        {
            "det_thresh": 0.6,
            "max_age": 30,
            "min_hits": 3,
            "iou_threshold": 0.3,
            "w_association_emb": 0.75,
            "cmc_off": True,
        },
        {},
        boxes="detection",
    ),
    Pair(
        "boxmot",
        "strongsort",
        {
            "min_conf": 0.6,
            "max_cos_dist": 0.45,
            "max_iou_dist": 0.7,
            "n_init": 3,
            "max_age": 30,
            "mc_lambda": 0.98,
            "nn_budget": 1,
        },
        {"coast": 0},
        remark="it compares with the last 100 moving averages of a track by default (nn_budget), the original with the "
        "last one: it is set to that",
    ),
    Pair(
        "boxmot",
        "boosttrack",
        {
            "det_thresh": 0.6,
            "max_age": 60,
            "min_hits": 3,
            "iou_threshold": 0.3,
            "use_cmc": False,
            "use_rich_s": True,
            "use_sb": True,
            "use_vt": True,
            "use_embeddings": True,
        },
        {"acceptance_steps": 0.15},
        remark="its acceptance threshold falls to 0.8 after one missed frame, the paper's in 20: ours is set to its "
        "rule",
    ),
    Pair("pyxtrackers", "sort", {"max_age": 1, "min_hits": 3, "iou_threshold": 0.3}, {}),
    Pair(
        "pyxtrackers",
        "bytetrack",
        {"track_thresh": 0.6, "match_thresh": 0.8, "track_buffer": 30, "frame_rate": "fps"},
        {"fps": "fps"},
    ),
    Pair(
        "pyxtrackers",
        "ocsort",
        {"det_thresh": 0.6, "max_age": 30, "min_hits": 3, "iou_threshold": 0.3, "delta_t": 3, "inertia": 0.2},
        {},
        claims=False,
        remark="it does not re-run a filter along the way from its last observation (ORU), gives a track that reaches "
        "beyond the left edge no direction, and does not count a frame without boxes",
        boxes="detection",
    ),
    Pair(
        "ultralytics",
        "ocsort",
        OC_SORT,
        {},
        claims=False,
        remark="it is ByteTrack's course of a frame: a track must be seen twice, its filter follows aspect ratio and "
        "height, the direction counts within the limit of a match, whatever the score, and only lost tracks found at "
        "their last observation have the filter re-run; it reports the filter's box",
    ),
    Pair(
        "ultralytics",
        "deep-ocsort",
        {
            **OC_SORT,
            "with_reid": True,
            "alpha_fixed_emb": 0.95,
        },
        {},
        claims=False,
        remark="its OC-SORT with BoT-SORT's appearance: the smaller cost of motion and look, from a cosine of 0.8 on; "
        "no adaptive weights",
    ),
)

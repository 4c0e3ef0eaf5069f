"""Association: ByteTrack of ultralytics (and boxmot, roboflow, pyxtrackers after `make oracle`) beside ours.

Ours tracks a sequence at once, as tables and searches do, and beside it frame by frame, as a live camera does. All
sides get the same boxes and scores and the same thresholds: sure above 0.6, unsure above 0.1, matched up to cost 0.8
with the score fused in, tracks kept for 30 frames. No pixels, no camera motion. The peers of `make oracle` run in their
own environments and report seconds spent in `update`; roboflow's is another algorithm under the same name. pyxtrackers
begins tracks from 0.7 on, which no argument changes: its identities are held against ours that do so too.
"""

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import crowd
import numpy as np
import outside
from harness import OURS, Case, Clocked, Options, main
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from msfp.features.weights import prepare_environment
from msfp.tracking import make, track
from msfp.types import Detections, Tracks, frame_bounds, tlwh_to_xyxy, xyxy_to_tlwh

PEER = "ultralytics BYTETracker"
RULES = {"track_high": 0.6, "track_low": 0.1, "new_track_margin": 0.0, "match": 0.8, "buffer": 30, "fuse_score": True}
BOXMOT = {"min_conf": 0.1, "track_thresh": 0.6, "match_thresh": 0.8, "track_buffer": 30, "frame_rate": 30.0}
ROBOFLOW = {
    "lost_track_buffer": 30,
    "frame_rate": 30.0,
    "track_activation_threshold": 0.6,
    "minimum_consecutive_frames": 2,
    "minimum_iou_threshold": 0.2,
    "high_conf_det_threshold": 0.6,
}
PYXTRACKERS = {"track_thresh": 0.6, "match_thresh": 0.8, "track_buffer": 30, "frame_rate": 30.0}
PYTHON, NATIVE = "boxmot ByteTrack (Python)", "boxmot ByteTrack (C++)"
CYTHON = "pyxtrackers BYTETracker (Cython)"
OUTSIDE: dict[str, tuple[str, str, dict[str, Any]]] = {
    PYTHON: ("boxmot", "bytetrack", BOXMOT),
    NATIVE: ("boxmot", "bytetrack-cpp", BOXMOT),
    "roboflow ByteTrackTracker": ("trackers", "bytetrack", ROBOFLOW),
    CYTHON: ("pyxtrackers", "bytetrack", PYXTRACKERS),
}
OWN_RULES = {CYTHON: {"new_track_margin": 0.1}}  # what ours is set to where a peer cannot be set
LIVE = "msfp, frame by frame"
LEAST = {
    PEER: 0.9,
    PYTHON: 0.98,
    NATIVE: 0.98,
    CYTHON: 0.8,  # its overlap counts a pixel more each way, as the original's did: in a dense crowd that tells
    LIVE: 1.0,
}  # share of boxes under one identity; roboflow's rules differ
Frames = list[tuple[NDArray[np.float64], NDArray[np.float32]]]
Named = NDArray[np.int64]  # (M, 3) frame, row of the detection in it, identity


def cases(options: Options) -> Iterator[Case]:
    """About 35 and about 190 boxes a frame."""
    if options.root:
        yield case(crowd.real_scene(options.root), options.quick)
        return
    for places in (12,) if options.quick else (42, 340):
        yield case(crowd.scene(places, 20 if options.quick else 200, 0), options.quick)


def case(scene: crowd.Scene, quick: bool) -> Case:
    """All sides on one sequence."""
    frames = per_frame(scene)
    sides: dict[str, Callable[[], Any]] = {PEER: ultralytics_side(frames)}
    if not quick:
        sides |= {name: outside_side(name, frames) for name in OUTSIDE}
    absent = tuple(name for name in sides if name in OUTSIDE and not outside.there(*OUTSIDE[name][:2]))
    sides[LIVE] = lambda: live(frames)
    found = joined(frames)
    sides[OURS] = lambda: ours(found, len(frames))
    mean = sum(len(scores) for _, scores in frames) / len(frames)
    inputs = f"{scene.name}, {len(frames)} frames, {mean:.0f} boxes a frame"
    check, rounds = functools.partial(agree, frames=frames), 3 if quick else 5
    return Case(f"{mean:.0f} boxes a frame", inputs, sides, check, "ms/frame", len(frames), rounds, absent)


def per_frame(scene: crowd.Scene) -> Frames:
    """Boxes (xyxy, whole in float32) and scores of each frame, boxes without area left out."""
    found = scene.found
    kept = (found.tlwh[:, 2:] > 0).all(1)
    boxes = tlwh_to_xyxy(found.tlwh[kept]).astype(np.float32).astype(np.float64)
    scores = np.clip(found.score[kept], 0, 1)
    bounds = frame_bounds(found.frame[kept], scene.length)
    return [(boxes[a:b], scores[a:b]) for a, b in itertools.pairwise(bounds)]


def joined(frames: Frames) -> Detections:
    """All frames as one value."""
    frame = np.repeat(np.arange(1, len(frames) + 1, dtype=np.int32), [len(scores) for _, scores in frames])
    boxes = np.concatenate([boxes for boxes, _ in frames])
    return Detections(frame, xyxy_to_tlwh(boxes), np.concatenate([scores for _, scores in frames]))


def ours(found: Detections, length: int, **rules: Any) -> Tracks:
    """Our tracker, the sequence at once."""
    return track(make("bytetrack", output="detection", **{**RULES, **rules}), found, length)


def live(frames: Frames) -> Named:
    """Our tracker, frame by frame."""
    tracker = make("bytetrack", **RULES)
    out = [tracker.update(boxes, scores) for boxes, scores in frames]
    return named((o.detections, o.ids) for o in out)


def ultralytics_side(frames: Frames) -> Callable[[], Named]:
    """ultralytics' tracker, called as its `track` mode does; its box objects are made before the clock starts."""
    prepare_environment()
    from ultralytics.engine.results import Boxes
    from ultralytics.trackers.byte_tracker import BYTETracker

    shape = (crowd.HEIGHT, crowd.WIDTH)
    given = [
        Boxes(np.column_stack([boxes, scores, np.zeros(len(boxes))]).astype(np.float32), shape)
        for boxes, scores in frames
    ]
    rules = SimpleNamespace(
        track_high_thresh=0.6,
        track_low_thresh=0.1,
        new_track_thresh=0.6,
        track_buffer=30,
        match_thresh=0.8,
        fuse_score=True,
    )

    def run() -> Named:
        tracker = BYTETracker(rules)
        out = [np.asarray(tracker.update(boxes)).reshape(-1, 8) for boxes in given]
        return named((o[:, 7], o[:, 4]) for o in out)

    return run


def outside_side(name: str, frames: Frames) -> Callable[[], Clocked]:
    """A tracker in an environment that `make oracle` made."""
    arrays = {
        "boxes": np.concatenate([boxes for boxes, _ in frames]).astype(np.float32),
        "scores": np.concatenate([scores for _, scores in frames]),
        "bounds": np.concatenate([[0], np.cumsum([len(scores) for _, scores in frames])]),
    }

    def run() -> Clocked:
        tracks, seconds = outside.run(*OUTSIDE[name], arrays)
        return Clocked(rows_of(tracks, frames), seconds, seconds)

    return run


def rows_of(tracks: Tracks, frames: Frames) -> Named:
    """Tracks by the detections that their boxes come from."""
    boxes, bounds = tlwh_to_xyxy(tracks.tlwh), frame_bounds(tracks.frame, len(frames))
    parts = zip((slice(a, b) for a, b in itertools.pairwise(bounds)), frames, strict=True)
    return named((nearest(boxes[part], tracks.score[part], *frame), tracks.id[part]) for part, frame in parts)


def nearest(
    boxes: NDArray[np.float64], scores: NDArray[np.float32], given: NDArray[np.float64], given_scores: NDArray[Any]
) -> NDArray[np.int64]:
    """Row of the detection a written box comes from: the closest of the same score (files hold four digits)."""
    if not len(boxes):
        return np.zeros(0, np.int64)
    apart = np.abs(boxes[:, None] - given[None]).sum(2)
    return np.argmin(apart + 1e6 * (np.abs(scores[:, None] - given_scores[None]) > 1e-4), 1)


def named(rows: Any) -> Named:
    """Per frame (detections, identities) -> one table."""
    parts = [np.column_stack([np.full(len(d), t), d, i]) for t, (d, i) in enumerate(rows)]
    return np.concatenate(parts).astype(np.int64).reshape(-1, 3)


def same_identities(a: Named, b: Named) -> float:
    """Share of the boxes of both that lie under one identity, under the best one-to-one naming (F1)."""
    _, left, right = np.intersect1d(a[:, 0] * 100000 + a[:, 1], b[:, 0] * 100000 + b[:, 1], return_indices=True)
    names_a, i = np.unique(a[left, 2], return_inverse=True)
    names_b, j = np.unique(b[right, 2], return_inverse=True)
    together = np.zeros((len(names_a), len(names_b)))
    np.add.at(together, (i, j), 1)
    return float(2 * together[linear_sum_assignment(-together)].sum() / max(1, len(a) + len(b)))


def agree(results: Mapping[str, Any], frames: Frames) -> dict[str, float]:
    """Identities in common with ours, a peer."""
    mine = rows_of(results[OURS], frames)
    shares = {name: same_identities(found, mine) for name, found in results.items() if name not in (OURS, *OWN_RULES)}
    for name in OWN_RULES.keys() & results.keys():
        alike = ours(joined(frames), len(frames), **OWN_RULES[name])
        shares[name] = same_identities(results[name], rows_of(alike, frames))
    low = {name: share for name, share in shares.items() if share < LEAST.get(name, 0.0)}
    assert not low, low
    return {f"same identities as {name}": share for name, share in shares.items()}


if __name__ == "__main__":
    main("association", cases)

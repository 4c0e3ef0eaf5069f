"""Threshold grid: eleven values of tau on a sequence, each tracked and scored, as the search for ATL's targets does.

Ours is our ByteTrack with `msfp.metrics.fast`. Beside it stand the same tracker with TrackEval (same HOTA to 1e-9) and
ultralytics' tracker with TrackEval, which is what somebody without this package would run.
"""

from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import crowd
import numpy as np
from bench_association import per_frame
from harness import OURS, Case, Options, main

from msfp.features.ultralytics_model import prepare_environment
from msfp.metrics import fast, tracking
from msfp.tracking import make, thresholds, track
from msfp.types import Tracks, xyxy_to_tlwh

OURS_SLOW, PEERS = "our tracker + TrackEval", "ultralytics BYTETracker + TrackEval"
GRID = tuple(np.round(np.linspace(0.4, 0.9, 11), 2).tolist())  # below 1: there > (ours) and >= (theirs) part
LOW = 0.1


def cases(options: Options) -> Iterator[Case]:
    """One sequence."""
    scene = crowd.real_scene(options.root, "09-SDP") if options.root else None
    scene = scene or crowd.scene(8 if options.quick else 42, 12 if options.quick else 150, 0)
    grid = GRID[::5] if options.quick else GRID
    prepared = fast.prepare(scene.truth, scene.length)
    sides = {
        PEERS: lambda: [tracking.evaluate(scene.truth, theirs(scene, tau), scene.length).hota for tau in grid],
        OURS_SLOW: lambda: [tracking.evaluate(scene.truth, ours(scene, tau), scene.length).hota for tau in grid],
        OURS: lambda: [fast.score(prepared, ours(scene, tau)).hota for tau in grid],
    }
    inputs = f"{scene.name}, {scene.length} frames, {len(scene.found)} boxes, tau {grid[0]:g} to {grid[-1]:g}"
    yield Case(f"{len(grid)} thresholds", inputs, sides, agree, unit="s", rounds=3)


def ours(scene: crowd.Scene, tau: float) -> Tracks:
    """Our tracker, sure of detections above tau."""
    taus = thresholds.fixed(tau, LOW, scene.length)
    return track(make("bytetrack", new_track_margin=0.0), scene.found, scene.length, thresholds=taus)


def theirs(scene: crowd.Scene, tau: float) -> Tracks:
    """ultralytics' tracker with the same thresholds; its box objects are part of its cost here."""
    prepare_environment()
    from ultralytics.engine.results import Boxes
    from ultralytics.trackers.byte_tracker import BYTETracker

    rules = SimpleNamespace(
        track_high_thresh=tau,
        track_low_thresh=LOW,
        new_track_thresh=tau,
        track_buffer=30,
        match_thresh=0.8,
        fuse_score=True,
    )
    tracker, out = BYTETracker(rules), []
    for t, (boxes, scores) in enumerate(per_frame(scene), start=1):
        table = np.column_stack([boxes, scores, np.zeros(len(boxes))]).astype(np.float32)
        found = np.asarray(tracker.update(Boxes(table, (crowd.HEIGHT, crowd.WIDTH)))).reshape(-1, 8)
        out.append(np.column_stack([np.full(len(found), t), found]))
    rows = np.concatenate(out)
    return Tracks(
        rows[:, 0].astype(np.int32),
        rows[:, 5].astype(np.int32),
        xyxy_to_tlwh(rows[:, 1:5]).astype(np.float64),
        rows[:, 6].astype(np.float32),
    )


def agree(results: Mapping[str, Any]) -> dict[str, float]:
    """HOTA of every threshold: equal for the same tracker, close for the other implementation of it."""
    hota = {name: np.array(found) for name, found in results.items()}
    assert np.abs(hota[OURS] - hota[OURS_SLOW]).max() <= 1e-9, hota
    apart = float(np.abs(hota[OURS] - hota[PEERS]).max())
    assert apart <= 0.03, hota
    return {"largest HOTA": float(hota[OURS].max()), "HOTA apart from ultralytics at most": apart}


if __name__ == "__main__":
    main("grid", cases)

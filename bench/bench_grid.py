"""Threshold grid: eleven values of tau over sequences, each tracked and scored, as the search for ATL's targets does.

Ours is our ByteTrack with `msfp.metrics.hota`, the whole grid. What somebody without this package would run is boxmot's
ByteTrack (after `make oracle`; its `update` calls alone are counted) or ultralytics', with TrackEval: as these take
minutes they run one threshold, the middle one. Times are therefore for a threshold, all sequences together.
"""

import functools
import time
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import crowd
import numpy as np
import outside
from bench_association import per_frame
from harness import OURS, Case, Clocked, Options, main

from msfp.features.weights import prepare_environment
from msfp.metrics import hota as fast
from msfp.metrics import scores as tracking
from msfp.metrics.scores import combine
from msfp.tracking import make, thresholds, track
from msfp.types import Detections, Tracks, frame_bounds, tlwh_to_xyxy, xyxy_to_tlwh

OURS_SLOW, PEER = "our tracker + TrackEval", "ultralytics BYTETracker + TrackEval"
BOXMOT = "boxmot ByteTrack (Python) + TrackEval"
GRID = tuple(np.round(np.linspace(0.4, 0.9, 11), 2).tolist())  # below 1: there > (ours) and >= (theirs) part
LOW = 0.1
Scenes = list[crowd.Scene]


def cases(options: Options) -> Iterator[Case]:
    """One set of sequences."""
    if options.root:
        scenes = [usable(scene) for scene in crowd.real_scenes(options.root)]
    else:
        scenes = [usable(crowd.scene(8 if options.quick else 42, 12 if options.quick else 150, 0))]
    grid = GRID[::5] if options.quick else GRID
    middle = grid[len(grid) // 2]
    prepared = [fast.prepare(scene.truth, scene.length) for scene in scenes]
    sides: dict[str, Callable[[], Any]] = {PEER: lambda: judged(scenes, [theirs(scene, middle) for scene in scenes])}
    if not options.quick and outside.there("boxmot", "bytetrack"):
        sides[BOXMOT] = lambda: boxmot(scenes, middle)
    sides[OURS_SLOW] = lambda: judged(scenes, [ours(scene, middle) for scene in scenes])
    sides[OURS] = lambda: searched(scenes, prepared, grid)
    frames, boxes = sum(s.length for s in scenes), sum(len(s.found) for s in scenes)
    inputs = f"{len(scenes)} sequences, {frames} frames, {boxes} boxes, tau {grid[0]:g} to {grid[-1]:g}"
    check = functools.partial(agree, middle=grid.index(middle))
    yield Case(f"{len(grid)} thresholds", inputs, sides, check, unit="s/threshold", rounds=2)


def usable(scene: crowd.Scene) -> crowd.Scene:
    """Boxes with an area, scores in [0, 1], as boxmot takes no others."""
    kept = (scene.found.tlwh[:, 2:] > 0).all(1)
    found = scene.found
    clipped = Detections(found.frame[kept], found.tlwh[kept], np.clip(found.score[kept], 0, 1))
    return crowd.Scene(scene.name, scene.length, scene.truth, clipped)


def searched(scenes: Scenes, prepared: list[fast.PreparedTruth], grid: tuple[float, ...]) -> Clocked:
    """HOTA of every threshold, the sequences combined; the time of one."""
    wall, cpu = time.perf_counter(), time.process_time()
    hota = []
    for tau in grid:
        scores = {s.name: fast.score(truth, ours(s, tau)) for s, truth in zip(scenes, prepared, strict=True)}
        hota.append(combine(scores).combined.hota)
    count = len(grid)
    return Clocked(np.array(hota), (time.perf_counter() - wall) / count, (time.process_time() - cpu) / count)


def judged(scenes: Scenes, tracks: list[Tracks]) -> float:
    """Combined HOTA by TrackEval."""
    scores = {s.name: tracking.evaluate(s.truth, t, s.length) for s, t in zip(scenes, tracks, strict=True)}
    return combine(scores).combined.hota


def ours(scene: crowd.Scene, tau: float) -> Tracks:
    """Our tracker, sure of detections above tau."""
    taus = thresholds.fixed(tau, LOW, scene.length)
    return track(make("bytetrack", new_track_margin=0.0), scene.found, scene.length, thresholds=taus)


def boxmot(scenes: Scenes, tau: float) -> Clocked:
    """boxmot's tracker with the same thresholds; seconds of its updates and of TrackEval."""
    settings = {"min_conf": LOW, "track_thresh": tau, "match_thresh": 0.8, "track_buffer": 30, "frame_rate": 30.0}
    given = {scene.name: (arrays(scene), 30.0) for scene in scenes}
    found = outside.run_all("boxmot", "bytetrack", settings, given)
    begin = time.process_time()
    hota = judged(scenes, [found[scene.name][0] for scene in scenes])
    seconds = sum(seconds for _, seconds in found.values()) + time.process_time() - begin
    return Clocked(hota, seconds, seconds)


def arrays(scene: crowd.Scene) -> dict[str, Any]:
    """What boxmot is given."""
    boxes = tlwh_to_xyxy(scene.found.tlwh).astype(np.float32)
    return {"boxes": boxes, "scores": scene.found.score, "bounds": frame_bounds(scene.found.frame, scene.length)}


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


def agree(results: Mapping[str, Any], middle: int) -> dict[str, float]:
    """HOTA at the middle threshold: equal for the same tracker, close for the other implementations of it."""
    hota = float(results[OURS][middle])
    assert abs(hota - results[OURS_SLOW]) <= 1e-9, results
    apart = {name: abs(hota - results[name]) for name in (PEER, BOXMOT) if name in results}
    assert max(apart.values()) <= 0.03, apart
    return {"HOTA": hota} | {f"apart from {name.split()[0]}": value for name, value in apart.items()}


if __name__ == "__main__":
    main("grid", cases)

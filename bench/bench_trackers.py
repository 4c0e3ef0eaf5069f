"""Trackers: each of ours beside its references, with the pairs and parameters of bench/PARITY.md.

Same boxes, scores and embeddings (128 wide), no pixels, no camera motion. References report seconds spent in `update`,
in a process of their own: ultralytics' in this environment, the others where `make oracle` put them. Ours tracks a
sequence at once, which the two-stage trackers do in compiled code; beside it stands ours frame by frame.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import crowd
import numpy as np
import outside
from harness import OURS, Case, Clocked, Options, main
from parity_pairs import PAIRS, Pair

from msfp.metrics import hota as fast
from msfp.tracking import Given, frame_by_frame, gathered, make, track, tracker_class
from msfp.types import Detections, Tracks, frame_bounds, tlwh_to_xyxy, xyxy_to_tlwh

LIVE = "msfp, frame by frame"
WIDTH = 128
FPS = 30.0
APART = 0.03  # HOTA of a pair that claims the same algorithm


def cases(options: Options) -> Iterator[Case]:
    """One a pair."""
    scene = crowd.real_scene(options.root) if options.root else None
    scene = scene or crowd.scene(6 if options.quick else 42, 10 if options.quick else 200, 0)
    arrays = prepared(scene)
    seen: set[str] = set()
    for pair in PAIRS:
        if options.quick and pair.tracker in seen:
            continue
        seen.add(pair.tracker)
        yield case(pair, scene, arrays, options.quick)


def prepared(scene: crowd.Scene) -> dict[str, Any]:
    """What every side is given."""
    found = scene.found
    kept = (found.tlwh[:, 2:] > 0).all(1)
    frame, boxes = found.frame[kept], tlwh_to_xyxy(found.tlwh[kept]).astype(np.float32)
    return {
        "boxes": boxes,
        "scores": np.clip(found.score[kept], 0, 1).astype(np.float32),
        "embeddings": crowd.looks(scene.truth, frame, boxes, WIDTH),
        "bounds": frame_bounds(frame, scene.length),
    }


def case(pair: Pair, scene: crowd.Scene, arrays: Mapping[str, Any], quick: bool) -> Case:
    """A reference and ours."""
    name = f"{'roboflow' if pair.reference == 'trackers' else pair.reference} {pair.tracker}"
    sides: dict[str, Callable[[], Any]] = {}
    if not quick:
        sides[name] = lambda: theirs(pair, arrays)
    sides[LIVE] = lambda: live(pair, arrays)
    frame = np.repeat(np.arange(1, scene.length + 1, dtype=np.int32), np.diff(arrays["bounds"]))
    found = Detections(frame, xyxy_to_tlwh(arrays["boxes"].astype(np.float64)), arrays["scores"])
    sides[OURS] = lambda: track(ours(pair), found, scene.length, **looks(pair, arrays))

    def agree(results: Mapping[str, Any]) -> dict[str, float]:
        hota = {side: fast.evaluate(scene.truth, tracks, scene.length).hota for side, tracks in results.items()}
        assert hota[LIVE] == hota[OURS], hota
        apart = {"apart": abs(hota[name] - hota[OURS])} if name in hota else {}
        assert not pair.claims or all(value <= APART for value in apart.values()), hota
        return {"HOTA": hota[OURS], **apart}

    mean = len(found) / scene.length
    inputs = f"{scene.name}, {scene.length} frames, {mean:.0f} boxes a frame"
    absent = (name,) if name in sides and not outside.there(*pair.key) else ()
    return Case(name, inputs, sides, agree, "ms/frame", scene.length, rounds=3, absent=absent)


def ours(pair: Pair) -> Any:
    """Our tracker with the pair's parameters."""
    return make(pair.tracker, **{key: FPS if value == "fps" else value for key, value in pair.ours.items()})


def looks(pair: Pair, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Embeddings where the reference takes them too."""
    if pair.looks and tracker_class(pair.tracker).needs_embeddings:
        return {"embeddings": arrays["embeddings"]}
    return {"has_embedding": np.zeros(len(arrays["boxes"]), np.bool_)}


def live(pair: Pair, arrays: Mapping[str, Any]) -> Tracks:
    """Ours, frame by frame."""
    given = looks(pair, arrays)
    boxes = arrays["boxes"].astype(np.float64)
    vectors, known = given.get("embeddings"), given.get("has_embedding")
    whole = Given(arrays["bounds"], boxes, arrays["scores"], vectors, known, None, None)
    return gathered(list(frame_by_frame(ours(pair), whole, 1)))


def theirs(pair: Pair, arrays: Mapping[str, Any]) -> Clocked:
    """The reference."""
    tracks, seconds = outside.run(pair.reference, pair.tracker, pair.theirs, arrays, FPS)
    return Clocked(tracks, seconds, seconds)


if __name__ == "__main__":
    main("trackers", cases)

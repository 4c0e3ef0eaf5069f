"""Live: every tracker there is, frame by frame, through a long film of a crowd and through a dense one.

Every person is a box, so that a frame has as many boxes as people. Each tracker has a process of its own, whose memory
must not grow once it has seen a tenth of a long film; in the short one DeepSORT's galleries still fill. `msfp` is
ByteTrack, beside which the others stand.
"""

import functools
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import crowd
import numpy as np
from harness import OURS, Case, Clocked, Options, main

from msfp.tracking import Tracker, make, names, tracker_class
from msfp.types import tlwh_to_xyxy

HERE = Path(__file__).resolve().parent
CHANNELS = 64
SCENE = 500  # frames of a crowd that is seen there and back again
SLACK = 12.0  # MB by which a process may grow for other reasons


def cases(options: Options) -> Iterator[Case]:
    """200 boxes in each of 10,000 frames; 1,000 boxes a frame."""
    if options.quick:
        yield every_tracker(("bytetrack", "deep-ocsort"), 8, 20)
    else:
        yield every_tracker(names(), 200, 10_000)
        yield every_tracker(names(), 1000, 100)


def every_tracker(trackers: tuple[str, ...], people: int, frames: int) -> Case:
    """Frames a second of every tracker's `update`, and the memory its process gains after a tenth of the frames."""

    def agree(results: Mapping[str, Any]) -> dict[str, float]:
        slowest = min(results, key=lambda name: results[name]["rate"])
        found = {f"frames a second of {slowest}, the slowest": results[slowest]["rate"]}
        if frames > SCENE:
            grown = {name: result["grown"] for name, result in results.items()}
            assert max(grown.values()) < SLACK, grown
            found["MB gained"] = max(grown.values())
        return found

    sides = {OURS if name == "bytetrack" else name: functools.partial(_feed, name, people, frames) for name in trackers}
    about = f"{people} walkers, every one a box, {SCENE} frames there and back; msfp: ByteTrack"
    return Case(f"every tracker, {frames} frames of {people} boxes", about, sides, agree, "ms/frame", rounds=1)


def _feed(name: str, people: int, frames: int) -> Clocked:
    words = [sys.executable, "-c", f"import bench_live; bench_live.print_fed({name!r}, {people}, {frames})"]
    done = subprocess.run(words, cwd=HERE, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: {done.stderr.strip()}")
    grown, wall, cpu = map(float, done.stdout.split())
    return Clocked({"grown": grown, "rate": 1 / cpu}, wall, cpu)


def print_fed(name: str, people: int, frames: int) -> None:
    """Feed a tracker frame by frame; print the MB gained after a tenth of the frames, and seconds a frame."""
    rng = np.random.default_rng(0)
    length = min(frames, SCENE)
    truth = crowd.walkers(people, length, rng)
    boxes = tlwh_to_xyxy(truth.tlwh + rng.normal(size=truth.tlwh.shape)).reshape(length, people, 4)
    scores = rng.uniform(0.3, 1, (length, people)).astype(np.float32)
    directions = rng.normal(size=(truth.id.max() + 1, CHANNELS))
    vectors = (directions[truth.id] + 0.6 * rng.normal(size=(len(truth.id), CHANNELS))).astype(np.float32)
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).reshape(length, people, CHANNELS)
    order = [*range(length), *reversed(range(length))]
    embedded = tracker_class(name).needs_embeddings

    def feed(first: int, last: int, tracker: Tracker) -> None:
        for t in range(first, last):
            k = order[t % len(order)]
            tracker.update(boxes[k], scores[k], vectors[k] if embedded else None)

    feed(0, min(10, frames), make(name))  # what a process loads once is no growth
    tracker, settled = make(name), min(frames, max(50, frames // 10))
    wall, cpu = time.perf_counter(), time.process_time()
    feed(0, settled, tracker)
    before = _most_held()
    feed(settled, frames, tracker)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(_most_held() - before, wall / frames, cpu / frames)


def _most_held() -> float:
    """Megabytes that this process held at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main("live", cases)

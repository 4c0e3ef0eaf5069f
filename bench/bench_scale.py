"""Growth: the same work on more frames, on more boxes, and results read back from the store.

The sides of the first cases are the same code on less; a ratio of 1 means that a frame (or box) costs the same in a
long sequence (or a crowd). Association looks at pairs, so that in crowds a box must cost more; how much is what is
measured. Memory is the most that Python and NumPy hold while a live tracker sees frames, and the most that whole
processes hold which follow people through a film or extract its features. The store is read from the
page cache and from the disk, in wall seconds.
"""

import atexit
import functools
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import crowd
import films
import numpy as np
from harness import OURS, Case, Clocked, Options, by_the_wall, main
from numpy.typing import NDArray

from msfp.engine.store import Store
from msfp.tracking import FrameContext, make, track
from msfp.types import Detections, Tracks, tlwh_to_xyxy

CHANNELS = 64
MEGABYTE = 1 << 20


def cases(options: Options) -> Iterator[Case]:
    """Frames, boxes a frame, memory, and the store."""
    frames = 60 if options.quick else 10_000
    yield longer(frames)
    yield more_people((4, 40) if options.quick else (10, 100, 1000), 6 if options.quick else 40)
    yield live(30 if options.quick else 1000)
    yield films.tracked(30 if options.quick else 1500)
    yield films.extracted(30 if options.quick else 1500)
    yield from stored(2000 if options.quick else 3_000_000)


def clocked(work: Callable[[], Any], units: int) -> Clocked:
    """Seconds a unit of work."""
    wall, cpu = time.perf_counter(), time.process_time()
    value = work()
    return Clocked(value, (time.perf_counter() - wall) / units, (time.process_time() - cpu) / units)


def follow(found: Detections, length: int) -> Tracks:
    """ByteTrack over a sequence."""
    return track(make("bytetrack"), found, length)


def first(scene: crowd.Scene, length: int) -> Detections:
    """A scene's first frames."""
    stop = int(np.searchsorted(scene.found.frame, length + 1))
    found = scene.found
    return Detections(found.frame[:stop], found.tlwh[:stop], found.score[:stop])


def longer(frames: int) -> Case:
    """A hundredth, a tenth and all of a sequence, a frame each."""
    scene = crowd.scene(40, frames, 0)
    lengths = {f"{frames // k} frames": frames // k for k in (100, 10) if frames // k}
    lengths[OURS] = frames

    def agree(results: Mapping[str, Any]) -> dict[str, float]:
        whole = results[OURS]
        for name, length in lengths.items():
            same = whole.frame <= length
            assert np.array_equal(results[name].id, whole.id[same]), name
        return {"tracks of the first frames are equal": 1}

    sides = {
        name: functools.partial(clocked, functools.partial(follow, first(scene, n), n), n)
        for name, n in lengths.items()
    }
    return Case(f"association, {frames} frames", "40 walkers, seed 0, ByteTrack", sides, agree, "ms/frame", rounds=5)


def more_people(counts: tuple[int, ...], frames: int) -> Case:
    """Time a box as frames fill up."""
    scenes = {count: crowd.scene(count, frames, 0) for count in counts}
    names = {count: OURS if count == counts[-1] else f"{count} people" for count in counts}

    def agree(results: Mapping[str, Any]) -> dict[str, float]:
        shares = {name: len(results[name]) / len(scenes[count].found) for count, name in names.items()}
        assert min(shares.values()) > 0.3, shares
        return {f"boxes in tracks, {name}": share for name, share in shares.items()}

    sides = {
        name: functools.partial(
            clocked, functools.partial(follow, scenes[count].found, frames), len(scenes[count].found)
        )
        for count, name in names.items()
    }
    about = f"walkers, seed 0, {frames} frames, ByteTrack; msfp: {counts[-1]} people"
    return Case("association, crowds", about, sides, agree, "us/box", rounds=5)


def live(frames: int) -> Case:
    """A tracker fed frame by frame: what it holds must not grow with the frames it has seen."""

    def agree(results: Mapping[str, Any]) -> dict[str, float]:
        assert results[OURS] < 1.2 * results[short] + 0.1, results
        return {"MB at most, all": results[OURS], "MB at most, a third": results[short]}

    short = f"{frames // 3} frames"
    sides = {short: functools.partial(_live, frames // 3), OURS: functools.partial(_live, frames)}
    about = f"40 walkers, seed 0, MSFP (attention), {frames} frames, under tracemalloc"
    return Case("live, memory", about, sides, agree, "ms/frame", rounds=3)


def _live(frames: int) -> Clocked:
    # In a process of its own: threads of whatever else runs in this one would be counted too.
    words = [sys.executable, "-c", f"import bench_scale; bench_scale.print_live({frames})"]
    done = subprocess.run(words, cwd=films.HERE, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: {done.stderr.strip()}")
    return Clocked(*map(float, done.stdout.split()))


def print_live(frames: int) -> None:
    """Feed a tracker frame by frame; print the MB held at most, and wall and CPU seconds a frame.

    What the first tracker of a process loads is no growth: one goes through all frames before.
    """
    scene = crowd.scene(40, frames, 0)
    bounds = np.searchsorted(scene.found.frame, np.arange(1, frames + 2))
    boxes = tlwh_to_xyxy(scene.found.tlwh)
    vectors = np.random.default_rng(0).normal(size=(len(boxes), CHANNELS)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)

    def most_held() -> float:
        """Megabytes held at most from the hundredth frame on, when buffers have their size."""
        tracker = make("msfp-attention")
        tracemalloc.start()
        for t in range(frames):
            if t == min(100, frames // 2):
                tracemalloc.reset_peak()
            rows = slice(bounds[t], bounds[t + 1])
            tracker.update(boxes[rows], scene.found.score[rows], vectors[rows], FrameContext())
        size = tracemalloc.get_traced_memory()[1] / MEGABYTE
        tracemalloc.stop()
        return size

    most_held()
    done = clocked(most_held, frames)
    print(done.value, done.wall, done.cpu)


def stored(boxes: int) -> Iterator[Case]:
    """Reading vectors back: the store, which holds every byte against its checksum, beside the bare file."""
    folder = Path(tempfile.mkdtemp(prefix="msfp-bench-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    rng = np.random.default_rng(0)
    vectors = rng.integers(0, 1 << 14, (boxes, CHANNELS), dtype=np.uint16).view(np.float16)
    Store(folder / "store").get_or_compute("features", {"boxes": boxes}, lambda: vectors, code="code:bench")
    np.save(folder / "bare.npy", vectors)
    os.sync()  # only what is on the disk leaves the page cache when asked to

    def read() -> NDArray[np.float16]:
        # A store of its own each time, so that nothing read before is at hand.
        return Store(folder / "store").get_or_compute("features", {"boxes": boxes}, lambda: 1 / 0, code="code:bench")

    def after(prepare: Callable[[Path], None], work: Callable[[], Any]) -> Clocked:
        for path in folder.rglob("*"):
            if path.is_file():
                prepare(path)
        return by_the_wall(work)

    def agree(results: Mapping[str, Any]) -> dict[str, float]:
        for found in results.values():
            assert np.array_equal(found.view(np.uint16), vectors.view(np.uint16))
        return {"MB": vectors.nbytes / MEGABYTE}

    for name, prepare in (("in the page cache", Path.read_bytes), ("from the disk", forget)):
        sides = {
            "numpy.load": functools.partial(after, prepare, lambda: np.load(folder / "bare.npy")),
            OURS: functools.partial(after, prepare, read),
        }
        yield Case(f"store, {boxes} boxes {name}", f"{CHANNELS} channels, fp16", sides, agree, "ms", rounds=5)


def forget(path: Path) -> None:
    """Ask the system to drop a file's pages."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


if __name__ == "__main__":
    main("scale", cases)

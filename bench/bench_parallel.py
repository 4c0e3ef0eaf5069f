"""Fan-out: the same cells in this process and on two workers, as `--workers 2` runs them.

A cell is a crowd tracked frame by frame and scored, some tenths of a second of one core. Workers start before any
clock does, as a run keeps them from one fan-out to the next. Wall seconds count; on one core there is nothing to gain.
"""

import functools
from collections.abc import Iterator, Mapping
from typing import Any

import crowd
import numpy as np
from harness import OURS, Case, Clocked, Options, by_the_wall, main

from msfp.engine import parallel
from msfp.metrics import hota
from msfp.tracking import make
from msfp.tracking.base import FrameContext
from msfp.types import Tracks, tlwh_to_xyxy, xyxy_to_tlwh

WORKERS = 2


def cases(options: Options) -> Iterator[Case]:
    """As many cells as keep two workers busy for some seconds."""
    cells, frames = (3, 8) if options.quick else (24, 1500)
    work = functools.partial(cell, frames=frames)
    for workers in (0, WORKERS):
        parallel.map(work, range(2 * WORKERS), workers=workers)  # workers start, kernels are loaded

    def fan_out(workers: int) -> Clocked:
        return by_the_wall(lambda: parallel.map(work, range(cells), workers=workers))

    def agree(results: Mapping[str, Any]) -> dict[str, float]:
        assert np.array_equal(results[OURS], results["in this process"])
        return {"mean HOTA": float(np.mean(results[OURS]))}

    sides = {"in this process": lambda: fan_out(0), OURS: lambda: fan_out(WORKERS)}
    about = f"{cells} crowds of 40 for {frames} frames, seeds 0 to {cells - 1}; msfp: {WORKERS} workers"
    yield Case("tracking and scoring", about, sides, agree, "s", rounds=5)


def cell(seed: int, frames: int) -> float:
    """HOTA of a crowd followed frame by frame."""
    scene = crowd.scene(40, frames, seed)
    tracker, found = make("ocsort"), scene.found
    bounds = np.searchsorted(found.frame, np.arange(1, frames + 2))
    boxes = tlwh_to_xyxy(found.tlwh)
    made = []
    for t in range(frames):
        rows = slice(bounds[t], bounds[t + 1])
        made.append(tracker.update(boxes[rows], found.score[rows], None, FrameContext(index=t + 1)))
    counts = [len(one) for one in made]
    tracks = Tracks(
        np.repeat(np.arange(1, frames + 1, dtype=np.int32), counts),
        np.concatenate([one.ids for one in made]),
        np.asarray(xyxy_to_tlwh(np.concatenate([one.boxes for one in made])), np.float64),
        np.concatenate([one.scores for one in made]),
    )
    return float(hota.score(hota.prepare(scene.truth, frames), tracks).hota)


if __name__ == "__main__":
    main("parallel", cases)

"""Milliseconds a frame of associations alone: boxes, embeddings and camera motion are there before the clock starts."""

from collections.abc import Sequence as ListLike

from msfp.errors import NotComputable
from msfp.pipeline import data
from msfp.pipeline.data import Part
from msfp.pipeline.run import Run
from msfp.pipeline.speed import PREFERRED, Times
from msfp.pipeline.stopwatch import Stopwatch
from msfp.pipeline.tracks import Method, material
from msfp.tracking import make
from msfp.tracking.base import FrameContext
from msfp.types import frame_bounds, tlwh_to_xyxy

FRAMES, WARM_UP = 108, 8  # looked at, and of these not counted: kernels compile there and trackers fill


def association_times(run: Run, methods: ListLike[Method], parts: ListLike[Part]) -> dict[str, Times | str]:
    """Label -> (T,) milliseconds of each frame of one sequence of the longest part, or why there are none.

    All methods, which have thresholds of the tracker's own, take a frame before any takes the next, another one first
    with every frame, so that a slow moment of the machine slows all alike.

    Raises:
        NotComputable: no part has detections.
    """
    usable = [p for p in parts if data.sequences(p)]
    if not usable:
        raise NotComputable("no sequence with detections is present")
    part = max(usable, key=lambda p: p.length)
    named = {s.detector: s for s in data.sequences(part)}
    sequence = next((named[d] for d in PREFERRED if d in named), next(iter(named.values())))
    found: dict[str, Times | str] = {}
    ready = []
    for method in methods:
        try:
            given = material(run, part, sequence, method)
        except NotComputable as error:
            found[method.label] = str(error)
            continue
        ready.append((method.label, make(method.tracker, fps=sequence.fps, **dict(method.options)), given))
    bounds = frame_bounds(data.window(data.detections(sequence), part).frame, part.length)
    watch = Stopwatch()
    length = min(part.length, FRAMES)
    for t in range(length):
        watch.begin()
        rows, first = slice(bounds[t], bounds[t + 1]), t % max(len(ready), 1)
        for label, tracker, (boxes, vectors, warps) in ready[first:] + ready[:first]:
            xyxy, score = tlwh_to_xyxy(boxes.tlwh[rows]), boxes.score[rows]
            context = FrameContext(warp=None if warps is None else warps[t])
            looks = None if vectors is None else vectors[rows]
            with watch.stage(label):
                tracker.update(xyxy, score, looks, context)
        watch.finish()
    return found | dict(watch.times(min(WARM_UP, length // 4)))

"""Milliseconds a frame of the ablations' choices, and of association alone."""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Sequence as ListLike
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from msfp.errors import NotComputable
from msfp.experiment import data, live, speed
from msfp.experiment.data import Part
from msfp.experiment.heads import Appearance
from msfp.experiment.live import Stopwatch, in_turn
from msfp.experiment.run import Run
from msfp.experiment.speed import PREFERRED, Times, stretch, timed_frames
from msfp.experiment.tracks import Method, material
from msfp.features.backbone import Backbone, fit, to_batch
from msfp.features.backbone import Part as MapPart
from msfp.features.pooling import Mode, global_average, pool_cells, pool_levels
from msfp.heads.fusion import SIZE, FusionHead
from msfp.heads.training import embed
from msfp.tracking import make
from msfp.tracking.base import FrameContext
from msfp.types import frame_bounds, tlwh_to_xyxy


class Given(NamedTuple):
    """A frame as the choices find it."""

    maps: Mapping[int, tuple[MapPart, ...]]  # layer -> the tapped map's parts
    regions: NDArray[np.float64]  # (N, 4) boxes, xyxy in network pixels
    octaves: NDArray[np.float32]  # (N, 1) float32 size of each box, in octaves above their geometric mean
    scores: NDArray[np.float32]  # (N,) of the detections


Work = Callable[[Given], object]


def given(maps: Mapping[int, tuple[MapPart, ...]], regions: NDArray[np.float64], scores: NDArray[np.float32]) -> Given:
    """A frame's maps and boxes, with the boxes' sizes."""
    sides = np.sqrt(np.prod(regions[:, 2:] - regions[:, :2], axis=1)).clip(1e-3)
    octaves = np.log2(sides / np.exp(np.log(sides).mean())) if len(sides) else sides
    return Given(maps, regions, octaves[:, None].astype(np.float32), scores)


def embedder(backbone: Backbone, head: FusionHead, mode: Mode = "roi_align") -> Work:
    """From maps to (N, D) embeddings by a head, which is given what it looks at and no more."""

    def work(frame: Given) -> NDArray[np.float32]:
        if head.sees_cells:
            cells = {k: pool_cells(parts, frame.regions, backbone.strides[k]) for k, parts in frame.maps.items()}
            return embed(head, cells)
        used = live.pooled_layers(head)
        found = pool_levels({k: frame.maps[k] for k in used}, frame.regions, backbone.strides, mode)
        if head.sees_size:
            return embed(head, {**found, SIZE: frame.octaves})
        return live.embed_boxes(head, found)

    return work


def untrained(run: Run, strategy: str) -> FusionHead:
    """A strategy's head for the run's detector, as training begins with it."""
    return speed.untrained(run, Appearance(strategy))


def learned_threshold(run: Run) -> Work:
    """From maps to a frame's threshold by ATL: the scene vector, the encoder, and smoothing."""
    scene, rule = run.backbone().preset.scene, speed.untrained_thresholds(run)
    return lambda frame: rule.step(global_average(frame.maps[scene])[0])


def measure(run: Run, parts: Sequence[Part], works: Mapping[str, Work]) -> dict[str, Times]:
    """Time every work on the same frames of one of the parts, by the run's detector: name -> (T,) milliseconds."""
    place = stretch(parts)
    if not place.pixels:
        raise NotComputable(data.missing_pixels(place.part))
    backbone, config = run.backbone(), run.settings.input
    watch = Stopwatch("cpu")  # every work ends on the host
    for t, (images, tlwh, scores) in enumerate(timed_frames(place, watch)):
        image = next(images)[1]
        box = fit((image.shape[1], image.shape[0]), config.size, config.geometry)
        maps = backbone.parts(to_batch(box.apply(image)[None], backbone.device))
        if backbone.device.type == "cuda":
            torch.cuda.synchronize()
        frame = given(maps, box.to_network(tlwh), scores)
        for name, work in in_turn(works.items(), t):
            with watch.stage(name):
                work(frame)
    return watch.times(place.warm_up)


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

"""Milliseconds a frame of the ablations' choices, and of association alone."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from msfp.errors import NotComputable
from msfp.experiment import data, live, speed
from msfp.experiment.data import Part
from msfp.experiment.run import Run
from msfp.experiment.speed import Frame, Times, frames, preferred, stretch, timed, usable
from msfp.experiment.tracks import Method, material
from msfp.features.backbone import Backbone, fit, to_batch
from msfp.features.backbone import Part as MapPart
from msfp.features.pooling import Mode, global_average, pool_cells, pool_levels
from msfp.heads.fusion import SIZE, FusionHead
from msfp.heads.training import embed
from msfp.tracking import gather, make


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

    def seen(frame: Frame) -> Given:
        image = next(frame.images)[1]
        box = fit((image.shape[1], image.shape[0]), config.size, config.geometry)
        maps = backbone.parts(to_batch(box.apply(image)[None], backbone.device))
        if backbone.device.type == "cuda":
            torch.cuda.synchronize()
        return given(maps, box.to_network(frame.tlwh), frame.scores)

    return timed(map(seen, frames(place)), [works], place.warm_up)  # every work ends on the host


FRAMES, WARM_UP = 108, 8  # looked at, and of these not counted: kernels compile there and trackers fill


def association_times(run: Run, methods: Sequence[Method], parts: Sequence[Part]) -> dict[str, Times | str]:
    """Label -> (T,) milliseconds of each frame of one sequence of the longest part, or why there are none.

    All methods, which have thresholds of the tracker's own, take a frame before any takes the next, another one first
    with every frame, so that a slow moment of the machine slows all alike.
    """
    part = max(usable(parts), key=lambda p: p.length)
    sequence = preferred(part)
    length = min(part.length, FRAMES)
    missing: dict[str, str] = {}
    ready: dict[str, Callable[[int], object]] = {}
    for method in methods:
        try:
            boxes, vectors, warps = material(run, part, sequence, method)
        except NotComputable as error:
            missing[method.label] = str(error)
            continue
        tracker = make(method.tracker, fps=sequence.fps, **dict(method.options))
        seen = gather(tracker, boxes, part.length, vectors, warps=warps)
        steps = [partial(tracker.update, *seen.frame(t, t + 1)) for t in range(length)]
        ready[method.label] = lambda t, steps=steps: steps[t]()  # type: ignore[misc]
    return {**missing, **timed(range(length), [ready], min(WARM_UP, length // 4))}

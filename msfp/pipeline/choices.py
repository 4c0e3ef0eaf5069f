"""Milliseconds a frame of the ablations' choices: ways to pool, heads, threshold rules, on the same frames in turn.

Heads and ATL are untrained: they take as long as trained ones, and nothing has to be learned before the clock starts.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from msfp.errors import NotComputable
from msfp.features.backbone import Backbone, to_batch
from msfp.features.backbone import Part as MapPart
from msfp.features.letterbox import fit
from msfp.features.pooling import Mode, global_average, pool_cells, pool_levels
from msfp.heads.apply import embed
from msfp.heads.fusion import SIZE, FusionHead
from msfp.pipeline import data, live, speed
from msfp.pipeline.data import Part
from msfp.pipeline.heads import Appearance
from msfp.pipeline.run import Run
from msfp.pipeline.speed import Times, stretch, timed_frames
from msfp.pipeline.stopwatch import Stopwatch, in_turn


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

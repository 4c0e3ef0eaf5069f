"""Milliseconds a frame of the ablations' choices: ways to pool, heads, threshold rules, on the same frames in turn.

Heads and ATL are untrained: they take as long as trained ones, and nothing has to be learned before the clock starts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from msfp.datasets.frames import decode_in_turn
from msfp.errors import NotComputable
from msfp.features.backbone import Backbone, to_batch
from msfp.features.backbone import Part as MapPart
from msfp.features.letterbox import fit
from msfp.features.pooling import Mode, global_average, pool_cells, pool_levels
from msfp.heads.apply import ScenePredictor, embed
from msfp.heads.fusion import SIZE, FusionHead, make_head
from msfp.heads.threshold import SceneEncoder
from msfp.pipeline import data, live
from msfp.pipeline.data import Part
from msfp.pipeline.run import Run
from msfp.pipeline.speed import Times, stretch
from msfp.pipeline.stopwatch import Stopwatch

Floats = NDArray[np.float64]
UNTRAINED_SEED = 0


@dataclass(frozen=True, eq=False)
class Given:
    """A frame as the choices find it.

    Attributes:
        maps: layer -> the tapped map's parts.
        regions: (N, 4) boxes, xyxy in network pixels.
        octaves: (N, 1) float32 size of each box, in octaves above their geometric mean.
        scores: (N,) of the detections.
    """

    maps: Mapping[int, tuple[MapPart, ...]]
    regions: Floats
    octaves: NDArray[np.float32]
    scores: NDArray[np.float32]


Work = Callable[[Given], object]


def given(maps: Mapping[int, tuple[MapPart, ...]], regions: Floats, scores: NDArray[np.float32]) -> Given:
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
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(UNTRAINED_SEED)
        return make_head(strategy, run.backbone().channels, run.settings.fusion).eval()


def learned_threshold(run: Run) -> Work:
    """From maps to a frame's threshold by ATL: the scene vector, the encoder, and smoothing."""
    atl, backbone = run.settings.atl, run.backbone()
    channels = backbone.channels[backbone.preset.scene]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(UNTRAINED_SEED)
        state = {k: v.numpy() for k, v in SceneEncoder(channels, "single", atl).state_dict().items()}
    rule = live.LiveThresholds(ScenePredictor("single", channels, state, atl), "single", atl.beta, (0.0, 0.0))
    return lambda frame: rule.step(global_average(frame.maps[backbone.preset.scene])[0])


def measure(run: Run, parts: Sequence[Part], works: Mapping[str, Work]) -> dict[str, Times]:
    """Time every work on the same frames; another one comes first with every frame.

    Args:
        run: whose detector and input size are used.
        parts: where frames may be taken from.
        works: name -> what is timed.

    Returns:
        name -> (T,) milliseconds.

    Raises:
        NotComputable: no sequence has detections, or too few frames have pixels.
    """
    place = stretch(parts)
    if not place.pixels:
        raise NotComputable(data.missing_pixels(place.part))
    found = data.window(data.detections(place.sequence), Part(place.part.scene, place.first, place.last))
    backbone, config = run.backbone(), run.settings.input
    watch, names = Stopwatch("cpu"), list(works)  # every work ends on the host
    images = decode_in_turn(place.part.scene.pixels, tuple(range(place.first, place.last + 1)))
    for t in range(place.length):
        image = next(images)[1]
        box = fit((image.shape[1], image.shape[0]), config.size, config.geometry)
        maps = backbone.parts(to_batch(box.apply(image)[None], backbone.device))
        if backbone.device.type == "cuda":
            torch.cuda.synchronize()
        rows = slice(*np.searchsorted(found.frame, (t + 1, t + 2)))
        frame = given(maps, box.to_network(found.tlwh[rows]), found.score[rows])
        first = t % len(names)
        watch.begin()
        for name in names[first:] + names[:first]:
            with watch.stage(name):
                works[name](frame)
        watch.finish()
    images.close()
    return watch.times(place.warm_up)

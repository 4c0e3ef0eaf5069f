"""All that the tables ask of a scene's frames, from one forward pass a frame of the whole detector.

Usual features (notebook 01), further layers and ways to pool (Tables 4 and 13), the detector's own boxes and their
features (Table 18) lie in stages of their own; each would run the network over all frames again.
"""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from msfp.pipeline.detection_source import CONFIDENCE, OWN, Boxes, as_written, gathered, own_scene
from msfp.pipeline.feature_variants import beyond, preset, variants
from msfp.pipeline.features import LITE, ROI_ALIGN, TRUTH, Pooled, Pooling, box_sets, extract_all, pooled
from msfp.pipeline.run import Run
from msfp.pipeline.stage import frames_of
from msfp.types import Scene

if TYPE_CHECKING:
    import torch

    from msfp.features.backbone import Part
    from msfp.features.letterbox import Letterbox


def extract_once(run: Run, scenes: Iterable[Scene]) -> None:
    """Fill these stages for many scenes, fanned out over workers; a scene without all its frames has no own boxes.

    On a GPU frames go through the network in batches; there each stage is a pass of its own.
    """
    wanted = list(dict.fromkeys(scenes))
    if run.settings.device.startswith("cuda"):
        extract_all(run, wanted)
        return
    missing = [scene for scene in wanted if scene.pixels.frames and not pooled.is_stored(run, scene)]
    run.map(partial(_all_stages, run=run), missing, "features, ways to pool, own boxes", network=True)


def _all_stages(scene: Scene, run: Run) -> None:
    from msfp.features.detector import load_whole
    from msfp.features.extract import extract_modes, half
    from msfp.features.pooling import pool_levels

    config, chosen, further = run.settings.input, preset(run), beyond(run)
    usual: dict[Pooling, tuple[int, ...]] = {ROI_ALIGN: chosen.layers, LITE: chosen.layers[-1:]}
    detector = load_whole(chosen.extended(), config.weights, run.settings.device)
    people: list[Boxes] = []  # of each frame
    counts: list[int] = []  # people of each frame that have a pixel of the image
    vectors: dict[tuple[Pooling, int], list[NDArray[np.float16]]] = {}

    def through(batch: "torch.Tensor", box: "Letterbox") -> "dict[int, tuple[Part, ...]]":
        """A batch through the whole detector; the people found and their vectors are kept."""
        parts, found = detector.detect(batch, box, CONFIDENCE)
        people.append(found)
        kept = as_written(found[0], scene.pixels)
        counts.append(len(kept))
        for mode, layers in usual.items():
            levels = {layer: parts[layer] for layer in layers}
            for layer, rows in pool_levels(levels, box.to_network(kept), detector.strides, mode).items():
                vectors.setdefault((mode, layer), []).append(half(rows))
        return parts

    wanted = {**further, **usual, ROI_ALIGN: (*chosen.layers, *chosen.further)}
    with frames_of(scene.pixels, "all") as (frames, progress):
        made = extract_modes(frames, box_sets(scene), detector, wanted, config.size, config.geometry, progress, through)
    pooled.keep(run, lambda: _taken(made, usual), scene)
    variants.keep(run, lambda: _taken(made, further), scene)
    pixels = scene.pixels
    if len(pixels.frames) < pixels.length or run.settings.detections != "public":
        return
    own = run.variant(detections="detector")
    seen = own_scene(own, scene, lambda: gathered(pixels.frames, people))
    frame = np.repeat(np.array(pixels.frames, np.int32), counts)
    found: Pooled = {}
    for way, sets in _taken(made, usual).items():
        like = next(iter(sets.values()))  # frames and scene vectors are the same for all box sets
        layers = {layer: np.concatenate(vectors[way, layer]) for layer in usual[way]}
        mine = replace(like, frame=frame, present=np.ones(len(frame), np.bool_), layers=layers)
        found[way] = {name: f for name, f in sets.items() if name == TRUTH} | {OWN: mine}
    pooled.keep(own, lambda: found, seen)


def _taken(made: Pooled, ways: dict[Pooling, tuple[int, ...]]) -> Pooled:
    """Of features in many ways and layers those that one stage keeps."""
    return {
        way: {name: replace(f, layers={k: f.layers[k] for k in kept}) for name, f in made[way].items()}
        for way, kept in ways.items()
    }

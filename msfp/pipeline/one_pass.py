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

from msfp.engine.progress import Bar
from msfp.pipeline.detection_source import CONFIDENCE, OWN, Boxes, as_written, gathered, own_scene
from msfp.pipeline.feature_variants import beyond, preset, variants
from msfp.pipeline.features import (
    LITE,
    ROI_ALIGN,
    TRUTH,
    Pooled,
    Pooling,
    box_sets,
    extract_all,
    pooled,
)
from msfp.pipeline.run import Run
from msfp.threads import one_thread
from msfp.types import Detections, Features, Scene, Sequence

if TYPE_CHECKING:
    import torch

    from msfp.features.backbone import Part
    from msfp.features.detector import Detector
    from msfp.features.letterbox import Letterbox


def extract_once(run: Run, scenes: Iterable[Scene]) -> None:
    """Fill these stages for many scenes, fanned out over workers; a scene without all its frames has no own boxes.

    On a GPU frames go through the network in batches; there each stage is a pass of its own.
    """
    wanted = list(dict.fromkeys(scenes))
    if run.settings.device.startswith("cuda"):
        return extract_all(run, wanted)
    missing = [scene for scene in wanted if scene.pixels.frames and not pooled.is_stored(run, scene)]
    run.map(partial(_all_stages, run=run), missing, "features, ways to pool, own boxes", network=True)
    return None


def _all_stages(scene: Scene, run: Run) -> None:
    chosen, further = preset(run), beyond(run)
    usual: dict[Pooling, tuple[int, ...]] = {ROI_ALIGN: chosen.layers, LITE: chosen.layers[-1:]}
    made, looked = _pass(run, scene, {**further, **usual, ROI_ALIGN: (*chosen.layers, *chosen.further)}, usual)
    pooled.keep(run, lambda: _taken(made, usual), scene)
    variants.keep(run, lambda: _taken(made, further), scene)
    if len(scene.pixels.frames) == scene.pixels.length and run.settings.detections == "public":
        own = run.variant(detections="detector")
        seen = own_scene(own, scene, looked.detections)
        found: Pooled = {}
        for way, sets in _taken(made, usual).items():
            truth = {name: features for name, features in sets.items() if name == TRUTH}
            found[way] = truth | {OWN: looked.features(way, next(iter(sets.values())))}
        pooled.keep(own, lambda: found, seen)


def _taken(made: Pooled, ways: dict[Pooling, tuple[int, ...]]) -> Pooled:
    """Of features in many ways and layers those that one stage keeps."""
    return {
        way: {name: replace(f, layers={k: f.layers[k] for k in kept}) for name, f in made[way].items()}
        for way, kept in ways.items()
    }


def _pass(
    run: Run, scene: Scene, wanted: dict[Pooling, tuple[int, ...]], usual: dict[Pooling, tuple[int, ...]]
) -> tuple[Pooled, "_Looking"]:
    from msfp.datasets.frames import FrameReader
    from msfp.features.detector import load_whole
    from msfp.features.extract import extract_modes

    config, pixels = run.settings.input, scene.pixels
    detector = load_whole(preset(run).extended(), config.weights, run.settings.device)
    looking, label = _Looking(detector, pixels, usual), f"all of {scene.name}"
    with one_thread(), FrameReader(pixels, pixels.frames) as frames, Bar(len(pixels.frames), label) as progress:
        made = extract_modes(
            frames, box_sets(scene), detector, wanted, config.size, config.geometry, progress.update, looking
        )
    return made, looking


class _Looking:
    """Takes batches through the whole detector, and keeps the people found and their vectors."""

    def __init__(self, detector: "Detector", pixels: Sequence, usual: dict[Pooling, tuple[int, ...]]) -> None:
        self._detector, self._pixels, self._usual = detector, pixels, usual
        self._found: list[Boxes] = []
        self._counts: list[int] = []
        self._vectors: dict[tuple[Pooling, int], list[NDArray[np.float16]]] = {}

    def __call__(self, batch: "torch.Tensor", box: "Letterbox") -> "dict[int, tuple[Part, ...]]":
        """As `extract.Network`."""
        from msfp.features.extract import half
        from msfp.features.pooling import pool_levels

        parts, (tlwh, score) = self._detector.detect(batch, box, CONFIDENCE)
        self._found.append((tlwh, score))
        kept = as_written(tlwh, self._pixels)
        self._counts.append(len(kept))
        regions = box.to_network(kept)
        for mode, layers in self._usual.items():
            levels = {layer: parts[layer] for layer in layers}
            for layer, vectors in pool_levels(levels, regions, self._detector.strides, mode).items():
                self._vectors.setdefault((mode, layer), []).append(half(vectors))
        return parts

    def detections(self) -> Detections:
        """All people, as `boxes` finds them."""
        return gathered(self._pixels.frames, self._found)

    def features(self, way: Pooling, seen: Features) -> Features:
        """Vectors of the people as they come back from their file; frames and scene vectors are those of `seen`."""
        frame = np.repeat(np.array(self._pixels.frames, np.int32), self._counts)
        layers = {layer: np.concatenate(self._vectors[way, layer]) for layer in self._usual[way]}
        return replace(seen, frame=frame, present=np.ones(len(frame), np.bool_), layers=layers)

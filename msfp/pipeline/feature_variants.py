"""Features beyond the usual: a further layer (Table 4) and other ways to pool (Table 13).

`one_pass` fills this stage with others where it is known to be wanted; else it is a pass of its own.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from msfp.engine.progress import Bar
from msfp.errors import NotComputable
from msfp.pipeline.data import Part
from msfp.pipeline.features import (
    FEATURE_CODE,
    LITE,
    ROI_ALIGN,
    TRUTH,
    Pooled,
    Pooling,
    box_sets,
    feature_inputs,
    layers,
    need_frames,
    pooled,
    truth_features,
)
from msfp.pipeline.run import Run
from msfp.pipeline.stage import stage
from msfp.threads import one_thread
from msfp.types import Features, Scene

if TYPE_CHECKING:
    from msfp.features.backbone import Backbone
    from msfp.features.presets import Preset

PLAIN: tuple[Pooling, ...] = ("nearest", "bilinear", "average")


@dataclass(frozen=True)
class View:
    """What a head is given of a box: layers (empty: the preset's taps), way to pool, weights (empty: the run's)."""

    layers: tuple[int, ...] = ()
    pooling: Pooling = ROI_ALIGN
    weights: str = ""


def preset(run: Run) -> "Preset":
    """The run's preset."""
    from msfp.features.presets import preset_named

    return preset_named(run.settings.input.preset)


def box_vectors(run: Run, part: Part, boxes: str, view: View) -> dict[int, NDArray[np.float16]]:
    """layer -> (N, C) vectors of a part's boxes (`gt` or a public detector).

    Raises:
        NotComputable: no frame has pixels, or the preset names no such layer.
    """
    usual = preset(run).layers
    usual = usual[-1:] if view.pooling == LITE else usual
    wanted = view.layers or usual
    found: dict[int, NDArray[np.float16]] = {}
    if view.pooling in (ROI_ALIGN, LITE) and set(wanted) & set(usual):
        scene, weights, way = part.scene, view.weights, view.pooling
        given = truth_features(run, part, weights)[way] if boxes == TRUTH else pooled(run, scene, weights)[way][boxes]
        found |= layers(given, part)
    if not set(wanted) <= set(found) and view.pooling != LITE:
        found |= layers(variants(run, part.scene, view.weights)[view.pooling][boxes], part)
    missing = [str(k) for k in wanted if k not in found]
    if missing:
        of = f" pooled as {LITE}" if view.pooling == LITE else ""
        raise NotComputable(f"preset {preset(run).name} names no layer {' and '.join(missing)}{of}")
    return {layer: found[layer] for layer in wanted}


def _variant_inputs(run: Run, scene: Scene, weights: str = "") -> dict[str, object]:
    return {**feature_inputs(run, scene, weights), "further": preset(run).further}


@stage("variants", _variant_inputs, FEATURE_CODE, memory=24, network=True)
def variants(run: Run, scene: Scene, weights: str = "") -> dict[Pooling, dict[str, Features]]:
    """Way to pool -> box set -> features: of `roi_align` the preset's further layers, of the others the usual ones.

    Raises:
        NotComputable: not one frame has its pixels.
    """
    need_frames(scene)
    return _compute(run, scene, weights, beyond(run))


def beyond(run: Run) -> dict[Pooling, tuple[int, ...]]:
    """Way to pool -> the layers that `variants` has of it."""
    chosen = preset(run)
    return {ROI_ALIGN: chosen.further, **dict.fromkeys(PLAIN, chosen.layers)}


def variants_all(run: Run, scenes: Iterable[Scene]) -> None:
    """Extract the variants of many scenes, fanned out over workers; they are then in the store."""
    run.do(variants.jobs(run, [(scene,) for scene in scenes]), "layers and ways to pool")


def _compute(run: Run, scene: Scene, weights: str, wanted: dict[Pooling, tuple[int, ...]]) -> Pooled:
    from msfp.datasets.frames import FrameReader
    from msfp.features.extract import extract_modes

    config = run.settings.input
    pixels = scene.pixels
    label = f"layers and ways to pool of {scene.name}"
    with one_thread(), FrameReader(pixels, pixels.frames) as frames, Bar(len(pixels.frames), label) as progress:
        return extract_modes(
            frames, box_sets(scene), _backbone(run, weights), wanted, config.size, config.geometry, progress.update
        )


@lru_cache(maxsize=2)
def _backbone(run: Run, weights: str) -> "Backbone":
    from msfp.features.backbone import load_backbone

    return load_backbone(preset(run).extended(), weights or run.settings.input.weights, run.settings.device)

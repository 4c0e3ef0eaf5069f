"""Features beyond the usual: a further layer (Table 4) and other ways to pool (Table 13).

`one_pass` fills this stage with others where it is known to be wanted; else it is a pass of its own.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from msfp.errors import NotComputable
from msfp.pipeline import data
from msfp.pipeline.data import Part
from msfp.pipeline.features import (
    FEATURE_CODE,
    LITE,
    ROI_ALIGN,
    TRUTH,
    Pooled,
    Pooling,
    box_sets,
    compute,
    feature_inputs,
    need_frames,
    pooled,
    truth_features,
)
from msfp.pipeline.features import layers as layers_of
from msfp.pipeline.run import Run
from msfp.pipeline.stage import stage
from msfp.types import Scene

if TYPE_CHECKING:
    from msfp.features.presets import Preset

PLAIN: tuple[Pooling, ...] = ("nearest", "bilinear", "average")


def preset(run: Run) -> "Preset":
    from msfp.features.presets import preset_named

    return preset_named(run.settings.input.preset)


def box_vectors(
    run: Run, part: Part, boxes: str, layers: tuple[int, ...] = (), pooling: Pooling = ROI_ALIGN, weights: str = ""
) -> dict[int, NDArray[np.float16]]:
    """layer -> (N, C) vectors of a part's boxes (`gt` or a public detector).

    `layers` empty: the preset's taps; `weights` empty: the run's.

    Raises:
        NotComputable: no frame has pixels, or the preset names no such layer.
    """
    usual = preset(run).layers
    usual = usual[-1:] if pooling == LITE else usual
    wanted = layers or usual
    found: dict[int, NDArray[np.float16]] = {}
    if pooling in (ROI_ALIGN, LITE) and set(wanted) & set(usual):
        if boxes == TRUTH:
            given = truth_features(run, part, weights)[pooling]
        else:
            given = pooled(run, part.scene, weights)[pooling][boxes]
        found |= layers_of(given, part)
    if not set(wanted) <= set(found) and pooling != LITE:
        found |= layers_of(variants(run, part.scene, weights)[pooling][boxes], part)
    if missing := [str(k) for k in wanted if k not in found]:
        of = f" pooled as {LITE}" if pooling == LITE else ""
        raise NotComputable(f"preset {preset(run).name} names no layer {' and '.join(missing)}{of}")
    return {layer: found[layer] for layer in wanted}


@stage(
    "variants",
    lambda run, scene, weights="": {**feature_inputs(run, scene, weights), "further": preset(run).further},
    FEATURE_CODE,
    memory=24,
    network=True,
)
def variants(run: Run, scene: Scene, weights: str = "") -> Pooled:
    """Way to pool -> box set -> features: of `roi_align` the preset's further layers, of the others the usual ones."""
    need_frames(scene)
    return compute(run, data.whole(scene), weights, box_sets(scene), beyond(run))


def beyond(run: Run) -> dict[Pooling, tuple[int, ...]]:
    """Way to pool -> the layers that `variants` has of it."""
    return {ROI_ALIGN: preset(run).further, **dict.fromkeys(PLAIN, preset(run).layers)}


def variants_all(run: Run, scenes: Iterable[Scene]) -> None:
    """Extract the variants of many scenes into the store, fanned out over workers."""
    run.do(variants.jobs(run, [(scene,) for scene in scenes]), "layers and ways to pool")

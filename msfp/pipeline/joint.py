"""Boxes, scores and vectors of the network trained for both (JDE, FairMOT): private detections, one pass a frame."""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from msfp.engine.code import code_digest
from msfp.heads.apply import embed, restore_head
from msfp.heads.fusion import strategy_named
from msfp.pipeline import data
from msfp.pipeline.data import Part
from msfp.pipeline.features import FEATURE_CODE, Pooling, compute, feature_inputs
from msfp.pipeline.heads import Appearance, head_inputs, train_head
from msfp.pipeline.reid_features import embedded_digest
from msfp.pipeline.run import Run
from msfp.pipeline.stage import frames_of, stage
from msfp.types import Detections, Features

if TYPE_CHECKING:
    from msfp.features.joint import JointNetwork

JOINT: Literal["joint"] = "joint"
JOINT_CODE = ("msfp.features.joint",)
CONFIDENCE = 0.1
LOOK = Appearance(JOINT)
"""The network's own vectors as an embedding; only for its own boxes."""


@dataclass(frozen=True)
class Seen:
    """People found in a part, frames numbered from the part's first, and their (N, D) float16 unit vectors."""

    detections: Detections
    vectors: NDArray[np.float16]


def seen_inputs(run: Run, part: Part) -> dict[str, object]:
    from msfp.features.joint import EMBEDDED

    config = run.settings.input
    return {
        "weights": embedded_digest(run, config.joint_weights, EMBEDDED, "joint network"),
        "code": code_digest(*JOINT_CODE),
        "pixels": run.pixels_digest(part.scene),
        "part": (part.first, part.last),
        "size": config.size,
        "geometry": config.geometry,
        "confidence": CONFIDENCE,
    }


@stage("joint-seen", seen_inputs, JOINT_CODE, memory=48, network=True)
def seen(run: Run, part: Part) -> Seen:
    """The jointly trained network over a part's frames."""
    from msfp.features.joint import see_all

    data.need_pixels((part,))
    network, config = _network(run), run.settings.input
    with frames_of(part.scene.pixels, "joint detector", part.present) as (frames, progress):
        found = see_all(frames, network, config.size, CONFIDENCE, config.geometry, progress)
    frame = (found.frame - (part.first - 1)).astype(np.int32)
    return Seen(Detections(frame, found.tlwh, found.score), found.vectors)


def joint_embeddings(run: Run, part: Part, look: Appearance) -> NDArray[np.float32]:
    """(N, D) unit embeddings of the network's boxes: its own vectors, or a head's on the frozen detector's."""
    if look.strategy == JOINT:
        return seen(run, part).vectors.astype(np.float32)
    vectors = frozen_features(run, part, look.weights)[strategy_named(look.strategy).pooling].layers
    taken = {layer: vectors[layer] for layer in look.layers} if look.layers else vectors
    channels = {layer: v.shape[1] for layer, v in taken.items()}
    return embed(restore_head(look.strategy, channels, train_head(run, look).state, run.settings.fusion), taken)


def embedding_inputs(run: Run, look: Appearance) -> dict[str, object]:
    """What `joint_embeddings` depends on beside what `seen` does."""
    if look.strategy == JOINT:
        return {"strategy": JOINT}
    config = run.settings.input
    frozen = {"weights": run.weights_digest(look.weights), "preset": config.preset, "code": code_digest(*FEATURE_CODE)}
    return {**head_inputs(run, look), "frozen": frozen}


@stage(
    "joint-features",
    lambda run, part, weights="": {**feature_inputs(run, part.scene, weights), "seen": seen.key(run, part)},
    FEATURE_CODE,
    memory=24,
    network=True,
)
def frozen_features(run: Run, part: Part, weights: str = "") -> dict[Pooling, Features]:
    """The frozen detector's features of the network's boxes: a pass of their own."""
    found = seen(run, part).detections
    boxes = (found.frame + np.int32(part.first - 1), found.tlwh)
    return {way: sets[JOINT] for way, sets in compute(run, part, weights, {JOINT: boxes}).items()}


@lru_cache(maxsize=2)
def _network(run: Run) -> "JointNetwork":
    from msfp.features.joint import load_joint

    return load_joint(run.settings.input.joint_weights, run.settings.device)

"""Heads, thresholds and camera motion of the stages, frame by frame: batch size 1, nothing read ahead or kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from msfp.errors import InputError
from msfp.features.camera_motion import METHODS, View, between, see
from msfp.heads.apply import ScenePredictor, embed, restore_head
from msfp.heads.fusion import strategy_named
from msfp.heads.threshold import Mode
from msfp.pipeline.heads import Appearance, train_head
from msfp.pipeline.run import Run
from msfp.pipeline.search import per_frame
from msfp.pipeline.thresholds import atl_rule, atl_settings
from msfp.pipeline.tracks import Method

if TYPE_CHECKING:
    from msfp.heads.fusion import FusionHead


@lru_cache(maxsize=32)
def head_of(run: Run, look: Appearance) -> "FusionHead":
    """A look's head, trained where the store has none yet."""
    wanted = strategy_named(look.strategy)
    if wanted.sees_cells or wanted.sees_size:
        raise InputError(f"appearance {look.strategy} is an ablation and not made for live use; choose another")
    channels = run.backbone(look.weights).channels
    used = {layer: channels[layer] for layer in look.layers or channels}
    state = train_head(run, look).state
    return restore_head(look.strategy, used, state, run.settings.fusion)


def pooled_layers(head: "FusionHead") -> tuple[int, ...]:
    """The layers whose vectors a head reads: one for the single-layer heads, else all it was made for."""
    return (list(head.channels)[-1],) if head.sees_last else tuple(head.channels)


def embed_boxes(head: "FusionHead", vectors: Mapping[int, NDArray[np.floating]]) -> NDArray[np.float32]:
    """(N, D) unit embeddings of a frame's boxes; vectors of layers that the head does not read may be absent."""
    some = next(iter(vectors.values()))
    # A single-layer head is told of every layer it was made for, and reads one.
    given = {k: vectors.get(k, np.broadcast_to(np.float32(0), (len(some), c))) for k, c in head.channels.items()}
    return embed(head, given)


@dataclass
class LiveThresholds:
    """ATL frame by frame: scene vector in, this frame's (tau_high, tau_low) out (eqs. 6-8)."""

    run: Run  # whose base thresholds the offset mode has
    predictor: ScenePredictor  # of raw thresholds
    mode: Mode  # how they are read
    beta: float  # memory of eq. 7; 0 smooths nothing
    center: float = 0.0  # what a signed offset is relative to
    smoothed: NDArray[np.float64] | None = None  # (k,) tau_(t-1), None before the first frame

    def step(self, scene: NDArray[np.floating]) -> NDArray[np.float32]:
        """(C,) scene vector -> (2,)."""
        return self.smooth(self.predictor(scene))

    def smooth(self, prediction: NDArray[np.floating]) -> NDArray[np.float32]:
        """(k,) raw prediction of a frame -> (2,)."""
        raw = prediction.astype(np.float64)
        self.smoothed = raw if self.smoothed is None else self.beta * self.smoothed + (1 - self.beta) * raw
        return per_frame(self.run, self.mode, self.smoothed.astype(np.float32)[None], self.center, warn=False)[0]


def live_thresholds(run: Run, method: Method, detector: str) -> LiveThresholds | None:
    """A method's ATL for a detector's boxes, trained where the store has none; None where it has other thresholds."""
    rule = method.threshold
    if rule.kind != "atl":
        return None
    atl, backbone = atl_settings(run, rule.changes), run.backbone()
    mode, center, state = atl_rule(run, rule, detector)
    predictor = ScenePredictor(mode, backbone.channels[backbone.preset.scene], state, atl)
    smooth = (rule.temporal or atl.temporal) == "ema"
    return LiveThresholds(run, predictor, rule.mode, atl.beta if smooth else 0.0, center)


@dataclass
class LiveCamera:
    """The camera's motion by `ecc` or `sparse-flow` from the frame before, `last`; the first frame has none."""

    method: str
    last: View | None = None

    def step(self, image: NDArray[np.uint8], tlwh: NDArray[np.float64]) -> NDArray[np.float64]:
        """(2, 3) map of the frame before to this (H, W, 3) one, file coordinates; the (N, 4) boxes may move themselves.

        Raises:
            InputError: a frame of another size than the one before.
        """
        before = self.last
        view = self.remember(image, tlwh)
        if before is None:
            return np.eye(2, 3)
        if before.grey.shape != view.grey.shape or not np.array_equal(before.to_view, view.to_view):
            raise InputError(
                f"a frame of {image.shape[1]}x{image.shape[0]} after frames of another size; camera motion needs one "
                "size: scale the frames, or call reset() where another video begins"
            )
        return between(before, view, self.method)

    def remember(self, image: NDArray[np.uint8], tlwh: NDArray[np.float64]) -> View:
        """Take a frame as the one before the next."""
        self.last = see(image, tlwh, METHODS[self.method][1])
        return self.last

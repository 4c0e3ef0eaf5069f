"""What a method needs for a frame as it comes, batch size 1: its head, its thresholds, the camera's motion.

The parts are those of the stages; only the order differs: frame by frame, nothing read ahead, nothing kept.
"""

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
from msfp.pipeline.search import targets
from msfp.pipeline.thresholds import atl_settings
from msfp.pipeline.tracks import Method, atl_state
from msfp.tracking import thresholds

if TYPE_CHECKING:
    from msfp.heads.fusion import FusionHead


@lru_cache(maxsize=32)
def head_of(run: Run, look: Appearance) -> "FusionHead":
    """A look's head, trained where the store has none yet.

    Raises:
        NotComputable: frames to learn from are missing.
        InputError: a head that wants more of a frame than pooled vectors.
    """
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
    """ATL frame by frame: scene vector in, this frame's (tau_high, tau_low) out (eqs. 6-8).

    Attributes:
        predictor: of raw thresholds.
        mode: what is predicted.
        beta: memory of eq. 7; 0 smooths nothing.
        base: of the offset mode.
        center: what a signed offset is relative to.
        smoothed: (k,) tau_(t-1), None before the first frame.
    """

    predictor: ScenePredictor
    mode: Mode
    beta: float
    base: tuple[float, float]
    center: float = 0.0
    smoothed: NDArray[np.float64] | None = None

    def step(self, scene: NDArray[np.floating]) -> NDArray[np.float32]:
        """(C,) scene vector -> (2,)."""
        return self.smooth(self.predictor(scene))

    def smooth(self, prediction: NDArray[np.floating]) -> NDArray[np.float32]:
        """(k,) raw prediction of a frame -> (2,)."""
        raw = prediction.astype(np.float64)
        self.smoothed = raw if self.smoothed is None else self.beta * self.smoothed + (1 - self.beta) * raw
        return self.chosen()

    def chosen(self) -> NDArray[np.float32]:
        """(2,) thresholds of the frame last seen."""
        assert self.smoothed is not None
        held = self.smoothed.astype(np.float32)
        if self.mode == "single":
            return thresholds.single(held[:1])[0]
        if self.mode == "dual":
            return thresholds.dual(held[None])[0]
        return thresholds.offset(held[:1], *self.base, self.center, warn=False)[0]


def live_thresholds(run: Run, method: Method, detector: str) -> LiveThresholds | None:
    """A method's ATL, trained where the store has none yet; None where its thresholds do not come from ATL.

    Args:
        run: the run.
        method: whose thresholds.
        detector: on whose boxes it was trained.

    Raises:
        NotComputable: nothing to learn from.
    """
    rule = method.threshold
    if rule.kind != "atl":
        return None
    atl = atl_settings(run, rule.changes)
    centered = rule.mode == "offset" and atl.offset == "centered"
    mode: Mode = "single" if centered else rule.mode
    center = 0.0
    if centered:
        center = float(np.mean([s.best[0] for s in targets(run, rule.learn, detector, "single").values()]))
    backbone = run.backbone()
    predictor = ScenePredictor(
        mode, backbone.channels[backbone.preset.scene], atl_state(run, rule, detector, mode).state, atl
    )
    smooth = (rule.temporal or atl.temporal) == "ema"
    return LiveThresholds(predictor, rule.mode, atl.beta if smooth else 0.0, (atl.base_high, atl.base_low), center)


@dataclass
class LiveCamera:
    """The camera's motion from the frame before; the first frame has none.

    Attributes:
        method: `ecc` or `sparse-flow`.
        last: the frame before.
    """

    method: str
    last: View | None = None

    def step(self, image: NDArray[np.uint8], tlwh: NDArray[np.float64]) -> NDArray[np.float64]:
        """(2, 3) map of the frame before to this one, file coordinates.

        Args:
            image: (H, W, 3) uint8 RGB.
            tlwh: (N, 4) boxes that may move by themselves.

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

"""A video, frame by frame: detected, embedded, thresholds chosen, tracked (all of the paper, live).

`look` runs the networks and `follow` the tracker, so that an interrupted film goes on from what was kept of its frames.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msfp.errors import InputError
from msfp.features.detect import Boxes
from msfp.features.reid import embed as embed_crops
from msfp.features.reid import load_reid
from msfp.pipeline.frame_predictor import Image, frame_predictor
from msfp.pipeline.live import LiveCamera, head_of, live_thresholds
from msfp.pipeline.reid_features import REID
from msfp.pipeline.run import Run
from msfp.pipeline.search import detectors_of
from msfp.pipeline.tracks import Method
from msfp.tracking import make, thresholds
from msfp.tracking.base import FrameContext, TrackerOutput
from msfp.types import tlwh_to_xyxy


@dataclass(frozen=True)
class Look:
    """What a frame shows, before anybody is followed."""

    number: int  # of the frame, from 1
    tlwh: NDArray[np.float64]  # (N, 4) float64 boxes, file coordinates
    score: NDArray[np.float32]  # (N,) float32
    vectors: NDArray[np.float32]  # (N, D) float32 unit embeddings; (N, 0) for trackers of motion only
    taus: NDArray[np.float32]  # (2,) float32 tau_high and tau_low; NaN where the tracker keeps its own
    # (k,) ATL's smoothed prediction, from which the next frame's goes on; empty without ATL
    memory: NDArray[np.float64]
    warp: NDArray[np.float64]  # (2, 3) camera motion since the frame before; the identity where it is not looked at
    seconds: float = np.nan  # time of the frame; NaN where frames come at a constant rate

    @property
    def pair(self) -> tuple[float, float] | None:
        """tau_high and tau_low, None where the tracker keeps its own."""
        return None if np.isnan(self.taus[0]) else (float(self.taus[0]), float(self.taus[1]))


class OnlineTracker:
    """Networks, heads, thresholds and tracker of one method over one video."""

    def __init__(self, run: Run, method: Method, fps: float, boxes: str = "") -> None:
        """Load what the method needs; heads and ATL are trained where the store has none yet.

        Args:
            run: detector, input size and settings.
            method: its thresholds may need no more than the frames so far (else InputError).
            fps: of the video.
            boxes: name of the detections on which ATL was trained; empty: the first of its learning parts.
        """
        settings = run.settings
        rule = method.threshold
        if rule.kind not in ("default", "fixed", "atl", "policy") or rule.temporal == "sequence":
            raise InputError(f"thresholds of kind {rule.kind} need the whole video; choose atl, a number or a policy")
        self._method = method
        self._atl = live_thresholds(run, method, boxes or next(iter(detectors_of(rule.learn)), ""))
        self._policy = None
        if rule.kind == "policy":
            self._policy = thresholds.make_policy(rule.policy, low=settings.atl.tau_min, high=settings.atl.tau_max)
        look = method.look
        self._reid = load_reid(settings.input.reid_weights) if look is not None and look.strategy == REID else None
        head = head_of(run, look) if look is not None and self._reid is None else None
        self._predictor = frame_predictor(run, head, None if self._atl is None else self._atl.predictor)
        self._camera = None if method.camera == "none" else LiveCamera(method.camera)
        self._tracker = make(method.tracker, fps=fps, **dict(method.options))

    def look(self, number: int, pixels: Image, boxes: Boxes | None = None, seconds: float = np.nan) -> Look:
        """Run the networks on a frame.

        Args:
            number: of the frame, ascending.
            pixels: (H, W, 3) uint8 RGB.
            boxes: (N, 4) tlwh in file coordinates and (N,) scores to follow in place of the detector's own.
            seconds: time of the frame where frames do not come at a constant rate.

        Raises:
            InputError: a frame of another size than the one before, where the camera's motion is looked at.
        """
        seen = self._predictor.see(pixels, boxes)
        warp = np.eye(2, 3) if self._camera is None else self._camera.step(pixels, seen.tlwh)
        vectors = seen.vectors if self._reid is None else embed_crops(self._reid, pixels, seen.tlwh)
        rule = self._method.threshold
        if self._atl is not None:
            taus = self._atl.smooth(seen.prediction)
        elif self._policy is not None:
            taus = self._policy.update(seen.score)
        else:
            taus = np.array((rule.high, rule.low) if rule.kind == "fixed" else (np.nan, np.nan), np.float32)
        memory = np.zeros(0) if self._atl is None or self._atl.smoothed is None else self._atl.smoothed
        return Look(number, seen.tlwh, seen.score, vectors, taus, memory, warp, seconds)

    def follow(self, look: Look) -> TrackerOutput:
        """The tracker's next frame; frames come in order, each once."""
        high, low = look.pair or (None, None)
        seconds = None if np.isnan(look.seconds) else look.seconds
        context = FrameContext(index=look.number, tau_high=high, tau_low=low, warp=look.warp, seconds=seconds)
        vectors = look.vectors if look.vectors.shape[1] else None
        return self._tracker.update(tlwh_to_xyxy(look.tlwh), look.score, vectors, context)

    def resume(self, look: Look) -> TrackerOutput:
        """Follow a frame that was looked at in an earlier run, so that the thresholds' memory goes on from it.

        The camera's motion needs the last such frame's pixels as well: see `recall`.
        """
        if self._atl is not None:
            self._atl.smoothed = look.memory
        if self._policy is not None:
            self._policy.update(look.score)
        return self.follow(look)

    @property
    def recalls(self) -> bool:
        """True where going on needs the pixels of the frame before."""
        return self._camera is not None

    def recall(self, look: Look, pixels: Image) -> None:
        """Take the last frame that was looked at in an earlier run as the one before the next."""
        if self._camera is not None:
            self._camera.remember(pixels, look.tlwh)

    def reset(self) -> None:
        """Forget everybody: another video begins."""
        self._tracker.reset()
        if self._atl is not None:
            self._atl.smoothed = None
        if self._policy is not None:
            self._policy.reset()
        if self._camera is not None:
            self._camera.last = None

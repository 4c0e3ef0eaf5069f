"""Tracks drawn on frames: boxes and trails in colours that belong to identities, thresholds on a strip below."""

from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from msfp.video.pictures import Image

# Okabe and Ito's colours, then lighter ones between them: told apart by people who see colours differently.
COLOURS = (
    "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7",
    "#FFC34D", "#9BD4F5", "#4DD0AC", "#7FB2E5", "#FF9A5C", "#E8B4D0", "#B3B3B3",
)  # fmt: skip
INK, PAPER, HIGH, LOW = (235, 235, 235), (24, 26, 30), (255, 176, 0), (100, 160, 255)
TRAIL_SECONDS, STRIP_SECONDS = 2.0, 10.0


class Artist:
    """Draws one film's frames in order.

    Attributes:
        width, height: of the frames it returns, the strip included.
    """

    def __init__(self, width: int, height: int, fps: float, strip: bool = True) -> None:
        """Take the source's size and rate; `strip` adds the thresholds below."""
        import supervision as sv

        self._frame = width, height
        self._strip = (max(48, height // 9) // 2 * 2) if strip else 0
        self.width, self.height = width, height + self._strip
        thick, scale = max(1, round(height / 400)), max(0.35, height / 1400)
        shared: dict[str, Any] = {
            "color": sv.ColorPalette.from_hex(list(COLOURS)),
            "color_lookup": sv.ColorLookup.TRACK,
        }
        self._trace = sv.TraceAnnotator(
            position=sv.Position.BOTTOM_CENTER, trace_length=max(2, int(fps * TRAIL_SECONDS)), thickness=thick, **shared
        )
        self._box = sv.BoxAnnotator(thickness=thick, **shared)
        self._label = sv.LabelAnnotator(
            text_color=sv.Color.BLACK, text_scale=scale, text_thickness=1, text_padding=2, **shared
        )
        self._taus: deque[tuple[float, float]] = deque(maxlen=max(2, int(fps * STRIP_SECONDS)))

    def draw(
        self, pixels: "Image", ids: NDArray[np.int32], xyxy: NDArray[np.float64], taus: tuple[float, float] | None
    ) -> "Image":
        """(H + strip, W, 3) uint8 RGB: a copy of the next frame with its tracks.

        Args:
            pixels: (H, W, 3) uint8 RGB.
            ids: (M,) identities.
            xyxy: (M, 4) boxes in file coordinates.
            taus: tau_high and tau_low of the frame, None where the tracker keeps its own.
        """
        import supervision as sv

        seen = sv.Detections(
            xyxy=(xyxy - 1.0).astype(np.float32), tracker_id=ids.astype(int), class_id=np.zeros(len(ids), int)
        )
        # The annotators draw in whatever order the channels have: their colours are given blue first.
        scene: Any = pixels[..., ::-1].copy()
        scene = self._trace.annotate(scene, seen)
        scene = self._box.annotate(scene, seen)
        scene = self._label.annotate(scene, seen, labels=[str(i) for i in ids])
        drawn = np.ascontiguousarray(scene[..., ::-1])
        if not self._strip:
            return drawn
        if taus is not None:
            self._taus.append(taus)
        return np.concatenate([drawn, self._thresholds(len(ids))])

    def _thresholds(self, people: int) -> "Image":
        """(strip, W, 3): the last seconds of both thresholds, 0 at the bottom and 1 at the top."""
        import cv2

        width, height = self._frame[0], self._strip
        strip: Any = np.full((height, width, 3), PAPER, np.uint8)
        scale = max(0.35, height / 130)
        words = f"{people} people"
        left = int(cv2.getTextSize("tau 0.00 / 0.00  999 people", cv2.FONT_HERSHEY_SIMPLEX, scale, 1)[0][0]) + 16
        if self._taus:
            high, low = self._taus[-1]
            words = f"tau {high:.2f} / {low:.2f}  {words}"
            values = np.array(self._taus)
            room = max(2, width - left - 8)
            across = left + np.linspace(0, room, self._taus.maxlen or 2)[-len(values) :]
            for column, colour in ((1, LOW), (0, HIGH)):
                down = 4 + (1 - np.clip(values[:, column], 0, 1)) * (height - 9)
                points = np.stack([across, down], 1).round().astype(np.int32)
                cv2.polylines(strip, [points], False, colour, max(1, height // 50), cv2.LINE_AA)
        cv2.putText(
            strip, words, (8, height // 2 + int(10 * scale)), cv2.FONT_HERSHEY_SIMPLEX, scale, INK, 1, cv2.LINE_AA
        )
        return strip

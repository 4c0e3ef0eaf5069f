"""StrongSORT (Du et al., TMM 2023): DeepSORT with an adaptive filter, a moving-average embedding and one assignment.

Measurement noise shrinks with confidence (NSA), appearance and motion are weighed (MC), no cascade (woC). Camera
motion (ECC in the original) comes with the frame. Linking and interpolation are post-processing, not here.
"""

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from msfp.tracking.base import Found
from msfp.tracking.gated_appearance import GatedAppearance, GatedAppearanceSettings
from msfp.tracking.gated_appearance_sequence import Gates
from msfp.tracking.kalman import Floats
from msfp.tracking.lifecycle import Rows
from msfp.tracking.looks import add_motion, blend, cosine_distance


class StrongSortSettings(GatedAppearanceSettings):
    """As released for MOT17."""

    track_high: float = Field(0.6, description="detections must score at least this")
    max_cosine: float = Field(
        0.45, description="largest cost of a match by appearance and motion: 0.4, and 0.05 for motion"
    )
    weight: float = Field(0.98, ge=0, le=1, description="share of appearance in the cost")
    ema: float = Field(0.9, ge=0, lt=1, description="memory of a track's embedding")


class StrongSort(GatedAppearance):
    """One assignment by appearance and motion, then IoU."""

    name = "strongsort"
    label = "StrongSORT"
    needs_embeddings = True
    appearance = "reid"
    Settings = StrongSortSettings
    settings: StrongSortSettings

    def _gates(self) -> Gates:
        ema = np.float32(self.settings.ema)
        return super()._gates()._replace(strong=True, weight=self.settings.weight, ema=ema)

    def _cost(self, found: Found, rows: Rows, detections: Rows) -> Floats:
        look, motion = self._gated(found, rows, detections)
        add_motion(look, motion, self.settings.weight)
        return look

    def _distance(self, found: Found, rows: Rows, detections: Rows, wanted: NDArray[np.bool_]) -> Floats:
        if found.embeddings is None or "embedding" not in self._table:
            return np.full((len(rows), len(detections)), np.inf)
        return np.where(wanted, cosine_distance(self._table["embedding"][rows], found.embeddings[detections]), np.inf)

    def _remember(self, found: Found, rows: Rows, detections: Rows) -> None:
        table = self._table
        assert found.embeddings is not None
        if "embedding" not in table:
            table.declare("embedding", (found.embeddings.shape[1],), np.float32)
        memory = np.where(table["looks"][rows] > 0, self.settings.ema, 0.0).astype(np.float32)
        blend(table["embedding"], rows, found.embeddings[detections], memory)

    def _variance_factor(self, found: Found, detections: Rows) -> Floats:
        """(1 - confidence)^2: the original scales the standard deviation by 1 - confidence."""
        return (1.0 - np.clip(found.scores[detections].astype(np.float64), 0.0, 1.0)) ** 2

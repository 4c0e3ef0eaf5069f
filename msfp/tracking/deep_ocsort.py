"""Deep OC-SORT (Maggiolino et al., ICIP 2023): OC-SORT with appearance that trusts itself by the detector's confidence.

The filter is OC-SORT's. Camera motion comes with the frame.
"""

import numpy as np
from pydantic import Field

from msfp.tracking.base import Found
from msfp.tracking.kalman import Floats
from msfp.tracking.lifecycle import Rows
from msfp.tracking.looks import blend
from msfp.tracking.observation_centric import ObservationCentric, ObservationCentricSettings
from msfp.tracking.observation_centric_kernels import confident_memory, look_bonus
from msfp.tracking.observation_centric_sequence import Rules


class DeepOcSortSettings(ObservationCentricSettings):
    """As released for MOT17."""

    look_weight: float = Field(0.75, ge=0, description="weight of the cosine similarity before adaptive weighting")
    adaptive: bool = Field(True, description="weigh appearance by how clearly it prefers one pair")
    adaptive_bottom: float = Field(0.5, ge=0, lt=1, description="ratio of second to best up to which it counts fully")
    ema: float = Field(0.95, ge=0, le=1, description="memory of a track's embedding at full confidence")


class DeepOcSort(ObservationCentric):
    """Dynamic appearance: unsure detections change a track's embedding less."""

    name = "deep-ocsort"
    label = "Deep OC-SORT"
    needs_embeddings = True
    appearance = "reid"
    Settings = DeepOcSortSettings
    settings: DeepOcSortSettings

    def _rules(self) -> Rules:
        settings = self.settings
        return (
            super()
            ._rules()
            ._replace(
                look_weight=settings.look_weight,
                adaptive=settings.adaptive,
                adaptive_bottom=settings.adaptive_bottom,
                ema=settings.ema,
            )
        )

    def _similarity(self, found: Found, overlap: Floats, usable: Rows) -> Floats | float:
        table, settings = self._table, self.settings
        if found.embeddings is None or "embedding" not in table:
            return 0.0
        vectors, weight = found.embeddings[usable], settings.look_weight
        return look_bonus(table["embedding"], vectors, overlap, weight, settings.adaptive, settings.adaptive_bottom)

    def _match(self, found: Found, rows: Rows, detections: Rows, reference: Floats) -> None:
        super()._match(found, rows, detections, reference)
        self._remember(found, rows, detections)

    def _begin(self, found: Found, detections: Rows) -> Rows:
        rows = super()._begin(found, detections)
        self._remember(found, rows, detections)
        return rows

    def _remember(self, found: Found, rows: Rows, detections: Rows) -> None:
        """Moving average whose memory grows to 1 as the confidence falls to the threshold."""
        if found.embeddings is None:
            return
        table = self._table
        if "embedding" not in table:
            table.declare("embedding", (found.embeddings.shape[1],), np.float32)
        known = found.known[detections]
        rows, detections = rows[known], detections[known]
        high = found.thresholds(self.settings.track_high, 0.0)[0]
        memory = confident_memory(found.scores[detections], high, self.settings.ema)
        memory[~table["embedding"][rows].any(axis=1)] = 0.0
        blend(table["embedding"], rows, found.embeddings[detections], memory)

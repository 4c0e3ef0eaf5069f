"""Deep OC-SORT (Maggiolino et al., ICIP 2023): OC-SORT with appearance that trusts itself by the detector's confidence.

The filter is OC-SORT's. Camera motion comes with the frame.
"""

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from msfp.tracking.base import Found
from msfp.tracking.kalman import Floats
from msfp.tracking.lifecycle import Rows
from msfp.tracking.looks import blend
from msfp.tracking.observation_centric import ObservationCentric, ObservationCentricSettings


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

    def _similarity(self, found: Found, overlap: Floats, usable: Rows) -> Floats | float:
        table, settings = self._table, self.settings
        if found.embeddings is None or "embedding" not in table:
            return 0.0
        look = (table["embedding"] @ found.embeddings[usable].T).astype(np.float64)
        look[overlap <= 0] = 0.0
        if not settings.adaptive:
            return settings.look_weight * look
        return settings.look_weight * adaptive_weight(look, settings.adaptive_bottom) * look

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


def confident_memory(scores: NDArray[np.float32], threshold: np.float32, base: float) -> NDArray[np.float32]:
    """(N,) memory of the embedding's moving average: `base` at score 1, 1 at the threshold (eq. 4 of the paper)."""
    trust = np.clip((scores - threshold) / max(1.0 - float(threshold), 1e-6), 0.0, 1.0)
    return (base + (1.0 - base) * (1.0 - trust)).astype(np.float32)


def adaptive_weight(look: Floats, bottom: float) -> Floats:
    """(M, N) product of a weight per track and per box: 1 where the best pair is clear, 0 where two are equal.

    A weight is 1 - max(second / best - bottom, 0) / (1 - bottom), 0 where the best is 0, 1 where there is one choice.
    """

    def side(rows: Floats) -> Floats:
        if rows.shape[1] < 2:
            return np.ones(len(rows))
        top = np.partition(rows, rows.shape[1] - 2, axis=1)[:, -2:]
        second, best = top[:, 0], top[:, 1]
        with np.errstate(over="ignore"):  # a best near 0 beside a negative second: clear, whatever the ratio
            ratio = np.divide(second, best, out=np.ones_like(best), where=best != 0)
        return np.where(best == 0, 0.0, 1.0 - np.maximum(ratio - bottom, 0.0) / (1.0 - bottom))

    return side(look)[:, None] * side(look.T)[None, :]

"""DeepSORT (Wojke et al., ICIP 2017): cascade by age, Mahalanobis gate, nearest embedding of a gallery of 100."""

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from msfp.tracking.assignment import Matches, assign
from msfp.tracking.base import Found
from msfp.tracking.gated_appearance import GatedAppearance, GatedAppearanceSettings
from msfp.tracking.gated_appearance_sequence import Gates
from msfp.tracking.kalman import Floats
from msfp.tracking.lifecycle import Rows
from msfp.tracking.looks import gallery_distance


class DeepSortSettings(GatedAppearanceSettings):
    """As released for MOT16."""

    gallery: int = Field(100, ge=1, description="embeddings kept of a track")
    cascade: bool = Field(True, description="match tracks seen last first; else all in one assignment")


class DeepSort(GatedAppearance):
    """The nearest embedding of a track's gallery counts; tracks seen last are matched first."""

    name = "deepsort"
    label = "DeepSORT"
    needs_embeddings = True
    appearance = "reid"
    Settings = DeepSortSettings
    settings: DeepSortSettings

    def _gates(self) -> Gates:
        return super()._gates()._replace(gallery=self.settings.gallery, cascade=self.settings.cascade)

    def _match_looks(self, found: Found, rows: Rows, detections: Rows) -> Matches:
        """One assignment for each age of the tracks, the youngest first; without the cascade one for all."""
        if not self.settings.cascade:
            return super()._match_looks(found, rows, detections)
        last = self._table["last"][rows]
        taken = np.full(len(rows), -1, np.int64)
        left = np.arange(len(detections))
        cost = self._cost(found, rows, detections) if len(rows) and len(detections) else np.zeros((len(rows), 0))
        for seen in np.unique(last)[::-1] if cost.size else ():
            level = np.flatnonzero(last == seen)
            i, j, _, free = assign(cost[np.ix_(level, left)], np.nextafter(self.settings.max_cosine, np.inf))
            taken[level[i]] = detections[left[j]]
            left = left[free]
        found_again = taken >= 0
        return rows[found_again], taken[found_again], rows[~found_again], detections[left]

    def _cost(self, found: Found, rows: Rows, detections: Rows) -> Floats:
        return self._gated(found, rows, detections)[0]

    def _distance(self, found: Found, rows: Rows, detections: Rows, wanted: NDArray[np.bool_]) -> Floats:
        """To the nearest of a track's gallery."""
        table = self._table
        if found.embeddings is None or "gallery" not in table:
            return np.full((len(rows), len(detections)), np.inf)
        counts = np.minimum(table["looks"][rows], self.settings.gallery)
        return gallery_distance(table["gallery"], rows, counts, found.embeddings[detections], wanted)

    def _remember(self, found: Found, rows: Rows, detections: Rows) -> None:
        """The oldest embedding makes room."""
        table = self._table
        assert found.embeddings is not None
        if "gallery" not in table:
            table.declare("gallery", (self.settings.gallery, found.embeddings.shape[1]), np.float32)
        table["gallery"][rows, table["looks"][rows] % self.settings.gallery] = found.embeddings[detections]

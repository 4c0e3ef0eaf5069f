"""Appearance first, gated by the filter, then IoU for what is left: what DeepSORT and StrongSORT share."""

from abc import abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from msfp.tracking.assignment import Matches, assign
from msfp.tracking.base import Follower, Found, Tracker, TrackerOutput, TrackerSettings
from msfp.tracking.gated_appearance_sequence import Following, Gates
from msfp.tracking.iou import iou
from msfp.tracking.kalman import CHI2_95, XYAH, Floats
from msfp.tracking.kalman_fast import FastFilter
from msfp.tracking.lifecycle import CONFIRMED, REMOVED, TENTATIVE, Rows, TrackTable


class GatedAppearanceSettings(TrackerSettings):
    """Settings of DeepSORT and its descendants."""

    track_high: float = Field(0.3, description="detections must score at least this")
    max_cosine: float = Field(0.2, description="largest cost of a match by appearance")
    max_iou_distance: float = Field(0.7, description="largest IoU distance of a match by IoU")
    gate: float = Field(CHI2_95[4], description="largest squared Mahalanobis distance of a match by appearance")
    n_init: int = Field(3, ge=1, description="matches before a track is confirmed")
    max_age: int = Field(30, ge=0, description="frames a track lives without a match, at 30 frames per second")
    coast: int = Field(1, ge=0, description="frames a confirmed track is reported where it was not matched")


class GatedAppearance(Tracker):
    """A frame of DeepSORT; subclasses say what appearance costs, how it is remembered and in which order it matches."""

    Settings: ClassVar[type[TrackerSettings]] = GatedAppearanceSettings
    settings: GatedAppearanceSettings

    def follow(self, bounds: Rows) -> Follower | None:
        return Following(self._gates(), self._filter, bounds)

    def _gates(self) -> Gates:
        """The settings for compiled sequences; subclasses put in their own."""
        settings = self.settings
        return Gates(
            track_high=np.float32(settings.track_high),
            look_limit=float(np.nextafter(settings.max_cosine, np.inf)),
            overlap_limit=float(np.nextafter(settings.max_iou_distance, np.inf)),
            gate=settings.gate,
            n_init=settings.n_init,
            kept=self._kept(settings.max_age),
            coast=settings.coast,
            gallery=1,
            cascade=False,
            strong=False,
            weight=1.0,
            ema=np.float32(0.0),
        )

    def _clear(self) -> None:
        self._filter = FastFilter(XYAH)
        self._table = TrackTable({"hits": ((), np.int32), "looks": ((), np.int64)})

    def _step(self, found: Found) -> TrackerOutput:
        table = self._table
        usable = np.flatnonzero(found.scores >= found.thresholds(self.settings.track_high, 0.0)[0])
        everyone = np.arange(len(table))
        if found.context.warp is not None:
            self._filter.warp(table["mean"], table["blocks"], everyone, found.context.warp)
        self._filter.predict(table["mean"], table["blocks"], everyone)
        table["row"][:] = -1

        confirmed, tentative = table.rows(CONFIRMED), table.rows(TENTATIVE)
        rows, detections, unmatched, left = self._match_looks(found, confirmed, usable)
        recent = table["last"][unmatched] == found.frame - 1
        candidates = np.concatenate([tentative, unmatched[recent]])
        overlap = iou(self._filter.boxes(table["mean"][candidates]), found.boxes[left])
        i, j, rest, free = assign(1.0 - overlap, np.nextafter(self.settings.max_iou_distance, np.inf))
        self._match(found, np.concatenate([rows, candidates[i]]), np.concatenate([detections, left[j]]))
        self._miss(found.frame, np.concatenate([unmatched[~recent], candidates[rest]]))
        self._begin(found, left[free])
        table.sweep()
        return self._report(found)

    def _match_looks(self, found: Found, rows: Rows, detections: Rows) -> Matches:
        """Matched rows and detections, those left; by appearance within the gate."""
        if not len(rows) or not len(detections):
            none = np.zeros(0, np.int64)
            return none, none, rows, detections
        i, j, rest, free = assign(self._cost(found, rows, detections), np.nextafter(self.settings.max_cosine, np.inf))
        return rows[i], detections[j], rows[rest], detections[free]

    def _gated(self, found: Found, rows: Rows, detections: Rows) -> tuple[Floats, Floats]:
        """(M, N) cosine distance, infinite where unknown or outside the gate; (M, N) squared Mahalanobis distance."""
        table = self._table
        motion = self._filter.distances(table["mean"], table["blocks"], rows, found.boxes[detections])
        known = (table["looks"][rows] > 0)[:, None] & found.known[detections][None, :]
        return self._distance(found, rows, detections, known & (motion <= self.settings.gate)), motion

    @abstractmethod
    def _cost(self, found: Found, rows: Rows, detections: Rows) -> Floats:
        """(M, N) cost of a match by appearance."""

    @abstractmethod
    def _distance(self, found: Found, rows: Rows, detections: Rows, wanted: NDArray[np.bool_]) -> Floats:
        """(M, N) cosine distance of tracks and detections, infinite where not `wanted`, (M, N)."""

    @abstractmethod
    def _remember(self, found: Found, rows: Rows, detections: Rows) -> None:
        """Tracks take the embeddings of their detections, all of which have one."""

    def _variance_factor(self, found: Found, detections: Rows) -> Floats | None:
        """(N,) factor on the variance of each measurement; None: 1."""
        return None

    def _match(self, found: Found, rows: Rows, detections: Rows) -> None:
        if not len(rows):
            return
        table = self._table
        factor = self._variance_factor(found, detections)
        self._filter.update(table["mean"], table["blocks"], rows, found.boxes[detections], factor)
        table["hits"][rows] += 1
        table["last"][rows] = found.frame
        table["score"][rows] = found.scores[detections]
        table["row"][rows] = detections
        table["state"][rows[table["hits"][rows] >= self.settings.n_init]] = CONFIRMED
        self._learn(found, rows, detections)

    def _resume(self, found: Found, rows: Rows) -> None:
        self._match(found, rows, np.arange(len(rows)))

    def _learn(self, found: Found, rows: Rows, detections: Rows) -> None:
        known = found.known[detections]
        if found.embeddings is not None and known.any():
            self._remember(found, rows[known], detections[known])
            self._table["looks"][rows[known]] += 1

    def _miss(self, frame: int, rows: Rows) -> None:
        """Tentative tracks go at once, confirmed ones after `max_age` frames."""
        table, settings = self._table, self.settings
        late = frame - table["last"][rows] > self._kept(settings.max_age)
        table["state"][rows[late | (table["state"][rows] == TENTATIVE)]] = REMOVED

    def _begin(self, found: Found, detections: Rows) -> None:
        mean, blocks = self._filter.start(found.boxes[detections])
        state = CONFIRMED if self.settings.n_init <= 1 else TENTATIVE
        start = {"start": found.frame, "last": found.frame, "state": state, "hits": 1}
        scores = found.scores[detections]
        rows = self._table.add(len(detections), mean=mean, blocks=blocks, score=scores, row=detections, **start)
        self._learn(found, rows, detections)

    def _report(self, found: Found) -> TrackerOutput:
        """Confirmed tracks matched now or at most `coast` frames ago, at the filter's box."""
        table = self._table
        rows = np.flatnonzero((table["state"] == CONFIRMED) & (found.frame - table["last"] <= self.settings.coast))
        return TrackerOutput(
            table["id"][rows].copy(),
            self._filter.boxes(table["mean"][rows]),
            table["score"][rows].copy(),
            table["row"][rows].copy(),
        )

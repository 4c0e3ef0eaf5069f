"""Two-stage association (ByteTrack): sure detections first, unsure ones then for tracks still without a box.

ByteTrack, LITE, the MSFP variants and BoT-SORT are this with different costs, filters and appearances.
"""

from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from msfp.tracking.assignment import assign
from msfp.tracking.association import (
    MAHALANOBIS_WEIGHT,
    Cost,
    Fusion,
    Pairs,
    iou_cost,
    mahalanobis_cost,
    min_gate_cost,
    score_weighted_iou_cost,
    sum_cost,
)
from msfp.tracking.base import Follower, Found, Tracker, TrackerOutput, TrackerSettings
from msfp.tracking.kalman import CHI2_95, XYAH, Floats, Motion
from msfp.tracking.kalman_fast import FastFilter
from msfp.tracking.lifecycle import (
    CONFIRMED,
    LOST,
    REMOVED,
    TENTATIVE,
    Rows,
    TrackTable,
    buffer_frames,
    drop_duplicates,
    expire,
)
from msfp.tracking.looks import blend
from msfp.tracking.two_stage_cost import FUSIONS, MOTION, Rules
from msfp.tracking.two_stage_sequence import Following


class TwoStageSettings(TrackerSettings):
    """ByteTrack's settings; where the paper names none, first guesses that a selection on learning parts replaces."""

    track_high: float = Field(0.6, description="tau_high: detections above are sure")
    track_low: float = Field(0.1, description="tau_low: detections above are unsure, the rest are ignored")
    match: float = Field(0.8, description="limit of the first association")
    match_low: float = Field(0.5, description="limit of the second association, IoU only")
    match_unconfirmed: float = Field(0.7, description="limit for tracks seen once")
    new_track_margin: float = Field(0.1, description="a new track needs tau_high plus this")
    buffer: int = Field(30, ge=0, description="frames a lost track is kept, at 30 frames per second")
    fuse_score: bool = Field(False, description="weight the IoU by the detection's score")
    output: Literal["state", "detection"] = Field("state", description="report the filter's box or the detected one")


class AppearanceSettings(TwoStageSettings):
    """Two-stage association with embeddings in the first stage.

    No pair without some overlap may match: ungated, embeddings that resemble each other send boxes across the image.
    """

    fusion: Fusion = Field("sum", description="how appearance and motion make one cost")
    weight: float = Field(0.5, ge=0, le=1, description="share of the cosine distance in `sum`")
    min_iou: float = Field(0.2, ge=0, le=1, description="pairs overlapping less may not match in `sum`")
    proximity: float = Field(0.5, description="largest IoU distance at which appearance counts in `min_gate`")
    max_appearance: float = Field(0.25, description="largest half cosine distance that counts in `min_gate`")
    look_divisor: float = Field(2.0, gt=0, description="cosine distances are divided by this in `min_gate`")
    ema: float = Field(0.9, ge=0, lt=1, description="memory of a track's embedding")


class TwoStage(Tracker):
    """The common course of a frame; subclasses name themselves and their settings."""

    Settings: ClassVar[type[TrackerSettings]] = TwoStageSettings
    settings: TwoStageSettings
    motion: Motion = XYAH

    def _clear(self) -> None:
        self._filter = FastFilter(self.motion)
        self._table = TrackTable()
        self._first = self._cost()
        self._origin: int | None = None

    def _cost(self) -> Cost:
        """Cost of the first association and of the unconfirmed."""
        settings = self.settings
        spatial = score_weighted_iou_cost if settings.fuse_score else iou_cost
        if not isinstance(settings, AppearanceSettings):
            return spatial
        if settings.fusion == "min_gate":
            return min_gate_cost(settings.proximity, settings.max_appearance, spatial, settings.look_divisor)
        if settings.fusion == "mahalanobis":
            return mahalanobis_cost()
        return sum_cost(settings.weight, settings.min_iou, spatial)

    def follow(self, bounds: Rows) -> Follower | None:
        settings = self.settings
        thresholds = settings.track_high, settings.track_low
        return Following(self._rules(), self._filter, thresholds, bounds)

    def _rules(self) -> Rules:
        """The settings as numbers, for compiled code."""
        settings = self.settings
        look = settings if isinstance(settings, AppearanceSettings) else AppearanceSettings.model_validate({})
        fusion = FUSIONS[look.fusion] if look is settings else MOTION
        return Rules(
            match=settings.match,
            match_low=settings.match_low,
            match_unconfirmed=settings.match_unconfirmed,
            margin=np.float32(settings.new_track_margin),
            buffer=buffer_frames(settings.buffer, settings.fps),
            fuse_score=settings.fuse_score,
            detected=settings.output == "detection",
            fusion=fusion,
            weight=MAHALANOBIS_WEIGHT if look.fusion == "mahalanobis" else look.weight,
            min_iou=look.min_iou,
            proximity=look.proximity,
            max_appearance=look.max_appearance,
            look_divisor=look.look_divisor,
            gate=CHI2_95[4],
            ema=np.float32(look.ema),
        )

    def _step(self, found: Found) -> TrackerOutput:
        settings, table = self.settings, self._table
        unconfirmed = table.rows(TENTATIVE)
        pool = table.rows(CONFIRMED, LOST)
        live = table["state"][pool] == CONFIRMED
        self._predict(found, pool, live, unconfirmed)
        boxes = self._filter.boxes(table["mean"])

        high, low = found.thresholds(settings.track_high, settings.track_low)
        sure = np.flatnonzero(found.scores > high)
        unsure = np.flatnonzero((found.scores > low) & (found.scores < high))
        born = np.flatnonzero(found.scores[sure] >= high + np.float32(settings.new_track_margin))

        matched: list[tuple[Rows, Rows]] = []
        rows, columns, rest, free = self._associate(self._first, settings.match, found, boxes, pool, sure)
        matched.append((pool[rows], sure[columns]))
        still_live = pool[rest[live[rest]]]
        rows, columns, rest, _ = self._associate(iou_cost, settings.match_low, found, boxes, still_live, unsure)
        matched.append((still_live[rows], unsure[columns]))
        table["state"][still_live[rest]] = LOST
        left = sure[free]
        rows, columns, rest, free = self._associate(
            self._first, settings.match_unconfirmed, found, boxes, unconfirmed, left
        )
        matched.append((unconfirmed[rows], left[columns]))
        table["state"][unconfirmed[rest]] = REMOVED

        tracks, detections = (np.concatenate(part) for part in zip(*matched, strict=True))
        self._correct(found, tracks, detections, sure)
        self._begin(found, np.intersect1d(left[free], sure[born], assume_unique=True))
        expire(table, found.frame, self._kept(settings.buffer))
        table.sweep()
        drop_duplicates(table, self._filter.boxes(table["mean"]))
        table.sweep()
        return self._report(found)

    def _predict(self, found: Found, pool: Rows, live: NDArray[np.bool_], unconfirmed: Rows) -> None:
        """Confirmed and lost tracks move on; unconfirmed ones stay where they were seen, as in ByteTrack."""
        table = self._table
        lost = pool[~live]
        if len(lost):
            for velocity in self.motion.still:
                table["mean"][lost, 4 + velocity] = 0.0
        self._filter.predict(table["mean"], table["blocks"], pool)
        if found.context.warp is not None:
            everyone = np.concatenate([pool, unconfirmed])
            self._filter.warp(table["mean"], table["blocks"], everyone, found.context.warp)

    def _associate(
        self, cost: Cost, limit: float, found: Found, boxes: Floats, rows: Rows, detections: Rows
    ) -> tuple[Rows, Rows, Rows, Rows]:
        """Positions in `rows` and `detections` matched, and those left."""
        if not len(rows) or not len(detections):
            none = np.zeros(0, np.int64)
            return none, none, np.arange(len(rows)), np.arange(len(detections))
        table, gallery, vectors, known = self._table, None, None, None
        if cost is not iou_cost and found.embeddings is not None and "embedding" in table:
            gallery, vectors = table["embedding"][rows], found.embeddings[detections]
            seen = table["known"][rows]
            if not (seen.all() and found.known[detections].all()):
                known = seen[:, None] & found.known[detections][None, :]
        targets = found.boxes[detections]

        def motion() -> Floats:
            return self._filter.distances(table["mean"], table["blocks"], rows, targets)

        pairs = Pairs(boxes[rows], targets, found.scores[detections], gallery, vectors, known, motion)
        return assign(cost(pairs), limit)

    def _correct(self, found: Found, rows: Rows, detections: Rows, sure: Rows) -> None:
        """Matched tracks take their boxes; only sure detections change the embedding."""
        table = self._table
        table["row"][:] = -1
        if not len(rows):
            return
        self._filter.update(table["mean"], table["blocks"], rows, found.boxes[detections])
        table["state"][rows] = CONFIRMED
        table["last"][rows] = found.frame
        table["score"][rows] = found.scores[detections]
        table["row"][rows] = detections
        if found.embeddings is not None:
            learn = found.known[detections] & np.isin(detections, sure)
            self._remember(rows[learn], found.embeddings[detections[learn]])

    def _resume(self, found: Found, rows: Rows) -> None:
        super()._resume(found, rows)
        self._table["expired"][rows] = False

    def _remember(self, rows: Rows, vectors: NDArray[np.float32]) -> None:
        """Exponential moving average of the tracks' embeddings, unit length."""
        table, settings = self._table, self.settings
        if not isinstance(settings, AppearanceSettings):
            return
        if "embedding" not in table:
            table.declare("embedding", (vectors.shape[1],), np.float32)
            table.declare("known", (), np.bool_)
        memory = np.where(table["known"][rows], settings.ema, 0.0).astype(np.float32)
        blend(table["embedding"], rows, vectors, memory)
        table["known"][rows] = True

    def _begin(self, found: Found, detections: Rows) -> None:
        """New tracks: confirmed at once in the first frame, else once seen again."""
        if self._origin is None:
            self._origin = found.frame
        if not len(detections):
            return
        mean, blocks = self._filter.start(found.boxes[detections])
        state = CONFIRMED if found.frame == self._origin else TENTATIVE
        start: dict[str, Any] = {"start": found.frame, "last": found.frame, "state": state}
        rows = self._table.add(
            len(detections), mean=mean, blocks=blocks, score=found.scores[detections], row=detections, **start
        )
        if found.embeddings is not None:
            known = found.known[detections]
            self._remember(rows[known], found.embeddings[detections[known]])

    def _report(self, found: Found) -> TrackerOutput:
        table = self._table
        rows = table.rows(CONFIRMED)
        detections = table["row"][rows]
        if self.settings.output == "detection":
            boxes = found.boxes[detections]
        else:
            boxes = self._filter.boxes(table["mean"][rows])
        return TrackerOutput(table["id"][rows].copy(), boxes, table["score"][rows].copy(), detections.copy())

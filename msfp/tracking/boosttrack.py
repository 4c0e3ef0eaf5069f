"""BoostTrack++ (Stanojevic and Todorovic, 2024): scores raised by tracks, similarity of IoU, motion, shape and look."""

import numpy as np
from pydantic import Field

from msfp.tracking.assignment import Matches, assign, assign_allowed
from msfp.tracking.base import Found, Tracker, TrackerOutput, TrackerSettings
from msfp.tracking.boost import (
    accepted_by_tracks,
    likely_objects,
    mahalanobis_similarity,
    rich_similarity,
    shape_similarity,
    state_distances,
    track_confidence,
    unlike_objects,
)
from msfp.tracking.iou import iou
from msfp.tracking.kalman import XYHR, Floats
from msfp.tracking.kalman_fast import FastFilter
from msfp.tracking.lifecycle import CONFIRMED, REMOVED, Rows, TrackTable
from msfp.tracking.looks import blend
from msfp.tracking.observation_centric_kernels import confident_memory, isolated


class BoostTrackSettings(TrackerSettings):
    """As released for MOT17; BoostTrack (without ++) is `rich=False, soft=False, tracklet_acceptance=False`."""

    track_high: float = Field(0.6, description="detections must score at least this, after boosting")
    track_low: float | None = Field(None, description="detections that score less are ignored; None takes all")
    match_iou: float = Field(0.3, description="least IoU of a match; half of it where looks agree")
    max_age: int = Field(60, ge=0, description="frames a track lives without a match, at 30 frames per second")
    min_hits: int = Field(3, ge=0, description="matches in a row before a track is reported")
    weight_iou: float = Field(0.5, ge=0)
    weight_motion: float = Field(0.25, ge=0)
    weight_shape: float = Field(0.25, ge=0)
    weight_look: float = Field(1.5, ge=0, description="times the sum of the other weights and 1")
    boost_likely: bool = Field(True, description="raise boxes that resemble a track (DLO)")
    boost_unlike: bool = Field(True, description="raise boxes far from every track (DUO)")
    coefficient: float = Field(0.65, ge=0, description="of BoostTrack's own raise")
    rich: bool = Field(True, description="similarity of motion, shape and soft BIoU in place of IoU")
    soft: bool = Field(True, description="soft raise of scores")
    tracklet_acceptance: bool = Field(True, description="tracks accept boxes by a threshold of their own")
    acceptance_steps: float = Field(20.0, gt=0, description="missed frames in which that threshold falls to its least")
    corrected_shape: bool = Field(False, description="the paper's shape similarity in place of the released code's")
    ema: float = Field(0.95, ge=0, le=1, description="memory of a track's embedding at full confidence")
    min_area: float = Field(10.0, ge=0, description="smallest area of a reported box")
    max_aspect: float = Field(1.6, gt=0, description="largest width by height of a reported box")


class Boosting(Tracker):
    """The common course of a frame. Camera motion (ECC in the original) comes with it."""

    Settings = BoostTrackSettings
    settings: BoostTrackSettings

    def _clear(self) -> None:
        self._filter = FastFilter(XYHR)
        self._table = TrackTable({"streak": ((), np.int32)})
        self._seen = 0

    def _step(self, found: Found) -> TrackerOutput:
        table = self._table
        self._seen += 1
        everyone = np.arange(len(table))
        if found.context.warp is not None:
            self._filter.warp(table["mean"], table["blocks"], everyone, found.context.warp)
        self._filter.predict(table["mean"], table["blocks"], everyone)
        table["streak"][table["last"] < found.frame - 1] = 0
        table["row"][:] = -1

        least = self.settings.track_low
        high, low = found.thresholds(self.settings.track_high, -np.inf if least is None else least)
        candidates = np.flatnonzero(found.scores > low)
        scores = self._boosted(found, candidates, float(high))
        usable = scores.astype(np.float32) >= high
        scores, detections = scores[usable], candidates[usable]

        rows, columns, _, free = self._associate(found, detections, scores)
        self._match(found, rows, detections[columns], scores[columns], high)
        self._begin(found, detections[free], scores[free])
        return self._report(found)

    def _boosted(self, found: Found, candidates: Rows, high: float) -> Floats:
        """Scores after both boosts; they never fall."""
        settings, table = self.settings, self._table
        boxes, scores = found.boxes[candidates], found.scores[candidates].astype(np.float64)
        if not len(table) or not len(candidates):
            return scores
        tracks, distances = self._filter.boxes(table["mean"]), self._distances(boxes)
        missed = found.frame - 1 - table["last"]
        if settings.boost_likely:
            similarity = iou(boxes, tracks)
            if settings.rich:
                confidence = track_confidence(found.frame - table["start"], missed)
                similarity = rich_similarity(boxes, tracks, distances, confidence, settings.corrected_shape)
            if settings.soft or not settings.tracklet_acceptance:
                scores = likely_objects(scores, similarity, settings.soft, settings.coefficient)
            if settings.tracklet_acceptance:
                accepted = accepted_by_tracks(similarity, missed, settings.acceptance_steps)
                scores[accepted] = np.maximum(scores[accepted], high + 1e-5)
        if settings.boost_unlike:
            scores[unlike_objects(boxes, scores, distances, high)] = high + 1e-4
        return scores

    def _distances(self, boxes: Floats) -> Floats:
        """(N, M) squared distances of boxes and tracks."""
        return state_distances(self._filter.motion.measure(boxes), self._table["mean"], self._table["blocks"])

    def _associate(self, found: Found, detections: Rows, scores: Floats) -> Matches:
        """Track rows, positions in `detections`; those left."""
        settings, table, boxes = self.settings, self._table, found.boxes[detections]
        if not len(table) or not len(detections):
            none = np.zeros(0, np.int64)
            return none, none, np.arange(len(table)), np.arange(len(detections))
        tracks = self._filter.boxes(table["mean"])
        overlap = iou(boxes, tracks)
        trust = track_confidence(found.frame - table["start"], found.frame - 1 - table["last"])
        both = np.where(overlap < settings.match_iou, 0.0, scores[:, None] * trust[None, :])
        total = overlap + settings.weight_iou * both * overlap
        total += settings.weight_motion * mahalanobis_similarity(self._distances(boxes))
        total += settings.weight_shape * both * shape_similarity(boxes, tracks, settings.corrected_shape)
        allowed = overlap >= settings.match_iou
        if found.embeddings is not None and "embedding" in table:
            look = (found.embeddings[detections] @ table["embedding"].T).astype(np.float64)
            others = 1.0 + settings.weight_iou + settings.weight_motion + settings.weight_shape
            total += others * settings.weight_look * look
            allowed |= (overlap >= settings.match_iou / 2) & (look >= 0.75)
        if isolated(total, settings.match_iou):
            allowed &= total > settings.match_iou
            return assign(np.where(allowed.T, -1.0, 1.0), 0.0)
        return assign_allowed(total.T, allowed.T)

    def _match(self, found: Found, rows: Rows, detections: Rows, scores: Floats, high: np.float32) -> None:
        table = self._table
        self._filter.update(table["mean"], table["blocks"], rows, found.boxes[detections])
        table["last"][rows] = found.frame
        table["streak"][rows] += 1
        table["score"][rows] = found.scores[detections]
        table["row"][rows] = detections
        self._remember(found, rows, detections, confident_memory(scores.astype(np.float32), high, self.settings.ema))

    def _resume(self, found: Found, rows: Rows) -> None:
        high = np.float32(self.settings.track_high)
        self._match(found, rows, np.arange(len(rows)), found.scores.astype(np.float64), high)

    def _begin(self, found: Found, detections: Rows, scores: Floats) -> None:
        mean, blocks = self._filter.start(found.boxes[detections])
        start = {"start": found.frame, "last": found.frame, "state": CONFIRMED}
        own = found.scores[detections]
        rows = self._table.add(len(detections), mean=mean, blocks=blocks, score=own, row=detections, **start)
        self._remember(found, rows, detections, np.zeros(len(rows), np.float32))

    def _remember(self, found: Found, rows: Rows, detections: Rows, memory: np.ndarray) -> None:
        """Moving average of the embedding; unsure detections change it less."""
        if found.embeddings is None:
            return
        table = self._table
        if "embedding" not in table:
            table.declare("embedding", (found.embeddings.shape[1],), np.float32)
        known = found.known[detections]
        rows, detections, memory = rows[known], detections[known], memory[known]
        memory = np.where(table["embedding"][rows].any(axis=1), memory, np.float32(0))
        blend(table["embedding"], rows, found.embeddings[detections], memory)

    def _report(self, found: Found) -> TrackerOutput:
        """Tracks matched in this frame whose box could be a standing person's."""
        settings, table = self.settings, self._table
        boxes = self._filter.boxes(table["mean"])
        width, height = (boxes[:, 2:] - boxes[:, :2]).T
        proven = (table["streak"] >= settings.min_hits) | (self._seen <= settings.min_hits)
        upright = (width * height > settings.min_area) & (width <= settings.max_aspect * height)
        rows = np.flatnonzero((table["row"] >= 0) & proven & upright)
        output = TrackerOutput(
            table["id"][rows].copy(), boxes[rows], table["score"][rows].copy(), table["row"][rows].copy()
        )
        table["state"][found.frame - table["last"] > self._kept(settings.max_age)] = REMOVED
        table.sweep()
        return output


class BoostTrack(Boosting):
    """With the embeddings of a separate network, or any other."""

    name = "boosttrack"
    label = "BoostTrack++"
    needs_embeddings = True
    appearance = "reid"


class BoostTrackMotion(Boosting):
    """Without embeddings, as its authors offer it too: boxes and tracks are compared by motion, shape and overlap."""

    name = "boosttrack-motion"
    label = "BoostTrack++ (motion only)"

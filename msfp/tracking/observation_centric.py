"""Observation-centric tracking (OC-SORT): what OC-SORT and Deep OC-SORT share.

SORT's filter drifts while a track is not seen. Three cures, all from observations: the direction of motion between
observations enters the cost (OCM), unmatched tracks are tried again at their last observation (OCR), and a track found
again has its filter re-run along the line between its last and its new observation (ORU).
"""

from typing import ClassVar

import numpy as np
from pydantic import Field

from msfp.tracking.assignment import assign, assign_allowed, assign_then_drop
from msfp.tracking.base import Follower, Found, Tracker, TrackerOutput, TrackerSettings
from msfp.tracking.iou import iou
from msfp.tracking.kalman import XYSR, Floats
from msfp.tracking.kalman_fast import FastFilter
from msfp.tracking.lifecycle import CONFIRMED, REMOVED, Rows, TrackTable
from msfp.tracking.observation_centric_kernels import (
    NEVER,
    agreement,
    centres,
    earlier,
    headings,
    isolated,
    move_boxes,
    turn,
)
from msfp.tracking.observation_centric_sequence import Following, Rules


class ObservationCentricSettings(TrackerSettings):
    """OC-SORT's settings as released for MOT17."""

    track_high: float = Field(0.6, description="detections must score more")
    match_iou: float = Field(0.3, description="least IoU of a match")
    max_age: int = Field(30, ge=0, description="frames a track lives without a match, at 30 frames per second")
    min_hits: int = Field(3, ge=0, description="matches in a row before a track is reported")
    delta_t: int = Field(3, ge=1, description="frames between the observations that give the direction of motion")
    inertia: float = Field(0.2, ge=0, description="weight of the agreement of directions")


class ObservationCentric(Tracker):
    """A frame of OC-SORT; subclasses may add a similarity and remember more of a match."""

    Settings: ClassVar[type[TrackerSettings]] = ObservationCentricSettings
    settings: ObservationCentricSettings

    def _clear(self) -> None:
        window = self.settings.delta_t + 1
        self._filter = FastFilter(XYSR)
        self._seen = 0
        self._table = TrackTable(
            {
                "streak": ((), np.int32),
                "observed": ((), np.bool_),  # matched since its birth
                "box": ((4,), np.float64),  # last observation
                "recent": ((window, 4), np.float64),  # observations of the last frames, at frame modulo window
                "recent_frame": ((window,), np.int64),
                "direction": ((2,), np.float64),
                "kept_mean": ((8,), np.float64),  # filter at the first frame without a match
                "kept_blocks": ((4, 3), np.float64),
            }
        )

    def follow(self, bounds: Rows) -> Follower | None:
        settings = self.settings
        return Following(self._rules(), self._filter, settings.track_high, bounds, settings.delta_t + 1)

    def _rules(self) -> Rules:
        """The settings as numbers, for compiled code; subclasses tell what they add."""
        settings = self.settings
        return Rules(
            centric=True,
            match_iou=settings.match_iou,
            kept=self._kept(settings.max_age),
            min_hits=settings.min_hits,
            inertia=settings.inertia,
        )

    def _step(self, found: Found) -> TrackerOutput:
        table = self._table
        self._seen += 1
        usable = np.flatnonzero(found.scores > found.thresholds(self.settings.track_high, 0.0)[0])
        if found.context.warp is not None:
            self._move_camera(found.context.warp)
        everyone = np.arange(len(table))
        self._filter.predict(table["mean"], table["blocks"], everyone)
        table["streak"][table["last"] < found.frame - 1] = 0
        table["row"][:] = -1

        reference = self._reference(found.frame)
        overlap = iou(self._filter.boxes(table["mean"]), found.boxes[usable])
        rows, columns, lost, free = self._associate(found, overlap, reference, usable)
        self._match(found, rows, usable[columns], reference)
        rows, columns, lost, left = self._recover(found, lost, usable[free])
        self._match(found, rows, columns, reference)
        self._miss(found.frame, lost)
        self._begin(found, left)
        return self._report(found)

    def _reference(self, frame: int) -> Floats:
        """(M, 4) observation `delta_t` frames ago, or the nearest after it, or the last."""
        table = self._table
        return earlier(table["box"], table["recent"], table["recent_frame"], frame)

    def _associate(
        self, found: Found, overlap: Floats, reference: Floats, usable: Rows
    ) -> tuple[Rows, Rows, Rows, Rows]:
        """First round: IoU plus agreement of directions plus whatever a subclass adds."""
        limit = self.settings.match_iou
        if not overlap.size:
            none = np.zeros(0, np.int64)
            return none, none, np.arange(overlap.shape[0]), np.arange(overlap.shape[1])
        if isolated(overlap, limit):
            return assign(1.0 - overlap, 1.0 - limit)
        bonus = self.settings.inertia * self._agreement(reference, found.boxes[usable])
        total = overlap + bonus * found.scores[usable][None, :] + self._similarity(found, overlap, usable)
        return assign_allowed(total, overlap >= limit)

    def _similarity(self, found: Found, overlap: Floats, usable: Rows) -> Floats | float:
        """What a subclass adds to the IoU, (M, N)."""
        return 0.0

    def _agreement(self, reference: Floats, boxes: Floats) -> Floats:
        """(M, N) in [-1/2, 1/2]: how well the way to a box fits a track's direction; 0 for tracks never matched."""
        return agreement(centres(reference), self._table["direction"], self._table["observed"], centres(boxes))

    def _recover(self, found: Found, lost: Rows, left: Rows) -> tuple[Rows, Rows, Rows, Rows]:
        """Second round: unmatched boxes against the last observations of unmatched tracks (OCR)."""
        table = self._table
        known = lost[table["observed"][lost]]
        overlap = iou(table["box"][known], found.boxes[left])
        if not overlap.size or overlap.max() <= self.settings.match_iou:
            return np.zeros(0, np.int64), np.zeros(0, np.int64), lost, left
        rows, columns, _, free = assign_then_drop(1.0 - overlap, 1.0 - self.settings.match_iou)
        return known[rows], left[columns], np.setdiff1d(lost, known[rows]), left[free]

    def _match(self, found: Found, rows: Rows, detections: Rows, reference: Floats) -> None:
        """Tracks take their observations."""
        if not len(rows):
            return
        table, boxes = self._table, found.boxes[detections]
        observed = table["observed"][rows]
        way = headings(centres(reference[rows]), centres(boxes))
        table["direction"][rows[observed]] = way[observed]
        again = observed & (table["last"][rows] < found.frame - 1)
        if again.any():
            self._rerun(found.frame, rows[again], boxes[again])
        self._filter.update(table["mean"], table["blocks"], rows, boxes)
        slot = found.frame % table["recent"].shape[1]
        table["recent"][rows, slot] = boxes
        table["recent_frame"][rows, slot] = found.frame
        table["box"][rows] = boxes
        table["observed"][rows] = True
        table["last"][rows] = found.frame
        table["streak"][rows] += 1
        table["score"][rows] = found.scores[detections]
        table["row"][rows] = detections

    def _resume(self, found: Found, rows: Rows) -> None:
        """Recovered boxes are observations like others."""
        self._match(found, rows, np.arange(len(rows)), self._reference(found.frame))

    def _rerun(self, frame: int, rows: Rows, boxes: Floats) -> None:
        """Filter along the line from the last observation to the new one, in centre, width and height (ORU)."""
        table = self._table
        table["mean"][rows] = table["kept_mean"][rows]
        table["blocks"][rows] = table["kept_blocks"][rows]
        gaps = frame - table["last"][rows].astype(np.int64)
        self._filter.retrace(table["mean"], table["blocks"], rows, table["box"][rows], boxes, gaps)

    def _miss(self, frame: int, rows: Rows) -> None:
        """Tracks not matched now but in the frame before keep their filter for the re-run."""
        table = self._table
        first = rows[table["last"][rows] == frame - 1]
        table["kept_mean"][first] = table["mean"][first]
        table["kept_blocks"][first] = table["blocks"][first]

    def _begin(self, found: Found, detections: Rows) -> Rows:
        boxes = found.boxes[detections]
        mean, blocks = self._filter.start(boxes)
        start = {"start": found.frame, "last": found.frame, "state": CONFIRMED, "recent_frame": NEVER}
        scores = found.scores[detections]
        return self._table.add(
            len(detections), mean=mean, blocks=blocks, box=boxes, score=scores, row=detections, **start
        )

    def _report(self, found: Found) -> TrackerOutput:
        """Tracks matched in this frame, at their observation."""
        settings, table = self.settings, self._table
        proven = (table["streak"] >= settings.min_hits) | (self._seen <= settings.min_hits)
        rows = np.flatnonzero((table["row"] >= 0) & proven)
        detections = table["row"][rows].copy()
        output = TrackerOutput(
            table["id"][rows].copy(), found.boxes[detections], table["score"][rows].copy(), detections
        )
        table["state"][found.frame - table["last"] > self._kept(settings.max_age)] = REMOVED
        table.sweep()
        return output

    def _move_camera(self, warp: Floats) -> None:
        """Filters, observations and directions move with the camera."""
        table, affine = self._table, np.ascontiguousarray(warp, np.float64)
        everyone = np.arange(len(table))
        self._filter.warp(table["mean"], table["blocks"], everyone, affine)
        self._filter.warp(table["kept_mean"], table["kept_blocks"], everyone, affine)
        move_boxes(table["box"], affine)
        move_boxes(table["recent"].reshape(-1, 4), affine)
        turn(table["direction"], affine)

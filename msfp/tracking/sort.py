"""SORT (Bewley et al., ICIP 2016): Kalman filter over centre, area and aspect, assignment on IoU, no memory."""

import numpy as np
from pydantic import Field

from msfp.tracking.assignment import assign_then_drop
from msfp.tracking.association import Pairs, iou_cost
from msfp.tracking.base import Follower, Found, Tracker, TrackerOutput, TrackerSettings
from msfp.tracking.kalman import XYSR
from msfp.tracking.kalman_fast import FastFilter
from msfp.tracking.lifecycle import CONFIRMED, REMOVED, Rows, TrackTable
from msfp.tracking.observation_centric_sequence import Following, Rules


class SortSettings(TrackerSettings):
    """The original's settings. It has no score threshold: a frame's tau_high is applied where given."""

    min_score: float | None = Field(None, description="detections must score more; None takes all")
    match_iou: float = Field(0.3, description="least IoU of a match")
    max_age: int = Field(1, ge=0, description="frames a track lives without a match")
    min_hits: int = Field(3, ge=0, description="matches in a row before a track is reported")


class Sort(Tracker):
    """Reports the filter's boxes of tracks matched in this frame and in the `min_hits` before it."""

    name = "sort"
    label = "SORT"
    Settings = SortSettings
    settings: SortSettings

    def _clear(self) -> None:
        self._filter = FastFilter(XYSR)
        self._table = TrackTable({"streak": ((), np.int32)})
        self._seen = 0

    def follow(self, bounds: Rows) -> Follower | None:
        settings = self.settings
        rules = Rules(centric=False, match_iou=settings.match_iou, kept=settings.max_age, min_hits=settings.min_hits)
        return Following(rules, self._filter, self._least(), bounds)

    def _least(self) -> float:
        """Score that detections must exceed."""
        return -np.inf if self.settings.min_score is None else self.settings.min_score

    def _step(self, found: Found) -> TrackerOutput:
        settings, table, motion = self.settings, self._table, self._filter
        self._seen += 1
        least = self._least()
        usable = np.flatnonzero(found.scores > found.thresholds(least, least)[0])

        rows = np.arange(len(table))
        motion.predict(table["mean"], table["blocks"], rows)
        if found.context.warp is not None:
            motion.warp(table["mean"], table["blocks"], rows, found.context.warp)
        cost = iou_cost(Pairs(motion.boxes(table["mean"]), found.boxes[usable], found.scores[usable]))
        matched, columns, _, free = assign_then_drop(cost, 1.0 - settings.match_iou)

        table["row"][:] = -1
        table["streak"][table["last"] < found.frame - 1] = 0
        motion.update(table["mean"], table["blocks"], matched, found.boxes[usable[columns]])
        table["row"][matched] = usable[columns]
        table["last"][matched] = found.frame
        table["streak"][matched] += 1
        table["score"][matched] = found.scores[usable[columns]]
        new = usable[free]
        mean, blocks = motion.start(found.boxes[new])
        start = {"start": found.frame, "last": found.frame, "state": CONFIRMED}
        table.add(len(new), mean=mean, blocks=blocks, score=found.scores[new], row=new, **start)
        return self._report(found)

    def _report(self, found: Found) -> TrackerOutput:
        settings, table = self.settings, self._table
        fresh = table["last"] == found.frame
        proven = table["streak"] >= settings.min_hits
        rows = np.flatnonzero(fresh & (proven | (self._seen <= settings.min_hits)))
        output = TrackerOutput(
            table["id"][rows].copy(),
            self._filter.boxes(table["mean"][rows]),
            table["score"][rows].copy(),
            table["row"][rows].copy(),
        )
        table["state"][found.frame - table["last"] > settings.max_age] = REMOVED
        table.sweep()
        return output

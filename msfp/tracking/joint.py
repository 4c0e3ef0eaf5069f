"""The association of JDE and FairMOT: appearance and motion in one cost, then overlap for what is left.

For boxes and embeddings from one network; it takes any. Where it follows neither of them: the filter is the core's, and
duplicates are dropped as ByteTrack does.
"""

from typing import ClassVar

import numpy as np
from pydantic import Field

from msfp.tracking.association import Fusion, iou_cost
from msfp.tracking.base import Follower, Found, TrackerOutput, TrackerSettings
from msfp.tracking.lifecycle import CONFIRMED, LOST, REMOVED, TENTATIVE, Rows, drop_duplicates, expire
from msfp.tracking.two_stage import AppearanceSettings, TwoStage


class JointSettings(AppearanceSettings):
    """FairMOT's as released; `track_low` and `match_low` of unsure boxes have no meaning here."""

    track_high: float = Field(0.4, description="detections above are tracked, the rest are ignored")
    match: float = Field(0.4, description="limit of the association by appearance and motion")
    match_low: float = Field(0.5, description="limit of the association by IoU of what is left")
    new_track_margin: float = Field(0.0, description="a new track needs track_high plus this")
    fusion: Fusion = Field("mahalanobis", description="how appearance and motion make one cost")


class Joint(TwoStage):
    """Tracks in sight and lost ones are matched by looks within the motion's gate; those in sight then by overlap."""

    name = "joint"
    label = "Joint (JDE, FairMOT)"
    needs_embeddings = True
    appearance = "attention-instance"
    Settings: ClassVar[type[TrackerSettings]] = JointSettings

    def follow(self, bounds: Rows) -> Follower | None:
        return None  # the compiled sequence is ByteTrack's course of a frame, which this one departs from

    def _step(self, found: Found) -> TrackerOutput:
        settings, table = self.settings, self._table
        high, _ = found.thresholds(settings.track_high, settings.track_low)
        sure = np.flatnonzero(found.scores > high)
        unconfirmed = table.rows(TENTATIVE)
        pool = table.rows(CONFIRMED, LOST)
        live = table["state"][pool] == CONFIRMED
        self._predict(found, pool, live, unconfirmed)
        boxes = self._filter.boxes(table["mean"])

        rows, columns, rest, free = self._associate(self._first, settings.match, found, boxes, pool, sure)
        matched = [(pool[rows], sure[columns])]
        in_sight, left = pool[rest[live[rest]]], sure[free]
        rows, columns, rest, free = self._associate(iou_cost, settings.match_low, found, boxes, in_sight, left)
        matched.append((in_sight[rows], left[columns]))
        table["state"][in_sight[rest]] = LOST
        left = left[free]
        rows, columns, rest, free = self._associate(
            iou_cost, settings.match_unconfirmed, found, boxes, unconfirmed, left
        )
        matched.append((unconfirmed[rows], left[columns]))
        table["state"][unconfirmed[rest]] = REMOVED

        tracks, detections = (np.concatenate(part) for part in zip(*matched, strict=True))
        self._correct(found, tracks, detections, sure)
        left = left[free]
        self._begin(found, left[found.scores[left] >= high + np.float32(settings.new_track_margin)])
        expire(table, found.frame, self._kept(settings.buffer))
        table.sweep()
        drop_duplicates(table, self._filter.boxes(table["mean"]))
        table.sweep()
        return self._report(found)

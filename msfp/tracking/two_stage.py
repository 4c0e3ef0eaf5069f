"""Two-stage association (ByteTrack): sure detections first, unsure ones then for tracks still without a box.

ByteTrack, LITE, the MSFP variants, BoT-SORT and the association of JDE and FairMOT are this with different costs,
limits, filters and appearances: rows at the end of this file.
"""

from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field

from msfp.compiled import kernel
from msfp.tracking import lifecycle
from msfp.tracking.base import Kernels, Tracker, TrackerSettings
from msfp.tracking.costs import assign_below, blend, inner_product, iou
from msfp.tracking.kalman import CHI2_95, XYAH, XYWH, Floats, Model, distances, measure, predict, state_boxes, warp
from msfp.tracking.lifecycle import (
    CONFIRMED,
    LOST,
    REMOVED,
    TENTATIVE,
    Frames,
    Progress,
    Report,
    Rows,
    TrackState,
    take,
)

Fusion = Literal["sum", "min_gate", "mahalanobis"]
MOTION, SUM, MIN_GATE, MAHALANOBIS = -1, 0, 1, 2
FUSIONS = {"sum": SUM, "min_gate": MIN_GATE, "mahalanobis": MAHALANOBIS}
GATE = CHI2_95[4]
MAHALANOBIS_WEIGHT = 0.98  # share of the cosine distance in `mahalanobis`, as in JDE and FairMOT


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


class Rules(NamedTuple):
    """The settings as numbers; by motion alone those of appearance are not read."""

    model: Model
    match: float
    match_low: float
    match_unconfirmed: float
    new_track_margin: np.float32
    fuse_score: bool
    detected: bool  # report the detected box, not the filter's
    sure_only: bool  # both stages and the unconfirmed take sure detections; the latter two by overlap
    fusion: int
    weight: float = 0.0
    min_iou: float = 0.0
    proximity: float = 0.0
    max_appearance: float = 0.0
    look_divisor: float = 1.0
    ema: np.float32 = np.float32(0.0)


@kernel
def follow(frames: Frames, first: int, rules: Rules, tracks: TrackState, at: Progress, out: Report) -> int:
    """Track frames from `first` on; returns the first for which there was no room."""
    at.reported[0] = 0
    for t in range(first, len(frames.bounds) - 1):
        if lifecycle.is_over(frames, t, at):
            break
        if not lifecycle.has_room(frames, t, tracks, at, out):
            return t
        high = frames.thresholds[t, 0]
        sure = lifecycle.between(frames, t, high, np.float32(np.inf))
        unsure = lifecycle.between(frames, t, frames.thresholds[t, 1], high)
        unconfirmed = lifecycle.rows_in(tracks, at, TENTATIVE, TENTATIVE)
        pool = lifecycle.rows_in(tracks, at, CONFIRMED, LOST)
        _move(tracks, pool, unconfirmed, frames, t, rules.model)
        boxes = state_boxes(tracks.mean[: at.alive[0]], rules.model.kind)
        lifecycle.clear_matches(tracks, at)

        cost = pair_costs(frames, rules, tracks, boxes, pool, sure, at)
        free = lifecycle.note_matches(tracks, pool, sure, assign_below(cost, rules.match))
        waiting = lifecycle.unmatched(tracks, pool, CONFIRMED)
        offered = free if rules.sure_only else unsure
        cost = overlap_costs(boxes, waiting, frames.boxes, offered)
        left = lifecycle.note_matches(tracks, waiting, offered, assign_below(cost, rules.match_low))
        tracks.state[lifecycle.unmatched(tracks, waiting, CONFIRMED)] = LOST
        if rules.sure_only:
            free = left
            cost = overlap_costs(boxes, unconfirmed, frames.boxes, free)
        else:
            cost = pair_costs(frames, rules, tracks, boxes, unconfirmed, free, at)
        free = lifecycle.note_matches(tracks, unconfirmed, free, assign_below(cost, rules.match_unconfirmed))
        tracks.state[lifecycle.unmatched(tracks, unconfirmed, TENTATIVE)] = REMOVED

        correct(frames, lifecycle.matched(tracks, at), rules, tracks, at)
        # Boxes left that score enough begin tracks: confirmed at once in the first frame, else once seen again.
        new = free[frames.scores[free] >= high + rules.new_track_margin]
        lifecycle.add_tracks(tracks, new, CONFIRMED if at.frame[0] == 0 else TENTATIVE, frames, rules.model, at)
        _learn(tracks, frames, t, rules, at)
        lifecycle.expire(tracks, at, frames.kept[t])
        lifecycle.sweep(tracks, at)
        lifecycle.drop_duplicates(tracks, at, state_boxes(tracks.mean[: at.alive[0]], rules.model.kind))
        lifecycle.sweep(tracks, at)
        rows = lifecycle.rows_in(tracks, at, CONFIRMED, CONFIRMED)
        boxes = state_boxes(tracks.mean[: at.alive[0]], rules.model.kind)
        if rules.detected:
            boxes[rows] = take(frames.boxes, tracks.row[rows])
        lifecycle.report(tracks, rows, boxes, t, at, out)
        at.frame[0] += 1
    return len(frames.bounds) - 1


@kernel
def correct(frames: Frames, rows: Rows, rules: Rules, tracks: TrackState, at: Progress) -> None:
    """Let matched tracks take their boxes."""
    lifecycle.take_boxes(tracks, rows, frames, np.ones(len(rows)), rules.model, at)
    tracks.state[rows] = CONFIRMED


@kernel
def pair_costs(
    frames: Frames, rules: Rules, tracks: TrackState, boxes: Floats, rows: Rows, chosen: Rows, at: Progress
) -> Floats:
    """Compute the (M, N) cost of tracks `rows` and detections `chosen`; infinite for pairs that may not be.

    With d = 1 - IoU, weighted by the score as 1 - IoU * score where asked, c the cosine distance, m the squared
    Mahalanobis distance and w the weight of appearance:

    - `sum`: w c + (1 - w) d; pairs with an IoU below `min_iou` may not be.
    - `min_gate` (BoT-SORT, eqs. 12-13): min(d, c / 2) where the plain 1 - IoU is at most `proximity` and c / 2 at most
      `max_appearance`, else d.
    - `mahalanobis` (JDE, FairMOT): w c + (1 - w) m; pairs with m above the gate may not be.

    A pair of which an embedding is unknown costs d, gated alike.
    """
    targets = take(frames.boxes, chosen)
    near = iou(take(boxes, rows), targets)
    embedded = at.has_embeddings[0] and frames.embeddings.shape[1] > 0 and rules.fusion != MOTION
    gated = rules.fusion == MAHALANOBIS
    cost, motion = np.empty_like(near), near  # motion is not read unless it is a cue
    if gated:
        motion = distances(tracks.mean, tracks.blocks, rows, measure(targets, rules.model.kind), rules.model)
    for i in range(len(rows)):
        own = tracks.gallery[tracks.slot[rows[i]]]
        for j in range(len(chosen)):
            column = chosen[j]
            trust = float(frames.scores[column]) if rules.fuse_score and not gated else 1.0
            spatial = 1.0 - near[i, j] * trust
            known = embedded and tracks.learned[rows[i]] > 0 and frames.known[column]
            cost[i, j] = spatial
            apart = motion[i, j] > GATE if gated else embedded and rules.fusion == SUM and near[i, j] < rules.min_iou
            if apart:
                cost[i, j] = np.inf
            elif known and (gated or rules.fusion == SUM or near[i, j] >= 1.0 - rules.proximity):
                cosine = max(1.0 - float(inner_product(own[0], frames.embeddings[column])), 0.0)
                if gated or rules.fusion == SUM:
                    cost[i, j] = rules.weight * cosine + (1.0 - rules.weight) * (motion[i, j] if gated else spatial)
                elif cosine / rules.look_divisor <= rules.max_appearance:
                    cost[i, j] = min(spatial, cosine / rules.look_divisor)
    return cost


@kernel
def overlap_costs(boxes: Floats, rows: Rows, found: Floats, chosen: Rows) -> Floats:
    """Compute 1 - IoU of tracks `rows` and detections `chosen`."""
    return 1.0 - iou(take(boxes, rows), take(found, chosen))


@kernel
def _move(tracks: TrackState, pool: Rows, unconfirmed: Rows, frames: Frames, t: int, model: Model) -> None:
    """Move confirmed and lost tracks on, and all with the camera; tracks seen once stay where they were seen."""
    for k in pool:
        if tracks.state[k] == LOST:
            tracks.mean[k, 4 + model.still] = 0.0
    predict(tracks.mean, tracks.blocks, pool, model)
    if len(frames.warps):
        warp(tracks.mean, tracks.blocks, pool, frames.warps[t], model.powers)
        warp(tracks.mean, tracks.blocks, unconfirmed, frames.warps[t], model.powers)


@kernel
def _learn(tracks: TrackState, frames: Frames, t: int, rules: Rules, at: Progress) -> None:
    """Blend the embeddings of sure detections into those of their tracks; unsure ones change none."""
    if frames.embeddings.shape[1] == 0:
        return
    for k in lifecycle.matched(tracks, at):
        at.has_embeddings[0] = True
        row = tracks.row[k]
        if frames.scores[row] > frames.thresholds[t, 0] and frames.known[row]:
            memory = rules.ema if tracks.learned[k] > 0 else np.float32(0.0)
            blend(tracks.gallery[tracks.slot[k], 0], frames.embeddings[row], memory)
            tracks.learned[k] += 1


class TwoStage(Tracker):
    """The common course of a frame; subclasses name themselves, their settings and their filter."""

    Settings: ClassVar[type[TrackerSettings]] = TwoStageSettings
    settings: TwoStageSettings
    motion = XYAH
    kernels = Kernels(follow, correct, Rules)
    sure_only: ClassVar[bool] = False

    def _special_rules(self) -> dict[str, Any]:
        fusion = getattr(self.settings, "fusion", None)
        own = {
            "new_track_margin": np.float32(self.settings.new_track_margin),
            "detected": self.settings.output == "detection",
            "sure_only": self.sure_only,
            "fusion": FUSIONS.get(str(fusion), MOTION),
            "ema": np.float32(getattr(self.settings, "ema", 0.0)),
        }
        return own | ({"weight": MAHALANOBIS_WEIGHT} if fusion == "mahalanobis" else {})

    def _depth(self) -> int:
        return int(self._rules.fusion != MOTION)


class ByteTrack(TwoStage):
    """ByteTrack (Zhang et al., ECCV 2022), by motion alone: the paper's baseline with recovery of unsure detections.

    As released for MOT17, where the IoU is weighted by the score; thresholds as the paper's fixed row has them.
    """

    name, label = "bytetrack", "ByteTrack"
    Settings = TwoStageSettings.having(fuse_score=True)


class WithAppearance(TwoStage):
    """Association by appearance and motion."""

    needs_embeddings = True
    Settings = AppearanceSettings


class Lite(WithAppearance):
    """LITE: embeddings of a single backbone layer, all else as the MSFP rows: the difference is the embedding's."""

    name, label, appearance = "lite", "LITE", "single"


class MsfpConcat(WithAppearance):
    """MSFP (concat): three layers concatenated and projected (eq. 2)."""

    name, label, appearance = "msfp-concat", "MSFP (concat)", "concat"


class MsfpAttention(WithAppearance):
    """MSFP (attention): three layers weighted for each box (eqs. 3-4)."""

    name, label, appearance = "msfp-attention", "MSFP (attention)", "attention-instance"


class MsfpTrack(WithAppearance):
    """MSFP-Track: MSFP (attention) whose thresholds come per frame from ATL (section 4.1, association pipeline).

    Give `FrameContext.tau_high` and `tau_low`, or `thresholds` to `track`. Thresholds of frames for which ATL gives
    none are its base, an offset of zero.
    """

    name, label, appearance, threshold = "msfp-track", "MSFP-Track", "attention-instance", "atl"
    Settings = AppearanceSettings.having(track_high=0.5, track_low=0.05)


class BotSort(WithAppearance):
    """BoT-SORT-ReID (Aharon et al., 2022): a filter over width and height, camera motion, and a gated minimum.

    As released for MOT17. Camera motion comes with the frame, none is taken where it brings none. Boxes without
    embeddings (`has_embedding` False) make it BoT-SORT.
    """

    name, label, appearance = "botsort", "BoTSORT", "reid"
    motion = XYWH
    Settings = AppearanceSettings.having(fuse_score=True, match=0.7, fusion="min_gate")


class LiteBotSort(BotSort):
    """BoT-SORT on LITE's embedding of layer 14, where the script of LITE's authors names layer 0."""

    name, label, appearance = "lite-botsort", "LITE:BoTSORT", "lite"


class Joint(WithAppearance):
    """The association of JDE and FairMOT: appearance within the motion's gate, then overlap for tracks in sight.

    For boxes and embeddings from one network; it takes any. Settings are FairMOT's as released; `track_low` of unsure
    boxes has no meaning here, and `match_low` is the limit of the association by IoU of what is left. Where it follows
    neither of them: the filter is the core's, and duplicates are dropped as ByteTrack does.
    """

    name, label, appearance = "joint", "Joint (JDE, FairMOT)", "attention-instance"
    Settings = AppearanceSettings.having(track_high=0.4, match=0.4, new_track_margin=0.0, fusion="mahalanobis")
    sure_only = True

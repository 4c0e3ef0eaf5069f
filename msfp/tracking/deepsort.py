"""DeepSORT (Wojke et al., ICIP 2017) and StrongSORT (Du et al., TMM 2023): appearance gated by the filter, then IoU.

DeepSORT takes the nearest embedding of a gallery of 100 and matches in a cascade by age. StrongSORT has a moving
average of embeddings, measurement noise that shrinks with confidence (NSA), appearance and motion weighed (MC) and no
cascade (woC); its linking and interpolation are post-processing, not here. Camera motion comes with the frame. LITE
(Alikhanov et al., ICONIP 2024) puts whole cells of the detector's layer 14 in place of the separate network.
"""

from typing import Any, ClassVar, NamedTuple

import numpy as np
from pydantic import Field

from msfp.compiled import kernel
from msfp.tracking import lifecycle
from msfp.tracking.base import Kernels, Tracker, TrackerSettings
from msfp.tracking.costs import assign_below, blend, gallery_distance, iou
from msfp.tracking.kalman import CHI2_95, XYAH, Floats, Model, distances, measure, predict, state_boxes, warp
from msfp.tracking.lifecycle import CONFIRMED, REMOVED, TENTATIVE, Frames, Progress, Report, Rows, TrackState, take


class GatedAppearanceSettings(TrackerSettings):
    """Settings of DeepSORT and its descendants."""

    track_high: float = Field(0.3, description="detections must score at least this")
    max_cosine: float = Field(0.2, description="largest cost of a match by appearance")
    max_iou_distance: float = Field(0.7, description="largest IoU distance of a match by IoU")
    gate: float = Field(CHI2_95[4], description="largest squared Mahalanobis distance of a match by appearance")
    n_init: int = Field(3, ge=1, description="matches before a track is confirmed")
    max_age: int = Field(30, ge=0, description="frames a track lives without a match, at 30 frames per second")
    coast: int = Field(1, ge=0, description="frames a confirmed track is reported where it was not matched")


class DeepSortSettings(GatedAppearanceSettings):
    """DeepSORT's as released for MOT16."""

    gallery: int = Field(100, ge=1, description="embeddings kept of a track")
    cascade: bool = Field(True, description="match tracks seen last first; else all in one assignment")


class StrongSortSettings(GatedAppearanceSettings):
    """StrongSORT's as released for MOT17."""

    track_high: float = Field(0.6, description="detections must score at least this")
    max_cosine: float = Field(
        0.45, description="largest cost of a match by appearance and motion: 0.4, and 0.05 for motion"
    )
    weight: float = Field(0.98, ge=0, le=1, description="share of appearance in the cost")
    ema: float = Field(0.9, ge=0, lt=1, description="memory of a track's embedding")


class Rules(NamedTuple):
    """The settings as numbers."""

    model: Model
    cosine_limit: float  # a pair must cost less
    overlap_limit: float
    gate: float
    n_init: int
    coast: int
    gallery: int = 1
    cascade: bool = False
    strong: bool = False  # StrongSORT's cost, noise and moving average; else the nearest of a gallery
    weight: float = 1.0
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
        # what scores tau_high is tracked, here alone
        usable = lifecycle.between(
            frames, t, np.nextafter(frames.thresholds[t, 0], np.float32(-np.inf)), np.float32(np.inf)
        )
        rows = np.arange(at.alive[0])
        if len(frames.warps):
            warp(tracks.mean, tracks.blocks, rows, frames.warps[t], rules.model.powers)
        predict(tracks.mean, tracks.blocks, rows, rules.model)
        lifecycle.clear_matches(tracks, at)

        confirmed = lifecycle.rows_in(tracks, at, CONFIRMED, CONFIRMED)
        cost = _appearance_costs(frames, rules, tracks, confirmed, usable)
        free = lifecycle.note_matches(tracks, confirmed, usable, _match_appearance(cost, tracks.last[confirmed], rules))
        missed = lifecycle.unmatched(tracks, confirmed, CONFIRMED)
        missed = missed[tracks.last[missed] == at.frame[0] - 1]
        candidates = np.concatenate((lifecycle.rows_in(tracks, at, TENTATIVE, TENTATIVE), missed))
        boxes = state_boxes(tracks.mean[: len(rows)], rules.model.kind)
        cost = 1.0 - iou(take(boxes, candidates), take(frames.boxes, free))
        free = lifecycle.note_matches(tracks, candidates, free, assign_below(cost, rules.overlap_limit))

        correct(frames, lifecycle.matched(tracks, at), rules, tracks, at)
        for k in rows:  # of those without a detection tentative ones go at once, others once they are kept no longer
            if tracks.row[k] < 0 and (tracks.state[k] == TENTATIVE or at.frame[0] - tracks.last[k] > frames.kept[t]):
                tracks.state[k] = REMOVED
        lifecycle.add_tracks(tracks, free, CONFIRMED if rules.n_init <= 1 else TENTATIVE, frames, rules.model, at)
        _learn(tracks, frames, rules, at)
        lifecycle.sweep(tracks, at)
        seen = at.frame[0] - tracks.last[: at.alive[0]] <= rules.coast
        coasting = np.flatnonzero(seen & (tracks.state[: at.alive[0]] == CONFIRMED))
        lifecycle.report(tracks, coasting, state_boxes(tracks.mean[: at.alive[0]], rules.model.kind), t, at, out)
        at.frame[0] += 1
    return len(frames.bounds) - 1


@kernel
def correct(frames: Frames, rows: Rows, rules: Rules, tracks: TrackState, at: Progress) -> None:
    """Let matched tracks take their boxes; StrongSORT's scale each box's variance by (1 - confidence)^2 (NSA)."""
    factor = np.ones(len(rows))
    if rules.strong:
        confidence = frames.scores[tracks.row[rows]].astype(np.float64)
        factor = (1.0 - np.minimum(np.maximum(confidence, 0.0), 1.0)) ** 2
    lifecycle.take_boxes(tracks, rows, frames, factor, rules.model, at)
    tracks.state[rows[tracks.streak[rows] + 1 >= rules.n_init]] = CONFIRMED  # a track's first box counts


@kernel
def _appearance_costs(frames: Frames, rules: Rules, tracks: TrackState, rows: Rows, chosen: Rows) -> Floats:
    """Compute the (M, N) cost of tracks `rows` and detections `chosen`; infinite where unknown or outside the gate."""
    motion = distances(
        tracks.mean, tracks.blocks, rows, measure(take(frames.boxes, chosen), rules.model.kind), rules.model
    )
    counts, wanted = np.minimum(tracks.learned[rows], rules.gallery), np.empty(motion.shape, np.bool_)
    for i in range(len(rows)):
        for j in range(len(chosen)):
            wanted[i, j] = counts[i] > 0 and frames.known[chosen[j]] and motion[i, j] <= rules.gate
    slots, embeddings = tracks.slot[rows], take(frames.embeddings, chosen)
    cost = gallery_distance(tracks.gallery, slots, counts, embeddings, wanted)
    return rules.weight * cost + (1.0 - rules.weight) * motion if rules.strong else cost


@kernel
def _match_appearance(cost: Floats, last: Rows, rules: Rules) -> Rows:
    """Return the column of each track, or -1: in a cascade those last matched latest choose first, else all at once."""
    if not rules.cascade:
        return assign_below(cost, rules.cosine_limit)
    column_of, left = np.full(len(last), -1, np.int64), np.arange(cost.shape[1])
    for seen in np.unique(last)[::-1]:
        level = np.flatnonzero(last == seen)
        choice = assign_below(cost[level][:, left], rules.cosine_limit)
        for i in range(len(level)):
            if choice[i] >= 0:
                column_of[level[i]] = left[choice[i]]
                left[choice[i]] = -1
        left = left[left >= 0]
    return column_of


@kernel
def _learn(tracks: TrackState, frames: Frames, rules: Rules, at: Progress) -> None:
    """Take the embeddings of matched tracks' detections: into the moving average, or in the oldest's place."""
    for k in lifecycle.matched(tracks, at):
        if not frames.known[tracks.row[k]]:
            continue
        own, seen = tracks.gallery[tracks.slot[k]], frames.embeddings[tracks.row[k]]
        if rules.strong:
            blend(own[0], seen, rules.ema if tracks.learned[k] > 0 else np.float32(0.0))
        else:
            own[tracks.learned[k] % rules.gallery] = seen
        tracks.learned[k] += 1


class GatedAppearance(Tracker):
    """The common course of DeepSORT, StrongSORT and their descendants."""

    Settings: ClassVar[type[TrackerSettings]] = GatedAppearanceSettings
    settings: GatedAppearanceSettings
    needs_embeddings = True
    appearance = "reid"
    motion = XYAH
    kernels = Kernels(follow, correct, Rules)

    def _special_rules(self) -> dict[str, Any]:
        limits = self.settings.max_cosine, self.settings.max_iou_distance  # of which a pair may cost all
        cosine, overlap = (float(np.nextafter(limit, np.inf)) for limit in limits)
        ema, strong = np.float32(getattr(self.settings, "ema", 0.0)), isinstance(self.settings, StrongSortSettings)
        return {"cosine_limit": cosine, "overlap_limit": overlap, "strong": strong, "ema": ema}

    def _depth(self) -> int:
        return self._rules.gallery


class DeepSort(GatedAppearance):
    """The nearest embedding of a track's gallery counts; tracks seen last are matched first."""

    name, label = "deepsort", "DeepSORT"
    Settings = DeepSortSettings


class StrongSort(GatedAppearance):
    """One assignment by appearance and motion, then IoU."""

    name, label = "strongsort", "StrongSORT"
    Settings = StrongSortSettings


class LiteDeepSort(DeepSort):
    """LITE:DeepSORT, training-free: no cascade, and a limit that admits nearly every pair within the filter's gate.

    As LITE's authors released it; the row "LITE (trained 64-d)" shares MSFP's association instead.
    """

    name, label, appearance = "lite-deepsort", "LITE:DeepSORT", "lite"
    Settings = DeepSortSettings.having(track_high=0.25, max_cosine=0.7, cascade=False)


class LiteStrongSort(StrongSort):
    """LITE:StrongSORT: a wide limit (0.7, and 0.05 for motion), no camera motion, as LITE's authors released it."""

    name, label, appearance = "lite-strongsort", "LITE:StrongSORT", "lite"
    Settings = StrongSortSettings.having(track_high=0.25, max_cosine=0.75)

"""BoostTrack++ (Stanojevic and Todorovic, 2024): scores raised by tracks; similarity of IoU, motion, shape, appearance.

Camera motion (ECC in the original) comes with the frame.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from msfp.compiled import kernel
from msfp.tracking import lifecycle
from msfp.tracking.base import Kernels, Tracker, TrackerSettings
from msfp.tracking.costs import choose_allowed, inner_product, iou, lone
from msfp.tracking.kalman import XYHR, Floats, Model, measure, predict, state_boxes, warp
from msfp.tracking.lifecycle import CONFIRMED, Frames, Progress, Report, Rows, TrackState, take
from msfp.tracking.observation_centric import learn

MAHALANOBIS_99 = 13.2767
"""99 % quantile of chi-square with four degrees of freedom."""
ALIKE = 0.75
"""Cosine similarity from which half the least IoU is enough for a match."""


class BoostTrackSettings(TrackerSettings):
    """As released for MOT17; BoostTrack (without ++) is `rich=False, soft=False, tracklet_acceptance=False`."""

    track_high: float = Field(0.6, description="detections must score at least this, after boosting")
    track_low: float | None = Field(None, description="detections that score less are ignored; None takes all")
    match_iou: float = Field(0.3, description="least IoU of a match; half of it where appearance agrees")
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


class Rules(NamedTuple):
    """The settings as numbers."""

    model: Model
    match_iou: float
    min_hits: int
    weight_iou: float
    weight_motion: float
    weight_shape: float
    weight_look: float
    boost_likely: bool
    boost_unlike: bool
    coefficient: float
    rich: bool
    soft: bool
    tracklet_acceptance: bool
    acceptance_steps: float
    corrected_shape: bool
    ema: float
    min_area: float
    max_aspect: float


@kernel
def follow(frames: Frames, first: int, rules: Rules, tracks: TrackState, at: Progress, out: Report) -> int:
    """Track frames from `first` on; returns the first for which there was no room."""
    at.reported[0] = 0
    for t in range(first, len(frames.bounds) - 1):
        if lifecycle.is_over(frames, t, at):
            break
        if not lifecycle.has_room(frames, t, tracks, at, out):
            return t
        rows, high = np.arange(at.alive[0]), frames.thresholds[t, 0]
        if len(frames.warps):
            warp(tracks.mean, tracks.blocks, rows, frames.warps[t], rules.model.powers)
        predict(tracks.mean, tracks.blocks, rows, rules.model)
        lifecycle.clear_matches(tracks, at)

        candidates = lifecycle.between(frames, t, frames.thresholds[t, 1], np.float32(np.inf))
        boxes, known = take(frames.boxes, candidates), state_boxes(tracks.mean[rows], rules.model.kind)
        apart = state_distances(measure(boxes, rules.model.kind), tracks, len(rows))
        shape = shape_similarity(boxes, known, rules.corrected_shape)
        scores = _boosted(frames, candidates, apart, shape, float(high), rules, tracks, at)
        enough = np.flatnonzero(scores.astype(np.float32) >= high)
        usable, scores = candidates[enough], scores[enough]
        choice = _choose(frames, usable, scores, apart[enough], shape[enough], rules, tracks, at)
        left = lifecycle.note_matches(tracks, rows, usable, choice)
        correct(frames, lifecycle.matched(tracks, at), rules, tracks, at)
        lifecycle.add_tracks(tracks, left, CONFIRMED, frames, rules.model, at)
        learn(tracks, frames, usable, scores.astype(np.float32), high, rules.ema, at)
        boxes, now = state_boxes(tracks.mean[: at.alive[0]], rules.model.kind), lifecycle.matched(tracks, at)
        width, height = boxes[now, 2] - boxes[now, 0], boxes[now, 3] - boxes[now, 1]
        upright = (width * height > rules.min_area) & (width <= rules.max_aspect * height)  # a standing person's
        shown = (tracks.streak[now] >= rules.min_hits) | (at.frame[0] < rules.min_hits)
        lifecycle.report(tracks, now[upright & shown], boxes, t, at, out)
        lifecycle.drop_old(tracks, at, frames.kept[t])
        at.frame[0] += 1
    return len(frames.bounds) - 1


@kernel
def correct(frames: Frames, rows: Rows, rules: Rules, tracks: TrackState, at: Progress) -> None:
    """Let matched tracks take their boxes."""
    lifecycle.take_boxes(tracks, rows, frames, np.ones(len(rows)), rules.model, at)


@kernel
def _boosted(
    frames: Frames, candidates: Rows, apart: Floats, shape: Floats, high: float, rules: Rules, tracks: TrackState,
    at: Progress,
) -> Floats:  # fmt: skip
    """Return the candidates' scores after both boosts; they never fall.

    `apart`, `shape`: (N, M) `state_distances` and `shape_similarity` of candidates and tracks.
    """
    boxes, scores = take(frames.boxes, candidates), frames.scores[candidates].astype(np.float64)
    alive = at.alive[0]
    if alive == 0 or len(candidates) == 0:
        return scores
    known = state_boxes(tracks.mean[:alive], rules.model.kind)
    missed = at.frame[0] - 1 - tracks.last[:alive]
    if rules.boost_likely:
        if rules.rich:
            similarity = mahalanobis_similarity(apart) + shape
            similarity = (similarity + soft_biou(boxes, known, _confidences(tracks, at))) / 3
        else:
            similarity = iou(boxes, known)
        if rules.soft or not rules.tracklet_acceptance:
            likely_objects(scores, similarity, rules.soft, rules.coefficient)
        if rules.tracklet_acceptance:
            accepted = accepted_by_tracks(similarity, missed, rules.acceptance_steps)
            scores = np.where(accepted, np.maximum(scores, high + 1e-5), scores)
    if rules.boost_unlike:
        scores[unlike_objects(boxes, scores, apart, high)] = high + 1e-4
    return scores


@kernel
def _choose(
    frames: Frames, usable: Rows, scores: Floats, apart: Floats, shape: Floats, rules: Rules, tracks: TrackState,
    at: Progress,
) -> Rows:  # fmt: skip
    """Return the position of each track's detection in `usable`, -1 where it has none.

    With b = score * track confidence, 0 where the IoU is below the least, the total to be made greatest is
    IoU + w_iou b IoU + w_motion S_motion + w_shape b S_shape + w_look (1 + w_iou + w_motion + w_shape) cosine.
    """
    alive = at.alive[0]
    near = iou(take(frames.boxes, usable), state_boxes(tracks.mean[:alive], rules.model.kind))
    motion = mahalanobis_similarity(apart)
    trust, embedded = _confidences(tracks, at), frames.embeddings.shape[1] > 0
    others = 1.0 + rules.weight_iou + rules.weight_motion + rules.weight_shape
    total, allowed = np.empty((alive, len(usable))), np.empty((alive, len(usable)), np.bool_)
    for k in range(alive):
        for j in range(len(usable)):
            both = 0.0 if near[j, k] < rules.match_iou else scores[j] * trust[k]
            value = near[j, k] + rules.weight_iou * both * near[j, k]
            value += rules.weight_motion * motion[j, k]
            value += rules.weight_shape * both * shape[j, k]
            allowed[k, j] = near[j, k] >= rules.match_iou
            if embedded and tracks.learned[k] > 0:
                cosine = float(inner_product(frames.embeddings[usable[j]], tracks.gallery[tracks.slot[k], 0]))
                value += others * rules.weight_look * cosine
                allowed[k, j] |= near[j, k] >= rules.match_iou / 2 and cosine >= ALIKE
            total[k, j] = value
    choice, alone = lone(total > rules.match_iou)
    if not alone or (choice < 0).all():
        return choose_allowed(total, allowed)
    for k in range(alive):
        if choice[k] >= 0 and not allowed[k, choice[k]]:
            choice[k] = -1
    return choice


@kernel
def shape_similarity(boxes: Floats, tracks: Floats, corrected: bool) -> Floats:
    """Compute (N, M) exp(-(|dw| / max w + |dh| / max h)) of (N, 4) and (M, 4) xyxy boxes.

    The released code divides both terms by the width, and its published results do so; `corrected` is the paper's.
    """
    out = np.empty((len(boxes), len(tracks)))
    for i in range(len(boxes)):
        width, height = boxes[i, 2] - boxes[i, 0], boxes[i, 3] - boxes[i, 1]
        for j in range(len(tracks)):
            track_width, track_height = tracks[j, 2] - tracks[j, 0], tracks[j, 3] - tracks[j, 1]
            widest, highest = max(width, track_width), max(height, track_height)
            of_width = abs(width - track_width) / max(widest, 1e-6)
            of_height = abs(height - track_height) / max(highest if corrected else widest, 1e-6)
            out[i, j] = np.exp(-(of_width + of_height))
    return out


@kernel
def mahalanobis_similarity(distances: Floats) -> Floats:
    """Compute the softmax over boxes of how far (N, M) squared distances lie within the 99 % gate, 0 outside."""
    total = np.zeros(distances.shape[1])
    out = np.empty_like(distances)
    for i in range(len(distances)):
        for j in range(len(total)):
            out[i, j] = np.exp(MAHALANOBIS_99 - min(distances[i, j], MAHALANOBIS_99))
            total[j] += out[i, j]
    for i in range(len(distances)):
        for j in range(len(total)):
            out[i, j] = 0.0 if distances[i, j] > MAHALANOBIS_99 else out[i, j] / max(total[j], 1e-300)
    return out


@kernel
def soft_biou(boxes: Floats, tracks: Floats, confidence: Floats) -> Floats:
    """Compute (N, M) IoU of boxes and tracks grown by 1/4 and 1/2 of their size times 1 - track confidence."""
    out = np.zeros((len(boxes), len(tracks)))
    for j in range(len(tracks)):
        doubt = 1.0 - confidence[j]
        second = grown(tracks[j], 0.5 * doubt)
        second_area = (second[2] - second[0]) * (second[3] - second[1])
        for i in range(len(boxes)):
            first = grown(boxes[i], 0.25 * doubt)
            width = min(first[2], second[2]) - max(first[0], second[0])
            height = min(first[3], second[3]) - max(first[1], second[1])
            if width > 0 and height > 0:
                area = (first[2] - first[0]) * (first[3] - first[1])
                out[i, j] = width * height / (area + second_area - width * height)
    return out


@kernel
def grown(box: Floats, share: float) -> tuple[float, float, float, float]:
    """Return a (4,) xyxy box with a share of its size added on every side."""
    width, height = share * (box[2] - box[0]), share * (box[3] - box[1])
    return box[0] - width, box[1] - height, box[2] + width, box[3] + height


@kernel
def track_confidence(age: int, missed: int) -> float:
    """Compute 0.9^(7 - age) while younger than seven frames, else 0.9^(frames missed before this one)."""
    return 0.9 ** float(7 - age if age < 7 else missed)


@kernel
def _confidences(tracks: TrackState, at: Progress) -> Floats:
    """Compute the (M,) confidence of each track."""
    out = np.empty(at.alive[0])
    for k in range(len(out)):
        out[k] = track_confidence(at.frame[0] - tracks.start[k], at.frame[0] - 1 - tracks.last[k])
    return out


@kernel
def state_distances(measured: Floats, tracks: TrackState, alive: int) -> Floats:
    """Compute (N, M) squared distances by the variance of the state alone, as released (no measurement noise).

    `measured` are (N, 4) boxes as the filter measures them.
    """
    out = np.zeros((len(measured), alive))
    for i in range(len(measured)):
        for j in range(alive):
            for k in range(4):
                out[i, j] += (measured[i, k] - tracks.mean[j, k]) ** 2 / tracks.blocks[j, k, 0]
    return out


@kernel
def likely_objects(scores: Floats, similarity: Floats, soft: bool, coefficient: float) -> None:
    """Raise the scores of boxes that resemble a track, in place (DLO, detecting likely objects); none falls.

    `similarity`: (N, M) S, M > 0. `soft`: BoostTrack++'s 0.65 score + 0.35 S^1.5, else BoostTrack's coefficient * S.
    """
    for i in range(len(scores)):
        best = similarity[i].max()
        raised = 0.65 * scores[i] + 0.35 * max(best, 0.0) ** 1.5 if soft else coefficient * best
        scores[i] = max(scores[i], raised)


@kernel
def accepted_by_tracks(similarity: Floats, missed: Rows, steps: float) -> NDArray[np.bool_]:
    """Return which (N,) boxes some track accepts: S above 0.95, falling to 0.8 in `steps` frames without a match."""
    out = np.zeros(len(similarity), np.bool_)
    for i in range(len(similarity)):
        for j in range(len(missed)):
            out[i] |= similarity[i, j] > max(0.95 - missed[j] * (0.15 / steps), 0.8)
    return out


@kernel
def unlike_objects(boxes: Floats, scores: Floats, distances: Floats, threshold: float) -> NDArray[np.bool_]:
    """Return which boxes below the threshold are far from every track and the best of their kind (DUO).

    Of candidates overlapping by more than 0.3 only those stay whose score is the highest among their neighbours.

    `distances`: (N, M) squared Mahalanobis distances, M > 0. `threshold`: boxes at or above need no raise.
    """
    out = np.zeros(len(boxes), np.bool_)
    for i in range(len(boxes)):
        out[i] = distances[i].min() > MAHALANOBIS_99 and scores[i] < threshold
    far = np.flatnonzero(out)
    near = iou(take(boxes, far), take(boxes, far))
    for i in range(len(far)):
        for j in range(len(far)):
            if near[i, j] > 0.3 and scores[far[j]] > scores[far[i]]:
                out[far[i]] = False
    return out


class BoostTrackMotion(Tracker):
    """Without embeddings, as its authors offer it too: boxes and tracks are compared by motion, shape and overlap."""

    name, label = "boosttrack-motion", "BoostTrack++ (motion only)"
    Settings = BoostTrackSettings
    settings: BoostTrackSettings
    motion = XYHR
    kernels = Kernels(follow, correct, Rules)

    def _depth(self) -> int:
        return 1


class BoostTrack(BoostTrackMotion):
    """With the embeddings of a separate network, or any other."""

    name, label, appearance = "boosttrack", "BoostTrack++", "reid"
    needs_embeddings = True

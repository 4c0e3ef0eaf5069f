"""SORT (Bewley et al., ICIP 2016) and observation-centric tracking: OC-SORT (Cao et al., CVPR 2023), Deep OC-SORT.

SORT's filter drifts while a track is not seen. OC-SORT's three cures, all from observations: the direction of motion
between observations enters the cost (OCM), unmatched tracks are tried again at their last observation (OCR), and a
track found again has its filter re-run along the line between its last and its new observation (ORU). Deep OC-SORT
(Maggiolino et al., ICIP 2023) adds appearance, which it trusts by the detector's confidence. Camera motion comes with
the frame.
"""

from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from msfp.compiled import kernel
from msfp.tracking import lifecycle
from msfp.tracking.base import Kernels, Tracker, TrackerSettings
from msfp.tracking.costs import assign_below, blend, choose_allowed, choose_then_drop, inner_product, iou, lone
from msfp.tracking.kalman import XYSR, Floats, Model, predict, retrace, state_boxes, warp
from msfp.tracking.lifecycle import CONFIRMED, Frames, Progress, Report, Rows, TrackState, matched, take


@kernel
def unit(x: float, y: float) -> tuple[float, float]:
    """Return a vector's direction; zero where it has no length."""
    length = np.sqrt(x * x + y * y) + 1e-6
    return x / length, y / length


@kernel
def centres(boxes: Floats) -> Floats:
    """Compute (N, 2) centres of (N, 4) xyxy boxes."""
    return (boxes[:, :2] + boxes[:, 2:]) / 2


@kernel
def earlier(tracks: TrackState, rows: Rows, frame: int) -> Floats:
    """Return the (K, 4) boxes of tracks `rows` in the earliest of the frames remembered before `frame`, or the last."""
    out = np.empty((len(rows), 4))
    window = tracks.recent_frame.shape[1]
    for i in range(len(rows)):
        k = rows[i]
        box = tracks.box[k]
        for ago in range(1, window):
            slot = (frame - ago) % window
            if tracks.recent_frame[k, slot] == frame - ago:
                box = tracks.recent[k, slot]
        out[i] = box
    return out


@kernel
def move_boxes(boxes: Floats, affine: Floats) -> None:
    """Move the corners of (N, 4) xyxy boxes with the camera, in place."""
    for i in range(len(boxes)):
        for corner in (0, 2):
            x, y = boxes[i, corner], boxes[i, corner + 1]
            boxes[i, corner] = affine[0, 0] * x + affine[0, 1] * y + affine[0, 2]
            boxes[i, corner + 1] = affine[1, 0] * x + affine[1, 1] * y + affine[1, 2]


@kernel
def adaptive_weight(cosine: Floats, bottom: float) -> Floats:
    """Compute (M, N) products of a weight per track and per box: 1 where the best pair is clear, 0 where two are equal.

    A weight is 1 - max(second / best - bottom, 0) / (1 - bottom), 0 where the best is 0, 1 where there is one choice.
    """
    height, width = cosine.shape
    best, second = np.full(height + width, -np.inf), np.full(height + width, -np.inf)
    for i in range(height):
        for j in range(width):
            for side in (i, height + j):
                if cosine[i, j] > best[side]:
                    best[side], second[side] = cosine[i, j], best[side]
                elif cosine[i, j] > second[side]:
                    second[side] = cosine[i, j]
    out = np.empty((height, width))
    for i in range(height):
        for j in range(width):
            out[i, j] = _clear(best[i], second[i], bottom) * _clear(best[height + j], second[height + j], bottom)
    return out


@kernel
def _clear(best: float, second: float, bottom: float) -> float:
    """Return the weight of `adaptive_weight` for two values; `second` is -infinity where there is none."""
    if second == -np.inf:
        return 1.0
    return 0.0 if best == 0 else 1.0 - max(second / best - bottom, 0.0) / (1.0 - bottom)


@kernel
def confident_memory(score: np.float32, threshold: np.float32, base: float) -> np.float32:
    """Return the memory of the embedding's average: `base` at score 1, 1 at the threshold (Deep OC-SORT, eq. 4)."""
    trust = (score - threshold) / np.float32(max(1.0 - float(threshold), 1e-6))
    trust = min(max(trust, np.float32(0.0)), np.float32(1.0))
    return np.float32(base) + np.float32(1.0 - base) * (np.float32(1.0) - trust)


@kernel
def learn(
    tracks: TrackState, frames: Frames, usable: Rows, scores: NDArray[np.float32], high: np.float32, base: float,
    at: Progress,
) -> None:  # fmt: skip
    """Blend the embeddings of matched tracks' detections into theirs; the surer the more (`confident_memory`).

    `usable` are all detections that a track may have in this frame, ascending, and `scores` are theirs.
    """
    if frames.embeddings.shape[1] == 0:
        return
    for k in matched(tracks, at):
        row = tracks.row[k]
        if frames.known[row]:
            score = scores[np.searchsorted(usable, row)]
            memory = confident_memory(score, high, base) if tracks.learned[k] > 0 else np.float32(0.0)
            blend(tracks.gallery[tracks.slot[k], 0], frames.embeddings[row], memory)
            tracks.learned[k] += 1


class SortSettings(TrackerSettings):
    """SORT's settings as released. It has no score threshold: a frame's tau_high is applied where given."""

    min_score: float | None = Field(None, description="detections must score more; None takes all")
    match_iou: float = Field(0.3, description="least IoU of a match")
    max_age: int = Field(1, ge=0, description="frames a track lives without a match")
    min_hits: int = Field(3, ge=0, description="matches in a row before a track is reported")


class ObservationCentricSettings(TrackerSettings):
    """OC-SORT's settings as released for MOT17."""

    track_high: float = Field(0.6, description="detections must score more")
    match_iou: float = Field(0.3, description="least IoU of a match")
    max_age: int = Field(30, ge=0, description="frames a track lives without a match, at 30 frames per second")
    min_hits: int = Field(3, ge=0, description="matches in a row before a track is reported")
    delta_t: int = Field(3, ge=1, description="frames between the observations that give the direction of motion")
    inertia: float = Field(0.2, ge=0, description="weight of the agreement of directions")


class DeepOcSortSettings(ObservationCentricSettings):
    """Deep OC-SORT's settings as released for MOT17."""

    look_weight: float = Field(0.75, ge=0, description="weight of the cosine similarity before adaptive weighting")
    adaptive: bool = Field(True, description="weigh appearance by how clearly it prefers one pair")
    adaptive_bottom: float = Field(0.5, ge=0, lt=1, description="ratio of second to best up to which it counts fully")
    ema: float = Field(0.95, ge=0, le=1, description="memory of a track's embedding at full confidence")


class Rules(NamedTuple):
    """The settings as numbers."""

    model: Model
    match_iou: float
    min_hits: int
    centric: bool = True  # SORT is not: overlap of predicted boxes is all it looks at
    inertia: float = 0.0
    look_weight: float = 0.0
    adaptive: bool = False
    adaptive_bottom: float = 0.0
    ema: float = 0.0


@kernel
def follow(frames: Frames, first: int, rules: Rules, tracks: TrackState, at: Progress, out: Report) -> int:
    """Track frames from `first` on; returns the first for which there was no room."""
    at.reported[0] = 0
    for t in range(first, len(frames.bounds) - 1):
        if lifecycle.is_over(frames, t, at):
            break
        if not lifecycle.has_room(frames, t, tracks, at, out):
            return t
        usable = lifecycle.between(frames, t, frames.thresholds[t, 0], np.float32(np.inf))
        rows = np.arange(at.alive[0])
        _move(tracks, rows, frames, t, rules)
        lifecycle.clear_matches(tracks, at)

        overlap = iou(state_boxes(tracks.mean[: len(rows)], rules.model.kind), take(frames.boxes, usable))
        if not rules.centric:
            choice = choose_then_drop(1.0 - overlap, 1.0 - rules.match_iou)
        else:
            choice, alone = lone(overlap > rules.match_iou)
            if alone and (choice >= 0).any():
                choice = assign_below(1.0 - overlap, 1.0 - rules.match_iou)
            else:
                choice = _choose(overlap, usable, frames, rules, tracks, at)
        left = lifecycle.note_matches(tracks, rows, usable, choice)
        if rules.centric:
            left = _recover(tracks, lifecycle.unmatched(tracks, rows, CONFIRMED), frames.boxes, left, rules.match_iou)
        correct(frames, lifecycle.matched(tracks, at), rules, tracks, at)
        for k in rows:
            if tracks.row[k] < 0 and tracks.last[k] == at.frame[0] - 1:  # kept for the re-run
                lifecycle.copy_filter(tracks.mean, tracks.blocks, k, tracks.missed_mean, tracks.missed_blocks, k)
        lifecycle.add_tracks(tracks, left, CONFIRMED, frames, rules.model, at)
        learn(tracks, frames, usable, frames.scores[usable], frames.thresholds[t, 0], rules.ema, at)
        now, young = lifecycle.matched(tracks, at), at.frame[0] < rules.min_hits
        now = now[(tracks.streak[now] >= rules.min_hits) | young]
        boxes = state_boxes(tracks.mean[: at.alive[0]], rules.model.kind)
        if rules.centric:  # at their observations
            boxes[now] = take(frames.boxes, tracks.row[now])
        lifecycle.report(tracks, now, boxes, t, at, out)
        lifecycle.drop_old(tracks, at, frames.kept[t])
        at.frame[0] += 1
    return len(frames.bounds) - 1


@kernel
def correct(frames: Frames, rows: Rows, rules: Rules, tracks: TrackState, at: Progress) -> None:
    """Let matched tracks take their boxes, and observe them."""
    if rules.centric:
        _observe(tracks, rows, frames.boxes, rules.model, at.frame[0])
    lifecycle.take_boxes(tracks, rows, frames, np.ones(len(rows)), rules.model, at)


@kernel
def _move(tracks: TrackState, rows: Rows, frames: Frames, t: int, rules: Rules) -> None:
    """Move tracks on and with the camera: OC-SORT's with the camera first, SORT's last."""
    model, moved = rules.model, len(frames.warps) > 0
    if moved and rules.centric:
        affine = frames.warps[t]
        warp(tracks.mean, tracks.blocks, rows, affine, model.powers)
        warp(tracks.missed_mean, tracks.missed_blocks, rows, affine, model.powers)
        move_boxes(tracks.box[: len(rows)], affine)
        for k in rows:
            move_boxes(tracks.recent[k], affine)
            a, b = tracks.direction[k, 0], tracks.direction[k, 1]
            x, y = affine[0, 0] * a + affine[0, 1] * b, affine[1, 0] * a + affine[1, 1] * b
            tracks.direction[k, 0], tracks.direction[k, 1] = unit(x, y)
    predict(tracks.mean, tracks.blocks, rows, model)
    if moved and not rules.centric:
        warp(tracks.mean, tracks.blocks, rows, frames.warps[t], model.powers)


@kernel
def _choose(overlap: Floats, usable: Rows, frames: Frames, rules: Rules, tracks: TrackState, at: Progress) -> Rows:
    """First round, where there is a choice: position of each track's detection, -1 where it has none.

    The total to be made greatest is IoU + inertia * agreement * score + similarity of appearance. Agreement is
    (pi/2 - a) / pi for the angle a between the way to a box and the track's direction of motion, 0 where it has none.
    """
    reference = centres(earlier(tracks, np.arange(at.alive[0]), at.frame[0]))
    places, total = centres(take(frames.boxes, usable)), np.empty(overlap.shape)
    alike = _similarity(overlap, usable, frames, rules, tracks)
    for i in range(overlap.shape[0]):
        for j in range(overlap.shape[1]):
            agree = 0.0
            if tracks.observed[i]:
                x, y = unit(places[j, 0] - reference[i, 0], places[j, 1] - reference[i, 1])
                cosine = x * tracks.direction[i, 0] + y * tracks.direction[i, 1]
                agree = (np.pi / 2 - np.arccos(min(max(cosine, -1.0), 1.0))) / np.pi
            score = float(frames.scores[usable[j]])
            total[i, j] = overlap[i, j] + rules.inertia * agree * score + alike[i, j]
    return choose_allowed(total, overlap >= rules.match_iou)


@kernel
def _similarity(overlap: Floats, usable: Rows, frames: Frames, rules: Rules, tracks: TrackState) -> Floats:
    """Compute the weighted (M, N) cosine similarity of pairs that overlap; 0 where an embedding is unknown."""
    out = np.zeros(overlap.shape)
    if frames.embeddings.shape[1] == 0:
        return out
    for i in range(overlap.shape[0]):
        for j in range(overlap.shape[1]):
            if overlap[i, j] > 0 and tracks.learned[i] > 0:
                out[i, j] = inner_product(tracks.gallery[tracks.slot[i], 0], frames.embeddings[usable[j]])
    clear = adaptive_weight(out, rules.adaptive_bottom) if rules.adaptive else np.ones(out.shape)
    for i in range(overlap.shape[0]):
        for j in range(overlap.shape[1]):
            out[i, j] *= rules.look_weight * clear[i, j]
    return out


@kernel
def _recover(tracks: TrackState, rows: Rows, boxes: Floats, left: Rows, match_iou: float) -> Rows:
    """Second round (OCR): boxes left against the last observations of tracks `rows`; returns what is left then."""
    known = rows[tracks.observed[rows]]
    overlap = iou(take(tracks.box, known), take(boxes, left))
    if not (overlap > match_iou).any():
        return left
    return lifecycle.note_matches(tracks, known, left, choose_then_drop(1.0 - overlap, 1.0 - match_iou))


@kernel
def _observe(tracks: TrackState, rows: Rows, found: Floats, model: Model, frame: int) -> None:
    """Note directions and observations of matched tracks; the filters of those found again are re-run (ORU)."""
    window, boxes = tracks.recent.shape[1], take(found, tracks.row[rows])
    way = centres(boxes) - centres(earlier(tracks, rows, frame))
    again, which, gaps = np.empty_like(rows), np.empty_like(rows), np.empty_like(rows)
    count = 0
    for i in range(len(rows)):
        k = rows[i]
        if not tracks.observed[k]:
            continue
        tracks.direction[k, 0], tracks.direction[k, 1] = unit(way[i, 0], way[i, 1])
        if tracks.last[k] < frame - 1:
            again[count], which[count], gaps[count] = k, i, frame - tracks.last[k]
            count += 1
            lifecycle.copy_filter(tracks.missed_mean, tracks.missed_blocks, k, tracks.mean, tracks.blocks, k)
    again, which = again[:count], which[:count]
    retrace(tracks.mean, tracks.blocks, again, take(tracks.box, again), take(boxes, which), gaps, model)
    for i in range(len(rows)):
        k = rows[i]
        tracks.observed[k] = True
        tracks.recent_frame[k, frame % window] = frame
        tracks.box[k] = tracks.recent[k, frame % window] = boxes[i]


class Sort(Tracker):
    """SORT: assignment on IoU, no memory; reports tracks matched in this frame and in the `min_hits` before it."""

    name, label = "sort", "SORT"
    Settings = SortSettings
    settings: SortSettings
    motion = XYSR
    kernels = Kernels(follow, correct, Rules)

    def _special_rules(self) -> dict[str, Any]:
        return {"centric": False}

    def _kept(self) -> int:
        return self.settings.max_age  # frames, whatever they last


class OcSort(Tracker):
    """OC-SORT by motion alone; one stage, as released (its optional second stage on unsure boxes is off there)."""

    name, label = "ocsort", "OC-SORT"
    Settings: ClassVar[type[TrackerSettings]] = ObservationCentricSettings
    settings: ObservationCentricSettings
    motion = XYSR
    kernels = Kernels(follow, correct, Rules)

    def _window(self) -> int:
        return self.settings.delta_t + 1

    def _depth(self) -> int:
        return int(self._rules.look_weight > 0)


class DeepOcSort(OcSort):
    """Dynamic appearance: unsure detections change a track's embedding less."""

    name, label, appearance = "deep-ocsort", "Deep OC-SORT", "reid"
    needs_embeddings = True
    Settings = DeepOcSortSettings


class LiteDeepOcSort(DeepOcSort):
    """Deep OC-SORT on LITE's embedding; appearance weighs as in its host."""

    name, label, appearance = "lite-deep-ocsort", "LITE:Deep OC-SORT", "lite"

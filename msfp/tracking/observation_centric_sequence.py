"""`observation_centric` over a whole sequence in one compiled call, and SORT: the same less what it observes."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from msfp.assignment import assign_below
from msfp.compiled import kernel
from msfp.tracking.assignment import choose_allowed, choose_then_drop
from msfp.tracking.base import Stretch
from msfp.tracking.followed import Followed, Progress, Reported, add_tracks, report_track
from msfp.tracking.iou import complement, iou
from msfp.tracking.kalman import Floats
from msfp.tracking.kalman_fast import FastFilter, Model
from msfp.tracking.kalman_kernels import correct, measure, predict, retrace, state_boxes, warp
from msfp.tracking.lifecycle import CONFIRMED, Rows
from msfp.tracking.looks import Vectors, blend_one
from msfp.tracking.observation_centric_kernels import (
    NEVER,
    agreement,
    centres,
    confident_memory,
    earlier,
    headings,
    isolated,
    look_bonus,
    move_boxes,
    turn,
)
from msfp.tracking.track_state import (
    TrackState,
    all_rows,
    clear_matches,
    copy_filter,
    copy_row,
    make_track_state,
    matched,
    most_alive,
    note_matches,
    take,
)


class Rules(NamedTuple):
    """The settings of `observation_centric`, `deep_ocsort` and `sort` as numbers."""

    centric: bool  # SORT is not: overlap of predicted boxes is all it looks at
    match_iou: float
    kept: int  # frames of the sequence that a track lives without a match
    min_hits: int
    inertia: float = 0.0
    look_weight: float = 0.0
    adaptive: bool = False
    adaptive_bottom: float = 0.0
    ema: float = 0.0


class Observed(NamedTuple):
    """The tracks that are alive; beside `bank`'s the columns of `observation_centric`, row by row."""

    bank: TrackState
    streak: Rows
    observed: NDArray[np.bool_]
    box: Floats
    recent: Floats
    recent_frame: Rows
    direction: Floats
    kept_mean: Floats
    kept_blocks: Floats


class Following(Followed):
    """One sequence under way."""

    def __init__(self, rules: Rules, motion: FastFilter, track_high: float, bounds: Rows, window: int = 1) -> None:
        """Take the first settings as given; observations of `window` frames are remembered."""
        super().__init__(motion, (track_high, track_high), most_alive(bounds, rules.kept))
        self._rules, self._window = rules, window
        self._tracks: Observed | None = None

    def _follow(self, frames: Stretch, at: Progress, out: Reported) -> None:
        if not self._rules.look_weight:
            frames = frames._replace(vectors=np.zeros((len(frames.boxes), 0), np.float32))
        if self._tracks is None:
            self._tracks = _make(self._room, frames.vectors.shape[1], self._window)
        follow(frames, self._rules, self._model, self._tracks, at, out)


def _make(room: int, width: int, window: int) -> Observed:
    """Room for tracks with embeddings of `width` and observations of `window` frames."""
    return Observed(
        bank=make_track_state(room, width),
        streak=np.zeros(room, np.int64),
        observed=np.zeros(room, np.bool_),
        box=np.zeros((room, 4)),
        recent=np.zeros((room, window, 4)),
        recent_frame=np.zeros((room, window), np.int64),
        direction=np.zeros((room, 2)),
        kept_mean=np.zeros((room, 8)),
        kept_blocks=np.zeros((room, 4, 3)),
    )


@kernel
def follow(frames: Stretch, rules: Rules, model: Model, tracks: Observed, at: Progress, out: Reported) -> None:
    """Track the next frames; fills the first `at.reported` rows of `out`."""
    at.reported[0] = 0
    bank = tracks.bank
    for t in range(len(frames.bounds) - 1):
        alive, frame = at.alive[0], at.frame[0]
        if alive == 0 and frames.bounds[t] == frames.bounds[-1]:  # nobody is there, and no box comes
            at.frame[0] += len(frames.bounds) - 1 - t
            break
        usable = _usable(frames, t)
        everyone = all_rows(alive)
        _move(tracks, everyone, frames, t, rules, model)
        clear_matches(bank, alive)
        for k in range(alive):
            if bank.last[k] < frame - 1:
                tracks.streak[k] = 0

        reference = centres(earlier(tracks.box[:alive], tracks.recent, tracks.recent_frame, frame))
        boxes, targets = state_boxes(bank.mean[:alive], model.kind), take(frames.boxes, usable)
        overlap = iou(boxes, targets)
        if not rules.centric:
            choice = choose_then_drop(complement(overlap), 1.0 - rules.match_iou)
        elif isolated(overlap, rules.match_iou):
            choice = assign_below(complement(overlap), 1.0 - rules.match_iou)
        else:
            agree = agreement(reference, tracks.direction, tracks.observed, centres(targets))
            alike = _alikeness(bank.embedding[:alive], take(frames.vectors, usable), overlap, rules)
            choice = _choose(overlap, agree, _scores(frames.scores, usable), alike, rules)
        left = note_matches(bank, everyone, usable, choice)
        if rules.centric:
            left = _recover(bank, tracks.observed[:alive], tracks.box, frames.boxes, left, rules.match_iou)
        rows = matched(bank, alive)
        if rules.centric:
            _observe(tracks, rows, frames.boxes, reference, model, frame)
        _correct(bank, tracks.streak, rows, frames.boxes, model, frame)
        if rules.centric:
            for k in range(alive):  # not matched now but in the frame before: kept for the re-run
                if bank.row[k] < 0 and bank.last[k] == frame - 1:
                    copy_filter(bank.mean, bank.blocks, k, tracks.kept_mean, tracks.kept_blocks, k)
        _begin(tracks, left, frames, model, at)
        if frames.vectors.shape[1] > 0:
            _remember(bank, matched(bank, at.alive[0]), frames, frames.thresholds[t, 0], rules.ema)
        _report(tracks, frames, t, rules, model, at, out)
        at.alive[0] = _sweep(tracks, at.alive[0], frame, rules.kept)
        at.frame[0] += 1


@kernel
def _scores(scores: NDArray[np.float32], rows: Rows) -> NDArray[np.float32]:
    """Some of the scores."""
    out = np.empty(len(rows), np.float32)
    for i in range(len(rows)):
        out[i] = scores[rows[i]]
    return out


@kernel
def _usable(frames: Stretch, t: int) -> Rows:
    """Detections of a frame that score more than tau_high."""
    first, stop = frames.bounds[t], frames.bounds[t + 1]
    out = np.empty(stop - first, np.int64)
    count = 0
    for k in range(first, stop):
        if frames.scores[k] > frames.thresholds[t, 0]:
            out[count] = k
            count += 1
    return out[:count]


@kernel
def _move(tracks: Observed, everyone: Rows, frames: Stretch, t: int, rules: Rules, model: Model) -> None:
    """Tracks move on and with the camera: OC-SORT's with the camera first, SORT's last."""
    bank, moved = tracks.bank, len(frames.warps) > 0
    if moved and rules.centric:
        affine = frames.warps[t]
        warp(bank.mean, bank.blocks, everyone, affine, model.powers)
        warp(tracks.kept_mean, tracks.kept_blocks, everyone, affine, model.powers)
        move_boxes(tracks.box[: len(everyone)], affine)
        turn(tracks.direction[: len(everyone)], affine)
        for k in everyone:
            move_boxes(tracks.recent[k], affine)
    predict(bank.mean, bank.blocks, everyone, model.weights, model.scale, model.positive)
    if moved and not rules.centric:
        warp(bank.mean, bank.blocks, everyone, frames.warps[t], model.powers)


@kernel
def _alikeness(gallery: Vectors, vectors: Vectors, overlap: Floats, rules: Rules) -> Floats:
    """`look_bonus`, nothing where there are no embeddings."""
    if vectors.shape[1] == 0:
        return np.zeros(overlap.shape)
    return look_bonus(gallery, vectors, overlap, rules.look_weight, rules.adaptive, rules.adaptive_bottom)


@kernel
def _choose(overlap: Floats, agree: Floats, scores: NDArray[np.float32], alike: Floats, rules: Rules) -> Rows:
    """First round, where there is a choice: position of each track's detection, -1 where it has none."""
    total, allowed = np.empty(overlap.shape), np.empty(overlap.shape, np.bool_)
    for i in range(overlap.shape[0]):
        for j in range(overlap.shape[1]):
            total[i, j] = overlap[i, j] + rules.inertia * agree[i, j] * float(scores[j]) + alike[i, j]
            allowed[i, j] = overlap[i, j] >= rules.match_iou
    return choose_allowed(total, allowed)


@kernel
def _recover(
    bank: TrackState, observed: NDArray[np.bool_], last: Floats, boxes: Floats, left: Rows, match_iou: float
) -> Rows:
    """Second round: boxes left against the last observations of tracks without a match; returns what is left then."""
    known = np.empty(len(observed), np.int64)
    count = 0
    for k in range(len(observed)):
        if bank.row[k] < 0 and observed[k]:
            known[count] = k
            count += 1
    known = known[:count]
    overlap = iou(take(last, known), take(boxes, left))
    some = False
    for i in range(overlap.shape[0]):
        for j in range(overlap.shape[1]):
            some = some or overlap[i, j] > match_iou
    if not some:
        return left
    return note_matches(bank, known, left, choose_then_drop(complement(overlap), 1.0 - match_iou))


@kernel
def _correct(bank: TrackState, streak: Rows, rows: Rows, boxes: Floats, model: Model, frame: int) -> None:
    """Matched tracks take their boxes."""
    measured = measure(take(boxes, _detections(bank, rows)), model.kind)
    correct(bank.mean, bank.blocks, rows, measured, np.ones(len(rows)), model.weights, model.scale)
    for k in rows:
        bank.last[k] = frame
        streak[k] += 1


@kernel
def _detections(bank: TrackState, rows: Rows) -> Rows:
    """Detections of matched tracks."""
    out = np.empty_like(rows)
    for i in range(len(rows)):
        out[i] = bank.row[rows[i]]
    return out


@kernel
def _observe(tracks: Observed, rows: Rows, found: Floats, reference: Floats, model: Model, frame: int) -> None:
    """Directions and observations of matched tracks; the filters of those found again are re-run (ORU)."""
    bank, window = tracks.bank, tracks.recent.shape[1]
    boxes = take(found, _detections(bank, rows))
    way = headings(take(reference, rows), centres(boxes))
    again, at, gaps = np.empty_like(rows), np.empty_like(rows), np.empty_like(rows)
    count = 0
    for i in range(len(rows)):
        k = rows[i]
        if not tracks.observed[k]:
            continue
        tracks.direction[k, 0], tracks.direction[k, 1] = way[i, 0], way[i, 1]
        if bank.last[k] < frame - 1:
            again[count], at[count], gaps[count] = k, i, frame - bank.last[k]
            count += 1
            copy_filter(tracks.kept_mean, tracks.kept_blocks, k, bank.mean, bank.blocks, k)
    if count > 0:
        again = again[:count]
        seen, shown = take(tracks.box, again), take(boxes, at[:count])
        weights, scale = model.weights, model.scale
        retrace(bank.mean, bank.blocks, again, seen, shown, gaps, model.kind, weights, scale, model.positive)
    for i in range(len(rows)):
        k = rows[i]
        tracks.observed[k] = True
        tracks.recent_frame[k, frame % window] = frame
        for j in range(4):
            tracks.box[k, j] = tracks.recent[k, frame % window, j] = boxes[i, j]


@kernel
def _remember(bank: TrackState, rows: Rows, frames: Stretch, high: np.float32, ema: float) -> None:
    """Moving average of tracks' embeddings where their detections have one."""
    chosen = _detections(bank, rows)
    memory = confident_memory(_scores(frames.scores, chosen), high, ema)
    for i in range(len(rows)):
        own, empty = bank.embedding[rows[i]], True
        if not frames.known[chosen[i]]:
            continue
        for j in range(len(own)):
            empty = empty and own[j] == 0
        blend_one(own, frames.vectors[chosen[i]], np.float32(0.0) if empty else memory[i])


@kernel
def _begin(tracks: Observed, left: Rows, frames: Stretch, model: Model, at: Progress) -> None:
    """New tracks at the boxes left."""
    bank = tracks.bank
    first = add_tracks(bank, left, frames, model, at)
    for k in range(first, at.alive[0]):
        bank.state[k] = CONFIRMED
        tracks.streak[k], tracks.observed[k] = 0, False
        tracks.direction[k, 0], tracks.direction[k, 1] = 0.0, 0.0
        for slot in range(tracks.recent_frame.shape[1]):
            tracks.recent_frame[k, slot] = NEVER
        for j in range(4):
            tracks.box[k, j] = frames.boxes[bank.row[k], j]


@kernel
def _report(tracks: Observed, frames: Stretch, t: int, rules: Rules, model: Model, at: Progress, out: Reported) -> None:
    """Write the tracks matched in this frame to `out`: at their observation, SORT's at the filter's box."""
    first, bank = at.reported[0], tracks.bank
    boxes = state_boxes(bank.mean[: at.alive[0]], model.kind)
    for k in range(at.alive[0]):
        if bank.row[k] >= 0 and (tracks.streak[k] >= rules.min_hits or at.frame[0] < rules.min_hits):
            report_track(bank, k, frames.boxes[bank.row[k]] if rules.centric else boxes[k], at, out)
    out.counts[t] = at.reported[0] - first


@kernel
def _sweep(tracks: Observed, alive: int, frame: int, longest: int) -> int:
    """Drop the tracks without a match for too long; the others keep their order. Returns how many are left."""
    kept = int(np.int64(0))  # as in `bank.sweep`
    for k in range(alive):
        if frame - tracks.bank.last[k] > longest:
            continue
        if kept < k:
            copy_row(tracks.bank, k, kept)
            _copy(tracks, k, kept)
        kept += 1
    return kept


@kernel
def _copy(tracks: Observed, source: int, target: int) -> None:
    """One track's columns beside `bank`'s to another row."""
    tracks.streak[target], tracks.observed[target] = tracks.streak[source], tracks.observed[source]
    tracks.direction[target, 0], tracks.direction[target, 1] = tracks.direction[source, 0], tracks.direction[source, 1]
    for slot in range(tracks.recent_frame.shape[1]):
        tracks.recent_frame[target, slot] = tracks.recent_frame[source, slot]
        for j in range(4):
            tracks.recent[target, slot, j] = tracks.recent[source, slot, j]
    for j in range(4):
        tracks.box[target, j] = tracks.box[source, j]
    copy_filter(tracks.kept_mean, tracks.kept_blocks, source, tracks.kept_mean, tracks.kept_blocks, target)

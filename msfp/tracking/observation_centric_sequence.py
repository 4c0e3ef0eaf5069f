"""`observation_centric` over a whole sequence in one compiled call, and SORT: the same less what it observes."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from msfp.assignment import assign_below
from msfp.compiled import kernel
from msfp.tracking.assignment import choose_allowed, choose_then_drop
from msfp.tracking.bank import Bank, clear_matches, copy_row, make_bank, matched, most_alive, note_matches, take
from msfp.tracking.base import Stretch
from msfp.tracking.followed import Followed, Model, Progress, Reported, add_tracks, report_track
from msfp.tracking.iou import iou
from msfp.tracking.kalman import Floats
from msfp.tracking.kalman_fast import FastFilter
from msfp.tracking.kalman_kernels import correct, measure, predict, retrace, state_boxes, warp
from msfp.tracking.lifecycle import CONFIRMED, Rows
from msfp.tracking.looks import blend_one
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

    bank: Bank
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
        bank=make_bank(room, width),
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
        everyone = np.arange(alive)
        _move(tracks, everyone, frames, t, rules, model)
        clear_matches(bank, alive)
        for k in range(alive):
            if bank.last[k] < frame - 1:
                tracks.streak[k] = 0

        reference = centres(earlier(tracks.box[:alive], tracks.recent, tracks.recent_frame, frame))
        choice = _associate(frames, rules, tracks, state_boxes(bank.mean[:alive], model.kind), reference, usable)
        left = note_matches(bank, everyone, usable, choice)
        if rules.centric:
            left = _recover(tracks, alive, frames, left, rules)
        _correct(tracks, matched(bank, alive), frames, t, reference, rules, model, frame)
        if rules.centric:
            _keep(tracks, alive, frame)
        _begin(tracks, left, frames, t, rules, model, at)
        _report(tracks, frames, t, rules, model, at, out)
        at.alive[0] = _sweep(tracks, at.alive[0], frame, rules.kept)
        at.frame[0] += 1


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
def _associate(frames: Stretch, rules: Rules, tracks: Observed, boxes: Floats, reference: Floats, usable: Rows) -> Rows:
    """First round: position in `usable` of each track's detection, -1 where it has none."""
    targets, alive = take(frames.boxes, usable), len(boxes)
    total = iou(boxes, targets)
    if not rules.centric:
        return choose_then_drop(1.0 - total, 1.0 - rules.match_iou)
    if isolated(total, rules.match_iou):
        return assign_below(1.0 - total, 1.0 - rules.match_iou)
    allowed = total >= rules.match_iou
    alike = np.zeros(total.shape)
    if frames.vectors.shape[1] > 0:
        vectors = take(frames.vectors, usable)
        gallery = tracks.bank.embedding[:alive]
        alike = look_bonus(gallery, vectors, total, rules.look_weight, rules.adaptive, rules.adaptive_bottom)
    agree = agreement(reference, tracks.direction, tracks.observed, centres(targets))
    for i in range(alive):
        for j in range(len(usable)):
            bonus = rules.inertia * agree[i, j] * float(frames.scores[usable[j]])
            total[i, j] = total[i, j] + bonus + alike[i, j]
    return choose_allowed(total, allowed)


@kernel
def _recover(tracks: Observed, alive: int, frames: Stretch, left: Rows, rules: Rules) -> Rows:
    """Second round: boxes left against the last observations of tracks without a match; returns what is left then."""
    known = np.empty(alive, np.int64)
    count = 0
    for k in range(alive):
        if tracks.bank.row[k] < 0 and tracks.observed[k]:
            known[count] = k
            count += 1
    known = known[:count]
    overlap = iou(take(tracks.box, known), take(frames.boxes, left))
    if overlap.size == 0 or overlap.max() <= rules.match_iou:
        return left
    return note_matches(tracks.bank, known, left, choose_then_drop(1.0 - overlap, 1.0 - rules.match_iou))


@kernel
def _correct(
    tracks: Observed, rows: Rows, frames: Stretch, t: int, reference: Floats, rules: Rules, model: Model, frame: int
) -> None:
    """Matched tracks take their boxes."""
    bank = tracks.bank
    chosen = np.empty_like(rows)
    for i in range(len(rows)):
        chosen[i] = bank.row[rows[i]]
    boxes = take(frames.boxes, chosen)
    if rules.centric:
        _observe(tracks, rows, boxes, take(reference, rows), model, frame)
        _remember(bank, rows, frames, t, rules)
    factor = np.ones(len(rows))
    correct(bank.mean, bank.blocks, rows, measure(boxes, model.kind), factor, model.weights, model.scale)
    for k in rows:
        bank.last[k] = frame
        tracks.streak[k] += 1


@kernel
def _observe(tracks: Observed, rows: Rows, boxes: Floats, reference: Floats, model: Model, frame: int) -> None:
    """Directions and observations of matched tracks; the filters of those found again are re-run (ORU)."""
    bank, window = tracks.bank, tracks.recent.shape[1]
    way = headings(reference, centres(boxes))
    again = np.zeros(len(rows), np.bool_)
    for i in range(len(rows)):
        k = rows[i]
        if tracks.observed[k]:
            tracks.direction[k, 0], tracks.direction[k, 1] = way[i, 0], way[i, 1]
            again[i] = bank.last[k] < frame - 1
    found, places = rows[again], np.flatnonzero(again)
    if len(found) > 0:
        gaps = np.empty_like(found)
        for i in range(len(found)):
            k = found[i]
            gaps[i] = frame - bank.last[k]
            bank.mean[k] = tracks.kept_mean[k]
            bank.blocks[k] = tracks.kept_blocks[k]
        seen, shown = take(tracks.box, found), take(boxes, places)
        weights, scale = model.weights, model.scale
        retrace(bank.mean, bank.blocks, found, seen, shown, gaps, model.kind, weights, scale, model.positive)
    for i in range(len(rows)):
        k = rows[i]
        tracks.observed[k] = True
        tracks.recent_frame[k, frame % window] = frame
        for j in range(4):
            tracks.box[k, j] = tracks.recent[k, frame % window, j] = boxes[i, j]


@kernel
def _remember(bank: Bank, rows: Rows, frames: Stretch, t: int, rules: Rules) -> None:
    """Moving average of tracks' embeddings where their detections have one."""
    if frames.vectors.shape[1] == 0:
        return
    scores = np.empty(len(rows), np.float32)
    for i in range(len(rows)):
        scores[i] = frames.scores[bank.row[rows[i]]]
    memory = confident_memory(scores, frames.thresholds[t, 0], rules.ema)
    for i in range(len(rows)):
        k = rows[i]
        if frames.known[bank.row[k]]:
            empty = not bank.embedding[k].any()
            blend_one(bank.embedding[k], frames.vectors[bank.row[k]], np.float32(0.0) if empty else memory[i])


@kernel
def _keep(tracks: Observed, alive: int, frame: int) -> None:
    """Tracks not matched now but in the frame before keep their filter for the re-run."""
    bank = tracks.bank
    for k in range(alive):
        if bank.row[k] < 0 and bank.last[k] == frame - 1:
            tracks.kept_mean[k] = bank.mean[k]
            tracks.kept_blocks[k] = bank.blocks[k]


@kernel
def _begin(tracks: Observed, left: Rows, frames: Stretch, t: int, rules: Rules, model: Model, at: Progress) -> None:
    """New tracks at the boxes left."""
    bank = tracks.bank
    first = add_tracks(bank, left, frames, model, at)
    for k in range(first, at.alive[0]):
        bank.state[k] = CONFIRMED
        tracks.streak[k], tracks.observed[k] = 0, False
        tracks.recent_frame[k] = NEVER
        tracks.direction[k] = 0.0
        for j in range(4):
            tracks.box[k, j] = frames.boxes[bank.row[k], j]
    _remember(bank, np.arange(first, at.alive[0]), frames, t, rules)


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
    kept = 0
    for k in range(alive):
        if frame - tracks.bank.last[k] > longest:
            continue
        if kept < k:
            copy_row(tracks.bank, k, kept)
            tracks.streak[kept], tracks.observed[kept] = tracks.streak[k], tracks.observed[k]
            tracks.box[kept], tracks.direction[kept] = tracks.box[k], tracks.direction[k]
            tracks.recent[kept], tracks.recent_frame[kept] = tracks.recent[k], tracks.recent_frame[k]
            tracks.kept_mean[kept], tracks.kept_blocks[kept] = tracks.kept_mean[k], tracks.kept_blocks[k]
        kept += 1
    return kept

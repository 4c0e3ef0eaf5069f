"""`two_stage` over a whole sequence in one compiled call: the same tracks as frame by frame, a fifth of the time."""

import numpy as np

from msfp.assignment import assign_below
from msfp.compiled import kernel
from msfp.tracking.base import Stretch
from msfp.tracking.followed import Followed, Progress, Reported, add_tracks, report_track
from msfp.tracking.kalman_fast import FastFilter, Model
from msfp.tracking.kalman_kernels import correct, measure, predict, state_boxes, warp
from msfp.tracking.lifecycle import CONFIRMED, LOST, REMOVED, TENTATIVE, Rows
from msfp.tracking.looks import blend_one
from msfp.tracking.track_state import (
    TrackState,
    clear_matches,
    drop_duplicates,
    expire,
    make_track_state,
    matched,
    most_alive,
    note_matches,
    rows_in,
    set_unmatched,
    sweep,
    take,
    unmatched,
)
from msfp.tracking.two_stage_cost import MOTION, Rules, overlap_costs, pair_costs


class Following(Followed):
    """One sequence under way."""

    def __init__(self, rules: Rules, motion: FastFilter, thresholds: tuple[float, float], bounds: Rows) -> None:
        super().__init__(motion, thresholds, most_alive(bounds, rules.buffer))
        self._rules = rules
        self._bank: TrackState | None = None

    def _follow(self, frames: Stretch, at: Progress, out: Reported) -> None:
        if self._bank is None:
            self._bank = make_track_state(self._room, frames.vectors.shape[1])
        follow(frames, self._rules, self._model, self._bank, at, out)


@kernel
def follow(frames: Stretch, rules: Rules, model: Model, bank: TrackState, at: Progress, out: Reported) -> None:
    """Track the next frames; fills the first `at.reported` rows of `out`."""
    at.reported[0] = 0
    for t in range(len(frames.bounds) - 1):
        alive = at.alive[0]
        if alive == 0 and frames.bounds[t] == frames.bounds[-1]:  # nobody is there, and no box comes
            at.frame[0] += len(frames.bounds) - 1 - t
            break
        sure, unsure = _by_score(frames, t)
        unconfirmed, pool = rows_in(bank, alive, TENTATIVE, TENTATIVE), rows_in(bank, alive, CONFIRMED, LOST)
        _move(bank, pool, unconfirmed, frames, t, model)
        boxes = state_boxes(bank.mean[:alive], model.kind)
        clear_matches(bank, alive)

        cost = pair_costs(frames, rules, model, bank, boxes, pool, sure, at.looks[0])
        free = note_matches(bank, pool, sure, assign_below(cost, rules.match))
        waiting = unmatched(bank, pool, CONFIRMED)
        cost = overlap_costs(boxes, waiting, frames.boxes, unsure)
        note_matches(bank, waiting, unsure, assign_below(cost, rules.match_low))
        set_unmatched(bank, waiting, CONFIRMED, LOST)
        cost = pair_costs(frames, rules, model, bank, boxes, unconfirmed, free, at.looks[0])
        free = note_matches(bank, unconfirmed, free, assign_below(cost, rules.match_unconfirmed))
        set_unmatched(bank, unconfirmed, TENTATIVE, REMOVED)

        _correct(bank, matched(bank, alive), frames, t, rules, model, at)
        _begin(bank, free, frames, t, rules, model, at)
        expire(bank, at.alive[0], at.frame[0], rules.buffer)
        alive = sweep(bank, at.alive[0])
        drop_duplicates(bank, state_boxes(bank.mean[:alive], model.kind))
        at.alive[0] = sweep(bank, alive)
        _report(bank, frames, t, rules, model, at, out)
        at.frame[0] += 1


@kernel
def _by_score(frames: Stretch, t: int) -> tuple[Rows, Rows]:
    """Detections of a frame that are sure, and those that are unsure."""
    high, low = frames.thresholds[t, 0], frames.thresholds[t, 1]
    first, stop = frames.bounds[t], frames.bounds[t + 1]
    sure, unsure = np.empty(stop - first, np.int64), np.empty(stop - first, np.int64)
    i = j = 0
    for k in range(first, stop):
        if frames.scores[k] > high:
            sure[i] = k
            i += 1
        elif low < frames.scores[k] < high:
            unsure[j] = k
            j += 1
    return sure[:i], unsure[:j]


@kernel
def _move(bank: TrackState, pool: Rows, unconfirmed: Rows, frames: Stretch, t: int, model: Model) -> None:
    """Confirmed and lost tracks move on; all move with the camera."""
    for k in pool:
        if bank.state[k] == LOST:
            for velocity in model.still:
                bank.mean[k, 4 + velocity] = 0.0
    predict(bank.mean, bank.blocks, pool, model.weights, model.scale, model.positive)
    if len(frames.warps):
        warp(bank.mean, bank.blocks, pool, frames.warps[t], model.powers)
        warp(bank.mean, bank.blocks, unconfirmed, frames.warps[t], model.powers)


@kernel
def _correct(bank: TrackState, rows: Rows, frames: Stretch, t: int, rules: Rules, model: Model, at: Progress) -> None:
    """Matched tracks take their boxes; only sure detections change the embedding."""
    chosen = np.empty_like(rows)
    for i in range(len(rows)):
        k = rows[i]
        chosen[i] = bank.row[k]
        bank.state[k], bank.last[k] = CONFIRMED, at.frame[0]
        if frames.scores[chosen[i]] > frames.thresholds[t, 0]:
            _remember(bank, k, frames, rules)
    measured = measure(take(frames.boxes, chosen), model.kind)
    correct(bank.mean, bank.blocks, rows, measured, np.ones(len(rows)), model.weights, model.scale)
    if len(rows) > 0 and frames.vectors.shape[1] > 0:
        at.looks[0] = True


@kernel
def _remember(bank: TrackState, k: int, frames: Stretch, rules: Rules) -> None:
    """Moving average of a track's embedding where its detection has one."""
    if rules.fusion != MOTION and frames.vectors.shape[1] > 0 and frames.known[bank.row[k]]:
        memory = rules.ema if bank.known[k] else np.float32(0.0)
        blend_one(bank.embedding[k], frames.vectors[bank.row[k]], memory)
        bank.known[k] = True


@kernel
def _begin(bank: TrackState, free: Rows, frames: Stretch, t: int, rules: Rules, model: Model, at: Progress) -> None:
    """New tracks: confirmed at once in the first frame, else once seen again."""
    new = np.empty_like(free)
    count = 0
    for row in free:
        if frames.scores[row] >= frames.thresholds[t, 0] + rules.margin:
            new[count] = row
            count += 1
    first = add_tracks(bank, new[:count], frames, model, at)
    for k in range(first, first + count):
        bank.state[k] = CONFIRMED if at.frame[0] == 0 else TENTATIVE
        _remember(bank, k, frames, rules)
    if count > 0 and frames.vectors.shape[1] > 0:
        at.looks[0] = True


@kernel
def _report(bank: TrackState, frames: Stretch, t: int, rules: Rules, model: Model, at: Progress, out: Reported) -> None:
    """Write the confirmed tracks whose box has an area to `out`."""
    first = at.reported[0]
    boxes = state_boxes(bank.mean[: at.alive[0]], model.kind)
    for k in range(at.alive[0]):
        if bank.state[k] == CONFIRMED:
            report_track(bank, k, frames.boxes[bank.row[k]] if rules.detected else boxes[k], at, out)
    out.counts[t] = at.reported[0] - first

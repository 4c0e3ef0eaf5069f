"""`gated_appearance` over a whole sequence in compiled calls: the same tracks as frame by frame."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from msfp.assignment import assign_below
from msfp.compiled import kernel
from msfp.tracking.base import Stretch
from msfp.tracking.followed import Progress, add_tracks, make_progress
from msfp.tracking.iou import has_area
from msfp.tracking.kalman import Floats
from msfp.tracking.kalman_fast import FastFilter, Model
from msfp.tracking.kalman_kernels import correct, distances, measure, predict, state_boxes, warp
from msfp.tracking.lifecycle import CONFIRMED, REMOVED, TENTATIVE, Rows
from msfp.tracking.looks import add_motion, blend_one, gallery_distance
from msfp.tracking.track_state import (
    TrackState,
    clear_matches,
    make_track_state,
    matched,
    most_alive,
    note_matches,
    rows_in,
    sweep,
    take,
    unmatched,
)
from msfp.tracking.two_stage_cost import overlap_costs

ROOM = 64  # tracks with embeddings that there is room for at first


class Gates(NamedTuple):
    """The settings of `gated_appearance` and its descendants as numbers."""

    track_high: np.float32
    look_limit: float  # a pair must cost less
    overlap_limit: float
    gate: float
    n_init: int
    kept: int  # in frames of the sequence, as the next one
    coast: int
    gallery: int
    cascade: bool
    strong: bool  # StrongSORT's cost, noise and moving average; else the nearest of a gallery
    weight: float
    ema: np.float32


class History(NamedTuple):
    """Columns of a `TrackState`'s tracks that only trackers of this kind have; embeddings stay where they are.

    The embeddings of the track in row k are `gallery[slot[k]]`. `slot` has every row of the gallery once, so that those
    behind the last track are free.
    """

    hits: Rows
    looks: Rows
    score: NDArray[np.float32]
    slot: Rows
    gallery: NDArray[np.float32]


class Seen(NamedTuple):
    """What is reported, track by track: identity, box, score."""

    id: NDArray[np.int32]
    boxes: Floats
    score: NDArray[np.float32]


class Following:
    """One sequence under way: call it with stretch after stretch."""

    def __init__(self, gates: Gates, motion: FastFilter, bounds: Rows) -> None:
        length = len(bounds) - 1  # no count of frames needs to be longer, and kernels' integers end somewhere
        self._gates = gates._replace(
            n_init=min(gates.n_init, length + 1),
            kept=min(gates.kept, length),
            coast=min(gates.coast, length),
            gallery=max(min(gates.gallery, length), 1),
        )
        self._model = motion.model()
        self._room = most_alive(bounds, self._gates.kept)
        self._bank = make_track_state(self._room, 0)
        self._at = make_progress()
        self._history: History | None = None

    def __call__(self, frames: Stretch) -> tuple[NDArray[np.int32], Floats, NDArray[np.float32], Rows]:
        """As `base.Follower`."""
        length, most = len(frames.bounds) - 1, self._room + len(frames.boxes)
        if not len(frames.thresholds):
            frames = frames._replace(thresholds=np.full((length, 2), self._gates.track_high))
        if self._history is None:
            self._history = self._begin(frames.vectors.shape[1])
        counts = np.zeros(length, np.int64)
        out = Seen(np.zeros(most, np.int32), np.zeros((most, 4)), np.zeros(most, np.float32))
        pieces, t = [], 0
        while t < length:
            t = follow(frames, t, self._gates, self._model, self._bank, self._history, self._at, out, counts)
            pieces.append([column[: self._at.reported[0]].copy() for column in out])
            if t < length:
                self._history = _wider(self._history, int(self._at.alive[0] + frames.bounds[t + 1] - frames.bounds[t]))
        ids, boxes, scores = (np.concatenate(part) for part in zip(*pieces, strict=True))
        return ids, boxes, scores, counts

    def _begin(self, width: int) -> History:
        numbers, room = np.zeros((2, self._room), np.int64), min(self._room, ROOM)
        gallery = np.zeros((room, self._gates.gallery, width), np.float32)
        return History(numbers[0], numbers[1], np.zeros(self._room, np.float32), np.arange(room), gallery)


def _wider(history: History, needed: int) -> History:
    """With room for so many tracks' embeddings."""
    held = len(history.gallery)
    if needed <= held:
        return history
    gallery = np.zeros((2 * needed, *history.gallery.shape[1:]), np.float32)
    gallery[:held] = history.gallery
    return history._replace(gallery=gallery, slot=np.concatenate([history.slot, np.arange(held, 2 * needed)]))


@kernel
def follow(
    frames: Stretch,
    begin: int,
    gates: Gates,
    model: Model,
    bank: TrackState,
    history: History,
    at: Progress,
    out: Seen,
    counts: Rows,
) -> int:
    """Track frames from `begin` on; returns the first for which there was no room in `history` or `out`."""
    at.reported[0] = 0
    length = len(frames.bounds) - 1
    for t in range(begin, length):
        alive = at.alive[0]
        if alive == 0 and frames.bounds[t] == frames.bounds[-1]:  # nobody is there, and no box comes
            at.frame[0] += length - t
            break
        most = alive + frames.bounds[t + 1] - frames.bounds[t]
        if most > len(history.gallery) or at.reported[0] + most > len(out.id):
            return t
        everyone = rows_in(bank, alive, CONFIRMED, TENTATIVE)
        if len(frames.warps):
            warp(bank.mean, bank.blocks, everyone, frames.warps[t], model.powers)
        predict(bank.mean, bank.blocks, everyone, model.weights, model.scale, model.positive)
        clear_matches(bank, alive)

        usable = _usable(frames, t)
        confirmed, tentative = rows_in(bank, alive, CONFIRMED, CONFIRMED), rows_in(bank, alive, TENTATIVE, TENTATIVE)
        cost = _look_costs(frames, gates, model, bank, history, confirmed, usable)
        free = note_matches(bank, confirmed, usable, _by_looks(cost, bank, confirmed, at.frame[0], gates))
        candidates = _candidates(bank, tentative, unmatched(bank, confirmed, CONFIRMED), at.frame[0] - 1)
        cost = overlap_costs(state_boxes(bank.mean[:alive], model.kind), candidates, frames.boxes, free)
        free = note_matches(bank, candidates, free, assign_below(cost, gates.overlap_limit))

        _correct(bank, history, matched(bank, alive), frames, gates, model, at)
        _miss(bank, alive, at.frame[0], gates.kept)
        first = add_tracks(bank, free, frames, model, at)
        for k in range(first, at.alive[0]):
            bank.state[k] = CONFIRMED if gates.n_init <= 1 else TENTATIVE
            history.hits[k], history.looks[k] = 1, 0
            history.score[k] = frames.scores[bank.row[k]]
            _remember(bank, history, k, frames, gates)
        _sweep(bank, history, at)
        counts[t] = _report(bank, history, gates, model, at, out)
        at.frame[0] += 1
    return length


@kernel
def _usable(frames: Stretch, t: int) -> Rows:
    """Detections of a frame that are tracked."""
    first, stop = frames.bounds[t], frames.bounds[t + 1]
    out = np.empty(stop - first, np.int64)
    count = 0
    for k in range(first, stop):
        if frames.scores[k] >= frames.thresholds[t, 0]:
            out[count] = k
            count += 1
    return out[:count]


@kernel
def _look_costs(
    frames: Stretch, gates: Gates, model: Model, bank: TrackState, history: History, rows: Rows, chosen: Rows
) -> Floats:
    """(M, N) cost of tracks `rows` and detections `chosen`; infinite where unknown or outside the gate."""
    measured = measure(take(frames.boxes, chosen), model.kind)
    motion = distances(bank.mean, bank.blocks, rows, measured, model.weights, model.scale)
    wanted = np.empty(motion.shape, np.bool_)
    slots, counts = np.empty_like(rows), np.empty_like(rows)
    for i in range(len(rows)):
        slots[i] = history.slot[rows[i]]
        counts[i] = min(history.looks[rows[i]], 1 if gates.strong else gates.gallery)
        for j in range(len(chosen)):
            wanted[i, j] = counts[i] > 0 and frames.known[chosen[j]] and motion[i, j] <= gates.gate
    cost = gallery_distance(history.gallery, slots, counts, take(frames.vectors, chosen), wanted)
    if gates.strong:
        add_motion(cost, motion, gates.weight)
    return cost


@kernel
def _by_looks(cost: Floats, bank: TrackState, rows: Rows, frame: int, gates: Gates) -> Rows:
    """Column of each track in `frame` or -1: in a cascade those seen last choose first, else all at once."""
    if not gates.cascade:
        return assign_below(cost, gates.look_limit)
    column_of, level, left = np.empty_like(rows), np.empty_like(rows), np.empty(cost.shape[1], np.int64)
    for k in range(len(rows)):
        column_of[k] = -1
    for j in range(len(left)):
        left[j] = j
    seen = _seen_before(bank, rows, frame)
    while seen >= 0 and len(left) > 0:
        count = 0
        for k in range(len(rows)):
            if bank.last[rows[k]] == seen:
                level[count] = k
                count += 1
        part = np.empty((count, len(left)))
        for i in range(count):
            for j in range(len(left)):
                part[i, j] = cost[level[i], left[j]]
        found = assign_below(part, gates.look_limit)
        for i in range(count):
            if found[i] >= 0:
                column_of[level[i]] = left[found[i]]
                left[found[i]] = -1
        count = 0
        for j in range(len(left)):
            if left[j] >= 0:
                left[count] = left[j]
                count += 1
        left = left[:count]
        seen = _seen_before(bank, rows, seen)
    return column_of


@kernel
def _seen_before(bank: TrackState, rows: Rows, frame: int) -> int:
    """The last frame before `frame` in which one of these tracks was matched; -1 where there is none."""
    seen = -1
    for k in rows:
        if seen < bank.last[k] < frame:
            seen = bank.last[k]
    return seen


@kernel
def _candidates(bank: TrackState, tentative: Rows, rows: Rows, frame: int) -> Rows:
    """Tracks to be matched by overlap: tentative ones, then those of `rows` last matched in `frame`."""
    out = np.empty(len(tentative) + len(rows), np.int64)
    out[: len(tentative)] = tentative
    count = len(tentative)
    for k in rows:
        if bank.last[k] == frame:
            out[count] = k
            count += 1
    return out[:count]


@kernel
def _correct(
    bank: TrackState, history: History, rows: Rows, frames: Stretch, gates: Gates, model: Model, at: Progress
) -> None:
    """Matched tracks take their boxes and embeddings."""
    chosen, factor = np.empty_like(rows), np.ones(len(rows))
    for i in range(len(rows)):
        k = rows[i]
        chosen[i] = bank.row[k]
        history.hits[k] += 1
        bank.last[k], history.score[k] = at.frame[0], frames.scores[chosen[i]]
        if history.hits[k] >= gates.n_init:
            bank.state[k] = CONFIRMED
        if gates.strong:
            factor[i] = (1.0 - min(max(float(frames.scores[chosen[i]]), 0.0), 1.0)) ** 2
        _remember(bank, history, k, frames, gates)
    measured = measure(take(frames.boxes, chosen), model.kind)
    correct(bank.mean, bank.blocks, rows, measured, factor, model.weights, model.scale)


@kernel
def _remember(bank: TrackState, history: History, k: int, frames: Stretch, gates: Gates) -> None:
    """A track takes its detection's embedding where it has one: into the moving average, or in the oldest's place."""
    if not frames.known[bank.row[k]]:
        return
    own, seen = history.gallery[history.slot[k]], frames.vectors[bank.row[k]]
    if gates.strong:
        blend_one(own[0], seen, gates.ema if history.looks[k] > 0 else np.float32(0.0))
    else:
        place = history.looks[k] % gates.gallery
        for j in range(len(seen)):
            own[place, j] = seen[j]
    history.looks[k] += 1


@kernel
def _miss(bank: TrackState, alive: int, frame: int, kept: int) -> None:
    """Of the tracks without a detection tentative ones go at once, confirmed ones once they are kept no longer."""
    for k in range(alive):
        if bank.row[k] < 0 and (bank.state[k] == TENTATIVE or frame - bank.last[k] > kept):
            bank.state[k] = REMOVED


@kernel
def _sweep(bank: TrackState, history: History, at: Progress) -> None:
    """Drop the tracks that are removed, with their history."""
    kept = 0
    slot = history.slot
    for k in range(at.alive[0]):
        if bank.state[k] == REMOVED:
            continue
        if kept < k:
            history.hits[kept], history.looks[kept] = history.hits[k], history.looks[k]
            history.score[kept] = history.score[k]
            slot[kept], slot[k] = slot[k], slot[kept]
        kept += 1
    at.alive[0] = sweep(bank, at.alive[0])


@kernel
def _report(bank: TrackState, history: History, gates: Gates, model: Model, at: Progress, out: Seen) -> int:
    """Write confirmed tracks matched at most `coast` frames ago, if their box has an area; returns how many."""
    first = at.reported[0]
    boxes = state_boxes(bank.mean[: at.alive[0]], model.kind)
    for k in range(at.alive[0]):
        if bank.state[k] != CONFIRMED or at.frame[0] - bank.last[k] > gates.coast or not has_area(boxes[k]):
            continue
        to = at.reported[0]
        out.id[to], out.score[to] = bank.id[k], history.score[k]
        for j in range(4):
            out.boxes[to, j] = boxes[k, j]
        at.reported[0] = to + 1
    return int(at.reported[0] - first)

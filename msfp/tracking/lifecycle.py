"""The tracks that are alive: one struct of arrays that kernels read and change, and the frames that they go through."""

from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from msfp.compiled import kernel
from msfp.tracking.costs import has_area, iou
from msfp.tracking.kalman import Floats, Model, correct, measure, start

Rows = NDArray[np.int64]
Vectors = NDArray[np.float32]
T = TypeVar("T", bound=np.generic)

TENTATIVE, CONFIRMED, LOST, REMOVED = 0, 1, 2, 3
DUPLICATE = 0.15  # two tracks coincide where 1 - IoU is less
NEVER = -(1 << 62)  # number of a frame that is none
ROOM = 64  # tracks that there is room for at first


class Frames(NamedTuple):
    """Checked input of frames in a row; frame t (from 0) has rows `bounds[t]:bounds[t + 1]`."""

    bounds: Rows  # (T + 1,), from 0
    boxes: Floats  # (N, 4) xyxy
    scores: NDArray[np.float32]  # (N,); thresholds are compared in float32, as the original trackers do
    embeddings: Vectors  # (N, D) unit vectors, zero where unknown; D is 0 where there are none
    known: NDArray[np.bool_]  # (N,) rows that have an embedding
    thresholds: NDArray[np.float32]  # (T, 2) tau_high and tau_low
    warps: Floats  # (T, 2, 3) camera motion, or (0, 2, 3)
    kept: Rows  # (T,) frames without a match after which a track is dropped


class TrackState(NamedTuple):
    """One row a track, in the order of birth; rows from `Progress.alive` on are free."""

    id: NDArray[np.int32]  # identity, from 1
    state: NDArray[np.int8]  # TENTATIVE, CONFIRMED, LOST or REMOVED
    # start, last: frame of birth and of the last match
    start: Rows
    last: Rows
    score: NDArray[np.float32]  # of the last match
    row: Rows  # row of the detection matched in this frame, or -1
    streak: Rows  # matches in a row; all matches of DeepSORT's tracks
    expired: NDArray[np.bool_]  # whether it was lost for longer than it is kept
    # mean, blocks: (8,) and (4, 3) of the filter, see `kalman`
    mean: Floats
    blocks: Floats
    learned: Rows  # number of embeddings taken
    slot: Rows  # the track's row of `gallery`; every row is in `slot` once, so that those of free rows are free
    gallery: Vectors  # (depth, D) embeddings, which stay where they are; a moving average is the first of one
    # whether it was matched since its birth. This and the next are of observation-centric trackers.
    observed: NDArray[np.bool_]
    # box, recent, recent_frame: (4,) last observation; (W, 4) those of the last frames, at the frame's number modulo
    # W; (W,) which frames these are
    box: Floats
    recent: Floats
    recent_frame: Rows
    direction: Floats  # (2,) of motion
    # missed_mean, missed_blocks: filter at the first frame without a match
    missed_mean: Floats
    missed_blocks: Floats


class Progress(NamedTuple):
    """Single numbers that kernels change: frames gone through, tracks alive and born, tracks reported in this call."""

    frame: Rows
    alive: Rows
    born: Rows
    reported: Rows
    has_embeddings: NDArray[np.bool_]  # whether any track was matched or begun in a frame with embeddings


class Report(NamedTuple):
    """Tracks reported, one after the other: identity, xyxy box, score, row of the detection; and how many per frame."""

    id: NDArray[np.int32]
    boxes: Floats
    score: NDArray[np.float32]
    row: Rows
    counts: Rows


def make_progress() -> Progress:
    """Return the start of a sequence."""
    zeros = np.zeros((4, 1), np.int64)
    return Progress(zeros[0], zeros[1], zeros[2], zeros[3], np.zeros(1, np.bool_))


def make_report(tracks: int, frames: int) -> Report:
    """Return room for a report of at most so many tracks."""
    rows, score = np.zeros(tracks, np.int64), np.zeros(tracks, np.float32)
    return Report(np.zeros(tracks, np.int32), np.zeros((tracks, 4)), score, rows, np.zeros(frames, np.int64))


def make_tracks(window: int = 0, room: int = ROOM) -> TrackState:
    """Return an empty state that remembers observations of `window` frames."""
    numbers, flags, states = np.zeros((6, room), np.int64), np.zeros((2, room), np.bool_), np.zeros((2, room, 8))
    blocks = np.zeros((2, room, 4, 3))
    return TrackState(
        id=np.zeros(room, np.int32),
        state=np.zeros(room, np.int8),
        start=numbers[0],
        last=numbers[1],
        score=np.zeros(room, np.float32),
        row=numbers[2],
        streak=numbers[3],
        expired=flags[0],
        mean=states[0],
        blocks=blocks[0],
        learned=numbers[4],
        slot=np.arange(room),
        gallery=np.zeros((room, 0, 0), np.float32),
        observed=flags[1],
        box=np.zeros((room, 4)),
        recent=np.zeros((room, window, 4)),
        recent_frame=np.zeros((room, window), np.int64),
        direction=np.zeros((room, 2)),
        missed_mean=states[1],
        missed_blocks=blocks[1],
    )


def with_room(tracks: TrackState, room: int, depth: int, width: int) -> TrackState:
    """Return the tracks with room for so many, each with `depth` embeddings of `width`; itself where it has that."""
    held = len(tracks.id)
    if room > held:
        room = max(room, 2 * held)
        tracks = TrackState._make(_grown(column, room, *column.shape[1:]) for column in tracks)
        tracks.slot[held:] = np.arange(held, room)
    had, wide = tracks.gallery.shape[1:]
    if width and (had < depth or wide < width):
        tracks = tracks._replace(gallery=_grown(tracks.gallery, len(tracks.id), max(had, depth), width))
    return tracks


def _grown(values: NDArray[T], *shape: int) -> NDArray[T]:
    """Copy an array into the corner of a larger one."""
    out = np.zeros(shape, values.dtype)
    out[tuple(slice(length) for length in values.shape)] = values
    return out


def buffer_frames(buffer: int, fps: float) -> int:
    """Frames a lost track is kept: `buffer` at 30 frames per second, scaled to the sequence's rate, at least one."""
    return max(int(fps / 30.0 * buffer), min(buffer, 1))


@kernel
def has_room(frames: Frames, t: int, tracks: TrackState, at: Progress, out: Report) -> bool:
    """Say whether the tracks that frame t may begin and report fit."""
    most = at.alive[0] + frames.bounds[t + 1] - frames.bounds[t]
    return bool(most <= len(tracks.id) and at.reported[0] + most <= len(out.id))


@kernel
def is_over(frames: Frames, t: int, at: Progress) -> bool:
    """Say whether no track is alive and no box comes from frame t on; the frames left then count as gone through."""
    over = bool(at.alive[0] == 0 and frames.bounds[t] == frames.bounds[-1])
    if over:
        at.frame[0] += len(frames.bounds) - 1 - t
    return over


@kernel
def between(frames: Frames, t: int, least: np.float32, most: np.float32) -> Rows:
    """Return the detections of a frame that score more than `least` and less than `most`."""
    first = frames.bounds[t]
    scores = frames.scores[first : frames.bounds[t + 1]]
    return first + np.flatnonzero((least < scores) & (scores < most))


@kernel
def rows_in(tracks: TrackState, at: Progress, first: int, second: int) -> Rows:
    """Return the tracks in either state."""
    state = tracks.state[: at.alive[0]]
    return np.flatnonzero((state == first) | (state == second))


@kernel
def matched(tracks: TrackState, at: Progress) -> Rows:
    """Return the tracks with a detection."""
    return np.flatnonzero(tracks.row[: at.alive[0]] >= 0)


@kernel
def unmatched(tracks: TrackState, rows: Rows, state: int) -> Rows:
    """Return those of some tracks that have this state and no detection."""
    return rows[(tracks.row[rows] < 0) & (tracks.state[rows] == state)]


@kernel
def clear_matches(tracks: TrackState, at: Progress) -> None:
    """Take every track's detection away, and the streak of those that had none in the frame before."""
    for k in range(at.alive[0]):
        tracks.row[k] = -1
        if tracks.last[k] < at.frame[0] - 1:
            tracks.streak[k] = 0


@kernel
def note_matches(tracks: TrackState, rows: Rows, chosen: Rows, column_of: Rows) -> Rows:
    """Note the detection of each matched track; returns the detections left."""
    left = np.ones(len(chosen), np.bool_)
    for k in range(len(rows)):
        if column_of[k] >= 0:
            tracks.row[rows[k]] = chosen[column_of[k]]
            left[column_of[k]] = False
    return chosen[left]


@kernel
def take(values: NDArray[T], rows: Rows) -> NDArray[T]:
    """Copy some rows of a matrix; twice as fast as an index of numba."""
    out = np.empty((len(rows), values.shape[1]), values.dtype)
    for i in range(len(rows)):
        for j in range(values.shape[1]):
            out[i, j] = values[rows[i], j]
    return out


@kernel
def take_boxes(tracks: TrackState, rows: Rows, frames: Frames, factor: Floats, model: Model, at: Progress) -> None:
    """Correct the filters of matched tracks with their boxes; `factor` (K,) scales each box's variance."""
    chosen = tracks.row[rows]
    correct(tracks.mean, tracks.blocks, rows, measure(take(frames.boxes, chosen), model.kind), factor, model)
    for k in rows:
        tracks.last[k], tracks.score[k] = at.frame[0], frames.scores[tracks.row[k]]
        tracks.streak[k] += 1


@kernel
def add_tracks(tracks: TrackState, chosen: Rows, state: int, frames: Frames, model: Model, at: Progress) -> None:
    """Begin tracks at some detections, behind the others, with the next identities."""
    first, stop = at.alive[0], at.alive[0] + len(chosen)
    tracks.id[first:stop] = at.born[0] + 1 + np.arange(len(chosen))
    tracks.state[first:stop], tracks.row[first:stop] = state, chosen
    tracks.start[first:stop], tracks.last[first:stop] = at.frame[0], at.frame[0]
    boxes = take(frames.boxes, chosen)
    tracks.score[first:stop], tracks.box[first:stop] = frames.scores[chosen], boxes
    tracks.streak[first:stop], tracks.learned[first:stop] = 0, 0
    tracks.expired[first:stop], tracks.observed[first:stop] = False, False
    tracks.direction[first:stop], tracks.recent_frame[first:stop] = 0.0, NEVER
    tracks.mean[first:stop], tracks.blocks[first:stop] = 0.0, 0.0
    tracks.mean[first:stop, :4] = measure(boxes, model.kind)
    start(tracks.mean[first:stop], tracks.blocks[first:stop], model)
    at.alive[0], at.born[0] = stop, at.born[0] + len(chosen)


@kernel
def report(tracks: TrackState, rows: Rows, boxes: Floats, t: int, at: Progress, out: Report) -> None:
    """Write tracks `rows` to the report of frame t, those of which the row of `boxes` has an area."""
    before = at.reported[0]
    for k in rows:
        to = at.reported[0]
        if has_area(boxes[k]):
            out.id[to], out.score[to], out.row[to] = tracks.id[k], tracks.score[k], tracks.row[k]
            out.boxes[to] = boxes[k]
            at.reported[0] = to + 1
    out.counts[t] = at.reported[0] - before


@kernel
def expire(tracks: TrackState, at: Progress, kept: int) -> None:
    """Remove lost tracks not matched for more than `kept` frames, as ByteTrack's released code does: one frame late.

    A track found expired is offered to one more frame; matched there it lives on, but goes as soon as it is lost again.
    """
    for k in range(at.alive[0]):
        if tracks.state[k] != LOST:
            continue
        if tracks.expired[k]:
            tracks.state[k] = REMOVED
        if at.frame[0] - tracks.last[k] > kept:
            tracks.expired[k] = True


@kernel
def drop_duplicates(tracks: TrackState, at: Progress, boxes: Floats) -> None:
    """Mark as removed, of a live and a lost track that nearly coincide, the one with the shorter history (ByteTrack).

    `boxes` are the (M, 4) xyxy boxes of all rows; history is the time from birth to the last match.
    """
    lost, live = rows_in(tracks, at, LOST, LOST), rows_in(tracks, at, TENTATIVE, CONFIRMED)
    near = iou(take(boxes, live), take(boxes, lost))
    for i in range(len(live)):
        for j in range(len(lost)):
            if near[i, j] > 1.0 - DUPLICATE:
                first, second = live[i], lost[j]
                longer = tracks.last[first] - tracks.start[first] > tracks.last[second] - tracks.start[second]
                tracks.state[second if longer else first] = REMOVED


@kernel
def drop_old(tracks: TrackState, at: Progress, kept: int) -> None:
    """Drop the tracks not matched for more than `kept` frames."""
    for k in range(at.alive[0]):
        if at.frame[0] - tracks.last[k] > kept:
            tracks.state[k] = REMOVED
    sweep(tracks, at)


@kernel
def sweep(tracks: TrackState, at: Progress) -> None:
    """Drop the tracks that are removed; the others keep their order."""
    kept = int(np.int64(0))  # a plain 0 would have `move_row` compiled for it and for other numbers
    for k in range(at.alive[0]):
        if tracks.state[k] == REMOVED:
            continue
        if kept < k:
            move_row(tracks, k, kept)
        kept += 1
    at.alive[0] = kept


@kernel
def move_row(tracks: TrackState, source: int, target: int) -> None:
    """Copy a track to another row; the two rows' places in the gallery change hands."""
    tracks.id[target], tracks.state[target] = tracks.id[source], tracks.state[source]
    tracks.start[target], tracks.last[target] = tracks.start[source], tracks.last[source]
    tracks.score[target], tracks.row[target] = tracks.score[source], tracks.row[source]
    tracks.streak[target], tracks.expired[target] = tracks.streak[source], tracks.expired[source]
    tracks.learned[target], tracks.observed[target] = tracks.learned[source], tracks.observed[source]
    tracks.slot[target], tracks.slot[source] = tracks.slot[source], tracks.slot[target]
    tracks.direction[target, 0], tracks.direction[target, 1] = tracks.direction[source, 0], tracks.direction[source, 1]
    copy_filter(tracks.mean, tracks.blocks, source, tracks.mean, tracks.blocks, target)
    copy_filter(tracks.missed_mean, tracks.missed_blocks, source, tracks.missed_mean, tracks.missed_blocks, target)
    for j in range(4):
        tracks.box[target, j] = tracks.box[source, j]
        for slot in range(tracks.recent_frame.shape[1]):
            tracks.recent[target, slot, j] = tracks.recent[source, slot, j]
    for slot in range(tracks.recent_frame.shape[1]):
        tracks.recent_frame[target, slot] = tracks.recent_frame[source, slot]


@kernel
def copy_filter(mean: Floats, blocks: Floats, source: int, to_mean: Floats, to_blocks: Floats, target: int) -> None:
    """Copy one track's filter to another row, of the same columns or of others."""
    for j in range(8):
        to_mean[target, j] = mean[source, j]
    for i in range(4):
        for j in range(3):
            to_blocks[target, i, j] = blocks[source, i, j]

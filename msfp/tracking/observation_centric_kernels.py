"""Directions of motion, camera motion of observations, and the weights of appearance in Deep OC-SORT, compiled."""

import numpy as np
from numpy.typing import NDArray

from msfp.compiled import kernel
from msfp.tracking.embeddings import blend
from msfp.tracking.kalman import Floats
from msfp.tracking.lifecycle import Frames, Progress, Rows, TrackState, matched


@kernel
def centres(boxes: Floats) -> Floats:
    """Compute (N, 2) centres of (N, 4) xyxy boxes."""
    out = np.empty((len(boxes), 2))
    for i in range(len(boxes)):
        out[i, 0], out[i, 1] = (boxes[i, 0] + boxes[i, 2]) / 2, (boxes[i, 1] + boxes[i, 3]) / 2
    return out


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
def headings(start: Floats, end: Floats) -> Floats:
    """Compute (N, 2) unit directions from places to places; zero where the two are one."""
    out = np.empty((len(start), 2))
    for i in range(len(start)):
        x, y = end[i, 0] - start[i, 0], end[i, 1] - start[i, 1]
        length = np.sqrt(x * x + y * y) + 1e-6
        out[i, 0], out[i, 1] = x / length, y / length
    return out


@kernel
def agreement(reference: Floats, direction: Floats, observed: NDArray[np.bool_], places: Floats) -> Floats:
    """Compute (M, N) (pi/2 - a) / pi for the angle a between the way to a place and a track's direction of motion.

    `reference`: (M, 2) where the tracks were. `direction`: (M, 2) unit vectors of their motion. `observed`: (M,) tracks
    that have one; the others agree with nothing, 0. `places`: (N, 2).
    """
    out = np.zeros((len(reference), len(places)))
    for i in range(len(reference)):
        if not observed[i]:
            continue
        for j in range(len(places)):
            x, y = places[j, 0] - reference[i, 0], places[j, 1] - reference[i, 1]
            length = np.sqrt(x * x + y * y) + 1e-6
            cosine = x / length * direction[i, 0] + y / length * direction[i, 1]
            out[i, j] = (np.pi / 2 - np.arccos(min(max(cosine, -1.0), 1.0))) / np.pi
    return out


@kernel
def isolated(similarity: Floats, least: float) -> bool:
    """Say whether some entry is above `least`, and no row and no column has two such entries."""
    taken = np.zeros(similarity.shape[1], np.bool_)
    some = False
    for i in range(similarity.shape[0]):
        own = False
        for j in range(similarity.shape[1]):
            if similarity[i, j] > least:
                if own or taken[j]:
                    return False
                own = some = taken[j] = True
    return some


@kernel
def move_boxes(boxes: Floats, affine: Floats) -> None:
    """Move the corners of (N, 4) xyxy boxes with the camera, in place."""
    for i in range(len(boxes)):
        for corner in (0, 2):
            x, y = boxes[i, corner], boxes[i, corner + 1]
            boxes[i, corner] = affine[0, 0] * x + affine[0, 1] * y + affine[0, 2]
            boxes[i, corner + 1] = affine[1, 0] * x + affine[1, 1] * y + affine[1, 2]


@kernel
def turn(direction: Floats, affine: Floats) -> None:
    """Turn (N, 2) directions with the camera, in place; they keep unit length."""
    for i in range(len(direction)):
        x = affine[0, 0] * direction[i, 0] + affine[0, 1] * direction[i, 1]
        y = affine[1, 0] * direction[i, 0] + affine[1, 1] * direction[i, 1]
        length = np.sqrt(x * x + y * y) + 1e-6
        direction[i, 0], direction[i, 1] = x / length, y / length


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
    tracks: TrackState,
    frames: Frames,
    usable: Rows,
    scores: NDArray[np.float32],
    high: np.float32,
    base: float,
    at: Progress,
) -> None:
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

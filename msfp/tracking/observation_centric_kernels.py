"""What `observation_centric` and `deep_ocsort` compute of tracks and boxes, compiled."""

import numpy as np
from numpy.typing import NDArray

from msfp.compiled import kernel
from msfp.tracking.kalman import Floats
from msfp.tracking.lifecycle import Rows
from msfp.tracking.looks import Vectors, inner_product

NEVER = -(1 << 62)  # number of a frame that is none


@kernel
def centres(boxes: Floats) -> Floats:
    """(N, 2) centres of (N, 4) xyxy boxes."""
    out = np.empty((len(boxes), 2))
    for i in range(len(boxes)):
        out[i, 0], out[i, 1] = (boxes[i, 0] + boxes[i, 2]) / 2, (boxes[i, 1] + boxes[i, 3]) / 2
    return out


@kernel
def earlier(last: Floats, recent: Floats, recent_frame: Rows, frame: int) -> Floats:
    """(M, 4) box seen in the earliest of the frames remembered, or the last box seen.

    Args:
        last: (M, 4) last boxes.
        recent: (M, W, 4) boxes seen in frame `recent_frame` (M, W), at the frame modulo W.
        recent_frame: frames farther back than W - 1 do not count.
        frame: the current one.
    """
    out = np.empty((len(last), 4))
    window = recent_frame.shape[1]
    for k in range(len(last)):
        box = last[k]
        for ago in range(1, window):
            slot = (frame - ago) % window
            if recent_frame[k, slot] == frame - ago:
                box = recent[k, slot]
        for i in range(4):
            out[k, i] = box[i]
    return out


@kernel
def headings(start: Floats, end: Floats) -> Floats:
    """(N, 2) directions from places to places, of unit length; zero where the two are one."""
    out = np.empty((len(start), 2))
    for i in range(len(start)):
        x, y = end[i, 0] - start[i, 0], end[i, 1] - start[i, 1]
        length = np.sqrt(x * x + y * y) + 1e-6
        out[i, 0], out[i, 1] = x / length, y / length
    return out


@kernel
def agreement(reference: Floats, direction: Floats, observed: NDArray[np.bool_], places: Floats) -> Floats:
    """(M, N) share of a half turn by which the way to a place and a track's direction are nearer than a right angle.

    Args:
        reference: (M, 2) where the tracks were.
        direction: (M, 2) unit vectors of their motion.
        observed: (M,) tracks that have one; the others agree with nothing, 0.
        places: (N, 2).
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
    """Whether no row and no column has two entries above `least`, and some entry is above it."""
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
def look_bonus(
    gallery: Vectors, vectors: Vectors, overlap: Floats, weight: float, adaptive: bool, bottom: float
) -> Floats:
    """(M, N) what alikeness adds to the IoU: weighted cosine similarity of pairs that overlap.

    Args:
        gallery: (M, D) unit embeddings of the tracks, zero where unknown.
        vectors: (N, D) of the boxes.
        overlap: (M, N) IoU.
        weight: of the similarity.
        adaptive: times `adaptive_weight`.
        bottom: see there.
    """
    out = np.zeros(overlap.shape)
    for i in range(len(gallery)):
        for j in range(len(vectors)):
            if overlap[i, j] > 0:
                out[i, j] = inner_product(gallery[i], vectors[j])
    clear = adaptive_weight(out, bottom) if adaptive else np.ones(out.shape)
    for i in range(len(gallery)):
        for j in range(len(vectors)):
            out[i, j] *= weight * clear[i, j]
    return out


@kernel
def adaptive_weight(look: Floats, bottom: float) -> Floats:
    """(M, N) product of a weight per track and per box: 1 where the best pair is clear, 0 where two are equal.

    A weight is 1 - max(second / best - bottom, 0) / (1 - bottom), 0 where the best is 0, 1 where there is one choice.
    """
    height, width = look.shape
    best, second = np.full(height + width, -np.inf), np.full(height + width, -np.inf)
    for i in range(height):
        for j in range(width):
            for side in (i, height + j):
                if look[i, j] > best[side]:
                    best[side], second[side] = look[i, j], best[side]
                elif look[i, j] > second[side]:
                    second[side] = look[i, j]
    out = np.empty((height, width))
    for i in range(height):
        for j in range(width):
            out[i, j] = _clear(best[i], second[i], bottom) * _clear(best[height + j], second[height + j], bottom)
    return out


@kernel
def _clear(best: float, second: float, bottom: float) -> float:
    """How clear the best of some values is, as `adaptive_weight` has it; `second` is -infinity where there is none."""
    if second == -np.inf:
        return 1.0
    return 0.0 if best == 0 else 1.0 - max(second / best - bottom, 0.0) / (1.0 - bottom)


@kernel
def confident_memory(scores: NDArray[np.float32], threshold: np.float32, base: float) -> NDArray[np.float32]:
    """(N,) memory of the embedding's moving average: `base` at score 1, 1 at the threshold (eq. 4 of the paper)."""
    out = np.empty(len(scores), np.float32)
    for i in range(len(scores)):
        trust = (scores[i] - threshold) / np.float32(max(1.0 - float(threshold), 1e-6))
        trust = min(max(trust, np.float32(0.0)), np.float32(1.0))
        out[i] = np.float32(base) + np.float32(1.0 - base) * (np.float32(1.0) - trust)
    return out

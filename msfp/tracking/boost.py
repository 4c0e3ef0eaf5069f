"""What BoostTrack and BoostTrack++ compare boxes and tracks by, and how they raise detection scores."""

import numpy as np
from numpy.typing import NDArray

from msfp.compiled import kernel
from msfp.tracking.iou import iou
from msfp.tracking.kalman import Floats

MAHALANOBIS_99 = 13.2767
"""99 % quantile of chi-square with four degrees of freedom."""


@kernel
def shape_similarity(boxes: Floats, tracks: Floats, corrected: bool) -> Floats:
    """(N, M) exp(-(|dw| / max w + |dh| / max h)) of (N, 4) and (M, 4) xyxy boxes.

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
    """(N, M) squared distances -> softmax over boxes of how far each lies within the 99 % gate, 0 outside."""
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
    """(N, M) IoU of boxes grown by a quarter and tracks grown by a half of their size, times 1 - track confidence."""
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
    """A (4,) xyxy box with a share of its size added on every side."""
    width, height = share * (box[2] - box[0]), share * (box[3] - box[1])
    return box[0] - width, box[1] - height, box[2] + width, box[3] + height


def track_confidence(age: NDArray[np.int32], missed: NDArray[np.int32], base: float = 0.9) -> Floats:
    """(M,) 0.9^(7 - age) while younger than seven frames, else 0.9^(frames missed before this one)."""
    return base ** np.where(age < 7, 7 - age, missed).astype(np.float64)


def rich_similarity(
    boxes: Floats, tracks: Floats, distances: Floats, confidence: Floats, corrected: bool = False
) -> Floats:
    """(N, M) mean of the similarities of motion, shape and soft BIoU (BoostTrack++).

    Args:
        boxes: (N, 4) xyxy.
        tracks: (M, 4) predicted xyxy.
        distances: (N, M) squared Mahalanobis distances.
        confidence: (M,) of the tracks.
        corrected: the paper's shape similarity in place of the released code's.
    """
    shape = shape_similarity(boxes, tracks, corrected)
    return (mahalanobis_similarity(distances) + shape + soft_biou(boxes, tracks, confidence)) / 3


@kernel
def state_distances(measured: Floats, mean: Floats, blocks: Floats) -> Floats:
    """(N, M) squared distances by the variance of the state alone, as released (no measurement noise).

    Args:
        measured: (N, 4) boxes as the filter measures them.
        mean, blocks: (M, 8) and (M, 4, 3) of the tracks.
    """
    out = np.zeros((len(measured), len(mean)))
    for i in range(len(measured)):
        for j in range(len(mean)):
            for k in range(4):
                out[i, j] += (measured[i, k] - mean[j, k]) ** 2 / blocks[j, k, 0]
    return out


def likely_objects(scores: Floats, similarity: Floats, soft: bool, coefficient: float) -> Floats:
    """Scores of boxes that resemble a track, raised (DLO, detecting likely objects).

    Args:
        scores: (N,).
        similarity: (N, M), M > 0.
        soft: BoostTrack++'s 0.65 score + 0.35 S^1.5, else BoostTrack's coefficient * S; never lowered.
        coefficient: of the latter.
    """
    best = similarity.max(axis=1)
    raised = 0.65 * scores + 0.35 * np.maximum(best, 0.0) ** 1.5 if soft else coefficient * best
    return np.maximum(scores, raised)


def accepted_by_tracks(similarity: Floats, missed: NDArray[np.int32], steps: float = 20.0) -> NDArray[np.bool_]:
    """(N,) boxes that some track accepts: S above 0.95, falling to 0.8 in `steps` frames without a match."""
    least = np.maximum(0.95 - missed * (0.15 / steps), 0.8)
    return (similarity > least[None, :]).any(axis=1)


def unlike_objects(boxes: Floats, scores: Floats, distances: Floats, threshold: float) -> NDArray[np.bool_]:
    """(N,) boxes below the threshold that are far from every track, best of their kind (DUO, unlikely objects).

    Of candidates overlapping by more than 0.3 only those stay whose score is the highest among their neighbours.

    Args:
        boxes: (N, 4) xyxy.
        scores: (N,).
        distances: (N, M) squared Mahalanobis distances, M > 0.
        threshold: boxes at or above need no raise.
    """
    out = np.zeros(len(boxes), np.bool_)
    far = np.flatnonzero((distances.min(axis=1) > MAHALANOBIS_99) & (scores < threshold))
    if len(far):
        near = iou(boxes[far], boxes[far]) > 0.3
        np.fill_diagonal(near, True)
        highest = np.where(near, scores[far][None, :], -np.inf).max(axis=1)
        out[far] = scores[far] == highest
    return out

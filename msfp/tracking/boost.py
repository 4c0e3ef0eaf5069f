"""What BoostTrack and BoostTrack++ compare boxes and tracks by, and how they raise detection scores."""

import numpy as np
from numpy.typing import NDArray

from msfp.tracking.iou import iou
from msfp.tracking.kalman import Floats

MAHALANOBIS_99 = 13.2767
"""99 % quantile of chi-square with four degrees of freedom."""


def shape_similarity(boxes: Floats, tracks: Floats, corrected: bool = False) -> Floats:
    """(N, M) exp(-(|dw| / max w + |dh| / max h)) of (N, 4) and (M, 4) xyxy boxes.

    The released code divides both terms by the width, and its published results do so; `corrected` is the paper's.
    """
    width, height = (boxes[:, 2:] - boxes[:, :2]).T[:, :, None]
    track_width, track_height = (tracks[:, 2:] - tracks[:, :2]).T[:, None, :]
    widest, highest = np.maximum(width, track_width), np.maximum(height, track_height)
    of_width = np.abs(width - track_width) / np.maximum(widest, 1e-6)
    of_height = np.abs(height - track_height) / np.maximum(highest if corrected else widest, 1e-6)
    return np.exp(-(of_width + of_height))


def mahalanobis_similarity(distances: Floats) -> Floats:
    """(N, M) squared distances -> softmax over boxes of how far each lies within the 99 % gate, 0 outside."""
    within = MAHALANOBIS_99 - np.minimum(distances, MAHALANOBIS_99)
    weight = np.exp(within)
    share = weight / np.maximum(weight.sum(axis=0, keepdims=True), 1e-300)
    return np.where(distances > MAHALANOBIS_99, 0.0, share)


def soft_biou(boxes: Floats, tracks: Floats, confidence: Floats) -> Floats:
    """(N, M) IoU of boxes grown by a quarter and tracks grown by a half of their size, times 1 - track confidence."""
    doubt = (1.0 - confidence)[None, :, None]
    size, track_size = boxes[:, 2:] - boxes[:, :2], tracks[:, 2:] - tracks[:, :2]
    first_low = boxes[:, None, :2] - 0.25 * doubt * size[:, None]
    first_high = boxes[:, None, 2:] + 0.25 * doubt * size[:, None]
    second_low = tracks[None, :, :2] - 0.5 * doubt * track_size[None]
    second_high = tracks[None, :, 2:] + 0.5 * doubt * track_size[None]
    inner = np.maximum(np.minimum(first_high, second_high) - np.maximum(first_low, second_low), 0.0).prod(axis=2)
    union = (first_high - first_low).prod(axis=2) + (second_high - second_low).prod(axis=2) - inner
    return np.divide(inner, union, out=np.zeros_like(inner), where=inner > 0)


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


def state_distances(measured: Floats, mean: Floats, blocks: Floats) -> Floats:
    """(N, M) squared distances by the variance of the state alone, as released (no measurement noise).

    Args:
        measured: (N, 4) boxes as the filter measures them.
        mean, blocks: (M, 8) and (M, 4, 3) of the tracks.
    """
    apart = measured[:, None, :] - mean[None, :, :4]
    return (apart**2 / blocks[None, :, :, 0]).sum(axis=2)


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

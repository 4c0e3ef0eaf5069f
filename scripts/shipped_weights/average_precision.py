"""Average precision of person detections, COCO's definition, for the held-out figure of a model card."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RECALLS = np.linspace(0.0, 1.0, 101)
THRESHOLDS = np.arange(50, 100, 5) / 100


@dataclass(frozen=True)
class Labels:
    """Boxes to be found in one frame.

    Attributes:
        tlwh: (N, 4) boxes.
        ignored: (N,) bool, boxes that may be found but need not be (hidden people).
    """

    tlwh: NDArray[np.float64]
    ignored: NDArray[np.bool_]


@dataclass(frozen=True)
class Found:
    """Detections of one frame.

    Attributes:
        tlwh: (N, 4) boxes in the coordinates of the labels.
        score: (N,) scores.
    """

    tlwh: NDArray[np.float64]
    score: NDArray[np.float32]


def mean_average_precision(labels: Sequence[Labels], found: Sequence[Found]) -> tuple[float, float]:
    """Person AP at IoU 0.5, and its mean over IoU 0.50, 0.55 ... 0.95.

    Args:
        labels: one entry a frame.
        found: one entry a frame.

    Returns:
        AP@0.5 and AP@0.5:0.95 in 0..1; NaN where no frame holds a label.
    """
    values = [average_precision(labels, found, float(t)) for t in THRESHOLDS]
    return values[0], float(np.mean(values))


def average_precision(labels: Sequence[Labels], found: Sequence[Found], threshold: float = 0.5) -> float:
    """Area under the interpolated precision-recall curve at one IoU threshold, sampled at 101 recalls as COCO does.

    In each frame detections take, best score first, the label of the largest IoU of at least `threshold` that is still
    free, real labels before ignored ones; detections that took an ignored label count neither way. Equal scores of
    different frames are ordered by frame.
    """
    total = int(sum((~frame.ignored).sum() for frame in labels))
    if not total:
        return float("nan")
    scores, hits = [np.empty(0, np.float32)], [np.empty(0, np.bool_)]
    for truth, detections in zip(labels, found, strict=True):
        order = np.argsort(-detections.score, kind="stable")
        hit, counted = _match(truth, detections.tlwh[order], threshold)
        scores.append(detections.score[order][counted])
        hits.append(hit[counted])
    order = np.argsort(-np.concatenate(scores), kind="stable")
    hit = np.concatenate(hits)[order]
    true_positives = np.cumsum(hit)
    recall = true_positives / total
    precision = true_positives / np.arange(1, len(hit) + 1)
    # Interpolated precision: the best precision at this recall or beyond.
    best = np.maximum.accumulate(precision[::-1])[::-1]
    index = np.searchsorted(recall, RECALLS, side="left")
    return float(np.where(index < len(best), np.append(best, 0.0)[np.minimum(index, len(best))], 0.0).mean())


def _match(truth: Labels, boxes: NDArray[np.float64], threshold: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(N,) whether each box found a person, and whether it counts at all."""
    overlap = iou(boxes, truth.tlwh)
    free = np.ones(len(truth.tlwh), np.bool_)
    hit, counted = np.zeros(len(boxes), np.bool_), np.ones(len(boxes), np.bool_)
    for row in range(len(boxes)):
        for ignored in (False, True):
            allowed = np.where(free & (truth.ignored == ignored), overlap[row], -1.0)
            if len(allowed) and allowed.max() >= threshold:
                # Any number of detections may lie on one ignored label, as in COCO's crowd regions.
                free[allowed.argmax()] = ignored
                hit[row], counted[row] = not ignored, not ignored
                break
    return hit, counted


def iou(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, M) intersection over union of (N, 4) and (M, 4) tlwh boxes; 0 where both are empty."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, :2] + a[:, None, 2:], b[None, :, :2] + b[None, :, 2:])
    inter = np.prod(np.clip(high - low, 0.0, None), axis=-1)
    union = np.prod(a[:, None, 2:], axis=-1) + np.prod(b[None, :, 2:], axis=-1) - inter
    return np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)

"""Overlap of boxes, in continuous coordinates (no +1: the width of a box is right less left)."""

import numpy as np
from numpy.typing import NDArray

from msfp.compiled import kernel

Floats = NDArray[np.float64]


def iou_plain(first: Floats, second: Floats) -> Floats:
    """(M, N) intersection over union of (M, 4) and (N, 4) xyxy boxes, by definition; boxes without area give 0."""
    left_top = np.maximum(first[:, None, :2], second[None, :, :2])
    right_bottom = np.minimum(first[:, None, 2:], second[None, :, 2:])
    inner = np.maximum(right_bottom - left_top, 0.0).prod(axis=2)
    areas = [np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0).prod(axis=1) for boxes in (first, second)]
    union = areas[0][:, None] + areas[1][None, :] - inner
    return np.divide(inner, union, out=np.zeros_like(inner), where=inner > 0)


@kernel
def iou(first: Floats, second: Floats) -> Floats:
    """The same as `iou_plain`, one pass."""
    out = np.zeros((len(first), len(second)))
    for j in range(len(second)):
        left, top, right, bottom = second[j, 0], second[j, 1], second[j, 2], second[j, 3]
        area = max(right - left, 0.0) * max(bottom - top, 0.0)
        for i in range(len(first)):
            width = min(first[i, 2], right) - max(first[i, 0], left)
            if width <= 0:
                continue
            height = min(first[i, 3], bottom) - max(first[i, 1], top)
            if height <= 0:
                continue
            inner = width * height
            own = (first[i, 2] - first[i, 0]) * (first[i, 3] - first[i, 1])
            out[i, j] = inner / (own + area - inner)
    return out

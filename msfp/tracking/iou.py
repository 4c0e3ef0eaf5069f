"""Area and overlap of boxes, in continuous coordinates (no +1: the width of a box is right less left)."""

import numpy as np
from numpy.typing import NDArray

from msfp.compiled import kernel

Floats = NDArray[np.float64]


@kernel
def has_area(box: Floats) -> bool:
    """Whether a (4,) xyxy box is finite and its width and height are above 0."""
    width, height = box[2] - box[0], box[3] - box[1]
    return bool(0.0 < width < np.inf and 0.0 < height < np.inf)  # an edge that is no number or infinite makes these so


@kernel
def with_area(boxes: Floats) -> NDArray[np.bool_]:
    """(N,) `has_area` of each box."""
    out = np.empty(len(boxes), np.bool_)
    for i in range(len(boxes)):
        out[i] = has_area(boxes[i])
    return out


@kernel
def iou(first: Floats, second: Floats) -> Floats:
    """(M, N) intersection over union of (M, 4) and (N, 4) xyxy boxes; boxes without area give 0.

    One pass without a branch in the inner loop, which the compiler then does for several boxes at once; in a crowd a
    branch is often guessed wrong.
    """
    out = np.empty((len(first), len(second)))
    left, top, right, bottom = second[:, 0].copy(), second[:, 1].copy(), second[:, 2].copy(), second[:, 3].copy()
    area = np.maximum(right - left, 0.0) * np.maximum(bottom - top, 0.0)
    for i in range(len(first)):
        x, y, end, foot = first[i, 0], first[i, 1], first[i, 2], first[i, 3]
        own = (end - x) * (foot - y)
        for j in range(len(second)):
            width = max(min(right[j], end) - max(left[j], x), 0.0)
            height = max(min(bottom[j], foot) - max(top[j], y), 0.0)
            inner = width * height
            union = own + area[j] - inner
            out[i, j] = inner / union if inner > 0.0 else 0.0
    return out

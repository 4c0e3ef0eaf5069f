"""Non-maximum suppression: torchvision's on a CPU to the bit, without the seconds that importing torchvision takes."""

import numpy as np
from numpy.typing import NDArray

from msfp.compiled import kernel


@kernel
def keep_best(xyxy: NDArray[np.float32], order: NDArray[np.int64], overlap: float) -> NDArray[np.int64]:
    """Find the boxes that no better one overlaps.

    Args:
        xyxy: (N, 4) float32 boxes.
        order: (N,) rows, best first.
        overlap: IoU above which the worse of two is left out.

    Returns:
        (M,) rows that are kept, best first.
    """
    areas = (xyxy[:, 2] - xyxy[:, 0]) * (xyxy[:, 3] - xyxy[:, 1])
    kept = np.empty(len(order), np.int64)
    out = np.zeros(len(order), np.bool_)
    zero, count = np.float32(0), 0
    for place, i in enumerate(order):
        if out[i]:
            continue
        kept[count] = i
        count += 1
        for j in order[place + 1 :]:
            if out[j]:
                continue
            wide = max(zero, min(xyxy[i, 2], xyxy[j, 2]) - max(xyxy[i, 0], xyxy[j, 0]))
            high = max(zero, min(xyxy[i, 3], xyxy[j, 3]) - max(xyxy[i, 1], xyxy[j, 1]))
            inside = wide * high
            if np.float64(inside / (areas[i] + areas[j] - inside)) > overlap:
                out[j] = True
    return kept[:count]

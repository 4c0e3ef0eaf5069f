"""What a pair of track and box costs: overlap of boxes, distance of embeddings."""

import numpy as np
from numpy.typing import NDArray

from msfp.compiled import kernel, summing_kernel

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

    Example:
        >>> msfp.iou(np.array([[0.0, 0.0, 2.0, 2.0]]), np.array([[1.0, 0.0, 3.0, 2.0]])).round(2).tolist()
        [[0.33]]
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


Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]


@kernel
def gallery_distance(
    gallery: Vectors, rows: Rows, counts: Rows, embeddings: Vectors, wanted: NDArray[np.bool_]
) -> Floats:
    """Compute (M, N) least cosine distances, in [0, 2], of vectors to tracks' galleries; infinite where not wanted.

    Only wanted pairs are computed, which a motion gate makes few; no gallery is copied. The order of a sum does not
    depend on how many vectors there are.

    `gallery`: (tracks, G, D) unit vectors. `rows`: (M,) rows of the gallery. `counts`: (M,) how many of a track's G
    vectors are filled, from the first. `embeddings`: (N, D) unit vectors. `wanted`: (M, N) pairs.
    """
    out = np.full(wanted.shape, np.inf)
    for i in range(len(rows)):
        own = gallery[rows[i]]
        for j in range(len(embeddings)):
            if not wanted[i, j]:
                continue
            for k in range(counts[i]):
                out[i, j] = min(out[i, j], max(1.0 - float(inner_product(own[k], embeddings[j])), 0.0))
    return out


@summing_kernel
def inner_product(a: Vectors, b: Vectors) -> np.float32:
    """Compute the inner product of two (D,) vectors, summed in single precision."""
    total = np.float32(0.0)
    for k in range(len(a)):
        total += a[k] * b[k]
    return total


@kernel
def blend(own: Vectors, seen: Vectors, memory: np.float32) -> None:
    """Move a track's (D,) embedding towards the (D,) unit vector seen, in place, and back to unit length.

    `memory` is the share of the old embedding; 0 takes the new one.
    """
    for i in range(len(own)):
        own[i] = memory * own[i] + (np.float32(1.0) - memory) * seen[i]
    length = max(np.sqrt(inner_product(own, own)), np.float32(1e-12))
    for i in range(len(own)):
        own[i] /= length

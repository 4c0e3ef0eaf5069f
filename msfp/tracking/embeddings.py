"""Embeddings of tracks: their distance from those of boxes, and their moving average."""

import numpy as np
from numpy.typing import NDArray

from msfp.compiled import kernel, summing_kernel

Vectors = NDArray[np.float32]
Floats = NDArray[np.float64]
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

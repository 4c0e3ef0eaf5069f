"""Embeddings of tracks: how far they are from those of boxes, and how they follow what is seen."""

import numpy as np
from numpy.typing import NDArray

from msfp.compiled import kernel, summing_kernel

Vectors = NDArray[np.float32]
Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


@kernel
def cosine_distance(gallery: Vectors, embeddings: Vectors) -> Floats:
    """(M, N) 1 - cosine similarity of (M, D) and (N, D) unit vectors, in [0, 2].

    The order of a sum does not depend on how many vectors there are.
    """
    out = np.empty((len(gallery), len(embeddings)))
    for i in range(len(gallery)):
        for j in range(len(embeddings)):
            out[i, j] = max(1.0 - float(inner_product(gallery[i], embeddings[j])), 0.0)
    return out


@kernel
def gallery_distance(
    gallery: Vectors, rows: Rows, counts: Rows, embeddings: Vectors, wanted: NDArray[np.bool_]
) -> Floats:
    """(M, N) smallest cosine distance of a vector to a track's gallery, infinite where nothing is asked.

    Only pairs that are asked for are computed, which a motion gate makes few; no gallery is copied.

    Args:
        gallery: (tracks, G, D) unit vectors.
        rows: (M,) tracks.
        counts: (M,) how many of a track's G vectors are filled, from the first.
        embeddings: (N, D) unit vectors.
        wanted: (M, N) pairs.
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


@kernel
def add_motion(look: Floats, motion: Floats, weight: float) -> None:
    """Make (M, N) cosine distances, in place, their weighted mean with (M, N) distances in motion.

    Pairs that may not be, which are infinite, stay so whatever the weight.
    """
    for i in range(look.shape[0]):
        for j in range(look.shape[1]):
            if look[i, j] < np.inf:
                look[i, j] = weight * look[i, j] + (1.0 - weight) * motion[i, j]


@summing_kernel
def inner_product(a: Vectors, b: Vectors) -> np.float32:
    """Of two (D,) vectors, summed in single precision."""
    total = np.float32(0.0)
    for k in range(len(a)):
        total += a[k] * b[k]
    return total


@kernel
def blend(embedding: Vectors, rows: Rows, vectors: Vectors, memory: NDArray[np.float32]) -> None:
    """Move tracks' embeddings towards what was seen, in place, and back to unit length.

    Args:
        embedding: (M, D) of the tracks; a track that has none yet is zero.
        rows: (K,) tracks.
        vectors: (K, D) unit vectors seen.
        memory: (K,) share of the old embedding; 0 takes the new one.
    """
    for k in range(len(rows)):
        blend_one(embedding[rows[k]], vectors[k], memory[k])


@kernel
def blend_one(own: Vectors, seen: Vectors, memory: np.float32) -> None:
    """`blend` for one track: (D,) of it and of what was seen."""
    for i in range(len(own)):
        own[i] = memory * own[i] + (np.float32(1.0) - memory) * seen[i]
    length = max(np.sqrt(inner_product(own, own)), np.float32(1e-12))
    for i in range(len(own)):
        own[i] /= length

"""What a pair of a track and a box costs. A cost is a function of `Pairs`; a new cue is one more function.

Costs are (M, N) float64, least is best; infinity is a pair that may not be.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from msfp.tracking.iou import iou
from msfp.tracking.kalman import CHI2_95, Floats
from msfp.tracking.looks import cosine_distance

Vectors = NDArray[np.float32]
Fusion = Literal["sum", "min_gate", "mahalanobis"]
MAHALANOBIS_WEIGHT = 0.98  # share of the cosine distance in `mahalanobis`, as in JDE and FairMOT


@dataclass(frozen=True)
class Pairs:
    """What a cost may look at.

    Attributes:
        tracks: (M, 4) predicted xyxy boxes.
        boxes: (N, 4) detected xyxy boxes.
        scores: (N,) their scores.
        gallery: (M, D) unit embeddings of the tracks, or None.
        embeddings: (N, D) unit embeddings of the boxes, or None.
        known: (M, N) pairs of which both embeddings are known, or None where all are.
        motion: gives the (M, N) squared Mahalanobis distances.
    """

    tracks: Floats
    boxes: Floats
    scores: NDArray[np.float32]
    gallery: Vectors | None = None
    embeddings: Vectors | None = None
    known: NDArray[np.bool_] | None = None
    motion: Callable[[], Floats] | None = None


Cost = Callable[[Pairs], Floats]


def iou_cost(pairs: Pairs) -> Floats:
    """IoU distance."""
    return 1.0 - iou(pairs.tracks, pairs.boxes)


def score_weighted_iou_cost(pairs: Pairs) -> Floats:
    """1 - IoU * score, ByteTrack's `fuse_score`."""
    return 1.0 - iou(pairs.tracks, pairs.boxes) * pairs.scores[None, :]


def cue(pairs: Pairs) -> Floats | None:
    """Cosine distances, NaN for pairs of which an embedding is unknown; None where nothing is known."""
    if pairs.gallery is None or pairs.embeddings is None:
        return None
    out = cosine_distance(pairs.gallery, pairs.embeddings)
    return out if pairs.known is None else np.where(pairs.known, out, np.nan)


def sum_cost(weight: float, min_iou: float = 0.0, spatial: Cost = iou_cost) -> Cost:
    """weight * cosine distance + (1 - weight) * IoU distance; pairs overlapping less than `min_iou` may not be.

    A pair without embeddings costs its IoU distance alone.
    """

    def cost(pairs: Pairs) -> Floats:
        overlap = spatial(pairs)
        look = cue(pairs)
        if look is None:
            return overlap
        out = np.where(np.isnan(look), overlap, weight * look + (1.0 - weight) * overlap)
        return out if min_iou <= 0 else np.where(iou(pairs.tracks, pairs.boxes) < min_iou, np.inf, out)

    return cost


def min_gate_cost(proximity: float, appearance: float, spatial: Cost = iou_cost, divisor: float = 2.0) -> Cost:
    """min(IoU distance, cosine distance / 2), the latter only where near and alike (BoT-SORT, eqs. 12-13).

    Args:
        proximity: appearance counts only where the IoU distance is at most this.
        appearance: and half the cosine distance at most this.
        divisor: what the cosine distance is divided by; 2, as the original has it.
        spatial: cost that stands for the IoU distance; the gate always looks at the plain one.
    """

    def cost(pairs: Pairs) -> Floats:
        overlap = spatial(pairs)
        look = cue(pairs)
        if look is None:
            return overlap
        half = look / divisor
        near = iou(pairs.tracks, pairs.boxes) >= 1.0 - proximity
        return np.where(near & (half <= appearance), np.minimum(overlap, half), overlap)

    return cost


def mahalanobis_cost(weight: float = MAHALANOBIS_WEIGHT, gate: float = CHI2_95[4]) -> Cost:
    """weight * cosine distance + (1 - weight) * squared Mahalanobis distance, gated by the latter (JDE, FairMOT).

    A pair without embeddings costs its IoU distance, gated alike.
    """

    def cost(pairs: Pairs) -> Floats:
        if pairs.motion is None:
            raise ValueError("mahalanobis_cost needs the motion of the tracks")
        motion = pairs.motion()
        look = cue(pairs)
        out = iou_cost(pairs) if look is None else weight * look + (1.0 - weight) * motion
        if look is not None and np.isnan(out).any():
            out = np.where(np.isnan(look), iou_cost(pairs), out)
        return np.where(motion > gate, np.inf, out)

    return cost

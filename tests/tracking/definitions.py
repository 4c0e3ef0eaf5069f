"""What kernels are held to, as it stands in the books."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from msfp.tracking.kalman import CHI2_95, POWERS, SMALLEST, Model

Vectors = NDArray[np.float32]
Floats = NDArray[np.float64]


def iou_plain(first: Floats, second: Floats) -> Floats:
    """(M, N) intersection over union of (M, 4) and (N, 4) xyxy boxes, by definition; boxes without area give 0."""
    left_top = np.maximum(first[:, None, :2], second[None, :, :2])
    right_bottom = np.minimum(first[:, None, 2:], second[None, :, 2:])
    inner = np.maximum(right_bottom - left_top, 0.0).prod(axis=2)
    areas = [np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0).prod(axis=1) for boxes in (first, second)]
    union = areas[0][:, None] + areas[1][None, :] - inner
    return np.divide(inner, union, out=np.zeros_like(inner), where=inner > 0)


def cosine_distance_plain(gallery: Vectors, embeddings: Vectors) -> Floats:
    """(M, N) 1 - cosine similarity of (M, D) and (N, D) unit vectors, in [0, 2], by definition."""
    return np.maximum(1.0 - (gallery @ embeddings.T).astype(np.float64), 0.0)


def measure_plain(motion: Model, box: Floats) -> Floats:
    """(4,) xyxy box -> (4,) coordinates of a filter; sizes a filter divides by are held above SMALLEST."""
    width, height = box[2:] - box[:2]
    x, y = box[:2] + (box[2:] - box[:2]) / 2
    high, wide = max(height, SMALLEST), max(width, SMALLEST)
    last = {"xyah": (width / high, high), "xywh": (wide, high), "xyhr": (high, width / high)}
    return np.array([x, y, *last.get([*POWERS][motion.kind], (wide * high, wide / high))])


def box_plain(motion: Model, state: Floats) -> Floats:
    """(4 or 8,) state -> (4,) xyxy box."""
    a, b = state[2:4]
    wide = np.sqrt(max(a * b, 0.0))
    sizes = {"xyah": (a * b, b), "xywh": (a, b), "xyhr": (a * b, a), "xysr": (wide, a / max(wide, SMALLEST))}
    size = np.array(sizes[[*POWERS][motion.kind]])
    return np.concatenate([state[:2] - size / 2, state[:2] + size / 2])


def cost_plain(
    fusion: str, near: float, score: float, cosine: float | None, motion: float, options: Mapping[str, float]
) -> float:
    """Cost of one pair in two-stage association.

    Args:
        fusion: `sum`, `min_gate` or `mahalanobis`.
        near: IoU.
        score: 1 where the IoU is not weighted by it.
        cosine: distance, None where an embedding is unknown.
        motion: squared Mahalanobis distance.
        options: `weight`, `min_iou`, `proximity`, `max_appearance`, `look_divisor`.
    """
    cost = 1 - near * score
    if fusion == "mahalanobis":
        if motion > CHI2_95[4]:
            return np.inf
        return 1 - near if cosine is None else 0.98 * cosine + 0.02 * motion
    if fusion == "sum":
        if near < options["min_iou"]:
            return np.inf
        return cost if cosine is None else options["weight"] * cosine + (1 - options["weight"]) * cost
    half = np.inf if cosine is None else cosine / options["look_divisor"]
    return min(cost, half) if 1 - near <= options["proximity"] and half <= options["max_appearance"] else cost


class Textbook:
    """One track's filter as the books write it: x' = Fx, P' = FPF' + Q; S = HPH' + R, K = PH'S^-1.

    Attributes:
        mean: (8,) state, four coordinates and their velocities.
        covariance: (8, 8).
    """

    def __init__(self, motion: Model, box: Floats) -> None:
        self.motion = motion
        self.transition = np.eye(8) + np.eye(8, k=4)
        self.observation = np.eye(4, 8)
        self.mean = np.concatenate([measure_plain(motion, box), np.zeros(4)])
        self.covariance = self._noise(0, 1)

    def predict(self) -> None:
        """One frame on."""
        positive = self.motion.positive
        if positive >= 0 and self.mean[positive] + self.mean[4 + positive] <= 0:
            self.mean[4 + positive] = 0.0
        noise = self._noise(2, 3)
        self.mean = self.transition @ self.mean
        self.covariance = self.transition @ self.covariance @ self.transition.T + noise

    def update(self, box: Floats, factor: float = 1.0) -> None:
        """Correct with a (4,) xyxy box; `factor` scales the measurement's variance."""
        innovation = measure_plain(self.motion, box) - self.observation @ self.mean
        spread = self._spread(factor)
        gain = self.covariance @ self.observation.T @ np.linalg.inv(spread)
        self.mean = self.mean + gain @ innovation
        self.covariance = self.covariance - gain @ spread @ gain.T

    def distance(self, box: Floats) -> float:
        """Squared Mahalanobis distance of a (4,) xyxy box."""
        innovation = measure_plain(self.motion, box) - self.observation @ self.mean
        return float(innovation @ np.linalg.inv(self._spread(1.0)) @ innovation)

    def _spread(self, factor: float) -> Floats:
        measured = self._noise(4, 4)[:4, :4] * factor
        return self.observation @ self.covariance @ self.observation.T + measured

    def _noise(self, position: int, velocity: int) -> Floats:
        """(8, 8) diagonal of the squared rows `position` and `velocity` of the weights, scaled by the state."""
        scale = [1.0 if s < 0 else max(abs(self.mean[s]), SMALLEST) for s in self.motion.scale]
        weights = self.motion.weights
        return np.diag(np.concatenate([weights[position] * scale, weights[velocity] * scale]) ** 2)

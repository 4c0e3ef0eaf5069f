"""The filters of `kalman` over many tracks at once: twelve numbers of covariance a track in place of sixty-four.

`mean` is (N, 8): four coordinates, four velocities. `blocks` is (N, 4, 3): per coordinate the variance of the
position, its covariance with the velocity, the variance of the velocity. Both are changed in place at `rows`.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from msfp.tracking.kalman import SMALLEST, Floats, Motion

Rows = NDArray[np.int64]


class FastFilter:
    """A motion model bound to its kernels; holds no track."""

    def __init__(self, motion: Motion) -> None:
        self.motion = motion
        self.weights = motion.weights()
        self.scale = np.array(motion.scale, np.int64)
        self._kind = ("xyah", "xywh", "xysr", "xyhr").index(motion.coordinates)

    def start(self, boxes: Floats) -> tuple[Floats, Floats]:
        """(N, 8) mean and (N, 4, 3) blocks of new tracks at (N, 4) xyxy boxes."""
        mean = np.zeros((len(boxes), 8))
        mean[:, :4] = _measure(boxes, self._kind)
        blocks = np.zeros((len(boxes), 4, 3))
        _start(mean, blocks, self.weights, self.scale)
        return mean, blocks

    def predict(self, mean: Floats, blocks: Floats, rows: Rows) -> None:
        """One frame on."""
        _predict(mean, blocks, rows, self.weights, self.scale, self.motion.positive)

    def update(self, mean: Floats, blocks: Floats, rows: Rows, boxes: Floats, factor: Floats | None = None) -> None:
        """Correct tracks `rows` with (K, 4) xyxy boxes; `factor` (K,) scales each measurement's variance."""
        if factor is None:
            factor = np.ones(len(rows))
        _update(mean, blocks, rows, _measure(boxes, self._kind), factor, self.weights, self.scale)

    def distances(self, mean: Floats, blocks: Floats, rows: Rows, boxes: Floats) -> Floats:
        """(M, N) squared Mahalanobis distances of tracks `rows` to (N, 4) xyxy boxes."""
        return _distances(mean, blocks, rows, _measure(boxes, self._kind), self.weights, self.scale)

    def warp(self, mean: Floats, blocks: Floats, rows: Rows, affine: Floats) -> None:
        """Move tracks with the camera: (2, 3) affine map of the previous frame's coordinates to this one's.

        Sizes follow the map's scale. Where x and y are equally uncertain (all but `xywh`) this is exact for rotation
        and scale; else the cross covariance that a rotation makes, a fraction of the angle, is dropped.
        """
        zoom = abs(affine[0, 0] * affine[1, 1] - affine[0, 1] * affine[1, 0]) ** 0.5
        powers = {"xyah": (0, 1), "xywh": (1, 1), "xysr": (2, 0), "xyhr": (1, 0)}[self.motion.coordinates]
        factors = np.array([zoom**power for power in powers])
        _warp(mean, blocks, rows, np.ascontiguousarray(affine, np.float64), factors)

    def boxes(self, mean: Floats) -> Floats:
        """(N, 8) means -> (N, 4) xyxy boxes, file coordinates."""
        return _boxes(mean, self._kind)


@njit(cache=True)
def _measure(boxes, kind):  # type: ignore[no-untyped-def]
    """`Motion.measure`; kind 0 xyah, 1 xywh, 2 xysr, 3 xyhr."""
    out = np.empty((len(boxes), 4))
    for i in range(len(boxes)):
        width, height = boxes[i, 2] - boxes[i, 0], boxes[i, 3] - boxes[i, 1]
        out[i, 0], out[i, 1] = boxes[i, 0] + width / 2, boxes[i, 1] + height / 2
        height = max(height, SMALLEST)
        if kind == 0:
            out[i, 2], out[i, 3] = width / height, height
            continue
        if kind == 3:
            out[i, 2], out[i, 3] = height, width / height
            continue
        width = max(width, SMALLEST)
        if kind == 1:
            out[i, 2], out[i, 3] = width, height
        else:
            out[i, 2], out[i, 3] = width * height, width / height
    return out


@njit(cache=True)
def _boxes(state, kind):  # type: ignore[no-untyped-def]
    """`Motion.boxes`."""
    out = np.empty((len(state), 4))
    for i in range(len(state)):
        if kind == 0:
            width, height = state[i, 2] * state[i, 3], state[i, 3]
        elif kind == 1:
            width, height = state[i, 2], state[i, 3]
        elif kind == 3:
            width, height = state[i, 2] * state[i, 3], state[i, 2]
        else:
            width = max(state[i, 2] * state[i, 3], 0.0) ** 0.5
            height = state[i, 2] / max(width, SMALLEST)
        out[i, 0], out[i, 1] = state[i, 0] - width / 2, state[i, 1] - height / 2
        out[i, 2], out[i, 3] = out[i, 0] + width, out[i, 1] + height
    return out


@njit(cache=True)
def _size(mean, row, scale):  # type: ignore[no-untyped-def]
    return 1.0 if scale < 0 else max(abs(mean[row, scale]), SMALLEST)


@njit(cache=True)
def _start(mean, blocks, weights, scale):  # type: ignore[no-untyped-def]
    for row in range(mean.shape[0]):
        for i in range(4):
            size = _size(mean, row, scale[i])
            blocks[row, i, 0] = (weights[0, i] * size) ** 2
            blocks[row, i, 2] = (weights[1, i] * size) ** 2


@njit(cache=True)
def _predict(mean, blocks, rows, weights, scale, positive):  # type: ignore[no-untyped-def]
    sizes = np.empty(4)
    for row in rows:
        if positive >= 0 and mean[row, positive] + mean[row, 4 + positive] <= 0:
            mean[row, 4 + positive] = 0.0
        for i in range(4):
            sizes[i] = _size(mean, row, scale[i])
        for i in range(4):
            block = blocks[row, i]
            block[0] += 2 * block[1] + block[2] + (weights[2, i] * sizes[i]) ** 2
            block[1] += block[2]
            block[2] += (weights[3, i] * sizes[i]) ** 2
            mean[row, i] += mean[row, 4 + i]


@njit(cache=True)
def _update(mean, blocks, rows, measured, factor, weights, scale):  # type: ignore[no-untyped-def]
    sizes = np.empty(4)
    for k in range(len(rows)):
        row = rows[k]
        for i in range(4):
            sizes[i] = _size(mean, row, scale[i])
        for i in range(4):
            block = blocks[row, i]
            spread = block[0] + factor[k] * (weights[4, i] * sizes[i]) ** 2
            first, second = block[0] / spread, block[1] / spread
            innovation = measured[k, i] - mean[row, i]
            mean[row, i] += first * innovation
            mean[row, 4 + i] += second * innovation
            block[2] -= second * block[1]
            block[1] -= first * block[1]
            block[0] -= first * block[0]


@njit(cache=True)
def _distances(mean, blocks, rows, measured, weights, scale):  # type: ignore[no-untyped-def]
    out = np.zeros((len(rows), len(measured)))
    for k in range(len(rows)):
        row = rows[k]
        for i in range(4):
            spread = blocks[row, i, 0] + (weights[4, i] * _size(mean, row, scale[i])) ** 2
            for j in range(len(measured)):
                out[k, j] += (measured[j, i] - mean[row, i]) ** 2 / spread
    return out


@njit(cache=True)
def _warp(mean, blocks, rows, affine, factors):  # type: ignore[no-untyped-def]
    a, b, c, d = affine[0, 0], affine[0, 1], affine[1, 0], affine[1, 1]
    for row in rows:
        x, y = mean[row, 0], mean[row, 1]
        mean[row, 0], mean[row, 1] = a * x + b * y + affine[0, 2], c * x + d * y + affine[1, 2]
        x, y = mean[row, 4], mean[row, 5]
        mean[row, 4], mean[row, 5] = a * x + b * y, c * x + d * y
        for i in range(3):
            first, second = blocks[row, 0, i], blocks[row, 1, i]
            blocks[row, 0, i] = a * a * first + b * b * second
            blocks[row, 1, i] = c * c * first + d * d * second
        for i in range(2):
            mean[row, 2 + i] *= factors[i]
            mean[row, 6 + i] *= factors[i]
            for j in range(3):
                blocks[row, 2 + i, j] *= factors[i] ** 2

"""What `kalman_fast` compiles: the filters' equations, block by block, over rows of many tracks.

`weights` and `scale` are a `Motion`'s; `measured` is in its coordinates; `mean` and `blocks` as in `kalman_fast`.
"""

import numpy as np
from numpy.typing import NDArray

from msfp.compiled import kernel
from msfp.tracking.kalman import SMALLEST, Floats

Rows = NDArray[np.int64]


@kernel
def measure(boxes: Floats, kind: int) -> Floats:
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


@kernel
def state_boxes(state: Floats, kind: int) -> Floats:
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


@kernel
def size_of(mean: Floats, row: int, scale: int) -> float:
    """What a coordinate's noise is proportional to."""
    return 1.0 if scale < 0 else max(abs(mean[row, scale]), SMALLEST)


@kernel
def start(mean: Floats, blocks: Floats, weights: Floats, scale: Rows) -> None:
    """Blocks of new tracks; those given are zero."""
    for row in range(mean.shape[0]):
        for i in range(4):
            size = size_of(mean, row, scale[i])
            blocks[row, i, 0] = (weights[0, i] * size) ** 2
            blocks[row, i, 2] = (weights[1, i] * size) ** 2


@kernel
def predict(mean: Floats, blocks: Floats, rows: Rows, weights: Floats, scale: Rows, positive: int) -> None:
    """One frame on."""
    sizes = np.empty(4)
    for row in rows:
        if positive >= 0 and mean[row, positive] + mean[row, 4 + positive] <= 0:
            mean[row, 4 + positive] = 0.0
        for i in range(4):
            sizes[i] = size_of(mean, row, scale[i])
        for i in range(4):
            block = blocks[row, i]
            block[0] += 2 * block[1] + block[2] + (weights[2, i] * sizes[i]) ** 2
            block[1] += block[2]
            block[2] += (weights[3, i] * sizes[i]) ** 2
            mean[row, i] += mean[row, 4 + i]


@kernel
def correct(
    mean: Floats, blocks: Floats, rows: Rows, measured: Floats, factor: Floats, weights: Floats, scale: Rows
) -> None:
    """Take measurements; `factor` scales the variance of each."""
    sizes = np.empty(4)
    for k in range(len(rows)):
        row = rows[k]
        for i in range(4):
            sizes[i] = size_of(mean, row, scale[i])
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


@kernel
def retrace(
    mean: Floats,
    blocks: Floats,
    rows: Rows,
    seen: Floats,
    boxes: Floats,
    gaps: Rows,
    kind: int,
    weights: Floats,
    scale: Rows,
    positive: int,
) -> None:
    """Take a box a frame on the line from `seen` to `boxes` (K, 4), which lie `gaps` frames apart; the last is next."""
    one, virtual, factor = np.empty(1, np.int64), np.empty((1, 4)), np.ones(1)
    for k in range(len(rows)):
        one[0] = rows[k]
        for step in range(1, gaps[k] + 1):
            share = step / gaps[k]
            for i in range(4):
                virtual[0, i] = seen[k, i] + share * (boxes[k, i] - seen[k, i])
            correct(mean, blocks, one, measure(virtual, kind), factor, weights, scale)
            if step < gaps[k]:
                predict(mean, blocks, one, weights, scale, positive)


@kernel
def distances(mean: Floats, blocks: Floats, rows: Rows, measured: Floats, weights: Floats, scale: Rows) -> Floats:
    """Squared Mahalanobis distances."""
    out = np.zeros((len(rows), len(measured)))
    for k in range(len(rows)):
        row = rows[k]
        for i in range(4):
            spread = blocks[row, i, 0] + (weights[4, i] * size_of(mean, row, scale[i])) ** 2
            for j in range(len(measured)):
                out[k, j] += (measured[j, i] - mean[row, i]) ** 2 / spread
    return out


@kernel
def warp(mean: Floats, blocks: Floats, rows: Rows, affine: Floats, powers: Rows) -> None:
    """Move with the camera; the last two coordinates grow by these powers of its scale."""
    a, b, c, d = affine[0, 0], affine[0, 1], affine[1, 0], affine[1, 1]
    zoom = abs(a * d - b * c) ** 0.5
    factors = (zoom ** powers[0], zoom ** powers[1])
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

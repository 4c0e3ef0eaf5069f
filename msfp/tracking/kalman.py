"""Constant-velocity Kalman filters of the field: what each tracks, with which noise, and its equations for many tracks.

Every filter here tracks four coordinates and their velocities (SORT's aspect has none, which is a velocity of zero
variance). Transition and measurement act on one coordinate at a time and all noise is diagonal, so the 8x8 covariance
never leaves four 2x2 blocks, and twelve numbers a track stand for sixty-four: `mean` is (N, 8), four coordinates and
four velocities; `blocks` is (N, 4, 3), per coordinate the variance of the position, its covariance with the velocity
and the variance of the velocity. Kernels change both in place at `rows`. The textbook's equations are in the tests.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from msfp.compiled import kernel

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
CHI2_95 = {2: 5.9915, 4: 9.4877}
"""95 % quantiles of chi-square by degrees of freedom, the usual gates on the squared Mahalanobis distance."""
POWERS = {"xyah": (0, 1), "xywh": (1, 1), "xysr": (2, 0), "xyhr": (1, 0)}
"""Coordinates, by `Model.kind`: centre, then aspect w/h, height; width, height; area, aspect; height, aspect."""
SMALLEST = 1e-4  # heights and noise scales below this (pixels) would make the filter singular


class Model(NamedTuple):
    """What a filter tracks and how noisy it takes it to be.

    A standard deviation is a weight times a scale: the state's own coordinate `scale[i]` (sizes in pixels), or 1 where
    that is -1.
    """

    kind: int  # index of the coordinates in `POWERS`
    weights: Floats  # (5, 4) of a new track's position, its velocity, what a step adds to each, and a measurement
    scale: Rows  # (4,) index of the coordinate that a coordinate's noise is proportional to, or -1
    powers: Rows  # (2,) powers of the camera's scale that the last two coordinates follow
    still: Rows  # coordinates whose velocity a lost track forgets
    positive: int  # coordinate whose velocity is dropped when it would carry it to zero or below, or -1


def _model(coordinates: str, scale: tuple[int, ...], *weights: object, still: object = (), positive: int = -1) -> Model:
    kind, powers = [*POWERS].index(coordinates), np.array(POWERS[coordinates])
    return Model(kind, np.array(weights, np.float64), np.array(scale), powers, np.array(still, np.int64), positive)


_P, _V = 1 / 20, 1 / 160  # DeepSORT's weights of position and velocity, relative to the height

XYAH = _model(
    "xyah",
    (3, 3, -1, 3),
    (2 * _P, 2 * _P, 1e-2, 2 * _P),
    (10 * _V, 10 * _V, 1e-5, 10 * _V),
    (_P, _P, 1e-2, _P),
    (_V, _V, 1e-5, _V),
    (_P, _P, 1e-1, _P),
    still=(3,),
)
"""DeepSORT's and ByteTrack's filter."""

XYWH = _model("xywh", (2, 3, 2, 3), (2 * _P,) * 4, (10 * _V,) * 4, (_P,) * 4, (_V,) * 4, (_P,) * 4, still=(2, 3))
"""BoT-SORT's filter: width in place of aspect, noise of x and w relative to the width."""

XYSR = _model(
    "xysr",
    (-1, -1, -1, -1),
    (10**0.5,) * 4,
    (100.0, 100.0, 100.0, 0.0),
    (1.0,) * 4,
    (0.1, 0.1, 0.01, 0.0),
    (1.0, 1.0, 10**0.5, 10**0.5),
    positive=2,
)
"""SORT's filter of seven states (the aspect has no velocity), in pixels."""

XYHR = _model("xyhr", (-1, -1, -1, -1), (10**0.5,) * 4, (100.0,) * 4, (1.0,) * 4, (0.1,) * 4, (1.0, 1.0, 10**0.5, 0.1))
"""BoostTrack's filter: height and aspect, both with a velocity, noise in pixels."""


@kernel
def measure(boxes: Floats, kind: int) -> Floats:
    """Convert (N, 4) xyxy boxes to (N, 4) coordinates of a filter; kind 0 is xyah, 1 xywh, 2 xysr, 3 xyhr."""
    out = np.empty((len(boxes), 4))
    for i in range(len(boxes)):
        width, height = boxes[i, 2] - boxes[i, 0], boxes[i, 3] - boxes[i, 1]
        out[i, 0], out[i, 1] = boxes[i, 0] + width / 2, boxes[i, 1] + height / 2
        height = max(height, SMALLEST)
        wide = max(width, SMALLEST)
        if kind == 0:
            out[i, 2], out[i, 3] = width / height, height
        elif kind == 1:
            out[i, 2], out[i, 3] = wide, height
        elif kind == 2:
            out[i, 2], out[i, 3] = wide * height, wide / height
        else:
            out[i, 2], out[i, 3] = height, width / height
    return out


@kernel
def state_boxes(state: Floats, kind: int) -> Floats:
    """Convert (N, 4 or 8) states to (N, 4) xyxy boxes; a state without a size gives an empty box."""
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
    """Return what a coordinate's noise is proportional to."""
    return 1.0 if scale < 0 else max(abs(mean[row, scale]), SMALLEST)


@kernel
def start(mean: Floats, blocks: Floats, model: Model) -> None:
    """Fill the blocks of new tracks, which are zero."""
    weights, scale = model.weights, model.scale
    for row in range(mean.shape[0]):
        for i in range(4):
            size = size_of(mean, row, scale[i])
            blocks[row, i, 0] = (weights[0, i] * size) ** 2
            blocks[row, i, 2] = (weights[1, i] * size) ** 2


@kernel
def predict(mean: Floats, blocks: Floats, rows: Rows, model: Model) -> None:
    """Move tracks one frame on."""
    weights, scale, positive = model.weights, model.scale, model.positive
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
def correct(mean: Floats, blocks: Floats, rows: Rows, measured: Floats, factor: Floats, model: Model) -> None:
    """Take (K, 4) measurements in the filter's coordinates; `factor` (K,) scales the variance of each."""
    weights, scale = model.weights, model.scale
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
def retrace(mean: Floats, blocks: Floats, rows: Rows, seen: Floats, boxes: Floats, gaps: Rows, model: Model) -> None:
    """Take a box a frame on the line from `seen` to `boxes` (K, 4) xyxy, which lie `gaps` (K,) frames apart.

    The filters are at the first of these frames before and at the last after.
    """
    one, virtual, factor = np.empty(1, np.int64), np.empty((1, 4)), np.ones(1)
    for k in range(len(rows)):
        one[0] = rows[k]
        for step in range(1, gaps[k] + 1):
            share = step / gaps[k]
            for i in range(4):
                virtual[0, i] = seen[k, i] + share * (boxes[k, i] - seen[k, i])
            correct(mean, blocks, one, measure(virtual, model.kind), factor, model)
            if step < gaps[k]:
                predict(mean, blocks, one, model)


@kernel
def distances(mean: Floats, blocks: Floats, rows: Rows, measured: Floats, model: Model) -> Floats:
    """Compute (M, N) squared Mahalanobis distances of tracks `rows` to (N, 4) measurements."""
    weights, scale = model.weights, model.scale
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
    """Move tracks with the camera: (2, 3) affine map of the previous frame's coordinates to this one's.

    Sizes follow `powers` of the map's scale. Where x and y are equally uncertain (all but `xywh`) this is exact for
    rotation and scale; else the cross covariance that a rotation makes, a fraction of the angle, is dropped.
    """
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

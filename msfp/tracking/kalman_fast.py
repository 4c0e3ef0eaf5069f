"""The filters of `kalman` over many tracks at once: twelve numbers of covariance a track in place of sixty-four.

`mean` is (N, 8): four coordinates, four velocities. `blocks` is (N, 4, 3): per coordinate the variance of the
position, its covariance with the velocity, the variance of the velocity. Both are changed in place at `rows`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from msfp.tracking import kalman_kernels as kernels
from msfp.tracking.kalman import Floats, Motion

Rows = NDArray[np.int64]
KINDS = ("xyah", "xywh", "xysr", "xyhr")
POWERS = ((0, 1), (1, 1), (2, 0), (1, 0))  # of the camera's scale, which the last two coordinates follow


class Model(NamedTuple):
    """A `FastFilter` as kernels take it."""

    weights: Floats
    scale: Rows
    kind: int
    positive: int
    powers: Rows
    still: Rows  # coordinates that lost tracks do not move in


class FastFilter:
    """A motion model bound to its kernels; holds no track."""

    def __init__(self, motion: Motion) -> None:
        self.motion = motion
        self.weights = motion.weights()
        self.scale = np.array(motion.scale, np.int64)
        self.kind = KINDS.index(motion.coordinates)
        self.powers = np.array(POWERS[self.kind])

    def model(self) -> Model:
        """For compiled sequences."""
        still = np.array(self.motion.still, np.int64)
        return Model(self.weights, self.scale, self.kind, self.motion.positive, self.powers, still)

    def start(self, boxes: Floats) -> tuple[Floats, Floats]:
        """(N, 8) mean and (N, 4, 3) blocks of new tracks at (N, 4) xyxy boxes."""
        mean = np.zeros((len(boxes), 8))
        mean[:, :4] = kernels.measure(boxes, self.kind)
        blocks = np.zeros((len(boxes), 4, 3))
        kernels.start(mean, blocks, self.weights, self.scale)
        return mean, blocks

    def predict(self, mean: Floats, blocks: Floats, rows: Rows) -> None:
        """One frame on."""
        kernels.predict(mean, blocks, rows, self.weights, self.scale, self.motion.positive)

    def update(self, mean: Floats, blocks: Floats, rows: Rows, boxes: Floats, factor: Floats | None = None) -> None:
        """Correct tracks `rows` with (K, 4) xyxy boxes; `factor` (K,) scales each measurement's variance."""
        if factor is None:
            factor = np.ones(len(rows))
        kernels.correct(mean, blocks, rows, kernels.measure(boxes, self.kind), factor, self.weights, self.scale)

    def retrace(self, mean: Floats, blocks: Floats, rows: Rows, seen: Floats, boxes: Floats, gaps: Rows) -> None:
        """Take a box a frame on the line from `seen` to `boxes` (K, 4) xyxy, which lie `gaps` (K,) frames apart.

        The filters are at the first of these frames before and at the last after.
        """
        motion = self.motion
        kernels.retrace(mean, blocks, rows, seen, boxes, gaps, self.kind, self.weights, self.scale, motion.positive)

    def distances(self, mean: Floats, blocks: Floats, rows: Rows, boxes: Floats) -> Floats:
        """(M, N) squared Mahalanobis distances of tracks `rows` to (N, 4) xyxy boxes."""
        return kernels.distances(mean, blocks, rows, kernels.measure(boxes, self.kind), self.weights, self.scale)

    def warp(self, mean: Floats, blocks: Floats, rows: Rows, affine: Floats) -> None:
        """Move tracks with the camera: (2, 3) affine map of the previous frame's coordinates to this one's.

        Sizes follow the map's scale. Where x and y are equally uncertain (all but `xywh`) this is exact for rotation
        and scale; else the cross covariance that a rotation makes, a fraction of the angle, is dropped.
        """
        kernels.warp(mean, blocks, rows, np.ascontiguousarray(affine, np.float64), self.powers)

    def boxes(self, mean: Floats) -> Floats:
        """(N, 8) means -> (N, 4) xyxy boxes, file coordinates."""
        return kernels.state_boxes(mean, self.kind)

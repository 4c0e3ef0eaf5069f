"""Constant-velocity Kalman filters of the field: what each tracks, with which noise.

Every filter here tracks four coordinates and their velocities (SORT's aspect has none, which is a velocity of zero
variance). Transition and measurement act on one coordinate at a time and all noise is diagonal, so the 8x8 covariance
never leaves four 2x2 blocks; `kalman_fast` keeps just those. The textbook's equations are in notebook 05 and the tests.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
CHI2_95 = {2: 5.9915, 4: 9.4877}
"""95 % quantiles of chi-square by degrees of freedom, the usual gates on the squared Mahalanobis distance."""
SMALLEST = 1e-4  # heights and noise scales below this (pixels) would make the filter singular


@dataclass(frozen=True)
class Motion:
    """What a filter tracks and how noisy it takes it to be.

    A standard deviation is a weight times a scale: the state's own coordinate `scale[i]` (sizes in pixels), or 1 where
    that is -1.

    Attributes:
        coordinates: `xyah` centre, aspect w/h, height; `xywh` centre, width, height; `xysr` centre, area, aspect;
            `xyhr` centre, height, aspect.
        scale: per coordinate, index of the coordinate its noise is proportional to, or -1.
        initial, initial_velocity: weights of a new track's position and velocity.
        process, process_velocity: weights of what a step adds.
        measured: weights of a measurement.
        still: velocities that a lost track forgets (indices of coordinates).
        positive: coordinate whose velocity is dropped when it would carry it to zero or below, or -1.
    """

    coordinates: Literal["xyah", "xywh", "xysr", "xyhr"]
    scale: tuple[int, int, int, int]
    initial: tuple[float, ...]
    initial_velocity: tuple[float, ...]
    process: tuple[float, ...]
    process_velocity: tuple[float, ...]
    measured: tuple[float, ...]
    still: tuple[int, ...] = ()
    positive: int = -1

    def weights(self) -> Floats:
        """(5, 4) initial, initial velocity, process, process velocity, measured."""
        rows = (self.initial, self.initial_velocity, self.process, self.process_velocity, self.measured)
        return np.array(rows, np.float64)

    def measure(self, boxes: Floats) -> Floats:
        """(N, 4) xyxy file coordinates -> (N, 4) in this filter's coordinates."""
        out = np.empty((len(boxes), 4))
        width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
        out[:, 0], out[:, 1] = boxes[:, 0] + width / 2, boxes[:, 1] + height / 2
        if self.coordinates == "xywh":
            out[:, 2], out[:, 3] = np.maximum(width, SMALLEST), np.maximum(height, SMALLEST)
            return out
        height = np.maximum(height, SMALLEST)
        if self.coordinates == "xyah":
            out[:, 2], out[:, 3] = width / height, height
        elif self.coordinates == "xyhr":
            out[:, 2], out[:, 3] = height, width / height
        else:
            width = np.maximum(width, SMALLEST)
            out[:, 2], out[:, 3] = width * height, width / height
        return out

    def boxes(self, state: Floats) -> Floats:
        """(N, 4 or 8) states -> (N, 4) xyxy file coordinates; a state without a size gives an empty box."""
        if self.coordinates == "xyah":
            width, height = state[:, 2] * state[:, 3], state[:, 3]
        elif self.coordinates == "xyhr":
            width, height = state[:, 2] * state[:, 3], state[:, 2]
        elif self.coordinates == "xywh":
            width, height = state[:, 2], state[:, 3]
        else:
            width = np.sqrt(np.maximum(state[:, 2] * state[:, 3], 0.0))
            height = state[:, 2] / np.maximum(width, SMALLEST)
        out = np.empty((len(state), 4))
        out[:, 0], out[:, 1] = state[:, 0] - width / 2, state[:, 1] - height / 2
        out[:, 2], out[:, 3] = out[:, 0] + width, out[:, 1] + height
        return out


_P, _V = 1 / 20, 1 / 160  # DeepSORT's weights of position and velocity, relative to the height

XYAH = Motion(
    "xyah",
    scale=(3, 3, -1, 3),
    initial=(2 * _P, 2 * _P, 1e-2, 2 * _P),
    initial_velocity=(10 * _V, 10 * _V, 1e-5, 10 * _V),
    process=(_P, _P, 1e-2, _P),
    process_velocity=(_V, _V, 1e-5, _V),
    measured=(_P, _P, 1e-1, _P),
    still=(3,),
)
"""DeepSORT's and ByteTrack's filter."""

XYWH = Motion(
    "xywh",
    scale=(2, 3, 2, 3),
    initial=(2 * _P,) * 4,
    initial_velocity=(10 * _V,) * 4,
    process=(_P,) * 4,
    process_velocity=(_V,) * 4,
    measured=(_P,) * 4,
    still=(2, 3),
)
"""BoT-SORT's filter: width in place of aspect, noise of x and w relative to the width."""

XYSR = Motion(
    "xysr",
    scale=(-1, -1, -1, -1),
    initial=(10**0.5,) * 4,
    initial_velocity=(100.0, 100.0, 100.0, 0.0),
    process=(1.0,) * 4,
    process_velocity=(0.1, 0.1, 0.01, 0.0),
    measured=(1.0, 1.0, 10**0.5, 10**0.5),
    positive=2,
)
"""SORT's filter of seven states (the aspect has no velocity), in pixels."""

XYHR = Motion(
    "xyhr",
    scale=(-1, -1, -1, -1),
    initial=(10**0.5,) * 4,
    initial_velocity=(100.0,) * 4,
    process=(1.0,) * 4,
    process_velocity=(0.1,) * 4,
    measured=(1.0, 1.0, 10**0.5, 0.1),
)
"""BoostTrack's filter: height and aspect, both with a velocity, noise in pixels."""

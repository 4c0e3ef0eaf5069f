"""A pinhole camera over the ground plane, and how it moves.

World coordinates are metres: x right, y forward, z up, the ground at z = 0. Image coordinates are pixels with the left
edge of the first pixel at 0 (file coordinates less 1).
"""

from dataclasses import dataclass
from math import tau
from typing import Literal

import numpy as np
from numpy.typing import NDArray

NEAR = 0.25  # metres; nothing nearer than this is drawn
Mode = Literal["static", "pan", "shake", "handheld"]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Camera:
    """A camera at one instant."""

    centre: Floats  # (3,) place in the world, metres
    rotation: Floats  # (3, 3) rows are the image's right, the image's down and the view direction, in world coordinates
    focal: float  # focal length, pixels
    principal: tuple[float, float]  # (x, y) principal point, pixels

    def view(self, points: Floats) -> Floats:
        """(..., 3) world points -> (..., 3) camera coordinates: right, down, depth, metres."""
        return (points - self.centre) @ self.rotation.T

    def project(self, points: Floats) -> tuple[Floats, Floats]:
        """(..., 3) world points -> (..., 2) pixels and (...) depth in metres; depth is held to at least `NEAR`."""
        seen = self.view(points)
        depth = np.maximum(seen[..., 2], NEAR)
        return seen[..., :2] * (self.focal / depth[..., None]) + self.principal, depth

    def homography(self, origin: Floats, u: Floats, v: Floats) -> Floats:
        """(3, 3) from plane coordinates (s, t, 1), the point origin + s u + t v, to homogeneous pixels."""
        intrinsic = np.array([[self.focal, 0, self.principal[0]], [0, self.focal, self.principal[1]], [0, 0, 1]])
        return intrinsic @ self.rotation @ np.stack([u, v, origin - self.centre], axis=1)


@dataclass(frozen=True)
class CameraPath:
    """What a world's camera is and does."""

    mode: Mode  # static, panning, shaking on its mount, or carried through the scene
    height: float  # above the ground, metres
    pitch: float  # downward tilt, degrees
    focal: float  # focal length over image width
    speed: float = 0.0  # of the carrier along the view (handheld), metres a second; negative walks backwards
    drift: float = 0.0  # of the carrier to the right (handheld), metres a second
    swing: float = 0.0  # amplitude of panning or of the carrier's sway, degrees
    period: float = 6.0  # of panning, seconds
    shake: float = 0.0  # amplitude of the high-frequency shake, degrees
    roll: float = 0.0  # constant tilt of the horizon, degrees


def rotation(yaw: float, pitch: float, roll: float) -> Floats:
    """(3, 3) rows right, down, forward of a camera that looks along +y turned by yaw to the right; radians."""
    forward = np.array([np.sin(yaw) * np.cos(pitch), np.cos(yaw) * np.cos(pitch), -np.sin(pitch)])
    right = np.array([np.cos(yaw), -np.sin(yaw), 0.0])
    down = np.cross(forward, right)
    c, s = np.cos(roll), np.sin(roll)
    return np.stack([c * right + s * down, c * down - s * right, forward])


def cameras(
    path: CameraPath, length: int, fps: float, size: tuple[int, int], rng: np.random.Generator
) -> tuple[Camera, ...]:
    """The camera in every frame; a static one is the same object throughout, so that drawings of it can be kept.

    `rng` gives the phases of sway and shake.
    """
    width, height = size
    principal = (width / 2, height / 2)
    phase = rng.uniform(0, tau, 12)
    tilt, roll = np.radians(path.pitch), np.radians(path.roll)

    def at(centre: Floats, yaw: float, pitch: float, turn: float) -> Camera:
        return Camera(centre, rotation(yaw, pitch, turn), path.focal * width, principal)

    if path.mode == "static":
        return (at(np.array([0.0, 0.0, path.height]), 0.0, tilt, roll),) * length
    t = np.arange(length) / fps
    swing, shake = np.radians(path.swing), np.radians(path.shake)
    yaw = swing * np.sin(tau * t / path.period + phase[0])
    pitch, turn = np.full(length, tilt), np.full(length, roll)
    for k, hertz in enumerate((1.7, 3.1, 6.3)):  # incommensurate, so that the shake does not repeat
        amplitude = shake / (k + 1)
        yaw += amplitude * np.sin(tau * hertz * t + phase[1 + k])
        pitch += amplitude * np.sin(tau * hertz * 1.13 * t + phase[4 + k])
        turn += 0.4 * amplitude * np.sin(tau * hertz * 0.91 * t + phase[7 + k])
    centre = np.zeros((length, 3))
    centre[:, 2] = path.height
    if path.mode == "handheld":
        centre[:, 0] = path.drift * t + 0.05 * np.sin(tau * 0.9 * t + phase[10])
        centre[:, 1] = path.speed * t
        centre[:, 2] += 0.025 * np.sin(tau * 1.8 * t + phase[11])  # two steps a stride lift the carrier twice
    return tuple(at(centre[i], yaw[i], pitch[i], turn[i]) for i in range(length))

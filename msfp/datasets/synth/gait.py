"""Poses of a walking body: joint angles from a phase, joints from angles. Vectorised over people."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msfp.datasets.synth.camera import Floats

# Joints, in the order of the arrays below.
PELVIS, NECK, HEAD, CROWN = 0, 1, 2, 3
SHOULDER, ELBOW, HAND = (4, 5), (6, 7), (8, 9)  # left, right
HIP, KNEE, ANKLE, TOE = (10, 11), (12, 13), (14, 15), (16, 17)
JOINTS = 18
STRIDE = 0.82  # metres walked in a gait cycle (two steps), over stature
THIGH, SHIN, FOOT = 0.245, 0.235, 0.04  # over stature
SPINE, UPPER_ARM, FOREARM = 0.31, 0.17, 0.19


@dataclass(frozen=True)
class Motion:
    """Where people are in one frame and what their bodies do; one row a person."""

    position: Floats  # (N, 2) on the ground, metres
    heading: Floats  # (N,) direction of the chest, radians from +y to the right (towards +x)
    phase: Floats  # (N,) of the gait cycle, radians
    pace: Floats  # (N,) 0 stands, 1 walks at about 1.4 m/s
    crouch: Floats  # (N,) 0 upright, 1 sits on the heels' height of a chair
    lift: Floats  # (N, 2) left and right arm: 0 hangs, 1 reaches up, by the side
    reach: Floats  # (N, 2) left and right arm: radians forward of hanging (holding a phone, playing)
    hop: Floats  # (N,) height of the feet over the ground, metres

    def pick(self, rows: int | slice | NDArray[np.int64]) -> "Motion":
        """Some of the rows of every array."""
        return Motion(*(column[rows] for column in vars(self).values()))


def joints(motion: Motion, stature: Floats, breadth: Floats) -> Floats:
    """(N, 18, 3) world places of the joints of N people, metres; stature (N,) in metres, breadth (N,) 1 if common.

    The leg that reaches lower stands on the ground, whatever the angles are, so the body bobs and crouches by itself.
    """
    n = len(stature)
    forward = np.stack([np.sin(motion.heading), np.cos(motion.heading), np.zeros(n)], -1)
    left = np.stack([-np.cos(motion.heading), np.sin(motion.heading), np.zeros(n)], -1)
    up = np.array([0.0, 0.0, 1.0])
    out = np.zeros((n, JOINTS, 3))
    lean = 0.05 * motion.pace + 0.35 * motion.crouch
    spine = np.sin(lean)[:, None] * forward + np.cos(lean)[:, None] * up
    tall = stature[:, None]
    out[:, NECK] = SPINE * tall * spine
    out[:, HEAD] = out[:, NECK] + tall * (0.085 * up + 0.015 * forward)
    out[:, CROWN] = out[:, NECK] + tall * (0.125 * up + 0.008 * forward)
    amplitude = 0.42 * motion.pace
    for side, sign in enumerate((1.0, -1.0)):
        phase = motion.phase + np.pi * side
        thigh = amplitude * np.sin(phase) + 1.3 * motion.crouch
        knee = 0.06 + 1.7 * amplitude * np.maximum(0.0, np.cos(phase)) + 1.6 * motion.crouch
        out[:, HIP[side]] = sign * 0.052 * tall * breadth[:, None] * left
        out[:, KNEE[side]] = out[:, HIP[side]] + THIGH * tall * swing(thigh, forward)
        out[:, ANKLE[side]] = out[:, KNEE[side]] + SHIN * tall * swing(thigh - knee, forward)
        pitch = 0.5 * np.minimum(0.0, thigh - knee)[:, None] * (1 - motion.crouch[:, None])
        out[:, TOE[side]] = out[:, ANKLE[side]] + tall * (0.085 * forward + 0.085 * pitch * up - 0.018 * up)
        raised = 2.7 * motion.lift[:, side] + 0.12
        arm = -0.8 * amplitude * np.sin(phase) + motion.reach[:, side]
        bend = 0.25 + 0.5 * motion.pace * 0.5 + 0.9 * motion.reach[:, side]
        out[:, SHOULDER[side]] = 0.955 * out[:, NECK] + sign * 0.108 * tall * breadth[:, None] * left
        outward = np.sin(raised)[:, None] * sign * left
        upper = outward + np.cos(raised)[:, None] * swing(arm, forward)
        fore = outward + np.cos(raised)[:, None] * swing(arm + bend, forward)
        out[:, ELBOW[side]] = out[:, SHOULDER[side]] + UPPER_ARM * tall * upper
        out[:, HAND[side]] = out[:, ELBOW[side]] + FOREARM * tall * fore
    ground = out[:, ANKLE, 2].min(axis=1) - FOOT * stature
    out[..., 2] += (motion.hop - ground)[:, None]
    out[..., :2] += motion.position[:, None, :]
    return out


def swing(angle: Floats, forward: Floats) -> Floats:
    """(N, 3) unit vectors that hang down at angle 0 and point along `forward` (N, 3) at a right angle."""
    out = np.sin(angle)[:, None] * forward
    out[:, 2] = -np.cos(angle)
    return out

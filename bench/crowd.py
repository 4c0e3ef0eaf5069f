"""What benchmarks run on: people who walk through a scene, or real sequences; with the detections of either.

The walkers exist only as boxes: `places` people at a time, each gone after a while and replaced by another, nearer ones
lower and larger as a camera at eye height sees them. The detections are the statistical twin of MOT17's SDP.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from msfp.data import catalog
from msfp.data.motchallenge import read_detections, read_ground_truth
from msfp.tracking.costs import iou
from msfp.types import Detections, GroundTruth, tlwh_to_xyxy
from msfp.worlds.public_detections import detect

WIDTH, HEIGHT = 1920, 1080
STAY = 250  # mean frames a person stays
STATIC = 7  # MOTChallenge's class of a static person: neither right nor wrong


@dataclass(frozen=True)
class Scene:
    """Labels and detections of one sequence in file coordinates, and its length in frames."""

    name: str
    length: int
    truth: GroundTruth
    found: Detections


def scene(places: int, length: int, seed: int) -> Scene:
    """A synthetic sequence with about `places` people in every frame."""
    rng = np.random.default_rng(seed)
    truth = walkers(places, length, rng)
    found = detect(truth, WIDTH, HEIGHT, 0.0, "SDP", rng)
    return Scene(f"MOT17-{seed + 20}-SDP", length, truth, found)


def real_scenes(root: Path) -> list[Scene]:
    """Every labelled sequence of a folder with its public detections."""
    chosen = [s for one in catalog.load(root) for s in one.sequences if s.det_path and s.gt_path]
    return [Scene(s.name, s.length, read_ground_truth(s.gt_path, s), read_detections(s.det_path, s)) for s in chosen]


def real_scene(root: Path, ending: str = "04-SDP") -> Scene:
    """The sequence whose name has this ending, or the first."""
    found = real_scenes(root)
    return next((one for one in found if one.name.endswith(ending)), found[0])


def walkers(places: int, length: int, rng: np.random.Generator) -> GroundTruth:
    """Labels of `places` people at a time; every twentieth is a static look-alike that does not count."""
    depth = rng.uniform(0.0, 1.0, places)
    x = rng.uniform(0, WIDTH, places)
    speed = rng.normal(0, 1.5, places)
    identity = np.arange(1, places + 1)
    still = identity % 20 == 0
    boxes = np.empty((length, places, 4))
    identities = np.empty((length, places), np.int32)
    for t in range(length):
        leave = (rng.random(places) < 1 / STAY) & ~still
        identity[leave] = identity.max() + 1 + np.arange(leave.sum())
        x[leave], depth[leave] = rng.uniform(0, WIDTH, leave.sum()), rng.uniform(0, 1, leave.sum())
        speed = np.where(still, 0.0, speed + rng.normal(0, 0.15, places))
        x += speed * (0.5 + depth)
        speed = np.where((x < 0) | (x > WIDTH), -speed, speed)
        x = np.clip(x, 0, WIDTH)
        tall = 60 + 340 * depth**2
        foot = 0.35 * HEIGHT + 0.6 * HEIGHT * depth
        boxes[t] = np.stack([x - 0.2 * tall, foot - tall, 0.4 * tall, tall], 1) + 1.0
        identities[t] = identity
    count = length * places
    category = np.where(still, STATIC, 1).astype(np.int32)
    return GroundTruth(
        frame=np.repeat(np.arange(1, length + 1, dtype=np.int32), places),
        id=identities.reshape(-1),
        tlwh=np.round(boxes.reshape(-1, 4), 2),
        flag=np.tile(np.where(still, 0, 1).astype(np.float32), length),
        category=np.tile(category, length),
        visibility=np.concatenate([visible(frame) for frame in boxes]).astype(np.float32)
        if count
        else np.zeros(0, "f4"),
    )


def visible(tlwh: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) share of each box that the one nearer box covering most of it leaves free."""
    low, high = tlwh[:, :2], tlwh[:, :2] + tlwh[:, 2:]
    sides = np.minimum(high[:, None], high[None]) - np.maximum(low[:, None], low[None])
    covered = np.prod(np.maximum(sides, 0), 2) / np.prod(tlwh[:, 2:], 1)[:, None]
    nearer = high[None, :, 1] > high[:, None, 1]
    return 1 - np.max(covered * nearer, 1, initial=0.0)


def looks(
    truth: GroundTruth, frame: NDArray[np.int32], boxes: NDArray[np.float32], width: int = 32
) -> NDArray[np.float32]:
    """(N, width) stand-ins for a network's unit vectors of (N, 4) xyxy boxes.

    A direction of the labelled person that a box covers by half or more, with noise; else a random one.
    """
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(int(truth.id.max()) + 1, width))
    vectors = rng.normal(size=(len(boxes), width))
    labels = tlwh_to_xyxy(truth.tlwh)
    for t in np.unique(frame):
        rows, people = np.flatnonzero(frame == t), np.flatnonzero((truth.frame == t) & truth.pedestrian)
        if not len(people):
            continue
        overlap = iou(labels[people], boxes[rows].astype(np.float64))
        best = overlap.argmax(axis=0)
        sure = overlap.max(axis=0) >= 0.5
        noise = 0.6 * rng.normal(size=(int(sure.sum()), width))
        vectors[rows[sure]] = directions[truth.id[people[best[sure]]]] + noise
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

"""What a pair costs in `two_stage_sequence`: the costs of `association` that two-stage trackers use, compiled."""

from typing import NamedTuple

import numpy as np

from msfp.compiled import kernel
from msfp.tracking.base import Stretch
from msfp.tracking.iou import complement, iou
from msfp.tracking.kalman import Floats
from msfp.tracking.kalman_fast import Model
from msfp.tracking.kalman_kernels import distances, measure
from msfp.tracking.lifecycle import Rows
from msfp.tracking.looks import cosine_distance
from msfp.tracking.track_state import TrackState, take

MOTION, SUM, MIN_GATE, MAHALANOBIS = -1, 0, 1, 2
FUSIONS = {"sum": SUM, "min_gate": MIN_GATE, "mahalanobis": MAHALANOBIS}


class Rules(NamedTuple):
    """The settings of `two_stage` as numbers."""

    match: float
    match_low: float
    match_unconfirmed: float
    margin: np.float32
    buffer: int  # in frames of the sequence
    fuse_score: bool
    detected: bool  # report the detected box, not the filter's
    fusion: int
    weight: float
    min_iou: float
    proximity: float
    max_appearance: float
    look_divisor: float
    gate: float
    ema: np.float32


@kernel
def pair_costs(
    frames: Stretch, rules: Rules, model: Model, bank: TrackState, boxes: Floats, rows: Rows, chosen: Rows, looks: bool
) -> Floats:
    """(M, N) cost of tracks `rows` and detections `chosen`, as `association` defines it."""
    targets = take(frames.boxes, chosen)
    near = iou(take(boxes, rows), targets)
    cost = np.empty_like(near)
    trust = np.ones(len(chosen))
    if rules.fuse_score and rules.fusion != MAHALANOBIS:
        for j in range(len(chosen)):
            trust[j] = frames.scores[chosen[j]]
    for i in range(len(rows)):
        for j in range(len(chosen)):
            cost[i, j] = 1.0 - near[i, j] * trust[j]
    looks = looks and rules.fusion != MOTION
    if not looks and rules.fusion != MAHALANOBIS:
        return cost
    look, apart = near, near  # not read unless they are cues
    if looks:
        look = cosine_distance(take(bank.embedding, rows), take(frames.vectors, chosen))
    if rules.fusion == MAHALANOBIS:
        measured = measure(targets, model.kind)
        apart = distances(bank.mean, bank.blocks, rows, measured, model.weights, model.scale)
    for i in range(len(rows)):
        for j in range(len(chosen)):
            if looks and bank.known[rows[i]] and frames.known[chosen[j]]:
                cost[i, j] = _with_look(rules, cost[i, j], look[i, j], near[i, j], apart[i, j])
            if looks and rules.fusion == SUM and near[i, j] < rules.min_iou:
                cost[i, j] = np.inf
            if rules.fusion == MAHALANOBIS and apart[i, j] > rules.gate:
                cost[i, j] = np.inf
    return cost


@kernel
def _with_look(rules: Rules, spatial: float, look: float, near: float, apart: float) -> float:
    """Cost of a pair whose looks are known."""
    if rules.fusion == SUM:
        return rules.weight * look + (1.0 - rules.weight) * spatial
    if rules.fusion == MAHALANOBIS:
        return rules.weight * look + (1.0 - rules.weight) * apart
    half = look / rules.look_divisor
    if near >= 1.0 - rules.proximity and half <= rules.max_appearance:
        return min(spatial, half)
    return spatial


@kernel
def overlap_costs(boxes: Floats, rows: Rows, found: Floats, chosen: Rows) -> Floats:
    """`association.iou_cost`."""
    return complement(iou(take(boxes, rows), take(found, chosen)))

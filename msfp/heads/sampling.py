"""Batches for the triplet loss: P identities with K instances from within a window of frames (section 3.4)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msfp.config import TrainingSettings


@dataclass(frozen=True)
class Labels:
    """Whose box each feature row is.

    Attributes:
        scene: (N,) int64 number of the scene.
        frame: (N,) int64 frame.
        identity: (N,) int64 identity, unique within its scene only.
    """

    scene: NDArray[np.int64]
    frame: NDArray[np.int64]
    identity: NDArray[np.int64]


def groups(labels: Labels, window: int) -> list[tuple[int, NDArray[np.int64]]]:
    """(person, rows) for each person and window of frames with at least two boxes; person is unique over scenes.

    Windows tile the sequence; an identity seen once in a window has no positive there and is left out.
    """
    keys = np.stack([labels.scene, labels.identity], axis=1)
    person = np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1)
    tile = (labels.frame - 1) // window
    order = np.lexsort((labels.frame, tile, person))
    cuts = np.flatnonzero(np.diff(person[order]) | np.diff(tile[order])) + 1
    return [(int(person[rows[0]]), rows) for rows in np.split(order, cuts) if len(rows) >= 2]


def batches(
    labels: Labels, config: TrainingSettings, rng: np.random.Generator
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """One epoch: every (person, window) group once, P at a time, never the same person twice in a batch.

    Yields:
        rows: (P * K,) feature rows, `person`: (P * K,) whose they are. Fewer than P persons where a scene has fewer;
        batches with a single person are left out, as they have no negative.
    """
    found = groups(labels, config.window)
    scope = np.array([labels.scene[rows[0]] if config.scope == "scene" else 0 for _, rows in found])
    order = rng.permutation(len(found))
    order = order[np.argsort(scope[order], kind="stable")]
    plan = []
    for part in np.split(order, np.flatnonzero(np.diff(scope[order])) + 1) if len(order) else []:
        plan += _pack([found[i] for i in part], config.identities)
    for index in rng.permutation(len(plan)):
        chosen = plan[index]
        rows = [rng.choice(r, config.instances, replace=len(r) < config.instances) for _, r in chosen]
        yield np.concatenate(rows), np.repeat([p for p, _ in chosen], config.instances)


def _pack(parts: list[tuple[int, NDArray[np.int64]]], size: int) -> list[list[tuple[int, NDArray[np.int64]]]]:
    """Fill batches in turn, each with distinct persons; what stays alone is dropped."""
    out: list[list[tuple[int, NDArray[np.int64]]]] = []
    held: list[set[int]] = []
    first_open = 0
    for part in parts:
        for i in range(first_open, len(out)):
            if len(out[i]) < size and part[0] not in held[i]:
                break
        else:
            i = len(out)
            out.append([])
            held.append(set())
        out[i].append(part)
        held[i].add(part[0])
        while first_open < len(out) and len(out[first_open]) == size:
            first_open += 1
    return [batch for batch in out if len(batch) >= 2]

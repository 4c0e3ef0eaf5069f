"""Embeddings that bound all others: none at all, and a perfect one that reads whom a box shows from the labels."""

import numpy as np
from numpy.typing import NDArray

from msfp.engine.code import code_digest
from msfp.metrics.oracle import true_identities
from msfp.pipeline import data
from msfp.pipeline.data import Part
from msfp.pipeline.features import TRUTH
from msfp.pipeline.run import Run
from msfp.types import Scene

NOTHING, PERFECT = "nothing", "perfect"
BOUNDS = (NOTHING, PERFECT)
STRANGERS = 64
"""Dimensions in which boxes without a person lie, in directions of their own."""


def bound_inputs(run: Run, scene: Scene, strategy: str) -> dict[str, object]:
    """Inputs that a bounding embedding of a scene's boxes depends on."""
    boxes = {s.detector: run.file_digest(s.det_path) for s in scene.sequences}
    own: dict[str, object] = {"strategy": strategy, "boxes": boxes, "code": code_digest(__name__, follow=False)}
    return own | ({"truth": run.file_digest(data.truth_path(scene))} if strategy == PERFECT else {})


def bound_embeddings(part: Part, boxes: str, strategy: str) -> NDArray[np.float32]:
    """(N, D) embeddings of a part's boxes (`gt` or a public detector), rows as in the file.

    Of `nothing` all are zero, which trackers take for unknown. `perfect` opens the labels of the very frames that are
    tracked: what it scores is an upper bound of what any embedding can do for an association, not a result.
    """
    if boxes == TRUTH:
        truth = data.window(data.truth(part.scene), part)
        return identity_vectors(truth.id) if strategy == PERFECT else np.zeros((len(truth), 1), np.float32)
    (sequence,) = (s for s in part.scene.sequences if s.detector == boxes)
    found = data.window(data.detections(sequence), part)
    if strategy == PERFECT:
        return identity_vectors(true_identities(data.window(data.truth(part.scene), part), found))
    return np.zeros((len(found), 1), np.float32)


def identity_vectors(identity: NDArray[np.integer]) -> NDArray[np.float32]:
    """(N, people + STRANGERS) unit vectors of (N,) identities: one axis a person, a random direction for each negative.

    A box without a person is at right angles to every person and nearly so to the others of its kind: with 64
    dimensions two of them are more alike than 0.8 once in some 10^15 pairs. An axis for each would take gigabytes.
    """
    people, number = np.unique(identity[identity >= 0], return_inverse=True)
    out = np.zeros((len(identity), len(people) + STRANGERS), np.float32)
    out[np.flatnonzero(identity >= 0), number] = 1.0
    nobody = np.flatnonzero(identity < 0)
    drawn = np.random.default_rng(0).standard_normal((len(nobody), STRANGERS))
    out[nobody, len(people) :] = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return out

"""Embeddings of a part's boxes with any appearance, jointly fine-tuned or not."""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from msfp.engine.progress import Bar
from msfp.errors import NotComputable
from msfp.heads.apply import restore, restore_head
from msfp.heads.tasks import FusionSteps, ThresholdSteps
from msfp.heads.threshold import SceneEncoder
from msfp.heads.training import Fitted, fit_jointly
from msfp.pipeline.data import Part
from msfp.pipeline.heads import HEAD_CODE, Appearance, embed_part, head_inputs, together, train_head, training_set
from msfp.pipeline.run import Run
from msfp.pipeline.search import detectors_of
from msfp.pipeline.thresholds import ATL_CODE, atl_inputs, atl_training_set, train_atl

STRATEGY = "attention-instance"  # the head of MSFP-Track


@dataclass(frozen=True)
class Joint:
    """Outcome of joint fine-tuning: the fusion head, and ATL (offset mode) for each public detector."""

    head: Fitted
    thresholds: dict[str, Fitted]


def fine_tune(run: Run, learn: tuple[Part, ...], seed: int) -> Joint:
    """Head and ATL trained separately, then for some epochs with the sum of their losses (4.1).

    Raises:
        NotComputable: frames of a learning part are missing.
    """
    seeds = together(run, seed)
    return _fine_tune_seeds(run, learn, seeds)[seeds.index(seed)]


def fine_tune_all(run: Run, learned: Iterable[tuple[Part, ...]]) -> None:
    """Fine-tune on each of several sets of learning parts with the run's seeds, fanned out; they are then kept."""
    run.map(partial(_fine_tune_one, run=run), dict.fromkeys(learned), "joint fine-tuning")


def _fine_tune_one(learn: tuple[Part, ...], run: Run) -> None:
    with contextlib.suppress(NotComputable):  # whoever needs it says so in its cells
        _fine_tune_seeds(run, learn, run.settings.seeds)


@lru_cache(maxsize=32)
def _fine_tune_seeds(run: Run, learn: tuple[Part, ...], seeds: tuple[int, ...]) -> list[Joint]:
    inputs = {
        "head": [head_inputs(run, Appearance(STRATEGY, learn, seed)) for seed in seeds],
        "atl": {d: [atl_inputs(run, learn, d, "offset", seed) for seed in seeds] for d in detectors_of(learn)},
    }
    return run.store.get_or_compute("joint", inputs, lambda: _fine_tune(run, learn, seeds), code=HEAD_CODE + ATL_CODE)


def _fine_tune(run: Run, learn: tuple[Part, ...], seeds: tuple[int, ...]) -> list[Joint]:
    vectors, labels = training_set(run, learn)
    channels = {layer: v.shape[1] for layer, v in vectors.items()}
    states = [train_head(run, Appearance(STRATEGY, learn, seed)).state for seed in seeds]
    heads = [restore_head(STRATEGY, channels, state, run.settings.fusion) for state in states]
    tasks = {}
    for detector in detectors_of(learn):
        scene, target = atl_training_set(run, learn, detector, "offset")
        encoders = [SceneEncoder(scene.shape[1], "offset", run.settings.atl) for _ in seeds]
        for encoder, seed in zip(encoders, seeds, strict=True):
            restore(encoder, train_atl(run, learn, detector, "offset", seed).state)
        tasks[detector] = ThresholdSteps(encoders, scene, target, seeds)
    fusion = FusionSteps(heads, vectors, labels, run.settings.training, seeds)
    with Bar(run.settings.training.joint_epochs, "joint fine-tuning") as progress:
        return [Joint(*found) for found in fit_jointly(fusion, tasks, tick=progress.update)]


@lru_cache(maxsize=64)
def embeddings(run: Run, part: Part, boxes: str, look: Appearance) -> NDArray[np.float32]:
    """(N, D) unit embeddings of a part's boxes (`gt` or a public detector), rows as in the file.

    Raises:
        NotComputable: frames are missing.
    """
    state = fine_tune(run, look.learn, look.seed).head.state if look.joint else train_head(run, look).state
    return embed_part(run, part, boxes, look, state)

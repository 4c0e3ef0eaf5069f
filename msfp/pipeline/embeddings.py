"""Embeddings of a part's boxes with any appearance, jointly fine-tuned or not."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from msfp.engine.progress import Bar
from msfp.heads.apply import restore, restore_head
from msfp.heads.threshold import SceneEncoder
from msfp.heads.training import Fitted, FusionSteps, ThresholdSteps, fit_jointly
from msfp.pipeline.data import Part
from msfp.pipeline.heads import HEAD_CODE, Appearance, embed_part, head_inputs, train_head, training_set
from msfp.pipeline.run import Run
from msfp.pipeline.search import detectors_of
from msfp.pipeline.thresholds import ATL_CODE, atl_inputs, atl_training_set, train_atl


@dataclass(frozen=True)
class Joint:
    """Outcome of joint fine-tuning: the fusion head, and ATL (offset mode) for each public detector."""

    head: Fitted
    thresholds: dict[str, Fitted]


@lru_cache(maxsize=32)
def fine_tune(run: Run, learn: tuple[Part, ...], seed: int) -> Joint:
    """Head and ATL trained separately, then for some epochs with the sum of their losses (4.1).

    Raises:
        NotComputable: frames of a learning part are missing.
    """
    look = Appearance("attention-instance", learn, seed)
    inputs = {
        "head": head_inputs(run, look),
        "atl": {d: atl_inputs(run, learn, d, "offset", seed) for d in detectors_of(learn)},
    }
    return run.store.get_or_compute("joint", inputs, lambda: _fine_tune(run, look), code=HEAD_CODE + ATL_CODE)


def _fine_tune(run: Run, look: Appearance) -> Joint:
    vectors, labels = training_set(run, look.learn)
    channels = {layer: v.shape[1] for layer, v in vectors.items()}
    head = restore_head(look.strategy, channels, train_head(run, look).state, run.settings.fusion)
    tasks = {}
    for detector in detectors_of(look.learn):
        scene, target = atl_training_set(run, look.learn, detector, "offset")
        encoder = SceneEncoder(scene.shape[1], "offset", run.settings.atl)
        restore(encoder, train_atl(run, look.learn, detector, "offset", look.seed).state)
        tasks[detector] = ThresholdSteps(encoder, scene, target, look.seed)
    fusion = FusionSteps(head, vectors, labels, run.settings.training, look.seed)
    with Bar(run.settings.training.joint_epochs, f"joint fine-tuning, seed {look.seed}") as progress:
        return Joint(*fit_jointly(head, fusion, tasks, tick=progress.update))


@lru_cache(maxsize=64)
def embeddings(run: Run, part: Part, boxes: str, look: Appearance) -> NDArray[np.float32]:
    """(N, D) unit embeddings of a part's boxes (`gt` or a public detector), rows as in the file.

    Raises:
        NotComputable: frames are missing.
    """
    state = fine_tune(run, look.learn, look.seed).head.state if look.joint else train_head(run, look).state
    return embed_part(run, part, boxes, look, state)

"""Training of the fusion head and of ATL, and their joint fine-tuning (section 3.4, 4.1), all seeds of one at once.

Arrays come in and go out; tensors stay here. Every random source is seeded by the call: a seed's initial weights,
batches and dropout are its own, whichever others train beside it.

"Jointly ... for 10 epochs" (4.1) minimises the sum of the head's loss and ATL's. The detector is frozen and the two
share no parameter, so the gradient of the sum is each one's own: joint fine-tuning is some more epochs of each. A test
compares the two ways; here each module is trained on by itself, right after its own epochs.
"""

from collections.abc import Callable, Mapping
from collections.abc import Sequence as ListLike
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from msfp.config import AtlSettings, FusionSettings, TrainingSettings
from msfp.errors import NotComputable
from msfp.heads.fusion import FusionHead, make_head
from msfp.heads.fusion_steps import FusionSteps, Loss
from msfp.heads.sampling import Labels
from msfp.heads.stack import as_arrays
from msfp.heads.threshold import Mode, SceneEncoder
from msfp.heads.threshold_steps import ThresholdSteps
from msfp.threads import one_thread

Tick = Callable[[], None]
State = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Fitted:
    """A trained module as arrays, with how it came to be.

    Attributes:
        state: parameter and buffer name -> array.
        loss: (E,) mean loss per epoch.
        active: (E,) share of anchors inside the margin (fusion), or NaN.
        joint: the same module after joint fine-tuning, with the history of that; None where it was not asked for.
    """

    state: dict[str, NDArray[np.float32]]
    loss: NDArray[np.float32]
    active: NDArray[np.float32]
    joint: "Fitted | None" = None


def fit_fusion(
    strategy: str | type[FusionHead],
    layers: Mapping[int, NDArray[np.float16]],
    labels: Labels,
    fusion: FusionSettings,
    training: TrainingSettings,
    seeds: ListLike[int],
    tick: Tick | None = None,
    joint: bool = False,
    loss: Loss | None = None,
) -> list[Fitted]:
    """Train a fusion head with the triplet loss on features of ground-truth boxes, once for each seed.

    Args:
        strategy: registered fusion strategy, or a class of one's own; training-free ones come back at once.
        layers: layer -> (N, C) pooled vectors.
        labels: whose they are.
        fusion, training: settings.
        seeds: of initial weights and batches.
        tick: called once an epoch.
        joint: fine-tune jointly afterwards, too.
        loss: another loss than the paper's, see `tasks.Loss`.

    Returns:
        One a seed.

    Raises:
        NotComputable: no two people with two boxes each in any window.
    """
    heads: list[nn.Module] = []
    for seed in seeds:
        torch.manual_seed(seed)
        heads.append(make_head(strategy, {k: v.shape[-1] for k, v in layers.items()}, fusion))
    if not any(True for _ in heads[0].parameters()):
        return [fitted(head, [], []) for head in heads]
    steps = FusionSteps(heads, layers, labels, training, seeds, loss=loss)

    optimiser: list[torch.optim.Optimizer] = []

    def start() -> None:
        optimiser[:] = [torch.optim.Adam(steps.heads.parameters(), lr=training.learning_rate, fused=True)]

    return _fit(steps.heads.states, start, lambda: steps.epoch(optimiser[0]), training, tick, joint)


def fit_threshold(
    mode: Mode,
    scene: NDArray[np.float16],
    target: NDArray[np.float32],
    atl: AtlSettings,
    training: TrainingSettings,
    seeds: ListLike[int],
    tick: Tick | None = None,
    joint: bool = False,
) -> list[Fitted]:
    """Train ATL with MSE against grid-searched thresholds (eq. 9), once for each seed.

    Args:
        mode: what is predicted.
        scene: (T, C) scene vectors of training frames.
        target: (T, 1) or (T, 2) target of each frame's sequence.
        atl, training: settings.
        seeds: of initial weights, dropout and batches.
        tick: called once an epoch.
        joint: fine-tune jointly afterwards, too.

    Returns:
        One a seed.
    """
    if not len(scene):
        raise NotComputable("no training frame has pixels, so ATL cannot be trained")
    encoders = []
    for seed in seeds:
        torch.manual_seed(seed)
        encoders.append(SceneEncoder(scene.shape[1], mode, atl))
        encoders[-1].learn_scale(torch.from_numpy(scene.astype(np.float32)))
    steps = ThresholdSteps(encoders, scene, target, seeds)
    return _fit(steps.states, steps.start, lambda: steps.epoch(training.learning_rate), training, tick, joint)


def _fit(
    states: Callable[[], list[State]],
    start: Callable[[], None],
    epoch: Callable[[], NDArray[np.float64]],
    training: TrainingSettings,
    tick: Tick | None,
    joint: bool,
) -> list[Fitted]:
    """Train for `epochs`, then with a fresh optimiser for `joint_epochs` where that is wanted.

    Args:
        states: each seed's parameters now.
        start: begin with a fresh optimiser.
        epoch: train one; (2, S) mean loss and active share.
        training, tick, joint: as in `fit_fusion`.
    """
    start()
    first = _each(_epochs(training.epochs, epoch, tick), states)
    if not joint:
        return first
    start()
    then = _each(_epochs(training.joint_epochs, epoch, tick), states)
    return [replace(alone, joint=tuned) for alone, tuned in zip(first, then, strict=True)]


def _epochs(
    count: int, epoch: Callable[[], NDArray[np.float64]], tick: Tick | None
) -> tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]]:
    """(S,) mean loss and active share of each epoch."""
    loss, active = [], []
    with one_thread():
        for _ in range(count):
            one, share = epoch()
            loss.append(one)
            active.append(share)
            if tick is not None:
                tick()
    return loss, active


def _each(
    history: tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]], states: Callable[[], list[State]]
) -> list[Fitted]:
    """Each seed's outcome; the history holds (S,) losses and active shares, one an epoch."""
    loss, active = history
    return [
        Fitted(state, np.array([v[s] for v in loss], np.float32), np.array([v[s] for v in active], np.float32))
        for s, state in enumerate(states())
    ]


def fitted(module: nn.Module, loss: list[float], active: list[float]) -> Fitted:
    """A single module's state as arrays, with its history."""
    return Fitted(as_arrays(module.state_dict()), np.array(loss, np.float32), np.array(active, np.float32))

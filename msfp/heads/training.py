"""Training of the fusion head, of ATL, and of both jointly (section 3.4, 4.1), all seeds of a configuration at once.

Arrays come in and go out; tensors stay here. Every random source is seeded by the call: a seed's initial weights,
batches and dropout are its own, whichever others train beside it.
"""

from collections.abc import Callable, Mapping
from collections.abc import Sequence as ListLike
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from msfp.config import AtlSettings, FusionSettings, TrainingSettings
from msfp.errors import NotComputable
from msfp.heads.fusion import make_head
from msfp.heads.sampling import Labels
from msfp.heads.stack import Stack, as_arrays
from msfp.heads.tasks import FusionSteps, Losses, ThresholdSteps, mean_over, take_step
from msfp.heads.threshold import Mode, SceneEncoder
from msfp.threads import one_thread

Tick = Callable[[], None]


@dataclass(frozen=True)
class Fitted:
    """A trained module as arrays, with how it came to be.

    Attributes:
        state: parameter and buffer name -> array.
        loss: (E,) mean loss per epoch, joint epochs after the separate ones.
        active: (E,) share of anchors inside the margin (fusion), or NaN.
    """

    state: dict[str, NDArray[np.float32]]
    loss: NDArray[np.float32]
    active: NDArray[np.float32]


def fit_fusion(
    strategy: str,
    layers: Mapping[int, NDArray[np.float16]],
    labels: Labels,
    fusion: FusionSettings,
    training: TrainingSettings,
    seeds: ListLike[int],
    tick: Tick | None = None,
) -> list[Fitted]:
    """Train a fusion head with the triplet loss on features of ground-truth boxes, once for each seed.

    Args:
        strategy: registered fusion strategy; training-free ones come back at once.
        layers: layer -> (N, C) pooled vectors.
        labels: whose they are.
        fusion, training: settings.
        seeds: of initial weights and batches.
        tick: called once an epoch.

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
    steps = FusionSteps(heads, layers, labels, training, seeds)
    optimiser = torch.optim.Adam(steps.heads.parameters(), lr=training.learning_rate, fused=True)
    loss, active = _epochs(training.epochs, lambda: steps.epoch(optimiser), tick)
    return _each(steps.heads, loss, active)


def fit_threshold(
    mode: Mode,
    scene: NDArray[np.float16],
    target: NDArray[np.float32],
    atl: AtlSettings,
    training: TrainingSettings,
    seeds: ListLike[int],
    tick: Tick | None = None,
) -> list[Fitted]:
    """Train ATL with MSE against grid-searched thresholds (eq. 9), once for each seed.

    Args:
        mode: what is predicted.
        scene: (T, C) scene vectors of training frames.
        target: (T, 1) or (T, 2) target of each frame's sequence.
        atl, training: settings.
        seeds: of initial weights, dropout and batches.
        tick: called once an epoch.

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
    optimiser = torch.optim.Adam(
        steps.encoders.parameters(), lr=training.learning_rate, weight_decay=atl.weight_decay, fused=True
    )
    loss, active = _epochs(training.epochs, lambda: steps.epoch(optimiser), tick)
    return _each(steps.encoders, loss, active)


def fit_jointly(
    fusion: FusionSteps, thresholds: Mapping[str, ThresholdSteps], tick: Tick | None = None
) -> list[tuple[Fitted, dict[str, Fitted]]]:
    """Fine-tune heads and ATL together, in place, with the sum of their losses ("jointly ... for 10 epochs", 4.1).

    The detector is frozen and the modules share no parameter, so the sum's gradient is each one's own: joint training
    is some more epochs of each, which a test asserts. An epoch is one of the fusion's; ATL's batches go round.

    Args:
        fusion: the trained heads with their task; `fusion.training` says how many epochs and at which rate.
        thresholds: trained ATL encoders with their tasks, one for each public detector.
        tick: called once an epoch.

    Returns:
        One a seed.
    """
    groups: list[dict[str, Any]] = [{"params": list(fusion.heads.parameters())}]
    for steps in thresholds.values():
        groups.append({"params": list(steps.encoders.parameters()), "weight_decay": steps.config.weight_decay})
    optimiser = torch.optim.Adam(groups, lr=fusion.training.learning_rate, fused=True)
    endless = {name: steps.forever() for name, steps in thresholds.items()}
    history: dict[str, list[NDArray[np.float64]]] = {name: [] for name in thresholds}

    def epoch() -> NDArray[np.float64]:
        pairs: list[Losses] = []
        seen: dict[str, list[Losses]] = {name: [] for name in thresholds}
        for loss, active in fusion.losses():
            total = loss.sum()
            for name, losses in endless.items():
                other = next(losses)
                seen[name].append((other.detach(), other.detach()))
                total = total + other.sum()
            take_step(optimiser, total)
            pairs.append((loss.detach(), active))
        for name, values in seen.items():
            history[name].append(mean_over(values)[0])
        return mean_over(pairs)

    own = _each(fusion.heads, *_epochs(fusion.training.joint_epochs, epoch, tick))
    others = {name: _each(steps.encoders, history[name], []) for name, steps in thresholds.items()}
    return [(head, {name: found[s] for name, found in others.items()}) for s, head in enumerate(own)]


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


def _each(modules: Stack, loss: list[NDArray[np.float64]], active: list[NDArray[np.float64]]) -> list[Fitted]:
    """Each seed's outcome; `loss` and `active` hold (S,) an epoch."""
    return [
        Fitted(state, np.array([v[s] for v in loss], np.float32), np.array([v[s] for v in active], np.float32))
        for s, state in enumerate(modules.states())
    ]


def fitted(module: nn.Module, loss: list[float], active: list[float]) -> Fitted:
    """A single module's state as arrays, with its history."""
    return Fitted(as_arrays(module.state_dict()), np.array(loss, np.float32), np.array(active, np.float32))

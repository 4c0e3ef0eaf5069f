"""Training of the fusion head, of ATL, and of both jointly (section 3.4, 4.1).

Arrays come in and go out; tensors stay here. Every random source is seeded by the call.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from msfp.config import AtlSettings, FusionSettings, TrainingSettings
from msfp.errors import NotComputable
from msfp.heads.fusion import FusionHead, make_head
from msfp.heads.loss import batch_hard_triplet
from msfp.heads.sampling import Labels, batches
from msfp.heads.threshold import Mode, SceneEncoder

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
    seed: int,
    tick: Tick | None = None,
) -> Fitted:
    """Train a fusion head with the triplet loss on features of ground-truth boxes.

    Args:
        strategy: registered fusion strategy; training-free ones come back at once.
        layers: layer -> (N, C) pooled vectors.
        labels: whose they are.
        fusion, training: settings.
        seed: of initial weights and batches.
        tick: called once an epoch.

    Raises:
        NotComputable: no two people with two boxes each in any window.
    """
    torch.manual_seed(seed)
    head = make_head(strategy, {k: v.shape[1] for k, v in layers.items()}, fusion)
    if not any(True for _ in head.parameters()):
        return fitted(head, [], [])
    step = FusionSteps(head, layers, labels, training, seed)
    optimiser = torch.optim.Adam(head.parameters(), lr=training.learning_rate, fused=True)
    loss, active = _epochs(training.epochs, lambda: step.epoch(optimiser), tick)
    return fitted(head, loss, active)


def fit_threshold(
    mode: Mode,
    scene: NDArray[np.float16],
    target: NDArray[np.float32],
    atl: AtlSettings,
    training: TrainingSettings,
    seed: int,
    tick: Tick | None = None,
) -> Fitted:
    """Train ATL with MSE against grid-searched thresholds (eq. 9).

    Args:
        mode: what is predicted.
        scene: (T, C) scene vectors of training frames.
        target: (T, 1) or (T, 2) target of each frame's sequence.
        atl, training: settings.
        seed: of initial weights, dropout and batches.
        tick: called once an epoch.
    """
    if not len(scene):
        raise NotComputable("no training frame has pixels, so ATL cannot be trained")
    torch.manual_seed(seed)
    encoder = SceneEncoder(scene.shape[1], mode, atl)
    step = ThresholdSteps(encoder, scene, target, seed)
    encoder.learn_scale(step.scene)
    optimiser = torch.optim.Adam(
        encoder.parameters(), lr=training.learning_rate, weight_decay=atl.weight_decay, fused=True
    )
    loss, active = _epochs(training.epochs, lambda: step.epoch(optimiser), tick)
    return fitted(encoder, loss, active)


def fit_jointly(
    head: FusionHead,
    fusion: "FusionSteps",
    thresholds: Mapping[str, "ThresholdSteps"],
    tick: Tick | None = None,
) -> tuple[Fitted, dict[str, Fitted]]:
    """Fine-tune the head and ATL together, in place, with the sum of their losses ("jointly ... for 10 epochs", 4.1).

    The detector is frozen and the modules share no parameter, so the sum's gradient is each one's own: joint training
    is some more epochs of each, which a test asserts. An epoch is one of the fusion's; ATL's batches go round.

    Args:
        head: trained fusion head.
        fusion: its task; `fusion.training` says how many epochs and at which rate.
        thresholds: trained ATL encoders with their tasks, one for each public detector.
        tick: called once an epoch.
    """
    groups: list[dict[str, Any]] = [{"params": list(head.parameters())}]
    for steps in thresholds.values():
        decay = steps.encoder.config.weight_decay
        groups.append({"params": list(steps.encoder.parameters()), "weight_decay": decay})
    optimiser = torch.optim.Adam(groups, lr=fusion.training.learning_rate, fused=True)
    endless = {name: steps.forever() for name, steps in thresholds.items()}
    history: dict[str, list[float]] = {name: [] for name in thresholds}

    def epoch() -> tuple[float, float]:
        head.train()
        pairs: list[tuple[float, float]] = []
        seen: dict[str, list[float]] = {name: [] for name in thresholds}
        for loss, active in fusion.losses():
            own = loss.item()
            for name, losses in endless.items():
                thresholds[name].encoder.train()
                other = next(losses)
                seen[name].append(other.item())
                loss = loss + other
            _step(optimiser, loss, active)
            pairs.append((own, active.item()))
        for name, values in seen.items():
            history[name].append(float(np.mean(values)))
        return _mean(pairs)

    loss, active = _epochs(fusion.training.joint_epochs, epoch, tick)
    return fitted(head, loss, active), {n: fitted(t.encoder, history[n], []) for n, t in thresholds.items()}


class FusionSteps:
    """Losses of one epoch after another of the triplet task."""

    def __init__(
        self,
        head: FusionHead,
        layers: Mapping[int, NDArray[np.float16]],
        labels: Labels,
        training: TrainingSettings,
        seed: int,
    ) -> None:
        self.head = head
        self.layers = {k: torch.from_numpy(v.astype(np.float32)) for k, v in layers.items()}
        self.labels = labels
        self.training = training
        self.rng = np.random.default_rng([seed, 1])

    def losses(self) -> Iterator[tuple[Tensor, Tensor]]:
        """(loss, active share) of each batch of one epoch.

        Raises:
            NotComputable: there is no batch at all.
        """
        empty = True
        for rows, person in batches(self.labels, self.training, self.rng):
            empty = False
            index = torch.from_numpy(rows)
            embeddings = self.head({k: v[index] for k, v in self.layers.items()})
            yield batch_hard_triplet(embeddings, torch.from_numpy(person), self.training.margin)
        if empty:
            raise NotComputable("training needs two people seen twice within the window; the labels have none")

    def epoch(self, optimiser: torch.optim.Optimizer) -> tuple[float, float]:
        """Train one epoch; mean loss and active share."""
        self.head.train()
        return _mean([_step(optimiser, loss, active) for loss, active in self.losses()])


class ThresholdSteps:
    """Losses of one epoch after another of the threshold task."""

    def __init__(
        self, encoder: SceneEncoder, scene: NDArray[np.float16], target: NDArray[np.float32], seed: int
    ) -> None:
        self.encoder = encoder
        self.scene = torch.from_numpy(scene.astype(np.float32))
        self.target = torch.from_numpy(target.astype(np.float32))
        self.rng = np.random.default_rng([seed, 2])

    def losses(self) -> Iterator[Tensor]:
        """Loss of each batch of one epoch."""
        order = torch.from_numpy(self.rng.permutation(len(self.scene)))
        for rows in order.split(self.encoder.config.batch):
            yield mse_loss(self.encoder(self.scene[rows]), self.target[rows])

    def forever(self) -> Iterator[Tensor]:
        """Losses without end, epoch after epoch."""
        while True:
            yield from self.losses()

    def epoch(self, optimiser: torch.optim.Optimizer) -> tuple[float, float]:
        """Train one epoch; mean loss and NaN."""
        self.encoder.train()
        nan = torch.tensor(float("nan"))
        return _mean([_step(optimiser, loss, nan) for loss in self.losses()])


def _step(optimiser: torch.optim.Optimizer, loss: Tensor, active: Tensor) -> tuple[float, float]:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()
    return loss.item(), active.item()


def _mean(pairs: list[tuple[float, float]]) -> tuple[float, float]:
    loss, active = np.mean(pairs, axis=0)
    return float(loss), float(active)


def _epochs(count: int, epoch: Callable[[], tuple[float, float]], tick: Tick | None) -> tuple[list[float], list[float]]:
    loss, active = [], []
    for _ in range(count):
        one, share = epoch()
        loss.append(one)
        active.append(share)
        if tick is not None:
            tick()
    return loss, active


def fitted(module: nn.Module, loss: list[float], active: list[float]) -> Fitted:
    """A module's state as arrays, with its history."""
    state = {name: value.detach().numpy().astype(np.float32) for name, value in module.state_dict().items()}
    return Fitted(state, np.array(loss, np.float32), np.array(active, np.float32))

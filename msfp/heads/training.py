"""Training of the fusion head and of ATL (section 3.4, 4.1): arrays in, arrays out, every seed for itself.

"Jointly ... for 10 epochs" (4.1) minimises the sum of the head's loss and ATL's, which share no parameter: joint
fine-tuning is some more epochs of each, which a test holds to the sum.
"""

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Sequence as ListLike
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from msfp.compiled import one_thread
from msfp.config import AtlSettings, FusionSettings, TrainingSettings
from msfp.errors import NotComputable
from msfp.heads.fusion import SIZE, Attention, FusionHead, Tick, make_head
from msfp.heads.threshold import Mode, SceneEncoder, ThresholdSteps
from msfp.heads.triplets import FusionSteps, Labels, Loss, as_arrays, take_step


@dataclass(frozen=True)
class Fitted:
    """A trained module as arrays, with how it came to be."""

    state: dict[str, NDArray[np.float32]]  # parameter and buffer name -> array
    loss: NDArray[np.float32]  # (E,) mean loss per epoch
    active: NDArray[np.float32]  # (E,) share of anchors inside the margin (fusion), or NaN
    # the same module after joint fine-tuning, with the history of that; None where it was not asked for
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

    `strategy`: registered fusion strategy, or a class of one's own; training-free ones come back at once. `layers`:
    layer -> (N, C) pooled vectors. `loss`: another loss than the paper's, see `msfp.heads.triplets.Loss`.
    Returns one a seed.
    Raises NotComputable: no two people with two boxes each in any window.
    """
    heads: list[nn.Module] = []
    for seed in seeds:
        torch.manual_seed(seed)
        heads.append(make_head(strategy, {k: v.shape[-1] for k, v in layers.items()}, fusion))
    if own := _learned_alone(heads, layers, labels, seeds, tick):
        return own
    if not any(True for _ in heads[0].parameters()):
        nothing = np.zeros(0, np.float32)
        return [Fitted(as_arrays(head.state_dict()), nothing, nothing) for head in heads]
    return _fit(FusionSteps(heads, layers, labels, training, seeds, loss=loss), training, tick, joint)


def _learned_alone(
    heads: ListLike[nn.Module],
    layers: Mapping[int, NDArray[np.floating]],
    labels: Labels,
    seeds: ListLike[int],
    tick: Tick | None,
) -> list[Fitted]:
    """Heads that learn in a way of their own; none where the triplet loss trains them."""
    if getattr(type(heads[0]), "learn", None) is FusionHead.learn:
        return []
    whose = np.unique(np.stack([labels.scene, labels.identity], 1), axis=0, return_inverse=True)[1].reshape(-1)
    given = {layer: _tensor(vectors) for layer, vectors in layers.items()}
    found = []
    for head, seed in zip(heads, seeds, strict=True):
        assert isinstance(head, FusionHead)
        torch.manual_seed(seed)
        with one_thread():
            loss = head.train().learn(given, whose, tick)
        assert loss is not None
        found.append(Fitted(as_arrays(head.state_dict()), loss, np.full(len(loss), np.nan, np.float32)))
    return found


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

    `scene`: (T, C) scene vectors of training frames. `target`: (T, 1) or (T, 2) target of each frame's sequence.
    Returns one a seed.
    """
    if not len(scene):
        raise NotComputable("no training frame has pixels, so ATL cannot be trained")
    encoders = []
    for seed in seeds:
        torch.manual_seed(seed)
        encoders.append(SceneEncoder(scene.shape[1], mode, atl))
        encoders[-1].learn_scale(torch.from_numpy(scene.astype(np.float32)))
    return _fit(ThresholdSteps(encoders, scene, target, seeds, training.learning_rate), training, tick, joint)


def _fit(
    steps: FusionSteps | ThresholdSteps, training: TrainingSettings, tick: Tick | None, joint: bool
) -> list[Fitted]:
    """Train for `epochs`, then for `joint_epochs` where that is wanted, each with a fresh optimiser."""

    def run(epochs: int) -> list[Fitted]:
        history = []
        steps.start()
        with one_thread():
            for _ in range(epochs):
                history.append(steps.epoch())
                if tick is not None:
                    tick()
        states = steps.states()
        loss, active = np.array(history, np.float32).reshape(epochs, 2, len(states)).transpose(1, 2, 0)
        return [Fitted(*one) for one in zip(states, loss, active, strict=True)]

    first = run(training.epochs)
    if not joint:
        return first
    return [replace(one, joint=tuned) for one, tuned in zip(first, run(training.joint_epochs), strict=True)]


def fit_net(
    net: nn.Module,
    optimiser: torch.optim.Optimizer,
    losses: Callable[[], Iterator[tuple[Tensor, int]]],
    epochs: int,
    tick: Tick | None = None,
) -> Fitted:
    """Train one network; `losses` gives an epoch's batches: the loss of each, and what it weighs in the mean."""
    history = []
    net.train()
    with one_thread():
        for _ in range(epochs):
            total, count = 0.0, 0
            for loss, weight in losses():
                take_step(optimiser, loss)
                total += loss.item() * weight
                count += weight
            history.append(total / count)
            if tick is not None:
                tick()
    return Fitted(as_arrays(net.state_dict()), np.array(history, np.float32), np.zeros(0, np.float32))


M = TypeVar("M", bound=nn.Module)
CHUNK = 65536  # rows embedded at once, so that memory does not grow with the data set


def restore(module: M, state: Mapping[str, NDArray[np.float32]]) -> M:
    """Load a state into a module, strictly, and set it to evaluation."""
    own = module.state_dict()
    module.load_state_dict(
        {k: torch.from_numpy(np.asarray(v)).to(own[k].dtype).reshape(own[k].shape) for k, v in state.items()}
    )
    return module.eval()


def restore_head(
    strategy: str | type[FusionHead],
    channels: dict[int, int],
    state: Mapping[str, NDArray[np.float32]],
    config: FusionSettings,
) -> FusionHead:
    """A trained fusion head."""
    return restore(make_head(strategy, channels, config), state)


@torch.inference_mode()
def embed(head: FusionHead, layers: Mapping[int, NDArray[np.floating]]) -> NDArray[np.float32]:
    """{layer: (N, C)} -> (N, D) unit rows; N may be 0. The batch norm runs on its stored statistics."""
    used = {k: layers[k] for k in (*head.channels, SIZE) if k in layers}
    count = len(next(iter(used.values()))) if used else 0
    parts = []
    for start in range(0, max(count, 1), CHUNK):
        chunk = {k: _tensor(v[start : start + CHUNK]) for k, v in used.items()}
        with one_thread():
            parts.append(head.eval()(chunk).numpy())
    return np.concatenate(parts)


def _tensor(values: NDArray[np.floating]) -> Tensor:
    """Values in single precision; PyTorch reads half precision several times faster than NumPy does."""
    return torch.from_numpy(np.require(values, requirements="W")).float()


@torch.inference_mode()
def attention(head: Attention, layers: Mapping[int, NDArray[np.float16]]) -> NDArray[np.float32]:
    """(N, L) attention weights (Figure 2), columns in the order of the head's layers."""
    used = {k: torch.from_numpy(v.astype(np.float32)) for k, v in layers.items()}
    return head.eval().attention(used).numpy()


class ScenePredictor:
    """A trained scene encoder (eqs. 6 and 8): arrays in, arrays out."""

    def __init__(
        self, mode: Mode, channels: int, state: Mapping[str, NDArray[np.float32]], config: AtlSettings
    ) -> None:
        """Take a trained encoder's state."""
        self.mode = mode
        self.encoder = restore(SceneEncoder(channels, mode, config), state)

    @torch.inference_mode()
    def __call__(self, scene: NDArray[np.floating]) -> NDArray[np.float32]:
        """(C,) scene vector -> (k,) raw thresholds, before any smoothing, or (T, C) -> (T, k)."""
        rows = torch.from_numpy(scene.astype(np.float32).reshape(-1, scene.shape[-1]))
        return self.encoder(rows).numpy().reshape(*scene.shape[:-1], -1)


def predict(
    mode: Mode, scene: NDArray[np.float16], state: Mapping[str, NDArray[np.float32]], config: AtlSettings
) -> NDArray[np.float32]:
    """(T, C) scene vectors -> (T, 1) or (T, 2) raw thresholds per frame, on one thread."""
    with one_thread():
        return ScenePredictor(mode, scene.shape[1], state, config)(scene)

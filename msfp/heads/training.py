"""Training of fusion heads and of ATL (section 3.4, 4.1, A.5): arrays in, arrays out, every seed for itself.

"Jointly ... for 10 epochs" (4.1) minimises the sum of the head's loss and ATL's, which share no parameter: joint
fine-tuning is some more epochs of each, which a test holds to the sum.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Sequence as ListLike
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from msfp.compiled import one_thread
from msfp.config import AtlSettings, FusionSettings, TrainingSettings
from msfp.errors import NotComputable
from msfp.heads.fusion import SIZE, Attention, FusionHead, Tick, make_head
from msfp.heads.threshold import Mode, SceneEncoder, ThresholdSteps
from msfp.heads.triplets import FusionSteps, Labels, Loss, as_arrays, take_step

M = TypeVar("M", bound=nn.Module)
State = Mapping[str, NDArray[np.float32]]
Kind = str | type[FusionHead]
CHUNK = 65536  # rows embedded at once, so that memory does not grow with the data set
TEMPERATURE = 0.05  # of soft IDF1, the step of the grid of thresholds


@dataclass(frozen=True)
class Fitted:
    """A trained module as arrays, with how it came to be."""

    state: dict[str, NDArray[np.float32]]  # parameter and buffer name -> array
    loss: NDArray[np.float32]  # (E,) mean loss per epoch
    active: NDArray[np.float32]  # (E,) share of anchors inside the margin (fusion), or NaN
    joint: "Fitted | None" = None  # the same module after joint fine-tuning; None where it was not asked for


def fit_fusion(
    strategy: Kind, layers: Mapping[int, NDArray[np.float16]], labels: Labels, fusion: FusionSettings,
    training: TrainingSettings, seeds: ListLike[int], tick: Tick | None = None, joint: bool = False,
    loss: Loss | None = None,
) -> list[Fitted]:  # fmt: skip
    """Train a fusion head on features of ground-truth boxes, layer -> (N, C), once for each seed.

    A head that learns in a way of its own does so, one without parameters comes back at once; the others take the
    triplet loss or a `loss` of one's own.
    Raises NotComputable: no two people with two boxes each in any window.
    """
    heads: list[FusionHead] = []
    for seed in seeds:
        torch.manual_seed(seed)
        heads.append(make_head(strategy, {k: v.shape[-1] for k, v in layers.items()}, fusion))
    if getattr(type(heads[0]), "learn", None) is not FusionHead.learn:
        whose = np.unique(np.stack([labels.scene, labels.identity], 1), axis=0, return_inverse=True)[1].reshape(-1)
        given = {layer: _tensor(vectors) for layer, vectors in layers.items()}
        found = []
        for head, seed in zip(heads, seeds, strict=True):
            torch.manual_seed(seed)
            with one_thread():
                history = head.train().learn(given, whose, tick)
            assert history is not None
            found.append(Fitted(as_arrays(head.state_dict()), history, np.full(len(history), np.nan, np.float32)))
        return found
    if not any(True for _ in heads[0].parameters()):
        nothing = np.zeros(0, np.float32)
        return [Fitted(as_arrays(head.state_dict()), nothing, nothing) for head in heads]
    return _fit(FusionSteps(heads, layers, labels, training, seeds, loss=loss), training, tick, joint)


def fit_threshold(
    mode: Mode, scene: NDArray[np.float16], target: NDArray[np.float32], atl: AtlSettings, training: TrainingSettings,
    seeds: ListLike[int], tick: Tick | None = None, joint: bool = False,
) -> list[Fitted]:  # fmt: skip
    """Train ATL with MSE against grid-searched thresholds (eq. 9), once for each seed.

    `scene`: (T, C) scene vectors of training frames. `target`: (T, 1) or (T, 2) target of each frame's sequence.
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
    net: nn.Module, optimiser: torch.optim.Optimizer, losses: Callable[[], Iterator[tuple[Tensor, int]]], epochs: int,
    tick: Tick | None = None,
) -> Fitted:  # fmt: skip
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


@dataclass(frozen=True)
class Clip:
    """Successive frames of one sequence with one detector's boxes."""

    scene: NDArray[np.float16]  # (T, C) scene vectors
    frame: NDArray[np.int64]  # (N,) frame of each detection, from 0, ascending
    score: NDArray[np.float32]  # (N,) in the detector's own range
    person: NDArray[np.int64]  # (N,) identity that the detection shows, -1 for none
    truth: int  # number of labelled boxes
    buffer: int  # frames for which a lost track is kept


class SoftIdf1:
    """A differentiable stand-in for IDF1 of one clip, as a function of its thresholds (A.5).

    The paper names a "differentiable IDF1 surrogate" and does not define it. With thresholds tau_t, detection i of
    frame t is kept with probability p_i = sigmoid((score_i - tau_t) / T). IDF1 = 2 IDTP / (true boxes + kept ones):

        soft IDF1 = 2 sum_i p_i l_i / (truth + sum_i p_i),

    the first sum over detections that show somebody. l_i is the probability that the identity is still held: that a
    box of the same person was kept within the track buffer before, or none at all so far.
    """

    def __init__(self, clip: Clip, temperature: float = TEMPERATURE) -> None:
        self.temperature = temperature
        self.truth = clip.truth
        self.scene = torch.from_numpy(clip.scene.astype(np.float32))
        self.frame = torch.from_numpy(clip.frame)
        self.score = torch.from_numpy(clip.score.astype(np.float64))
        shown = np.flatnonzero(clip.person >= 0)
        order = shown[np.lexsort((clip.frame[shown], clip.person[shown]))]
        person, frame = clip.person[order], clip.frame[order]
        span = int(clip.frame.max(initial=0)) + clip.buffer + 2  # so that the keys of two people never mix
        key = person * span + frame
        self.order = torch.from_numpy(order)
        self.first = torch.from_numpy(np.searchsorted(person, person))
        self.window = torch.from_numpy(np.maximum(np.searchsorted(key, key - clip.buffer), self.first.numpy()))

    def __call__(self, tau: Tensor) -> Tensor:
        """(T,) thresholds -> scalar in [0, 1]."""
        margin = (self.score - tau.double()[self.frame]) / self.temperature
        kept = torch.sigmoid(margin)
        dropped = torch.cat([margin.new_zeros(1), torch.cumsum(logsigmoid(-margin[self.order]), dim=0)])
        here = torch.arange(len(self.order))
        none_so_far = torch.exp(dropped[here] - dropped[self.first])
        none_in_buffer = torch.exp(dropped[here] - dropped[self.window])
        held = 1.0 - (none_in_buffer - none_so_far)
        return 2.0 * (kept[self.order] * held).sum() / (self.truth + kept.sum())


def fit_surrogate(clips: Iterable[Clip], atl: AtlSettings, training: TrainingSettings, seed: int) -> Fitted:
    """Train ATL (single threshold) on 1 - soft IDF1, one clip a step; NotComputable where no clip has labels."""
    tasks = [SoftIdf1(clip) for clip in clips if clip.truth]
    if not tasks:
        raise NotComputable("no learning frame has labelled people, so there is no identity to keep")
    torch.manual_seed(seed)
    encoder = SceneEncoder(tasks[0].scene.shape[1], "single", atl)
    encoder.learn_scale(torch.cat([task.scene for task in tasks]))
    rng = np.random.default_rng([seed, 3])
    optimiser = torch.optim.Adam(
        encoder.parameters(), lr=training.learning_rate, weight_decay=atl.weight_decay, fused=True
    )

    def losses() -> Iterator[tuple[Tensor, int]]:
        for i in rng.permutation(len(tasks)):
            yield 1.0 - tasks[i](encoder(tasks[i].scene)[:, 0]), 1

    return fit_net(encoder, optimiser, losses, training.epochs)


def restore(module: M, state: State) -> M:
    """Load a state into a module, strictly, and set it to evaluation."""
    own = module.state_dict()
    module.load_state_dict(
        {k: torch.from_numpy(np.asarray(v)).to(own[k].dtype).reshape(own[k].shape) for k, v in state.items()}
    )
    return module.eval()


def restore_head(strategy: Kind, channels: dict[int, int], state: State, config: FusionSettings) -> FusionHead:
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

    def __init__(self, mode: Mode, channels: int, state: State, config: AtlSettings) -> None:
        self.mode = mode
        self.encoder = restore(SceneEncoder(channels, mode, config), state)

    @torch.inference_mode()
    def __call__(self, scene: NDArray[np.floating]) -> NDArray[np.float32]:
        """(C,) scene vector -> (k,) raw thresholds, before any smoothing, or (T, C) -> (T, k)."""
        rows = torch.from_numpy(scene.astype(np.float32).reshape(-1, scene.shape[-1]))
        return self.encoder(rows).numpy().reshape(*scene.shape[:-1], -1)


def predict(mode: Mode, scene: NDArray[np.float16], state: State, config: AtlSettings) -> NDArray[np.float32]:
    """(T, C) scene vectors -> (T, 1) or (T, 2) raw thresholds per frame, on one thread."""
    with one_thread():
        return ScenePredictor(mode, scene.shape[1], state, config)(scene)

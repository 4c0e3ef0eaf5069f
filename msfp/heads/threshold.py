"""Adaptive threshold learning, ATL: a scene encoder that predicts confidence thresholds (section 3.3, eqs. 6, 8, 9)."""

import copy
from collections.abc import Sequence as ListLike
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from msfp.compiled import kernel
from msfp.config import AtlSettings
from msfp.heads.triplets import as_arrays

Mode = Literal["single", "dual", "offset"]


class SceneEncoder(nn.Module):
    """GAP vector -> Linear -> ReLU -> Dropout -> Linear -> sigmoid, scaled to the bounds (eq. 6, Table 20).

    `single` and `offset` predict one value; `dual` predicts (tau_high, tau_low). Eq. 8 does not say how they stay
    ordered: under `atl.dual: free` who uses them holds tau_low at tau_high at most; under `fraction` the second output
    is how far tau_low lies between tau_min and tau_high.

    Example:
        >>> encoder = msfp.SceneEncoder(192, "dual", msfp.Settings().atl).eval()
        >>> tuple(encoder(torch.zeros(5, 192)).shape)
        (5, 2)
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, channels: int, mode: Mode, config: AtlSettings) -> None:
        super().__init__()
        self.mode = mode
        self.config = config
        self.register_buffer("shift", torch.zeros(channels))
        self.register_buffer("scale", torch.ones(channels))
        self.mlp = nn.Sequential(
            nn.Linear(channels, config.hidden),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, 2 if mode == "dual" else 1),
        )

    def learn_scale(self, scene: Tensor) -> None:
        """Under `atl.input: standardised` take each channel's mean and spread from the (T, C) learning frames."""
        if self.config.input == "standardised":
            spread = scene.std(dim=0, correction=0)
            self.shift.copy_(scene.mean(dim=0))
            self.scale.copy_(torch.where(spread > 1e-6, spread, torch.ones_like(spread)))  # a dead channel stays

    def forward(self, scene: Tensor) -> Tensor:
        """(T, C) scene vectors -> (T, 1) tau, or (T, 2) (tau_high, tau_low), within [tau_min, tau_max]."""
        low, high = self.config.tau_min, self.config.tau_max
        squashed = torch.sigmoid(self.mlp((scene - self.shift) / self.scale))
        if self.mode != "dual" or self.config.dual == "free":
            return squashed * (high - low) + low
        tau = squashed[..., :1] * (high - low) + low
        return torch.cat([tau, low + (tau - low) * squashed[..., 1:]], dim=-1)


Floats = NDArray[np.float32]
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # of Adam, as in PyTorch
WEIGHTS = ("mlp.0.weight", "mlp.0.bias", "mlp.3.weight", "mlp.3.bias")


class ThresholdSteps:
    """Epochs of the threshold task (eq. 9) for several encoders, each with batches and dropout of its own seed."""

    def __init__(
        self, encoders: ListLike[SceneEncoder], scene: NDArray[np.float16], target: Floats, seeds: ListLike[int],
        learning_rate: float,
    ) -> None:  # fmt: skip
        """Take the encoders' initial weights, one a seed, with (T, C) scene vectors and (T, k) targets."""
        self._config, self._rate = encoders[0].config, learning_rate
        self._fraction = encoders[0].mode == "dual" and self._config.dual == "fraction"
        self._target = np.ascontiguousarray(target, np.float32)
        self._states = [as_arrays(encoder.state_dict()) for encoder in encoders]
        vectors = np.ascontiguousarray(scene, np.float32)
        self._scenes = [(vectors - s["shift"]) / s["scale"] for s in self._states]
        self._orders = [np.random.default_rng([seed, 2]) for seed in seeds]
        self._dropouts = [torch.Generator().manual_seed(seed) for seed in seeds]

    def start(self) -> None:
        """Begin with a fresh optimiser."""
        self._moments = [[np.zeros((2, *s[name].shape), np.float32) for name in WEIGHTS] for s in self._states]
        self._steps = 0

    def epoch(self) -> NDArray[np.float64]:
        """Train one epoch; (2, S) mean loss and NaN."""
        config, losses, steps = self._config, [], self._steps
        count, hidden = len(self._target), len(self._states[0]["mlp.0.bias"])
        for state, scene, moments, rng, dropout in zip(
            self._states, self._scenes, self._moments, self._orders, self._dropouts, strict=True
        ):
            kept = np.ones((0, hidden), np.bool_)
            if config.dropout:
                kept = (torch.rand((count, hidden), generator=dropout) >= config.dropout).numpy()
            w1, b1, w2, b2 = (state[name] for name in WEIGHTS)
            m1, n1, m2, n2 = moments
            loss, self._steps = train_epoch(
                w1, b1, w2, b2, m1, n1, m2, n2, scene, self._target, rng.permutation(count), kept,
                np.float32(config.dropout), config.batch, steps, self._rate, config.weight_decay,
                np.float32(config.tau_min), np.float32(config.tau_max), self._fraction,
            )  # fmt: skip
            losses.append(loss)
        return np.array([losses, np.full(len(losses), np.nan)])

    def states(self) -> list[dict[str, Floats]]:
        """Each encoder's parameters and buffers, by name."""
        return copy.deepcopy(self._states)


@kernel
def train_epoch(
    w1: Floats, b1: Floats, w2: Floats, b2: Floats,
    moments_w1: Floats, moments_b1: Floats, moments_w2: Floats, moments_b2: Floats,
    scene: Floats, target: Floats, order: NDArray[np.int64], kept: NDArray[np.bool_], dropout: np.float32, batch: int,
    steps: int, learning_rate: float, decay: float, low: np.float32, high: np.float32, fraction: bool,
) -> tuple[float, int]:  # fmt: skip
    """Train on all frames once, in batches; weights and moments are changed in place.

    `w1`, `b1`, `w2`, `b2`: (H, C), (H,), (k, H), (k,); their moments: Adam's first and second, along axis 0. `scene`,
    `target`: (T, C) standardised vectors and (T, k). `order`: (T,) of frames. `kept`: (T, H) hidden units that dropout
    keeps, a row a place in the order; (0, H) where all are kept. `low`, `high`: bounds of the prediction.
    Returns mean over batches of their loss, and the number of steps made.
    """
    total, batches, outputs = 0.0, 0, len(b2)
    for start in range(0, len(order), batch):
        rows = order[start : start + batch]
        count = len(rows)
        x, y = scene[rows], target[rows]
        hidden = np.dot(x, w1.T)
        for n in range(count):
            for h in range(len(b1)):
                value = max(hidden[n, h] + b1[h], np.float32(0))
                if len(kept):
                    value = value / (np.float32(1) - dropout) if kept[start + n, h] else np.float32(0)
                hidden[n, h] = value
        out = np.dot(hidden, w2.T)
        total += slope(out, b2, y, low, high, fraction) / (count * outputs)
        batches += 1
        steps += 1
        inner = np.dot(out, w2)
        for n in range(count):
            for h in range(len(b1)):
                if hidden[n, h] > 0:
                    inner[n, h] = inner[n, h] / (np.float32(1) - dropout) if len(kept) else inner[n, h]
                else:
                    inner[n, h] = np.float32(0)
        g2 = np.dot(np.ascontiguousarray(out.T), hidden)
        g1 = np.dot(np.ascontiguousarray(inner.T), x)
        adam(w2, moments_w2, g2, steps, learning_rate, decay)
        adam(w1, moments_w1, g1, steps, learning_rate, decay)
        down(b2, moments_b2, out, steps, learning_rate, decay)
        down(b1, moments_b1, inner, steps, learning_rate, decay)
    return total / batches, steps


@kernel
def slope(out: Floats, b2: Floats, y: Floats, low: np.float32, high: np.float32, fraction: bool) -> float:
    """Turn (N, k) outputs less their bias into the gradient of the mean squared error, in place; returns the sum."""
    count, outputs = out.shape
    span = high - low
    loss = 0.0
    for n in range(count):
        for k in range(outputs):
            out[n, k] = np.float32(1) / (np.float32(1) + np.exp(-(out[n, k] + b2[k])))  # squashed
        # From here on `out` holds the gradient of the loss by what was squashed.
        first = out[n, 0]
        tau = first * span + low
        error = tau - y[n, 0]
        loss += error * error
        by_tau = 2 * error / (count * outputs)
        if outputs == 2:
            second = out[n, 1]
            other = low + (tau - low) * second if fraction else second * span + low
            miss = other - y[n, 1]
            loss += miss * miss
            by_other = 2 * miss / (count * outputs)
            if fraction:
                by_tau += by_other * second
                out[n, 1] = by_other * (tau - low) * second * (1 - second)
            else:
                out[n, 1] = by_other * span * second * (1 - second)
        out[n, 0] = by_tau * span * first * (1 - first)
    return loss


@kernel
def adam(weight: Floats, moments: Floats, gradient: Floats, steps: int, rate: float, decay: float) -> None:
    """One step of Adam on a matrix, the decay added to the gradient."""
    scale1, scale2 = 1 - BETA1**steps, np.sqrt(1 - BETA2**steps)
    for i in range(weight.shape[0]):
        for j in range(weight.shape[1]):
            g = gradient[i, j] + decay * weight[i, j]
            first = moments[0, i, j] = BETA1 * moments[0, i, j] + (1 - BETA1) * g
            second = moments[1, i, j] = BETA2 * moments[1, i, j] + (1 - BETA2) * g * g
            weight[i, j] -= rate / scale1 * first / (np.sqrt(second) / scale2 + EPSILON)


@kernel
def down(bias: Floats, moments: Floats, gradients: Floats, steps: int, rate: float, decay: float) -> None:
    """One step of Adam on a bias, whose gradient is the sum of the rows'."""
    scale1, scale2 = 1 - BETA1**steps, np.sqrt(1 - BETA2**steps)
    for j in range(len(bias)):
        g = decay * bias[j]
        for n in range(len(gradients)):
            g += gradients[n, j]
        first = moments[0, j] = BETA1 * moments[0, j] + (1 - BETA1) * g
        second = moments[1, j] = BETA2 * moments[1, j] + (1 - BETA2) * g * g
        bias[j] -= rate / scale1 * first / (np.sqrt(second) / scale2 + EPSILON)

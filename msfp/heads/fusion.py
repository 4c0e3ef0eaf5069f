"""Fusion of several layers' pooled vectors into one embedding (section 3.2, eqs. 2-5, Tables 3 and 20).

Each strategy is one class with a `name`, in any module of this folder. All take `{layer: (N, C_l)}` and give (N, D)
unit rows. Axes are counted from the last, so that the same code runs with an axis of seeds in front (`triplets.Stack`).
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import normalize

from msfp.config import FusionSettings
from msfp.errors import InputError
from msfp.types import concrete

Tick = Callable[[], None]
SIZE = -1
"""Key beside the layers: (N, 1) size of the box in octaves above the mean of those learned from."""


@cache
def strategies() -> dict[str, type["FusionHead"]]:
    """All strategies by name, found in the modules of this folder.

    Example:
        >>> "attention-instance" in msfp.strategies()
        True
    """
    return concrete("msfp.heads", [str(Path(__file__).parent)], FusionHead)


def strategy_named(name: str) -> type["FusionHead"]:
    """The strategy of that name. Raises InputError: unknown strategy."""
    if name not in strategies():
        raise InputError(f"fusion strategy {name!r} is not known; there are: {', '.join(sorted(strategies()))}")
    return strategies()[name]


def make_head(kind: "str | type[FusionHead]", channels: dict[int, int], config: FusionSettings) -> "FusionHead":
    """A fresh head, of a strategy or a class of one's own, for {layer: width}; the last layer is LITE's single one.

    Example:
        >>> msfp.make_head("concat", {4: 64, 9: 256}, msfp.Settings().fusion).channels
        {4: 64, 9: 256}
    """
    made = strategy_named(kind) if isinstance(kind, str) else kind
    return made({k: c for k, c in channels.items() if k != SIZE}, config)


class FusionHead(nn.Module):
    """What every strategy shares: it knows its layers, checks its input and gives rows of unit norm.

    Example:
        >>> class Mine(msfp.FusionHead):
        ...     def embed(self, layers):
        ...         return self.concatenated(layers)
        >>> msfp.make_head(Mine, {4: 64, 9: 256}, msfp.Settings().fusion).channels
        {4: 64, 9: 256}
    """

    name = ""
    sees_size: ClassVar[bool] = False  # wants the boxes' sizes too, under `SIZE`
    sees_cells: ClassVar[bool] = False  # wants the 7x7 cells of each box, {layer: (N, 49, C_l)}, not their mean
    sees_last: ClassVar[bool] = False  # reads the last layer alone
    pooling: ClassVar[Literal["roi_align", "lite", "strips"]] = "roi_align"  # of strips it gets (N, strips * C_l)
    centred: ClassVar[bool] = False  # wants strips of unit length, less the mean of the frame's people
    seeded: ClassVar[bool] = True  # what it learns depends on the seed

    def __init__(self, channels: dict[int, int], config: FusionSettings) -> None:
        super().__init__()
        self.channels = dict(channels)
        self.config = config

    def embed(self, layers: dict[int, Tensor]) -> Tensor:
        """(N, D) before normalisation."""
        raise NotImplementedError

    def learn(
        self, layers: dict[int, Tensor], person: NDArray[np.int64], tick: Tick | None
    ) -> NDArray[np.float32] | None:
        """Learn in a way of its own: (E,) mean loss of each epoch, `tick` after each. None: by the triplet loss."""
        return None

    def forward(self, layers: dict[int, Tensor]) -> Tensor:
        """{layer: (N, C_l)} -> (N, D) unit rows; InputError for a layer that is missing or of another width."""
        for layer, width in self.channels.items():
            got = layers[layer].shape[-1] if layer in layers else None
            if got != width:
                raise InputError(
                    f"head {self.name!r} was made for layer {layer} with {width} channels and got {got}; "
                    "a head fits only the detector it was trained on: train one for this detector"
                )
        return normalize(self.embed(layers), dim=-1)

    def concatenated(self, layers: dict[int, Tensor]) -> Tensor:
        """(N, sum C_l) raw features side by side, in the order of the layers."""
        return torch.cat([layers[layer] for layer in self.channels], dim=-1)


def projection(inputs: int, outputs: int) -> nn.Sequential:
    """Linear -> ReLU -> BatchNorm, in Table 20's order."""
    return nn.Sequential(nn.Linear(inputs, outputs), nn.ReLU(), nn.BatchNorm1d(outputs))


class Native(FusionHead):
    """The last layer's RoIAligned vector as it is, without training, at its native width."""

    name = "native"
    sees_last = True

    def embed(self, layers: dict[int, Tensor]) -> Tensor:
        return layers[list(self.channels)[-1]]


class Lite(Native):
    """LITE as its authors released it: the mean of the last layer's whole cells with a rim of one, without training."""

    name = "lite"
    pooling = "lite"


class NativeConcat(FusionHead):
    """Training-free control: unit vectors of all layers side by side, so that no layer's scale decides."""

    name = "native-concat"

    def embed(self, layers: dict[int, Tensor]) -> Tensor:
        return torch.cat([normalize(layers[layer], dim=-1) for layer in self.channels], dim=-1)


class Single(FusionHead):
    """LITE's single layer with a trained projection to 64 (4.1: "64 (single-layer)")."""

    name = "single"
    sees_last = True

    def __init__(self, channels: dict[int, int], config: FusionSettings) -> None:
        super().__init__(channels, config)
        self.layer = list(channels)[-1]
        self.project = nn.Linear(channels[self.layer], config.single_width)

    def embed(self, layers: dict[int, Tensor]) -> Tensor:
        return self.project(layers[self.layer])


class Concat(FusionHead):
    """Concatenation followed by an MLP (eq. 2)."""

    name = "concat"

    def __init__(self, channels: dict[int, int], config: FusionSettings) -> None:
        super().__init__(channels, config)
        hidden = config.concat_width
        self.mlp = nn.Sequential(projection(sum(channels.values()), hidden), nn.Linear(hidden, config.width))

    def embed(self, layers: dict[int, Tensor]) -> Tensor:
        return self.mlp(self.concatenated(layers))


class Attention(FusionHead):
    """Weighted sum of projected layers (eq. 4); subclasses say where the weights come from."""

    def __init__(self, channels: dict[int, int], config: FusionSettings) -> None:
        super().__init__(channels, config)
        self.project = nn.ModuleDict({str(layer): projection(c, config.width) for layer, c in channels.items()})

    def projected(self, layers: dict[int, Tensor]) -> Tensor:
        """(N, L, D) projected layers."""
        return torch.stack([self.project[str(layer)](layers[layer]) for layer in self.channels], dim=-2)

    def weights(self, layers: dict[int, Tensor], projected: Tensor) -> Tensor:
        """(N, L) weights that sum to 1 per row."""
        raise NotImplementedError

    def attention(self, layers: dict[int, Tensor]) -> Tensor:
        """(N, L) attention weights, layers in the order of `channels` (Figure 2)."""
        return self.weights(layers, self.projected(layers))

    def embed(self, layers: dict[int, Tensor]) -> Tensor:
        projected = self.projected(layers)
        return (self.weights(layers, projected)[..., None] * projected).sum(dim=-2)


class InstanceAttention(Attention):
    """Weights from each detection's own features (eq. 3)."""

    name = "attention-instance"

    def __init__(self, channels: dict[int, int], config: FusionSettings) -> None:
        super().__init__(channels, config)
        raw = config.attention_input == "raw"
        inputs = sum(channels.values()) if raw else config.width * len(channels)
        self.attend = nn.Linear(inputs, len(channels))

    def weights(self, layers: dict[int, Tensor], projected: Tensor) -> Tensor:
        raw = self.config.attention_input == "raw"
        given = self.concatenated(layers) if raw else projected.flatten(-2)
        return self.attend(given).softmax(dim=-1)


class GlobalAttention(Attention):
    """The same weights for every detection: free logits, one a layer (undefined in the paper)."""

    name = "attention-global"

    def __init__(self, channels: dict[int, int], config: FusionSettings) -> None:
        super().__init__(channels, config)
        self.logits = nn.Parameter(torch.zeros(len(channels)))

    def weights(self, layers: dict[int, Tensor], projected: Tensor) -> Tensor:
        return self.logits.softmax(dim=-1).expand(projected.shape[:-1])


class SqueezeExcitation(nn.Module):
    """Channel gate: Linear -> ReLU -> Linear -> sigmoid over an already pooled vector."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        hidden = max(channels // reduction, 1)
        self.gate = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """(N, C) -> (N, C), each channel scaled by its gate in (0, 1)."""
        return x * self.gate(x)


class SingleStageSE(FusionHead):
    """One gate over the concatenation, then a projection (Table 3's "SE-style (single)")."""

    name = "se-single"

    def __init__(self, channels: dict[int, int], config: FusionSettings) -> None:
        super().__init__(channels, config)
        total = sum(channels.values())
        self.fused = SqueezeExcitation(total, config.se_reduction)
        self.project = projection(total, config.width)

    def embed(self, layers: dict[int, Tensor]) -> Tensor:
        return self.project(self.fused(self.concatenated(layers)))


class TwoStageSE(SingleStageSE):
    """A gate per layer, then one over the concatenation, then a projection (eq. 5)."""

    name = "se-two-stage"

    def __init__(self, channels: dict[int, int], config: FusionSettings) -> None:
        super().__init__(channels, config)
        self.squeeze = nn.ModuleDict(
            {str(layer): SqueezeExcitation(c, config.se_reduction) for layer, c in channels.items()}
        )

    def embed(self, layers: dict[int, Tensor]) -> Tensor:
        gated = torch.cat([self.squeeze[str(layer)](layers[layer]) for layer in self.channels], dim=-1)
        return self.project(self.fused(gated))


class HardAssignment(Attention):
    """One level a box, by its size: FPN's rule of one level an octave, coarser for larger boxes.

    FPN's canonical size is 224 pixels; here it is the geometric mean of the learning boxes (`SIZE` is in octaves above
    it): boxes within half an octave of it take the middle level.
    """

    name = "hard-assignment"
    sees_size = True

    def weights(self, layers: dict[int, Tensor], projected: Tensor) -> Tensor:
        last = len(self.channels) - 1
        level = (layers[SIZE][..., 0] + last / 2).round().clamp(0, last)
        return (level[..., None] == torch.arange(last + 1, device=level.device)).to(projected.dtype)


class SoftRoiSelection(Attention):
    """A gate for each level from that level alone, softmax over the levels (AugFPN's soft RoI selection)."""

    name = "soft-roi"

    def __init__(self, channels: dict[int, int], config: FusionSettings) -> None:
        super().__init__(channels, config)
        self.gate = nn.ModuleDict({str(layer): nn.Linear(config.width, 1) for layer in self.channels})

    def weights(self, layers: dict[int, Tensor], projected: Tensor) -> Tensor:
        scores = [self.gate[str(layer)](projected[..., i, :]) for i, layer in enumerate(self.channels)]
        return torch.cat(scores, dim=-1).softmax(dim=-1)


class SpatialAttention(Attention):
    """A 1x1 convolution scores the 7x7 cells of each level; their softmax pools the cells; levels count the same."""

    name = "spatial-attention"
    sees_cells = True

    def __init__(self, channels: dict[int, int], config: FusionSettings) -> None:
        super().__init__(channels, config)
        # A 1x1 convolution with one output is one linear map for every cell.
        self.score = nn.ModuleDict({str(layer): nn.Linear(c, 1) for layer, c in self.channels.items()})

    def spatial(self, layers: dict[int, Tensor]) -> dict[int, Tensor]:
        """layer -> (N, 49) weights of the cells, which sum to 1."""
        return {layer: self.score[str(layer)](layers[layer])[..., 0].softmax(dim=-1) for layer in self.channels}

    def projected(self, layers: dict[int, Tensor]) -> Tensor:
        weights = self.spatial(layers)
        return super().projected({k: (w[..., None, :] @ layers[k])[..., 0, :] for k, w in weights.items()})

    def weights(self, layers: dict[int, Tensor], projected: Tensor) -> Tensor:
        return projected.new_full(projected.shape[:-1], 1 / len(self.channels))

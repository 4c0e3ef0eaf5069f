"""Ways to choose among the levels beside the paper's attention (A.8, Table 16). Named in the paper, not defined.

All project each level to the embedding's width as the attention head does, so that only the choice differs.
"""

import torch
from torch import Tensor, nn

from msfp.config import FusionSettings
from msfp.heads.fusion import SIZE, Attention


class HardAssignment(Attention):
    """One level a box, by its size: FPN's rule of one level an octave, coarser for larger boxes.

    FPN's canonical size is ImageNet's 224 pixels; here it is the geometric mean of the learning boxes (`SIZE` is in
    octaves above it), and boxes within half an octave of it take the middle level. Levels are in the order of the taps,
    which is the paper's order from fine to coarse. The choice has no parameters.
    """

    name = "hard-assignment"
    sees_size = True

    def weights(self, layers: dict[int, Tensor], projected: Tensor) -> Tensor:
        last = len(self.channels) - 1
        level = (layers[SIZE][..., 0] + last / 2).round().clamp(0, last)
        return (level[..., None] == torch.arange(last + 1, device=level.device)).to(projected.dtype)


class SoftRoiSelection(Attention):
    """A gate for each level from that level alone, softmax over the levels (AugFPN's soft RoI selection).

    It differs from the paper's attention in that a level's score does not see the other levels.
    """

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

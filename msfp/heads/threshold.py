"""Adaptive threshold learning, ATL: a scene encoder that predicts confidence thresholds (section 3.3, eqs. 6, 8, 9)."""

from typing import Literal

import torch
from torch import Tensor, nn

from msfp.config import AtlSettings

Mode = Literal["single", "dual", "offset"]


class SceneEncoder(nn.Module):
    """GAP vector -> Linear -> ReLU -> Dropout -> Linear -> sigmoid, scaled to the bounds (eq. 6, Table 20).

    `single` and `offset` predict one value; `dual` predicts (tau_high, tau_low). Eq. 8 does not say how they stay
    ordered: under `atl.dual: free` nothing in the network orders them, and who uses them holds tau_low at tau_high at
    most; under `fraction` the second output is how far tau_low lies between tau_min and tau_high.
    What inputs are standardised with is kept with the weights; raw inputs have shift 0 and scale 1.
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

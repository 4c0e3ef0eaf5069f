"""The decision of recovery: a small transformer over what a track was and where it may be now (Table 10).

Tokens are the track's last observations, the box its filter predicts, detections nearby, and a learned one for
"missed". A token is the sum of its projected appearance, its projected place and its kind. After two blocks of
attention one linear map scores the choices: missed, at the predicted box, at each detection.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize, scaled_dot_product_attention

from msfp.errors import NotComputable
from msfp.heads.training import Fitted, fit_net
from msfp.threads import one_thread

WIDTH, HEADS, BLOCKS = 32, 4, 2
RATE, DECAY, BATCH, DROPOUT = 2e-3, 1e-2, 128, 0.1


@dataclass(frozen=True)
class Cases:
    """Tracks without a detection, and where their person was."""

    # (N, T, D) unit embeddings, tokens in the order history, predicted box, detections; zero for padding
    look: NDArray[np.float32]
    place: NDArray[np.float32]  # (N, T, P) places relative to the predicted box
    there: NDArray[np.bool_]  # (N, T) False for padding
    # (N,) what is right: 0 missed, 1 at the predicted box, 2.. at a detection; empty where unknown.
    choice: NDArray[np.int64]


class RecoveryNet(nn.Module):
    """About 20 000 parameters for embeddings 128 wide."""

    def __init__(self, look_width: int, place_width: int, history: int) -> None:
        """Make it with random weights, for `history` tokens of observations before that of the predicted box."""
        super().__init__()
        self.history = history
        self.look = nn.Linear(look_width, WIDTH)
        self.place = nn.Linear(place_width + 1, WIDTH)  # and the similarity to the track's mean appearance
        self.kind = nn.Parameter(torch.randn(3, WIDTH) * 0.02)
        self.missed = nn.Parameter(torch.randn(WIDTH) * 0.02)
        self.blocks = nn.ModuleList(Block() for _ in range(BLOCKS))
        self.score = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 1))

    def forward(self, look: Tensor, place: Tensor, there: Tensor) -> Tensor:
        """(K, T, D), (K, T, P), (K, T) -> (K, 2 + detections) logits; minus infinity for detections not there."""
        seen = there[:, : self.history, None]
        mean = normalize((look[:, : self.history] * seen).sum(1), dim=-1)
        alike = (look * mean[:, None]).sum(-1, keepdim=True)
        kinds = [0] * self.history + [1] + [2] * (look.shape[1] - self.history - 1)
        tokens = self.look(look) + self.place(torch.cat([place, alike], -1)) + self.kind[kinds]
        x = torch.cat([self.missed.expand(len(look), 1, WIDTH), tokens], 1)
        mask = torch.cat([torch.ones_like(there[:, :1]), there], 1)
        for block in self.blocks:
            x = block(x, mask)
        choices = torch.cat([x[:, :1], x[:, 1 + self.history :]], 1)
        known = torch.cat([mask[:, :1], mask[:, 1 + self.history :]], 1)
        logits: Tensor = self.score(choices)[..., 0]
        return logits.masked_fill(~known, float("-inf"))


class Block(nn.Module):
    """Attention and a small perceptron, each after a normalisation and added."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.mix = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.think = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH))
        self.drop = nn.Dropout(DROPOUT)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(K, T, WIDTH) -> the same; keys outside the (K, T) mask are not looked at."""
        count, length, _ = x.shape
        query, key, value = (
            self.mix(self.first(x)).reshape(count, length, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        )
        mixed = scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None, :])
        x = x + self.drop(self.out(mixed.transpose(1, 2).reshape(count, length, WIDTH)))
        out: Tensor = x + self.drop(self.think(self.second(x)))
        return out


def fit_recovery(cases: Cases, history: int, epochs: int, seed: int, tick: Callable[[], None] | None = None) -> Fitted:
    """Train the decision with cross-entropy; NotComputable where there are no cases."""
    if not len(cases.choice):
        raise NotComputable("no track loses its detection on the learning parts, so recovery cannot learn")
    look, place, there, choice = (
        torch.from_numpy(np.ascontiguousarray(a)) for a in (cases.look, cases.place, cases.there, cases.choice)
    )
    rng = np.random.default_rng([seed, 3])

    def losses() -> Iterator[tuple[Tensor, int]]:
        for rows in torch.from_numpy(rng.permutation(len(choice))).split(BATCH):
            yield cross_entropy(net(look[rows], place[rows], there[rows]), choice[rows]), len(rows)

    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = RecoveryNet(cases.look.shape[2], cases.place.shape[2], history)
        return fit_net(net, torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY), losses, epochs, tick)


@torch.inference_mode()
def decide(net: RecoveryNet, cases: Cases) -> NDArray[np.float32]:
    """(K, 2 + detections) weights of missed, predicted box and each detection; rows sum to 1."""
    arrays = (torch.from_numpy(np.ascontiguousarray(a)) for a in (cases.look, cases.place, cases.there))
    return net(*arrays).softmax(-1).numpy()

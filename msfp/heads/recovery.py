"""Small networks over tracks: whether a missed person is where it is expected, and which stretches are one person's."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, normalize, scaled_dot_product_attention

from msfp.compiled import one_thread
from msfp.errors import NotComputable
from msfp.heads.training import Fitted, fit_net, restore

WIDTH, HEADS, BLOCKS = 32, 4, 2
RATE, DECAY, BATCH, DROPOUT = 2e-3, 1e-2, 128, 0.1


@dataclass(frozen=True)
class Cases:
    """Tracks without a detection, and where their person was."""

    look: NDArray[np.float32]  # (N, T, D) unit embeddings: history, predicted box, detections; zero for padding
    place: NDArray[np.float32]  # (N, T, P) places relative to the predicted box
    there: NDArray[np.bool_]  # (N, T) False for padding
    choice: NDArray[np.int64]  # (N,) right: 0 missed, 1 the predicted box, 2.. a detection; empty where unknown

    def tensors(self) -> list[Tensor]:
        """Look, place and there."""
        return [torch.from_numpy(np.ascontiguousarray(a)) for a in (self.look, self.place, self.there)]


class RecoveryNet(nn.Module):
    """About 20 000 parameters for embeddings 128 wide."""

    def __init__(self, look_width: int, place_width: int, history: int) -> None:
        """Random weights, for `history` tokens of observations before that of the predicted box."""
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
        projected = self.mix(self.first(x)).reshape(count, length, 3, HEADS, WIDTH // HEADS)
        query, key, value = projected.permute(2, 0, 3, 1, 4)
        mixed = scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None, :])
        x = x + self.drop(self.out(mixed.transpose(1, 2).reshape(count, length, WIDTH)))
        out: Tensor = x + self.drop(self.think(self.second(x)))
        return out


def fit_recovery(cases: Cases, history: int, epochs: int, seed: int, tick: Callable[[], None] | None = None) -> Fitted:
    """Train the decision with cross-entropy; NotComputable where there are no cases."""
    if not len(cases.choice):
        raise NotComputable("no track loses its detection on the learning parts, so recovery cannot learn")
    given, choice = cases.tensors(), torch.from_numpy(np.ascontiguousarray(cases.choice))
    rng = np.random.default_rng([seed, 3])

    def losses() -> Iterator[tuple[Tensor, int]]:
        for rows in torch.from_numpy(rng.permutation(len(choice))).split(BATCH):
            yield cross_entropy(net(*(tensor[rows] for tensor in given)), choice[rows]), len(rows)

    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = RecoveryNet(cases.look.shape[2], cases.place.shape[2], history)
        return fit_net(net, torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY), losses, epochs, tick)


@torch.inference_mode()
def decide(net: RecoveryNet, cases: Cases) -> NDArray[np.float32]:
    """(K, 2 + detections) weights of missed, predicted box and each detection; rows sum to 1."""
    return net(*cases.tensors()).softmax(-1).numpy()


WIDTHS = (1, 16, 32, 32)
SPAN = 7  # frames that one convolution sees
LINK_RATE, LINK_DECAY, LINK_BATCH = 3e-3, 1e-4, 64


class LinkNet(nn.Module):
    """(M, 2, T, 3) earlier and later stretches -> (M,) logits that they are one person's."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise(WIDTHS):
            layers += [nn.Conv2d(before, after, (SPAN, 1)), nn.BatchNorm2d(after), nn.ReLU()]
        self.over_time = nn.Sequential(*layers)
        self.together = nn.Sequential(nn.Conv2d(WIDTHS[-1], WIDTHS[-1], (1, 3)), nn.ReLU())
        self.compare = nn.Sequential(nn.Linear(2 * WIDTHS[-1], 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, pairs: Tensor) -> Tensor:
        """See the class."""
        count, _, length, _ = pairs.shape
        each = self.together(self.over_time(pairs.reshape(2 * count, 1, length, 3))).mean((2, 3))
        out: Tensor = self.compare(each.reshape(count, -1))[:, 0]
        return out


def fit_link(pairs: NDArray[np.float32], same: NDArray[np.bool_], epochs: int, seed: int) -> Fitted:
    """Train on (M, 2, T, 3) pairs and (M,) whether they are one person's, both answers weighing alike.

    Raises NotComputable: only one of both answers occurs.
    """
    if same.all() or not same.any():
        raise NotComputable("linking needs people seen twice and others beside them; the labels have no such pairs")
    given, wanted = torch.from_numpy(pairs), torch.from_numpy(same.astype(np.float32))
    weigh = torch.tensor(float((~same).sum() / same.sum()))
    rng = np.random.default_rng([seed, 4])

    def losses() -> Iterator[tuple[Tensor, int]]:
        for rows in torch.from_numpy(rng.permutation(len(same))).split(LINK_BATCH):
            if len(rows) >= 2:  # a batch norm has no spread of one
                yield binary_cross_entropy_with_logits(net(given[rows]), wanted[rows], pos_weight=weigh), 1
        slower.step()

    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = LinkNet()
        optimiser = torch.optim.AdamW(net.parameters(), lr=LINK_RATE, weight_decay=LINK_DECAY)
        slower = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.05, max(epochs, 1))
        return fit_net(net, optimiser, losses, epochs)


class Linker:
    """A trained decision: arrays in, arrays out."""

    def __init__(self, state: Mapping[str, NDArray[np.float32]]) -> None:
        self._net = restore(LinkNet(), state)

    @torch.inference_mode()
    def __call__(self, pairs: NDArray[np.float32]) -> NDArray[np.float64]:
        """(M, 2, T, 3) -> (M,) weights in [0, 1] that a pair is one person's."""
        if not len(pairs):
            return np.zeros(0)
        return self._net(torch.from_numpy(np.ascontiguousarray(pairs))).sigmoid().double().numpy()

"""AFLink (StrongSORT): whether one stretch of a track goes on from another, told by their places and times alone.

Either stretch goes through the same convolutions over time, frame number, x and y apart; a last one brings these three
together. What both come to is compared by a small perceptron.
"""

from collections.abc import Iterator, Mapping
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from msfp.errors import NotComputable
from msfp.heads.apply import restore
from msfp.heads.training import Fitted, fit_net
from msfp.threads import one_thread

WIDTHS = (1, 16, 32, 32)
SPAN = 7  # frames that one convolution sees
RATE, DECAY, BATCH = 3e-3, 1e-4, 64


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
    """Train with binary cross-entropy, both answers weighing alike.

    `pairs`: (M, 2, T, 3), see `msfp.tracking.linking.pair`. `same`: (M,) whether they are one person's.
    Raises NotComputable: only one of both answers occurs.
    """
    if same.all() or not same.any():
        raise NotComputable("linking needs people seen twice and others beside them; the labels have no such pairs")
    given, wanted = torch.from_numpy(pairs), torch.from_numpy(same.astype(np.float32))
    weigh = torch.tensor(float((~same).sum() / same.sum()))
    rng = np.random.default_rng([seed, 4])

    def losses() -> Iterator[tuple[Tensor, int]]:
        for rows in torch.from_numpy(rng.permutation(len(same))).split(BATCH):
            if len(rows) >= 2:  # a batch norm has no spread of one
                yield binary_cross_entropy_with_logits(net(given[rows]), wanted[rows], pos_weight=weigh), 1
        slower.step()

    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = LinkNet()
        optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
        slower = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.05, max(epochs, 1))
        return fit_net(net, optimiser, losses, epochs)


class Linker:
    """A trained decision: arrays in, arrays out."""

    def __init__(self, state: Mapping[str, NDArray[np.float32]]) -> None:
        """Take a trained state."""
        self._net = restore(LinkNet(), state)

    @torch.inference_mode()
    def __call__(self, pairs: NDArray[np.float32]) -> NDArray[np.float64]:
        """(M, 2, T, 3) -> (M,) weights in [0, 1] that a pair is one person's."""
        if not len(pairs):
            return np.zeros(0)
        return self._net(torch.from_numpy(np.ascontiguousarray(pairs))).sigmoid().double().numpy()

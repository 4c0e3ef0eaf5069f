"""What fusion heads learn: telling people apart by triplets; all seeds in one step."""

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Sequence as ListLike

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from msfp.config import TrainingSettings
from msfp.errors import NotComputable
from msfp.heads.loss import triplet_loss
from msfp.heads.sampling import Batches, Labels
from msfp.heads.stack import Stack

Losses = tuple[Tensor, Tensor]
Loss = Callable[[Tensor, Tensor, float], Losses]
"""A loss of one's own: (B, D) unit rows, (B,) number of the person each shows, the margin -> the loss and the share of
it that is active, both scalars. Rows are different detections; each person has at least two."""
TRIED = 8  # rows on which it is tried whether the seeds' modules can run as one


class FusionSteps:
    """Losses of one epoch after another of the triplet task, (S,) each: one a seed."""

    def __init__(
        self,
        heads: ListLike[nn.Module],
        layers: Mapping[int, NDArray[np.float16]],
        labels: Labels,
        training: TrainingSettings,
        seeds: ListLike[int],
        dtype: torch.dtype = torch.float32,
        loss: Loss | None = None,
    ) -> None:
        """Take over the heads, one a seed; NotComputable where the labels make no batch."""
        self.layers = {k: torch.from_numpy(v) for k, v in layers.items()}
        self.dtype, self.training, self.loss = dtype, training, loss
        self.batches = Batches(labels, training)
        self.rngs = [np.random.default_rng([seed, 1]) for seed in seeds]
        if not self.batches.scopes:
            raise NotComputable("training needs two people seen twice within the window; the labels have none")
        self.heads = Stack(
            heads, seeds, self._vectors(torch.arange(TRIED).expand(len(seeds), TRIED) % len(labels.frame))
        )
        self.states = self.heads.states

    def start(self) -> None:
        """Begin with a fresh optimiser."""
        self.optimiser = torch.optim.Adam(self.heads.parameters(), lr=self.training.learning_rate, fused=True)

    def losses(self) -> Iterator[Losses]:
        """(loss, active share) of each batch of one epoch."""
        self.heads.train()
        for drawn in zip(*(self.batches.epoch(rng) for rng in self.rngs), strict=True):
            rows, count = (torch.from_numpy(np.stack(each)) for each in zip(*drawn, strict=True))
            embeddings = self.heads(self._vectors(rows.flatten(1))).unflatten(1, rows.shape[1:])
            if self.loss is None:
                yield triplet_loss(embeddings, count, self.training.margin, self.training.positives)
                continue
            kept = torch.arange(rows.shape[2]) < count[..., None]  # those that repeat another are left out
            found = [
                self.loss(e[k], k.nonzero()[:, 0], self.training.margin) for e, k in zip(embeddings, kept, strict=True)
            ]
            loss, active = (torch.stack([torch.as_tensor(v) for v in each]) for each in zip(*found, strict=True))
            yield loss, active.detach()

    def epoch(self) -> NDArray[np.float64]:
        """Train one epoch; (2, S) mean over batches of loss and active share."""
        pairs = []
        for loss, active in self.losses():
            take_step(self.optimiser, loss.sum())
            pairs.append(torch.stack([loss.detach(), active]))
        return torch.stack(pairs).double().mean(dim=0).numpy()

    def _vectors(self, rows: Tensor) -> dict[int, Tensor]:
        """layer -> (S, B, C) of (S, B) rows."""
        flat = rows.reshape(-1)
        return {
            k: v.index_select(0, flat).to(self.dtype).reshape(*rows.shape, *v.shape[1:]) for k, v in self.layers.items()
        }


def take_step(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    """One step down the loss."""
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()

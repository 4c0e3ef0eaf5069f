"""Appearance from strips of a shallow map: where on the body, less what a frame's people share, whitened.

Not the paper's. Its mean over the whole box keeps position and background and loses the person; strips keep which part
of the body a colour belongs to, and the mean of a frame's people holds what light and scene make of everybody.
"""

from collections.abc import Iterator, Mapping
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import normalize

from msfp.config import FusionSettings
from msfp.heads.fusion import FusionHead, Tick
from msfp.heads.training import fit_net

MEMORY = 0.9  # of the running mean that stands in where a frame shows one person
EPOCHS, BATCH, RATE, TEMPERATURE, NOISE, DROPOUT = 30, 256, 1e-3, 0.1, 0.02, 0.1  # of the linear map's training


class FrameCentring:
    """Scales strips to unit length and subtracts the mean of the frame's people, frame after frame.

    For a single person an EMA of the means of earlier frames with two or more stands in; before these, nothing.
    """

    def __init__(self, strips: int) -> None:
        self._strips = strips
        self.mean: dict[int, NDArray[np.float32]] = {}  # layer -> (strips * C,) running mean; empty before there is one

    def step(
        self, layers: Mapping[int, NDArray[np.floating]], people: NDArray[np.bool_] | None = None
    ) -> dict[int, NDArray[np.float32]]:
        """The next frame's (n, strips * C) pooled strips, centred; `people`: (n,) rows that make up the mean."""
        found = {}
        for layer, pooled in layers.items():
            unit = unit_strips(pooled, self._strips)
            counted = unit if people is None else unit[people]
            mean = self.mean.get(layer)
            if len(counted) >= 2:
                here: NDArray[np.float32] = counted.mean(axis=0, keepdims=True, dtype=np.float32)[0]
                self.mean[layer] = here if mean is None else mean + np.float32(1 - MEMORY) * (here - mean)
                mean = here
            found[layer] = unit if mean is None else unit - mean
        return found


def unit_strips(vectors: NDArray[np.floating], strips: int) -> NDArray[np.float32]:
    """(N, strips * C) pooled strips, each scaled to unit length; a strip outside the map stays zero."""
    apart = vectors.astype(np.float32).reshape(len(vectors), strips, vectors.shape[1] // strips)
    length = np.linalg.norm(apart, axis=2, keepdims=True)
    return np.asarray(apart / np.where(length > 0, length, 1), np.float32).reshape(vectors.shape)


def centred(
    layers: Mapping[int, NDArray[np.floating]], frame: NDArray[np.int32], people: NDArray[np.bool_], strips: int
) -> dict[int, NDArray[np.float32]]:
    """Layer -> (N, strips * C) of all boxes of a scene, centred frame by frame.

    `frame` (N,) ascends; `people` (N,) are the rows that make up the means.
    """
    ends = [0, *(np.flatnonzero(np.diff(frame)) + 1), len(frame)]
    centring = FrameCentring(strips)
    found = {layer: np.empty(vectors.shape, np.float32) for layer, vectors in layers.items()}
    for first, end in pairwise(ends):
        here = centring.step({layer: vectors[first:end] for layer, vectors in layers.items()}, people[first:end])
        for layer, vectors in here.items():
            found[layer][first:end] = vectors
    return found


def within_class_whitening(
    vectors: NDArray[np.floating], person: NDArray[np.integer], ridge: float
) -> NDArray[np.float64]:
    """(D, D) map after which what changes from box to box of one person has unit covariance in every direction.

    L of S^-1 = L L', where S = W + ridge tr(W) / D I and W is the mean over boxes of (v - m)(v - m)', m the mean of
    that person's vectors.
    """
    order = np.argsort(person, kind="stable")
    ends = np.flatnonzero(np.diff(person[order])) + 1
    apart = np.concatenate([rows - rows.mean(0) for rows in np.split(vectors[order].astype(np.float64), ends)])
    within = apart.T @ apart / len(apart)
    width = len(within)
    inverse = np.linalg.inv(within + ridge * np.trace(within) / width * np.eye(width))
    found: NDArray[np.float64] = np.linalg.cholesky(inverse)
    return found


class Parts(FusionHead):
    """Strips of a shallow layer, less the mean of the frame's people, whitened within identities; no epochs."""

    name = "parts"
    pooling = "strips"
    centred = True
    seeded = False

    def __init__(self, channels: dict[int, int], config: FusionSettings) -> None:
        super().__init__(channels, config)
        self.register_buffer("whitening", torch.eye(sum(channels.values())))

    def learn(self, layers: dict[int, Tensor], person: NDArray[np.int64], tick: Tick | None) -> NDArray[np.float32]:
        found = within_class_whitening(self.concatenated(layers).numpy(), person, self.config.ridge)
        self.whitening = torch.from_numpy(found.astype(np.float32))
        return np.zeros(0, np.float32)

    def embed(self, layers: dict[int, Tensor]) -> Tensor:
        return self.concatenated(layers) @ self.whitening


class PartsLinear(FusionHead):
    """The same strips under a linear map, learned by contrast: of a batch's boxes, which show the same person?"""

    name = "parts-linear"
    pooling = "strips"
    centred = True

    def __init__(self, channels: dict[int, int], config: FusionSettings) -> None:
        super().__init__(channels, config)
        self.map = nn.Linear(sum(channels.values()), config.width, bias=False)

    def learn(self, layers: dict[int, Tensor], person: NDArray[np.int64], tick: Tick | None) -> NDArray[np.float32]:
        vectors, whose = self.concatenated(layers), torch.from_numpy(person)

        def losses() -> Iterator[tuple[Tensor, int]]:
            for rows in torch.randperm(len(vectors)).split(BATCH):
                given = vectors[rows]
                given = nn.functional.dropout(given + NOISE * torch.randn_like(given), DROPOUT)
                yield contrast(normalize(self.map(given), dim=-1), whose[rows], TEMPERATURE), 1

        return fit_net(self, torch.optim.Adam(self.parameters(), lr=RATE), losses, EPOCHS, tick).loss

    def embed(self, layers: dict[int, Tensor]) -> Tensor:
        found: Tensor = self.map(self.concatenated(layers))
        return found


def contrast(embeddings: Tensor, whose: Tensor, temperature: float) -> Tensor:
    """Supervised contrastive loss of (N, D) unit rows, the mean over pairs of one person's; 0 where there are none."""
    logits = embeddings @ embeddings.T / temperature
    itself = torch.eye(len(whose), dtype=torch.bool, device=logits.device)
    chance = logits.masked_fill(itself, -torch.inf).log_softmax(1)
    same = (whose[:, None] == whose) & ~itself
    return -chance.masked_fill(~same, 0).sum() / same.sum().clamp(min=1)

"""Crops of people who may train a ReID network, and the batches drawn from them."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from msfp.errors import InputError
from msfp.features.reid import cut
from shipped_weights.samples import Sample


@dataclass(frozen=True)
class Gallery:
    """Crops of people that may train.

    Attributes:
        crops: (N, 256, 128, 3) uint8, halved in size at rest.
        label: (N,) identity from 0.
        frame: (N,) index of the frame each came from.
    """

    crops: NDArray[np.uint8]
    label: NDArray[np.int64]
    frame: NDArray[np.int64]


def cut_gallery(samples: Sequence[Sample], visible: float, smallest: float, people: int, fewest: int = 2) -> Gallery:
    """Crops of all people who are visible, large enough and seen in at least `fewest` frames.

    Raises:
        InputError: fewer people than a batch needs.
    """
    crops, labels, frames = [], [], []
    for number, sample in enumerate(samples):
        tall = sample.xyxy[:, 3] - sample.xyxy[:, 1] >= smallest
        rows = tall & (sample.visibility > visible)
        if rows.any():
            xyxy = sample.xyxy[rows]
            cropped = cut(sample.pixels(), np.concatenate([xyxy[:, :2] + 1.0, xyxy[:, 2:] - xyxy[:, :2]], 1))
            crops.append(np.stack([cv2.resize(c, (64, 128), interpolation=cv2.INTER_AREA) for c in cropped]))
            labels.append(sample.id[rows])
            frames.append(np.full(int(rows.sum()), number))
    found = np.concatenate(labels) if labels else np.zeros(0, np.int64)
    names, counts = np.unique(found, return_counts=True)
    kept = names[counts >= fewest]
    if len(kept) < people:
        raise InputError(f"ReID training: {len(kept)} people seen often enough, {people} are needed; give more frames")
    rows = np.isin(found, kept)
    return Gallery(
        np.concatenate(crops)[rows], np.searchsorted(kept, found[rows]), np.concatenate(frames)[rows].astype(np.int64)
    )


def draw_rows(gallery: Gallery, identities: int, instances: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """(P x K,) rows of a batch: P people, first those seen together in a random frame, K crops of each."""
    chosen: list[int] = []
    while len(chosen) < identities:
        anchor = gallery.frame[rng.integers(len(gallery.frame))]
        together = np.setdiff1d(gallery.label[gallery.frame == anchor], chosen)
        chosen.extend(int(p) for p in rng.permutation(together)[: identities - len(chosen)])
    rows = []
    for person in chosen:
        own = np.flatnonzero(gallery.label == person)
        rows.append(rng.choice(own, instances, replace=len(own) < instances))
    return np.concatenate(rows)


def vary(crops: NDArray[np.uint8], rng: np.random.Generator, size: tuple[int, int] = (128, 256)) -> NDArray[np.uint8]:
    """(N, height, width, 3) crops of `size` (width, height): random shift, zoom, flip, light, an erased patch."""
    wide, tall = size
    out = np.empty((len(crops), tall, wide, 3), np.uint8)
    for row, crop in enumerate(crops):
        height, width = crop.shape[:2]
        zoom = rng.uniform(0.9, 1.2, 2) * (wide / width, tall / height)
        shift = rng.uniform(-0.08, 0.08, 2) * size + (1 - zoom * (width / wide, height / tall)) * (wide / 2, tall / 2)
        matrix = np.array([[zoom[0], 0, shift[0]], [0, zoom[1], shift[1]]])
        warped = cv2.warpAffine(crop, matrix, size, borderMode=cv2.BORDER_REPLICATE)
        if rng.random() < 0.5:
            warped = warped[:, ::-1]
        light = warped.astype(np.float32) * rng.uniform(0.75, 1.25) * rng.uniform(0.94, 1.06, 3) + rng.uniform(-15, 15)
        out[row] = np.clip(light, 0, 255).astype(np.uint8)
        if rng.random() < 0.4:
            corner = rng.uniform((0, 0), (0.7, 0.7))
            left, top = (corner * size).astype(int)
            right, bottom = ((corner + rng.uniform(0.08, 0.3, 2)) * size).astype(int)
            out[row, top:bottom, left:right] = rng.integers(0, 256, 3)
    return out

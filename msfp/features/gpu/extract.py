"""Offline extraction on a GPU: frames in batches, copied while the device is busy with the batch before.

A batch is laid by threads into one of two pinned buffers and goes through the network in half precision; the boxes of
all its frames and box sets are pooled in one launch. Its results are fetched after the next batch has been started.
On a CPU the same code runs in float32, which is how it is tested.
"""

import copy
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any

import numpy as np
import torch

from msfp.errors import InputError
from msfp.features.backbone import Backbone, Geometry, fit
from msfp.features.gpu import TRITON
from msfp.features.gpu.pooling import AddressTable, pool_on_device
from msfp.features.pooling import HALF_MAX, BoxSet, Found, Image, Mode, Progress, Rows, with_rows
from msfp.types import Features

MOST_HANDS = 8  # a decoder makes some 100 frames of 1920x1080 a second
BATCH = 16  # frames; 1280x736 takes about 0.2 GB a frame with YOLOv8x


@dataclass(frozen=True)
class Started:
    """A batch on its way; its float16 host tensors are being filled."""

    numbers: tuple[int, ...]  # of its frames
    places: list[tuple[str, slice]]  # (box set, rows) in the order of the pooled boxes
    layers: dict[tuple[Mode, int], torch.Tensor]  # (way to pool, layer) -> (N, C)
    scenes: torch.Tensor  # (B, C)
    done: Any  # CUDA event behind the copies; None on a CPU, where they are done


def extract_modes_batched(
    frames: Iterable[tuple[int, Image]], box_sets: Mapping[str, BoxSet], backbone: Backbone,
    wanted: Mapping[Mode, tuple[int, ...]], size: tuple[int, int] = (1280, 736), geometry: Geometry = "letterbox",
    progress: Progress = None, batch: int = BATCH, dtype: torch.dtype | None = None,
) -> dict[Mode, dict[str, Features]]:  # fmt: skip
    """As `extract_modes` by `roi_align`, `lite` and strips, `batch` frames at once; the backbone stays as it is.

    `dtype`: of the network on a GPU, None: the backbone's `precision`; float32 on a CPU.
    Raises InputError: as `extract_modes`; numbers beyond what the network's precision holds.
    """
    found = Found(box_sets, backbone, wanted)
    with ThreadPoolExecutor(hands(backbone.device)) as pool:
        network = _Network(backbone, wanted, size, geometry, batch, dtype or backbone.precision, pool)
        for done in _in_flight(frames, network, box_sets):
            check_finite(f"frames {done.numbers[0]} to {done.numbers[-1]}", done.scenes, *done.layers.values())
            at = 0
            for name, rows in done.places:
                count = rows.stop - rows.start
                found.present[name][rows] = True
                for (mode, layer), vectors in done.layers.items():
                    found.vectors[mode][name][layer][rows] = vectors[at : at + count].numpy()
                at += count
            found.scenes.update(zip(done.numbers, done.scenes.numpy().copy(), strict=True))
            if progress:
                progress(len(done.numbers))
    return found.features()


def _in_flight(
    frames: Iterable[tuple[int, Image]], network: "_Network", box_sets: Mapping[str, BoxSet]
) -> Iterator[Started]:
    """Batches that have come back; each is waited for only after the next one was started."""
    started = (network.start(group, box_sets) for group in _groups(frames, network.batch, box_sets))
    for before, _ in pairwise(chain[Started | None](started, [None])):
        assert before is not None
        if before.done is not None:
            before.done.synchronize()
        yield before


def _groups(
    frames: Iterable[tuple[int, Image]], batch: int, box_sets: Mapping[str, BoxSet]
) -> Iterator[list[tuple[int, Image, Rows]]]:
    """Frames of one size, up to `batch` of them, with their boxes' rows."""
    group: list[tuple[int, Image, Rows]] = []
    for one in with_rows(frames, box_sets):
        if group and (len(group) == batch or group[0][1].shape != one[1].shape):
            yield group
            group = []
        group.append(one)
    if group:
        yield group


class _Network:
    """The backbone with its two pinned buffers."""

    def __init__(
        self, backbone: Backbone, wanted: Mapping[Mode, tuple[int, ...]], size: tuple[int, int], geometry: Geometry,
        batch: int, dtype: torch.dtype, pool: ThreadPoolExecutor,
    ) -> None:  # fmt: skip
        self.batch, self._size, self._geometry, self._pool = batch, size, geometry, pool
        self._wanted = wanted
        self._cuda = backbone.device.type == "cuda"
        self._dtype = dtype if self._cuda else torch.float32
        self._backbone = copy.deepcopy(backbone).to_dtype(dtype) if self._cuda else backbone
        self._table = AddressTable() if self._cuda and TRITON else None
        self._pinned = [torch.zeros(batch, size[1], size[0], 3, dtype=torch.uint8, pin_memory=self._cuda) for _ in "ab"]
        self._copied: list[Any] = [torch.cuda.Event() if self._cuda else None for _ in "ab"]
        self._turn = 0

    @torch.inference_mode()
    def start(self, group: list[tuple[int, Image, Rows]], box_sets: Mapping[str, BoxSet]) -> Started:
        """Put a batch on its way; waits for nothing but the buffer of two batches back."""
        self._turn ^= 1
        pixels, device = self._pinned[self._turn], self._backbone.device
        if self._cuda:
            self._copied[self._turn].synchronize()
        box = fit((group[0][1].shape[1], group[0][1].shape[0]), self._size, self._geometry)
        list(self._pool.map(box.apply, (frame for _, frame, _ in group), pixels.numpy()))
        there = pixels[: len(group)].to(device, non_blocking=True)
        if self._cuda:
            self._copied[self._turn].record()
        parts = self._backbone.parts(there.permute(0, 3, 1, 2).to(self._dtype) / 255.0)
        places = [(name, mine) for _, _, rows in group for name, mine in rows.items()]
        counts = [sum(mine.stop - mine.start for mine in rows.values()) for _, _, rows in group]
        regions = [np.zeros((0, 4)), *(box.to_network(box_sets[name][1][mine]) for name, mine in places)]
        boxes = torch.from_numpy(np.concatenate(regions).astype(np.float32)).to(device, non_blocking=True)
        layers: dict[tuple[Mode, int], torch.Tensor] = {}
        for mode, chosen in self._wanted.items():
            taps, strides = {layer: parts[layer] for layer in chosen}, self._backbone.strides
            pooled = pool_on_device(taps, boxes, strides, self._table, counts, mode=mode)
            layers |= {(mode, layer): self._back(vectors) for layer, vectors in pooled.items()}
        scenes = torch.cat([p.map.mean((2, 3), dtype=torch.float32) for p in parts[self._backbone.preset.scene]], 1)
        numbers, back = tuple(number for number, _, _ in group), self._back(scenes)
        done = torch.cuda.Event() if self._cuda else None
        if done is not None:
            done.record()
        return Started(numbers, places, layers, back, done)

    def _back(self, values: torch.Tensor) -> torch.Tensor:
        """In half precision, as `half` makes it, on its way to the host."""
        values = values.clamp(-HALF_MAX, HALF_MAX).half()
        host = torch.empty(values.shape, dtype=values.dtype, pin_memory=self._cuda)
        return host.copy_(values, non_blocking=True)


def check_finite(where: str, *values: torch.Tensor) -> None:
    """Raise InputError, which says where, for what is no number."""
    if not all(bool(v.isfinite().all()) for v in values):
        raise InputError(
            f"{where}: the detector's numbers grow beyond half precision with these weights; use --device cpu"
        )


def hands(device: torch.device) -> int:
    """Threads that decode frames, and as many that lay them, for one of this machine's GPUs; 1 for a CPU."""
    if device.type != "cuda":
        return 1
    return min(MOST_HANDS, max(1, (os.cpu_count() or 1) // torch.cuda.device_count() // 2))

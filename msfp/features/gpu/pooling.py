"""Mean of RoIAlign for all pieces of all taps: two matrix products in torch, or one launch in Triton.

Neither waits for the device, and shapes do not depend on where the boxes lie, so that both can be part of a CUDA graph.
The launch reads a table of the maps' addresses on the device; in a graph these stay as they were when it was recorded,
so the table is written once, after.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from math import gcd
from typing import NamedTuple

import torch

from msfp.features.backbone import Part
from msfp.features.pooling import CELLS, SAMPLES, Mode
from msfp.types import Strips

BLOCK = 64  # channels a program of the Triton kernel works on
TILE = (2, 8)  # cells it reads at once, down and across: people are narrow, and deep maps coarse
WARPS = 1  # that share a program


class Piece(NamedTuple):
    """A map that is pooled, once for all taps that show it."""

    map: torch.Tensor  # (B, C, h, w), channels last in memory
    upsample: int  # how often the tap shows a cell along each axis
    stride: int  # network pixels a cell of the tap


def pieces_of(
    levels: Mapping[int, tuple[Part, ...]], strides: Mapping[int, int]
) -> tuple[list[Piece], dict[int, list[int]]]:
    """The distinct pieces of all taps, and which of them make up each tap."""
    found: dict[tuple[int, int, int], Piece] = {}
    names = {k: [(id(part.map), part.upsample, strides[k]) for part in parts] for k, parts in levels.items()}
    for layer, parts in levels.items():
        for name, part in zip(names[layer], parts, strict=True):
            found.setdefault(name, Piece(part.map, part.upsample, strides[layer]))
    places = {name: place for place, name in enumerate(found)}
    return list(found.values()), {layer: [places[name] for name in own] for layer, own in names.items()}


class AddressTable:
    """Where the maps of a launch lie, in memory of the device; while a graph is recorded, `write` fills it after."""

    def __init__(self) -> None:
        self.recording = False
        self._host: torch.Tensor | None = None
        self._there: torch.Tensor | None = None

    def describe(self, rows: list[tuple[int, ...]], device: torch.device) -> torch.Tensor:
        """(R, 8) int64 on the device; filled now, or by `write` where a graph is being recorded."""
        # Pinned, so that the copy is queued behind the network instead of the host waiting for it; not while a graph is
        # recorded, when CUDA may refuse to allocate such memory.
        pinned = device.type == "cuda" and not self.recording
        self._host = torch.tensor(rows, dtype=torch.int64, pin_memory=pinned)
        if self._there is None or self._there.shape != self._host.shape:
            if self.recording:
                raise RuntimeError("the table's size was not known before the recording; run the launch once before it")
            self._there = torch.empty_like(self._host, device=device)
        if not self.recording:
            self.write()
        return self._there

    @torch.inference_mode()
    def write(self) -> None:
        """Copy the addresses last described to the device."""
        assert self._host is not None
        assert self._there is not None
        self._there.copy_(self._host, non_blocking=True)


def pool_on_device(
    levels: Mapping[int, tuple[Part, ...]], boxes: torch.Tensor, strides: Mapping[int, int],
    table: AddressTable | None = None, counts: Sequence[int] | None = None, wanted: torch.Tensor | None = None,
    mode: Mode = "roi_align",
) -> dict[int, torch.Tensor]:  # fmt: skip
    """As `pool_levels` by `roi_align`, `lite` or strips, without leaving the device and without waiting for it.

    `levels`: for a batch of B images. `boxes`: (N, 4) float32, image by image, on the device. `table`: for one Triton
    launch in place of torch; LITE takes torch whatever it is. `counts`: how many boxes each image has; None: all are of
    one. `wanted`: (N,) bool on the device; a launch passes the others by, their vectors are zero.
    Returns layer -> (N, C) float32.
    """
    if isinstance(mode, Strips):  # a strip is a box of its own
        many = mode.number
        wanted = None if wanted is None else wanted.repeat_interleave(many)
        counts = [many * count for count in ([len(boxes)] if counts is None else counts)]
        each_strip = pool_on_device(levels, strip_boxes(boxes, mode), strides, table, counts, wanted)
        return {layer: v.reshape(len(boxes), many * v.shape[1]) for layer, v in each_strip.items()}
    pieces, of = pieces_of(levels, strides)
    lite = mode == "lite"
    each = [len(boxes)] if counts is None else list(counts)
    if table is None or lite:
        parted = zip(range(len(each)), torch.split(boxes, each), strict=True)
        images = [pool_by_products(pieces, part, image, lite) for image, part in parted]
        found = [torch.cat(one) for one in zip(*images, strict=True)]
        if wanted is not None:
            found = [torch.where(wanted[:, None], one, 0.0) for one in found]
    else:
        found = pool_in_one_launch(pieces, boxes, each, table, wanted)
    return {layer: torch.cat([found[i] for i in chosen], 1) for layer, chosen in of.items()}


def strip_boxes(boxes: torch.Tensor, strips: Strips) -> torch.Tensor:
    """As `msfp.features.pooling.strip_boxes`."""
    left, top, right, bottom = boxes.unbind(1)
    margin = (right - left) * (1 - strips.width) / 2
    edge = torch.arange(strips.number + 1, device=boxes.device, dtype=boxes.dtype) / strips.number
    edges = top[:, None] + (bottom - top)[:, None] * edge
    first, last = (side[:, None].expand(-1, strips.number) for side in (left + margin, right - margin))
    return torch.stack([first, edges[:, :-1], last, edges[:, 1:]], 2).reshape(-1, 4)


def pool_by_products(pieces: list[Piece], boxes: torch.Tensor, image: int, lite: bool = False) -> list[torch.Tensor]:
    """Per piece (N, C) float32 of one image: weights of rows times map, times weights of columns."""
    out = []
    for piece in pieces:
        height, width = piece.map.shape[-2:]
        cells = boxes / piece.stride
        weights = lite_weights if lite else axis_weights
        rows = weights(cells[:, 1], cells[:, 3], height, piece.upsample)
        columns = weights(cells[:, 0], cells[:, 2], width, piece.upsample)
        grid = piece.map[image].permute(1, 2, 0).float()
        lines = (rows @ grid.reshape(height, -1)).reshape(len(boxes), width, grid.shape[2])
        out.append(torch.bmm(columns[:, None], lines)[:, 0])
    return out


def axis_weights(low: torch.Tensor, high: torch.Tensor, length: int, repeat: int) -> torch.Tensor:
    """(N, length) weights of the stored cells, `repeat` cells of the tap each, torchvision's border rules included."""
    full, samples = length * repeat, CELLS * SAMPLES
    step = torch.arange(samples, device=low.device, dtype=low.dtype) + 0.5
    place = low[:, None] - 0.5 + (high - low)[:, None] / samples * step
    inside = ((place >= -1) & (place <= full)).to(low.dtype) / samples
    place = place.clamp(0, full - 1)
    cell = place.floor()
    share = (place - cell) * inside
    stored = torch.arange(length, device=low.device)
    first = (cell / repeat).floor()[..., None] == stored
    second = ((cell + 1).clamp(max=full - 1) / repeat).floor()[..., None] == stored
    return (first * (inside - share)[..., None] + second * share[..., None]).sum(1)


def lite_weights(low: torch.Tensor, high: torch.Tensor, length: int, repeat: int) -> torch.Tensor:
    """As `axis_weights`, of `msfp.features.pooling.lite_weights`."""
    start, stop = ((edge.trunc().clamp(0, length * repeat)[:, None]) for edge in (low - 1.0, high + 1.0))
    begin = torch.arange(length, device=low.device, dtype=low.dtype) * repeat
    covered = torch.minimum(stop, begin + repeat) - torch.maximum(start, begin)
    return covered.clamp(min=0) / (stop - start).clamp(min=1)


def pool_in_one_launch(
    pieces: list[Piece], boxes: torch.Tensor, counts: Sequence[int], table: AddressTable, wanted: torch.Tensor | None
) -> list[torch.Tensor]:
    """Per piece (N, C) float32, by one Triton kernel whose programs are (box, block of channels of a piece)."""
    from msfp.features.gpu import kernel

    maps = [p.map.permute(0, 2, 3, 1).contiguous() for p in pieces]  # no copy of a channels-last map
    starts = [0, *accumulate(m.shape[3] for m in maps)]
    rows = []
    samples = CELLS * SAMPLES
    for image in range(len(counts)):
        for piece, grid, start in zip(pieces, maps, starts, strict=False):
            shape = (*grid.shape[1:], piece.upsample, piece.stride)
            rows += [(grid[image].data_ptr(), *shape, c, start) for c in range(0, grid.shape[3], BLOCK)]
    out = torch.empty(len(boxes), starts[-1], dtype=torch.float32, device=boxes.device)
    if len(boxes):
        described, blocks = table.describe(rows, boxes.device), len(rows) // len(counts)
        kernel.pool[(len(boxes), blocks)](
            described, boxes.contiguous(), _images(counts, wanted, boxes.device), out, blocks, starts[-1], maps[0],
            SAMPLES=samples, PADDED=1 << (samples - 1).bit_length(), BLOCK=BLOCK, DOWN=TILE[0], ACROSS=TILE[1],
            ALIGNED=gcd(16, *(m.shape[3] for m in maps)), num_warps=WARPS,
        )  # fmt: skip
    return [out[:, a:b] for a, b in pairwise(starts)]


def _images(counts: Sequence[int], wanted: torch.Tensor | None, device: torch.device) -> torch.Tensor:
    """(N,) int32, on whose maps each box lies; -1 where it is not wanted."""
    if len(counts) == 1:
        image = torch.zeros(counts[0], dtype=torch.int32, device=device)
    else:
        host = torch.repeat_interleave(torch.arange(len(counts), dtype=torch.int32), torch.tensor(counts))
        image = (host.pin_memory() if device.type == "cuda" else host).to(device, non_blocking=True)
    return image if wanted is None else torch.where(wanted, image, -1)

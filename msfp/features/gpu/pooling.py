"""Mean of RoIAlign for all pieces of all taps: two matrix products in torch, or one launch in Triton.

Neither leaves the device or waits for it. The products use that sample weights factorise (`msfp.features.pooling`) and
have shapes that do not depend on the boxes, so that they can be part of a CUDA graph; the launch copies a table of the
maps' addresses to the device first, so it is for frames outside of one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import ModuleType
from typing import Any

import torch

from msfp.features.backbone import Part
from msfp.features.pooling import CELLS, SAMPLES

BLOCK = 64  # channels a program of the Triton kernel works on


@dataclass(frozen=True)
class Piece:
    """A map that is pooled, once for all taps that show it.

    Attributes:
        map: (1, C, h, w), channels last in memory.
        upsample: how often the tap shows a cell along each axis.
        stride: network pixels a cell of the tap.
    """

    map: torch.Tensor
    upsample: int
    stride: int


def pieces_of(
    levels: Mapping[int, tuple[Part, ...]], strides: Mapping[int, int]
) -> tuple[list[Piece], dict[int, list[int]]]:
    """The distinct pieces of all taps, and which of them make up each tap."""
    places: dict[tuple[int, int, int], int] = {}
    pieces: list[Piece] = []
    of: dict[int, list[int]] = {}
    for layer, parts in levels.items():
        of[layer] = []
        for part in parts:
            name = (id(part.map), part.upsample, strides[layer])
            if name not in places:
                places[name] = len(pieces)
                pieces.append(Piece(part.map, part.upsample, strides[layer]))
            of[layer].append(places[name])
    return pieces, of


def pool_on_device(
    levels: Mapping[int, tuple[Part, ...]], boxes: torch.Tensor, strides: Mapping[int, int], kernel: bool = False
) -> dict[int, torch.Tensor]:
    """As `pool_levels`, without leaving the device and without waiting for it.

    Args:
        levels: layer -> the tap's pieces, batch size 1.
        boxes: (N, 4) float32 xyxy in network pixels, on the maps' device.
        strides: layer -> network pixels a cell of the tap.
        kernel: one Triton launch for everything in place of torch.

    Returns:
        layer -> (N, C) float32.
    """
    pieces, of = pieces_of(levels, strides)
    pool = pool_in_one_launch if kernel else pool_by_products
    found = pool(pieces, boxes)
    return {layer: torch.cat([found[i] for i in chosen], 1) for layer, chosen in of.items()}


def pool_by_products(pieces: list[Piece], boxes: torch.Tensor) -> list[torch.Tensor]:
    """Per piece (N, C) float32: weights of rows times map, times weights of columns."""
    out = []
    for piece in pieces:
        height, width = piece.map.shape[-2:]
        cells = boxes / piece.stride
        rows = axis_weights(cells[:, 1], cells[:, 3], height, piece.upsample)
        columns = axis_weights(cells[:, 0], cells[:, 2], width, piece.upsample)
        grid = piece.map[0].permute(1, 2, 0).float()
        lines = (rows @ grid.reshape(height, -1)).reshape(len(boxes), width, grid.shape[2])
        out.append(torch.bmm(columns[:, None], lines)[:, 0])
    return out


def axis_weights(low: torch.Tensor, high: torch.Tensor, length: int, repeat: int) -> torch.Tensor:
    """(N, length) weights of the stored cells along one axis, torchvision's border rules included.

    Args:
        low, high: (N,) edges in cells of the tap.
        length: stored cells.
        repeat: cells of the tap a stored one.
    """
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


def pool_in_one_launch(pieces: list[Piece], boxes: torch.Tensor) -> list[torch.Tensor]:
    """Per piece (N, C) float32, by one Triton kernel whose programs are (box, block of channels of a piece).

    Raises:
        ImportError: triton is not installed.
    """
    from msfp.features.gpu import kernel

    device = boxes.device
    maps = [p.map[0].permute(1, 2, 0).contiguous() for p in pieces]  # no copy of a channels-last map
    widths = [m.shape[2] for m in maps]
    table, starts = [], [0]
    for number, (piece, grid) in enumerate(zip(pieces, maps, strict=True)):
        for channel in range(0, widths[number], BLOCK):
            shape = (*grid.shape, piece.upsample, piece.stride, channel, starts[-1])
            table.append((grid.data_ptr(), *shape))
        starts.append(starts[-1] + widths[number])
    described = torch.tensor(table, dtype=torch.int64).to(device, non_blocking=True)
    out = torch.empty(len(boxes), starts[-1], dtype=torch.float32, device=device)
    if len(boxes):
        boxes = boxes.contiguous()
        kernel.pool[(len(boxes), len(table))](
            described, boxes, out, starts[-1], maps[0], SAMPLES=CELLS * SAMPLES, BLOCK=BLOCK
        )
    return [out[:, a:b] for a, b in pairwise(starts)]


def triton_here() -> ModuleType | Any | None:
    """triton where it is installed, else None."""
    try:
        import triton
    except ImportError:
        return None
    return triton

"""Blocks of YOLOv8 with fewer passes over memory: what follows a convolution writes where the next one reads.

Bias, activation, shortcut, halving and concatenation are one pass in place of five. Maps are channels last in memory,
so that a piece of a concatenation is a matrix with longer steps.
"""

from typing import Any

import torch
from torch import Tensor, nn

from msfp.features.gpu import TRITON

WIDEST, ELEMENTS = 128, 4096  # channels and numbers a program of the Triton kernel works on
POOLED = 64  # channels a program of the pyramid works on


def can_fuse(x: Tensor) -> bool:
    """Whether the kernels are there, and nobody asks for gradients."""
    return x.is_cuda and not torch.is_grad_enabled() and TRITON


def conv_silu(conv: nn.Conv2d, x: Tensor, plus: Tensor | None = None, into: Tensor | None = None) -> Tensor:
    """silu(conv(x)) + plus, (B, D, h, w); `into`: a piece of a concatenation that gets a copy."""
    found = _without_bias(conv, x)
    finish(found, conv.bias, found, plus, into)
    return found


def finish(
    x: Tensor, bias: Any, out: Tensor, plus: Tensor | None = None, second: Tensor | None = None, first: int = 0
) -> None:
    """out <- silu(x + bias) + plus, and second <- its channels from `first` on.

    `x`, `plus`: (B, C, h, w), channels last. `out`: x itself, or a piece of a concatenation. `second`: (B, C - first,
    h, w), such a piece or a map of its own.
    """
    from msfp.features.gpu import kernel

    channels = x.shape[1]
    rows, shared = x.numel() // channels, channels | first
    block = min(shared & -shared, WIDEST)  # a power of two that divides both
    each = max(1, ELEMENTS // block)
    kernel.biased_silu[(-(-rows // each), channels // block)](
        x, bias, x if plus is None else plus, out, x if second is None else second, rows, channels,
        channels if out is x else out.stride(3), 0 if second is None else second.stride(3), first,
        PLUS=plus is not None, SECOND=second is not None, ROWS=each, BLOCK=block,
    )  # fmt: skip


def cross_stage(block: Any, x: Tensor) -> Tensor:
    """ultralytics' C2f of plain bottlenecks."""
    raw, width = _without_bias(block.cv1.conv, x), block.c
    joined = _channels_last(raw, (2 + len(block.m)) * width)
    last = _channels_last(raw, width)
    finish(raw, block.cv1.conv.bias, joined[:, : 2 * width], second=last, first=width)
    for turn, bottleneck in enumerate(block.m):
        inner = conv_silu(bottleneck.cv1.conv, last)
        at = (2 + turn) * width
        shortcut = last if bottleneck.add else None
        last = conv_silu(bottleneck.cv2.conv, inner, shortcut, joined[:, at : at + width])
    return conv_silu(block.cv2.conv, joined)


def pyramid(block: Any, x: Tensor) -> Tensor:
    """ultralytics' SPPF: maxima of growing windows side by side."""
    return conv_silu(block.cv2.conv, maxima(conv_silu(block.cv1.conv, x), block.m.kernel_size // 2))


def maxima(x: Tensor, radius: int) -> Tensor:
    """(B, C, h, w) -> (B, 4C, h, w): the map, and its maxima within 1, 2 and 3 times so many cells to each side."""
    from msfp.features.gpu import kernel

    images, channels, height, width = x.shape
    out = _channels_last(x, 4 * channels)
    grid = (images * height * width, -(-channels // POOLED))
    kernel.maxima[grid](x, out, height, width, channels, RADIUS=radius, BLOCK=POOLED, num_warps=1)
    return out


def _channels_last(like: Tensor, channels: int) -> Tensor:
    shape = (like.shape[0], channels, *like.shape[2:])
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last)


def _without_bias(conv: nn.Conv2d, x: Tensor) -> Tensor:
    found = nn.functional.conv2d(x, conv.weight, None, conv.stride, conv.padding, conv.dilation, conv.groups)
    return found.contiguous(memory_format=torch.channels_last)

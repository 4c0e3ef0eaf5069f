"""Convolutions with what follows them, where the maps are large: one pass over memory instead of two or three.

The maps of the first layers are larger than any cache. oneDNN, which PyTorch carries for the CPU, applies an activation
while a result is still in a register; on a GPU, `gpu.blocks` does. The last bits of values differ.
"""

from functools import lru_cache
from types import MethodType
from typing import Any, Literal

import torch
from torch import nn

from msfp.features.gpu import blocks

Activation = Literal["relu", "swish"]
PLAIN = {"relu": torch.relu, "swish": nn.functional.silu}


def activated(conv: nn.Conv2d, x: torch.Tensor, activation: Activation) -> torch.Tensor:
    """(B, C, H, W) -> (B, D, h, w): the activation of a convolution; without gradients in fewer operators."""
    if activation == "swish" and conv.bias is not None and blocks.can_fuse(x):
        return blocks.conv_silu(conv, x)
    # Of lower precisions oneDNN's operator asks for instructions that not every processor has.
    fusable = x.device.type == "cpu" and x.dtype == torch.float32
    if not fusable or torch.is_grad_enabled() or not available():
        return PLAIN[activation](conv(x))
    return _operator(conv, x, activation)


def fuse(module: nn.Module) -> None:
    """Make ultralytics' blocks of a frozen network with folded batch norms pass memory less often, in place."""
    from ultralytics.nn.modules.block import SPPF, C2f
    from ultralytics.nn.modules.conv import Conv

    for block in module.modules():
        if isinstance(block, C2f) and type(block).forward is C2f.forward:
            vars(block)["forward"] = MethodType(_cross_stage, block)
        elif isinstance(block, SPPF) and type(block).forward is SPPF.forward:
            vars(block)["forward"] = MethodType(_pyramid, block)
        elif isinstance(block, Conv) and not hasattr(block, "bn") and isinstance(block.act, nn.SiLU):
            vars(block)["forward"] = MethodType(_conv_silu, block)


def _conv_silu(block: Any, x: torch.Tensor) -> torch.Tensor:
    return activated(block.conv, x, "swish")


def _cross_stage(block: Any, x: torch.Tensor) -> torch.Tensor:
    """C2f without a copy by halves: `torch.cat` is twice as slow on the halves of a map as on the map."""
    if blocks.can_fuse(x) and _plain(block.cv1, block.cv2, *(c for b in block.m for c in (b, b.cv1, b.cv2))):
        return blocks.cross_stage(block, x)
    pieces = [block.cv1(x)]
    last = pieces[0].chunk(2, 1)[1]
    for bottleneck in block.m:
        last = bottleneck(last)
        pieces.append(last)
    joined: torch.Tensor = block.cv2(torch.cat(pieces, 1))
    return joined


def _pyramid(block: Any, x: torch.Tensor) -> torch.Tensor:
    """SPPF, on a GPU in one pass for all its windows."""
    known = getattr(block, "n", 3) == 3 and not getattr(block, "add", False)
    if known and blocks.can_fuse(x) and _plain(block.cv1, block.cv2):
        return blocks.pyramid(block, x)
    found: torch.Tensor = type(block).forward(block, x)
    return found


def _plain(*parts: Any) -> bool:
    """Whether these are bottlenecks, and convolutions with a bias of their own that SiLU follows."""
    from ultralytics.nn.modules.block import Bottleneck

    convolutions = [p for p in parts if type(p) is not Bottleneck]
    return all(hasattr(p, "conv") and p.conv.bias is not None and isinstance(p.act, nn.SiLU) for p in convolutions)


@lru_cache(maxsize=1)
def available() -> bool:
    """Whether oneDNN's operator is there and computes what its parts do; it is not among PyTorch's documented ones."""
    if not torch.backends.mkldnn.is_available():
        return False
    with torch.random.fork_rng(devices=[]):  # whoever has seeded goes on as if nobody had asked
        conv, x = nn.Conv2d(3, 4, 3, 2, 1), torch.linspace(-1, 1, 192).reshape(1, 3, 8, 8)
    try:
        with torch.inference_mode():
            return all(torch.allclose(_operator(conv, x, name), PLAIN[name](conv(x)), atol=1e-5) for name in PLAIN)
    except (AttributeError, RuntimeError):  # not in this version, or called otherwise
        return False


def _operator(conv: nn.Conv2d, x: torch.Tensor, activation: str) -> torch.Tensor:
    place = (conv.padding, conv.stride, conv.dilation, conv.groups)
    fused: torch.Tensor = torch.ops.mkldnn._convolution_pointwise(x, conv.weight, conv.bias, *place, activation, [], "")
    return fused

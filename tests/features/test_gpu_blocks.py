"""A GPU's blocks in Triton's interpreter, on the CPU: what ultralytics' blocks give, one operator after the other."""

import os
import subprocess
import sys

import pytest
import torch
from torch import nn
from ultralytics.nn.modules.block import SPPF, C2f
from ultralytics.nn.modules.conv import Conv

from msfp.features.gpu import TRITON, blocks


def made(block: nn.Module) -> nn.Module:
    """Batch normalisation folded, as it is in a frozen network: a bias in its place."""
    for part in [m for m in block.modules() if isinstance(m, Conv)]:
        conv = part.conv
        part.conv = nn.Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding)
        del part.bn
        part.forward, part.act = part.forward_fuse, nn.SiLU()
    return block.eval().to(memory_format=torch.channels_last)


@torch.inference_mode()
def check() -> None:
    torch.manual_seed(0)
    for images, height, width, shortcut in ((1, 5, 7, True), (2, 3, 4, False)):
        x = torch.randn(images, 16, height, width).to(memory_format=torch.channels_last)
        block = made(C2f(16, 24, 2, shortcut, e=1 / 3))
        torch.testing.assert_close(blocks.cross_stage(block, x), block(x), atol=1e-5, rtol=1e-5)
    pyramid = made(SPPF(16, 16, 3))
    torch.testing.assert_close(blocks.pyramid(pyramid, x), pyramid(x), atol=1e-5, rtol=1e-5)
    # A small map: every cell costs the interpreter a tenth of a second.
    wide = torch.randn(1, 3, 3, 9).to(memory_format=torch.channels_last)
    pooled = blocks.maxima(wide, 1)
    one, windows = nn.functional.max_pool2d, [wide]
    for size in (3, 5, 7):
        windows.append(one(wide, size, 1, size // 2))
    torch.testing.assert_close(pooled, torch.cat(windows, 1), rtol=0, atol=0)
    assert pooled.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.skipif(not TRITON, reason="triton is not installed; on a GPU machine it comes with torch")
def test_in_tritons_interpreter() -> None:
    """Blocks and the pooling kernel, whose maps and boxes `test_gpu_pooling` has."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_gpu_blocks as b; import test_gpu_pooling as p;"
        "b.check(); p.check(True, (6,)); p.check(True, (4, 0, 5), some=True); p.check(True, (3, 2), True, p.Strips(2))"
    )
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    command = [sys.executable, "-c", program, os.path.dirname(__file__)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


def test_on_a_cpu_they_are_left_alone() -> None:
    with torch.inference_mode():
        assert not blocks.can_fuse(torch.zeros(1, 3, 4, 4))

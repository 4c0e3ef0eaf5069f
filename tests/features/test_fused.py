"""Convolutions with what follows them in one operator: the same values as one after the other."""

import copy

import pytest
import torch
from torch import nn

from msfp.features import backbone
from msfp.features.weights import load_detector


@pytest.mark.parametrize(("kernel", "stride", "groups"), [(1, 1, 1), (3, 1, 1), (3, 2, 1), (3, 1, 8)])
def test_one_operator_is_two_in_turn(kernel: int, stride: int, groups: int) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(8, 16, kernel, stride, kernel // 2, groups=groups)
    x = torch.randn(2, 8, 13, 17).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        torch.testing.assert_close(backbone.activated(conv, x), nn.functional.silu(conv(x)))


def test_gradients_take_the_ordinary_way() -> None:
    torch.manual_seed(0)
    conv, x = nn.Conv2d(3, 4, 3), torch.randn(1, 3, 8, 8)
    backbone.activated(conv, x).sum().backward()
    assert conv.weight.grad is not None
    assert conv.weight.grad.abs().sum() > 0


def test_asking_for_the_operator_leaves_the_random_numbers() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    backbone.available.cache_clear()
    backbone.available()
    assert torch.equal(torch.get_rng_state(), before)


def test_other_devices_take_the_ordinary_way() -> None:
    with torch.inference_mode():
        conv = nn.Conv2d(3, 4, 3).to("meta")
        assert backbone.activated(conv, torch.empty(1, 3, 8, 8, device="meta")).shape == (1, 4, 6, 6)


def test_a_torch_without_the_operator_takes_the_ordinary_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> torch.Tensor:
        raise AttributeError("_convolution_pointwise")

    monkeypatch.setattr(backbone, "_operator", gone)
    backbone.available.cache_clear()
    try:
        assert not backbone.available()
        conv, x = nn.Conv2d(3, 4, 3), torch.randn(1, 3, 8, 8)
        with torch.inference_mode():
            assert torch.equal(backbone.activated(conv, x), nn.functional.silu(conv(x)))
    finally:
        monkeypatch.undo()
        backbone.available.cache_clear()


@pytest.mark.parametrize("architecture", ["yolov8n", "yolo11n"])
def test_every_fused_block_says_the_same(architecture: str) -> None:
    """Block by block, each on what the plain network gives it: through a whole random network last bits would grow."""
    plain = load_detector(architecture, "random-init")
    ours = copy.deepcopy(plain)
    backbone.fuse(ours)
    again = copy.deepcopy(ours)
    pairs = zip(plain.modules(), again.modules(), strict=True)
    twins = {m: other for m, other in pairs if "forward" in vars(other)}
    names = [vars(other)["forward"].__name__ for other in twins.values()]
    assert names.count("_conv_silu") > 40
    assert names.count("_cross_stage") > 5
    for weight in ours.parameters():
        weight.zero_()  # a copy has its own
    seen = []

    def compare(block: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        found = twins[block](inputs[0])
        torch.testing.assert_close(found, output, rtol=1e-4, atol=1e-5 * float(output.abs().max()))
        seen.append(block)

    for block in twins:
        block.register_forward_hook(compare)
    drawn = torch.rand(1, 3, 96, 160, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        plain(drawn.to(memory_format=torch.channels_last))
    assert set(twins) <= set(seen)

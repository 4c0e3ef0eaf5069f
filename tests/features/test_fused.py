"""Convolutions with what follows them in one operator: the same values as one after the other."""

import copy

import pytest
import torch
from torch import nn

from msfp.features import fused
from msfp.features.weights import load_detector


@pytest.mark.parametrize("activation", ["relu", "swish"])
@pytest.mark.parametrize(("kernel", "stride", "groups"), [(1, 1, 1), (3, 1, 1), (3, 2, 1), (3, 1, 8)])
def test_one_operator_is_two_in_turn(activation: fused.Activation, kernel: int, stride: int, groups: int) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(8, 16, kernel, stride, kernel // 2, groups=groups)
    x = torch.randn(2, 8, 13, 17).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        torch.testing.assert_close(fused.activated(conv, x, activation), fused.PLAIN[activation](conv(x)))


def test_gradients_take_the_ordinary_way() -> None:
    conv, x = nn.Conv2d(3, 4, 3), torch.randn(1, 3, 8, 8)
    fused.activated(conv, x, "relu").sum().backward()
    assert conv.weight.grad is not None
    assert conv.weight.grad.abs().sum() > 0


def test_other_devices_take_the_ordinary_way() -> None:
    with torch.inference_mode():
        conv = nn.Conv2d(3, 4, 3).to("meta")
        assert fused.activated(conv, torch.empty(1, 3, 8, 8, device="meta"), "swish").shape == (1, 4, 6, 6)


def test_a_torch_without_the_operator_takes_the_ordinary_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> torch.Tensor:
        raise AttributeError("_convolution_pointwise")

    monkeypatch.setattr(fused, "_operator", gone)
    fused.available.cache_clear()
    try:
        assert not fused.available()
        conv, x = nn.Conv2d(3, 4, 3), torch.randn(1, 3, 8, 8)
        with torch.inference_mode():
            assert torch.equal(fused.activated(conv, x, "swish"), nn.functional.silu(conv(x)))
    finally:
        monkeypatch.undo()
        fused.available.cache_clear()


@pytest.mark.parametrize("architecture", ["yolov8n", "yolo11n"])
def test_a_fused_network_says_the_same(architecture: str) -> None:
    plain = load_detector(architecture, "random-init")
    ours = copy.deepcopy(plain)
    fused.fuse(ours)
    changed = [type(m).__name__ for m in ours.modules() if "forward" in vars(m) and "_c" in vars(m)["forward"].__name__]
    assert len(changed) > 40, "nothing is fused"
    x = torch.rand(1, 3, 96, 160).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        torch.testing.assert_close(ours(x)[0], plain(x)[0], rtol=1e-4, atol=1e-2)  # pixels
        again = copy.deepcopy(ours)  # a copy has its own weights
        ours.model[0].conv.weight.zero_()
        torch.testing.assert_close(again(x)[0], plain(x)[0], rtol=1e-4, atol=1e-2)  # pixels

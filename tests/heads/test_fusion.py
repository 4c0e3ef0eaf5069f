"""Fusion heads against the paper's counts and the contract every strategy keeps."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from msfp.config import FusionSettings
from msfp.errors import InputError
from msfp.heads.fusion import STRATEGIES, Attention, make_head

CHANNELS = {4: 64, 9: 256, 14: 192}
CONFIG = FusionSettings()


def layers(count: int, seed: int = 0) -> dict[int, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {k: torch.rand(count, c, generator=generator) for k, c in CHANNELS.items()}


@pytest.mark.parametrize("name", sorted(STRATEGIES))
class TestContract:
    def test_unit_norm_and_width(self, name: str) -> None:
        head = make_head(name, CHANNELS, CONFIG).eval()
        out = head(layers(7))
        width = {"native": 192, "native-concat": 512, "single": 64}.get(name, 128)
        assert out.shape == (7, width)
        torch.testing.assert_close(out.norm(dim=1), torch.ones(7))

    def test_no_boxes(self, name: str) -> None:
        assert len(make_head(name, CHANNELS, CONFIG).eval()(layers(0))) == 0

    @settings(max_examples=10, deadline=None)
    @given(seed=st.integers(0, 1000))
    def test_rows_do_not_see_each_other(self, name: str, seed: int) -> None:
        head = make_head(name, CHANNELS, CONFIG).eval()
        given_layers = layers(6, seed)
        order = torch.randperm(6, generator=torch.Generator().manual_seed(seed))
        permuted = head({k: v[order] for k, v in given_layers.items()})
        torch.testing.assert_close(permuted, head(given_layers)[order])

    def test_gradient_reaches_every_parameter(self, name: str) -> None:
        head = make_head(name, CHANNELS, CONFIG).train()
        weights = torch.linspace(0, 1, head(layers(8)).shape[1])
        loss = (head(layers(8)) * weights).sum()
        if not list(head.parameters()):
            return  # training-free: there is nothing to reach
        loss.backward()
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in head.parameters())

    def test_another_detectors_channels_are_refused(self, name: str) -> None:
        wrong = {**layers(2), 9: torch.zeros(2, 512)}
        with pytest.raises(InputError, match="layer 9 with 256 channels and got 512.*train one for this detector"):
            make_head(name, CHANNELS, CONFIG)(wrong)


def count(head: torch.nn.Module) -> int:
    return sum(p.numel() for p in head.parameters())


def test_parameters_of_table_20() -> None:
    head = make_head("attention-instance", CHANNELS, CONFIG)
    linear = {n: m.weight.numel() + m.bias.numel() for n, m in head.named_modules() if isinstance(m, torch.nn.Linear)}
    assert list(linear.values()) == [8320, 32896, 24704, 1155]
    assert sum(linear.values()) == 67075
    assert count(head) == 67843


def test_raw_attention_input_is_512_wide() -> None:
    head = make_head("attention-instance", CHANNELS, FusionSettings(attention_input="raw"))
    assert head.attend.in_features == 512


@pytest.mark.parametrize("name", ["attention-instance", "attention-global"])
def test_attention_sums_to_one_and_weights_the_sum(name: str) -> None:
    head = make_head(name, CHANNELS, CONFIG).eval()
    assert isinstance(head, Attention)
    given_layers = layers(5)
    alpha = head.attention(given_layers)
    torch.testing.assert_close(alpha.sum(dim=1), torch.ones(5))
    expected = torch.zeros(5, 128)
    for i, layer in enumerate(CHANNELS):
        expected += alpha[:, i : i + 1] * head.project[str(layer)](given_layers[layer])
    torch.testing.assert_close(head.embed(given_layers), expected)


def test_global_attention_is_the_same_for_every_box() -> None:
    head = make_head("attention-global", CHANNELS, CONFIG).eval()
    assert torch.equal(head.attention(layers(4)), torch.full((4, 3), 1 / 3))


def test_unknown_strategy() -> None:
    with pytest.raises(InputError, match="'attn' is not known; there are: attention-global"):
        make_head("attn", CHANNELS, CONFIG)

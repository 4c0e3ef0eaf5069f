"""Fusion heads against the paper's counts, their definitions, and the contract every strategy keeps."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from msfp.config import FusionSettings
from msfp.errors import InputError
from msfp.heads.fusion import SIZE, Attention, make_head, strategies

CHANNELS = {4: 64, 9: 256, 14: 192}
CONFIG = FusionSettings()


def layers(count: int, seed: int = 0, name: str = "concat") -> dict[int, torch.Tensor]:
    """What a strategy is given: vectors or cells, and the sizes of the boxes where it wants them."""
    generator = torch.Generator().manual_seed(seed)
    kind = strategies()[name]
    cells = (49,) if kind.sees_cells else ()
    found = {k: torch.rand(count, *cells, c, generator=generator) for k, c in CHANNELS.items()}
    return found | ({SIZE: torch.randn(count, 1, generator=generator)} if kind.sees_size else {})


@pytest.mark.parametrize("name", sorted(strategies()))
class TestContract:
    def test_unit_norm_and_width(self, name: str) -> None:
        head = make_head(name, CHANNELS, CONFIG).eval()
        out = head(layers(7, name=name))
        width = {"native": 192, "lite": 192, "native-concat": 512, "single": 64, "parts": 512}.get(name, 128)
        assert out.shape == (7, width)
        torch.testing.assert_close(out.norm(dim=1), torch.ones(7))

    def test_no_boxes(self, name: str) -> None:
        assert len(make_head(name, CHANNELS, CONFIG).eval()(layers(0, name=name))) == 0

    @settings(max_examples=10)
    @given(seed=st.integers(0, 1000))
    def test_rows_do_not_see_each_other(self, name: str, seed: int) -> None:
        head = make_head(name, CHANNELS, CONFIG).eval()
        given_layers = layers(6, seed, name)
        order = torch.randperm(6, generator=torch.Generator().manual_seed(seed))
        permuted = head({k: v[order] for k, v in given_layers.items()})
        torch.testing.assert_close(permuted, head(given_layers)[order])

    def test_gradient_reaches_every_parameter(self, name: str) -> None:
        head = make_head(name, CHANNELS, CONFIG).train()
        seen = layers(24, name=name)
        weights = torch.linspace(0, 1, head(seen).shape[1])
        loss = (head(seen) * weights).sum()
        if not list(head.parameters()):
            return  # training-free: there is nothing to reach
        loss.backward()
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in head.parameters())

    def test_another_detectors_channels_are_refused(self, name: str) -> None:
        seen = layers(2, name=name)
        wrong = {**seen, 9: torch.zeros(*seen[9].shape[:-1], 512)}
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


def test_hard_assignment_takes_one_level_by_the_octave_of_the_box() -> None:
    head = make_head("hard-assignment", {**CHANNELS, SIZE: 1}, CONFIG).eval()
    given_layers = layers(5) | {SIZE: torch.tensor([[-3.0], [-0.6], [0.4], [0.6], [4.0]])}
    projected = head.projected(given_layers)
    expected = torch.stack([projected[i, level] for i, level in enumerate((0, 0, 1, 2, 2))])
    torch.testing.assert_close(head.embed(given_layers), expected)
    assert count(head) == count(make_head("attention-global", CHANNELS, CONFIG)) - 3  # projections alone


def test_soft_selection_scores_each_level_by_itself() -> None:
    head = make_head("soft-roi", CHANNELS, CONFIG).eval()
    first, second = layers(4), layers(4)
    second[9] = second[9] + 1
    ratios = [a[:, 2] / a[:, 0] for a in (head.attention(first), head.attention(second))]
    torch.testing.assert_close(ratios[0], ratios[1])  # levels 4 and 14 do not see level 9
    assert count(head) == 66688 + 3 * 129  # the projections of Table 20 with their BatchNorm, and a gate a level


def test_spatial_attention_pools_cells_by_their_scores() -> None:
    head = make_head("spatial-attention", CHANNELS, CONFIG).eval()
    given_layers = layers(3, name="spatial-attention")
    pooled = {}
    for layer, cells in given_layers.items():
        weight, bias = head.score[str(layer)].weight[0], head.score[str(layer)].bias
        scores = torch.stack([(cells[:, k] * weight).sum(1) + bias for k in range(49)], dim=1)
        alpha = (scores - scores.amax(1, keepdim=True)).exp()
        alpha = alpha / alpha.sum(1, keepdim=True)
        pooled[layer] = sum(alpha[:, k : k + 1] * cells[:, k] for k in range(49))
    expected = sum(head.project[str(layer)](v) for layer, v in pooled.items()) / 3
    torch.testing.assert_close(head.embed(given_layers), expected)
    assert count(head) == 66688 + sum(CHANNELS.values()) + 3

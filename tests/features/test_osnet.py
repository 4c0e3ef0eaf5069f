"""OSNet x0.25: the real weights fit strictly, a block is what its definition says."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from msfp.features.reid import OmniScaleBlock, OSNet, fold, load_reid


def randomised(module: torch.nn.Module) -> torch.nn.Module:
    """Batch normalisation as after training, so that forgetting it would show."""
    generator = torch.Generator().manual_seed(1)
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d | torch.nn.BatchNorm1d):
            part.running_mean.copy_(torch.randn(part.running_mean.shape, generator=generator) * 0.2)
            part.running_var.copy_(torch.rand(part.running_var.shape, generator=generator) + 0.5)
            part.weight.data.copy_(torch.rand(part.weight.shape, generator=generator) + 0.5)
    return module.eval()


def pointwise(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return np.einsum("oi,ihw->ohw", weight[:, :, 0, 0], x)


def depthwise(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    padded, out = np.pad(x, ((0, 0), (1, 1), (1, 1))), np.zeros_like(x)
    for dy in range(3):
        for dx in range(3):
            out += weight[:, 0, dy, dx][:, None, None] * padded[:, dy : dy + x.shape[1], dx : dx + x.shape[2]]
    return out


def normalised(x: np.ndarray, state: dict[str, np.ndarray], name: str) -> np.ndarray:
    gain = state[f"{name}.weight"] / np.sqrt(state[f"{name}.running_var"] + 1e-5)
    return (x - state[f"{name}.running_mean"][:, None, None]) * gain[:, None, None] + state[f"{name}.bias"][
        :, None, None
    ]


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def block_by_definition(x: np.ndarray, state: dict[str, np.ndarray], widen: bool) -> np.ndarray:
    """Fig. 4 of the OSNet paper, written out in NumPy."""

    def light(x: np.ndarray, name: str) -> np.ndarray:
        wide = depthwise(pointwise(x, state[f"{name}.conv1.weight"]), state[f"{name}.conv2.weight"])
        return relu(normalised(wide, state, f"{name}.bn"))

    def gated(x: np.ndarray) -> np.ndarray:
        squeezed = relu(state["gate.fc1.weight"][:, :, 0, 0] @ x.mean((1, 2)) + state["gate.fc1.bias"])
        logits = state["gate.fc2.weight"][:, :, 0, 0] @ squeezed + state["gate.fc2.bias"]
        return x * (1 / (1 + np.exp(-logits)))[:, None, None]

    narrow = relu(normalised(pointwise(x, state["conv1.conv.weight"]), state, "conv1.bn"))
    total = gated(light(narrow, "conv2a"))
    for stream, depth in (("conv2b", 2), ("conv2c", 3), ("conv2d", 4)):
        y = narrow
        for i in range(depth):
            y = light(y, f"{stream}.{i}")
        total = total + gated(y)
    out = normalised(pointwise(total, state["conv3.conv.weight"]), state, "conv3.bn")
    straight = x
    if widen:
        straight = normalised(pointwise(x, state["downsample.conv.weight"]), state, "downsample.bn")
    return relu(out + straight)


@pytest.mark.parametrize("inputs", [16, 64])
def test_a_block_is_its_definition(inputs: int) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        block = randomised(OmniScaleBlock(inputs, 64))
        x = torch.randn(1, inputs, 9, 7)
    state = {key: value.double().numpy() for key, value in block.state_dict().items()}
    with torch.no_grad():
        found = block(x)[0].numpy()
    np.testing.assert_allclose(found, block_by_definition(x[0].double().numpy(), state, inputs != 64), atol=1e-5)


def test_shape_and_independence_of_the_batch() -> None:
    model = load_reid("random-init", seed=2)
    crops = torch.randn(3, 3, 256, 128, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        together, alone = model(crops), model(crops[1:2])
    assert together.shape == (3, 512)
    assert (together >= 0).all()
    torch.testing.assert_close(together[1:2], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.real
def test_real_weights_load_strictly(shared: Path) -> None:
    path = shared / "weights" / "osnet_x0_25_msmt17.safetensors"
    tensors = load_file(path)
    assert len(tensors) == 567
    model = OSNet(1041)
    model.load_state_dict(tensors, strict=True)
    crops = torch.rand(2, 3, 256, 128, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(load_reid(path)(crops), model.eval()(crops), rtol=1e-3, atol=1e-4)


def test_folded_batch_normalisation_gives_the_same_features() -> None:
    torch.manual_seed(0)
    model = randomised(OSNet()).requires_grad_(False)
    crops = torch.randn(3, 3, 256, 128).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        before = model(crops)
        after = fold(model)(crops)
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in model.modules())
    torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-4)

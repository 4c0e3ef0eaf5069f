"""The backbone stops after its deepest tap and says what the network says."""

from pathlib import Path

import numpy as np
import pytest
import torch

from msfp.errors import InputError
from msfp.features.backbone import Backbone, load_backbone
from msfp.features.presets import preset_named, presets
from msfp.features.weights import build

from .conftest import extract

BATCH = torch.rand(2, 3, 96, 160, generator=torch.Generator().manual_seed(0))
# From the architectures' published tables: layer -> (channels, stride).
EXPECTED = {
    "yolov8n-paper": {4: (64, 8), 9: (256, 32), 14: (192, 8)},
    "yolov8m-paper": {4: (192, 8), 9: (576, 32), 14: (576, 8)},
    "yolov8m-strides": {2: (96, 4), 6: (384, 16), 8: (576, 32)},
    "yolov8s-near": {2: (64, 4), 6: (256, 16), 19: (256, 32)},
    "yolo11m": {4: (512, 8), 9: (512, 32), 15: (1024, 8)},
    "rtdetr-l": {3: (512, 8), 7: (1024, 16), 9: (2048, 32)},
    "rtdetr-resnet50": {2: (512, 8), 3: (1024, 16), 4: (2048, 32)},
    "rtdetr-resnet101": {2: (512, 8), 3: (1024, 16), 4: (2048, 32)},
    "yolov8s-paper": {4: (128, 8), 9: (512, 32), 14: (384, 8)},
    "yolov8l-paper": {4: (256, 8), 9: (512, 32), 14: (768, 8)},
    "yolov8x-paper": {4: (320, 8), 9: (640, 32), 14: (960, 8)},
}


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return load_backbone("yolov8n-paper", "random-init")


@pytest.mark.parametrize("name", EXPECTED)
def test_channels_and_strides_are_read_from_the_tensors_and_boxes_are_pooled(name: str) -> None:
    found = load_backbone(name, "random-init")
    assert {k: (found.channels[k], found.strides[k]) for k in found.layers} == EXPECTED[name]
    frame = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    boxes = np.ones(2, np.int32), np.array([[5.0, 4, 30, 50], [60, 10, 20, 40]])
    pooled = extract([(1, frame)], {"gt": boxes}, found, (96, 64))["gt"]
    assert {k: v.shape for k, v in pooled.layers.items()} == {k: (2, c) for k, (c, _) in EXPECTED[name].items()}
    assert all(np.isfinite(v).all() and v.any() for v in (*pooled.layers.values(), pooled.scene))


def test_a_further_layer_is_tapped_beside_the_same_ones() -> None:
    preset = preset_named("yolov8n-paper").extended()
    found = load_backbone(preset, "random-init")
    assert (preset.layers, found.channels[17], found.strides[17]) == ((4, 9, 14, 17), 192, 16)
    usual = load_backbone("yolov8n-paper", "random-init").maps(BATCH)
    for layer, expected in usual.items():
        torch.testing.assert_close(found.maps(BATCH)[layer], expected)


def forbidden(*_: object) -> None:
    raise AssertionError("a layer beyond the deepest tap was executed")


@pytest.mark.parametrize(("name", "last"), [("yolov8n-paper", 12), ("yolov8s-near", 19)])
def test_layers_beyond_the_deepest_tap_are_not_executed(name: str, last: int) -> None:
    preset = preset_named(name)
    model = build(preset.architecture)
    for module in model.model[last + 1 :]:
        module.forward = forbidden
    cut = Backbone(model, preset)
    assert max(cut.executed) == last
    assert cut.maps(BATCH)[preset.layers[0]].shape[0] == 2


@pytest.mark.parametrize("name", ["yolov8n-paper", "yolov8s-near", "yolo11m"])
def test_maps_are_those_of_the_whole_network(name: str) -> None:
    preset = preset_named(name)
    model = build(preset.architecture).eval()
    seen: dict[int, torch.Tensor] = {}
    for layer in preset.layers:
        model.model[layer].register_forward_hook(lambda _m, _i, out, layer=layer: seen.update({layer: out.clone()}))
    with torch.inference_mode():
        model(BATCH)
    hooked = dict(seen)
    for layer, found in Backbone(model, preset).maps(BATCH).items():
        torch.testing.assert_close(found, hooked[layer], rtol=1e-4, atol=1e-5)


def test_layer_14_is_layer_12_twice_as_large_and_layer_4(backbone: Backbone) -> None:
    parts = backbone.parts(BATCH)[14]
    maps = backbone.maps(BATCH)
    assert [(p.map.shape[1], p.upsample) for p in parts] == [(128, 2), (64, 1)]
    assert torch.equal(maps[14][:, 128:], maps[4])
    assert torch.equal(maps[14][:, :128, ::2, ::2], parts[0].map)


def test_maps_are_channels_last_and_carry_no_gradient(backbone: Backbone) -> None:
    found = backbone.maps(BATCH)[4]
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert not found.requires_grad


def test_a_frame_has_the_same_maps_alone_and_in_a_batch(backbone: Backbone) -> None:
    together = backbone.maps(BATCH)
    for row in range(2):
        for layer, alone in backbone.maps(BATCH[row : row + 1]).items():
            largest = alone.abs().max().item()
            torch.testing.assert_close(together[layer][row : row + 1], alone, rtol=0, atol=1e-5 * largest)


def test_devices_that_are_not_there_are_named() -> None:
    with pytest.raises(InputError, match=r"device 'cuda:99': torch sees \d+ GPUs; use cpu"):
        load_backbone("yolov8n-paper", "random-init", "cuda:99")
    with pytest.raises(InputError, match="device 'gpu' is not known; use cpu or cuda"):
        load_backbone("yolov8n-paper", "random-init", "gpu")


def test_input_has_to_be_a_multiple_of_32(backbone: Backbone) -> None:
    with pytest.raises(InputError, match=r"network input 160x90: width and height have to be multiples of 32"):
        backbone.maps(torch.zeros(1, 3, 90, 160))


def test_presets_are_found_and_unknown_ones_listed() -> None:
    assert EXPECTED.keys() <= presets().keys()
    assert all(preset.scene in preset.layers for preset in presets().values())
    with pytest.raises(InputError, match=r"preset 'yolov8n' is not known; there are: .*yolov8n-paper"):
        load_backbone("yolov8n", "random-init")


@pytest.mark.real
def test_real_weights_through_the_backbone(shared: Path) -> None:
    real = load_backbone("yolov8n-paper", shared / "weights" / "yolov8n-coco-dequant.safetensors")
    assert real.channels == {4: 64, 9: 256, 14: 192}
    assert all(torch.isfinite(m).all() for m in real.maps(BATCH).values())

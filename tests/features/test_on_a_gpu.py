"""What runs on a GPU gives what the CPU gives, to half precision; recorded frames are new each time."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from msfp.features import backbone
from msfp.features.backbone import Part, load_backbone, to_batch, whole
from msfp.features.detector import load_whole
from msfp.features.gpu import TRITON, blocks
from msfp.features.gpu.frame import DeviceFrame
from msfp.features.gpu.pooling import AddressTable, pool_on_device
from msfp.features.pooling import pool_levels
from msfp.features.reid import embed, load_reid
from msfp.features.weights import load_detector

from .conftest import extract, extract_batched
from .test_gpu_frame import networks
from .test_gpu_pooling import STRIDES, boxes, levels

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")
SIZE = (640, 384)
RNG = np.random.default_rng(0)


def image() -> np.ndarray:
    return RNG.integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)


def regions(count: int) -> np.ndarray:
    corner = RNG.uniform(-40, 560, (count, 2))
    return np.concatenate([corner, corner + RNG.uniform(1, 160, (count, 2))], 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("kernel", [True, False])
@pytest.mark.parametrize("counts", [(0,), (500,), (20, 0, 33)])
def test_pooling(dtype: torch.dtype, kernel: bool, counts: tuple[int, ...]) -> None:
    """Of the same half-precision numbers, to float rounding."""
    if kernel and not TRITON:
        pytest.skip("triton is not installed")
    given = {k: tuple(Part(p.map.to(dtype), p.upsample) for p in v) for k, v in levels(images=len(counts)).items()}
    there = {k: tuple(Part(p.map.cuda(), p.upsample) for p in parts) for k, parts in given.items()}
    there[14] = (there[14][0], there[4][0])  # the map that two taps show is one
    wanted = torch.arange(sum(counts)) % 5 != 2
    all_boxes = boxes(sum(counts))
    table = AddressTable() if kernel else None
    found = pool_on_device(there, all_boxes.cuda(), STRIDES, table, counts, wanted.cuda())
    for number, rows in enumerate(torch.split(torch.arange(sum(counts)), list(counts))):
        alone = {k: tuple(Part(p.map[number : number + 1], p.upsample) for p in v) for k, v in given.items()}
        for layer, exact in pool_levels(alone, all_boxes[rows].double().numpy(), STRIDES).items():
            exact[~wanted[rows].numpy()] = 0
            np.testing.assert_allclose(found[layer][rows].cpu().numpy(), exact, atol=3e-5)


@pytest.mark.parametrize("shape", [(1, 48, 37, 61), (2, 16, 8, 8), (1, 80, 5, 3), (3, 144, 1, 1), (1, 320, 23, 40)])
@pytest.mark.parametrize("plus", [True, False])
def test_bias_silu_and_shortcut(shape: tuple[int, ...], plus: bool) -> None:
    """In place, with a copy of the upper half of the channels in the middle of a wider map."""
    x, more = torch.randn(2, *shape, device="cuda", dtype=torch.float16).contiguous().unbind()
    x, more = (m.contiguous(memory_format=torch.channels_last) for m in (x, more))
    bias = torch.randn(shape[1], device="cuda", dtype=torch.float16)
    exact = nn.functional.silu(x.double() + bias.double()[:, None, None]) + plus * more.double()
    half, whole_width = shape[1] // 2, 2 * shape[1]
    wide = torch.zeros(shape[0], whole_width, *shape[2:], device="cuda", dtype=torch.float16)
    wide = wide.to(memory_format=torch.channels_last)
    blocks.finish(x, bias, x, more if plus else None, wide[:, half : 2 * half], half)
    torch.testing.assert_close(x.double(), exact, rtol=1e-3, atol=1e-3)
    assert torch.equal(wide[:, half : 2 * half], x[:, half:])
    assert not wide[:, :half].any()
    assert not wide[:, 2 * half :].any()


@pytest.mark.parametrize("shape", [(1, 48, 37, 61), (2, 16, 8, 8), (1, 288, 23, 40)])
def test_growing_windows(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, device="cuda", dtype=torch.float16).contiguous(memory_format=torch.channels_last)
    windows = [nn.functional.max_pool2d(x, size, 1, size // 2) for size in (1, 5, 9, 13)]
    assert torch.equal(blocks.maxima(x, 2), torch.cat(windows, 1))


@pytest.mark.parametrize("architecture", ["yolov8n", "yolov8x"])
def test_every_block_of_a_network(architecture: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No further from double precision than PyTorch's operators are in half, on what the plain network gives it.

    Block by block: a whole random network multiplies roundings until they say nothing.
    """
    plain = load_detector(architecture, "random-init").cuda().double().to(memory_format=torch.channels_last)
    exact, ours = copy.deepcopy(plain), copy.deepcopy(plain).half()
    backbone.fuse(ours)
    modules = zip(plain.modules(), exact.modules(), ours.modules(), strict=True)
    twins = {block: others for block, *others in modules if "forward" in vars(others[1])}
    seen = set()

    def compare(block: nn.Module, inputs: tuple[torch.Tensor, ...], _output: torch.Tensor) -> None:
        x = inputs[0].half().contiguous(memory_format=torch.channels_last)
        double, half = twins[block]
        wanted, found = double(x.double()), half(x)
        with monkeypatch.context() as m:
            m.setattr(blocks, "can_fuse", lambda _: False)
            usual = half(x)
        apart, most = ((said.double() - wanted).norm() / wanted.norm() for said in (found, usual))
        assert apart < 1.5 * most + 1e-4, type(block).__name__
        seen.add(block)

    for block in twins:
        block.register_forward_hook(compare)
    with torch.inference_mode():
        for height in (96, 32):  # 32: a single row of cells
            drawn = torch.rand(2, 3, height, 160, generator=torch.Generator().manual_seed(height))
            plain(drawn.cuda().double().to(memory_format=torch.channels_last))
    assert set(twins) == seen


def test_a_convolution_with_its_activation() -> None:
    conv = nn.Conv2d(32, 48, 3, 2, 1).cuda().half().to(memory_format=torch.channels_last)
    x = torch.randn(1, 32, 33, 45, device="cuda").half().contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        found, wanted = backbone.activated(conv, x), nn.functional.silu(conv(x))
    torch.testing.assert_close(found, wanted, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("preset", ["yolov8n-paper", "yolov8m-paper", "rtdetr-l"])
def test_a_backbone_in_half_precision(preset: str) -> None:
    here, there = load_backbone(preset, "random-init"), load_backbone(preset, "random-init", "cuda")
    batch = to_batch(image()[None])
    wanted = here.maps(batch)
    for precision, most in ((torch.float32, 1e-2), (torch.float16, 3e-2)):  # TF32 may be allowed
        found = there.to_dtype(precision).parts(batch.cuda().to(precision))
        for layer, parts in found.items():
            apart = (whole(parts).float().cpu() - wanted[layer]).norm() / wanted[layer].norm()
            assert apart < most, (layer, precision)


def test_frames_in_turn_on_a_graph() -> None:
    here, there = load_backbone("yolov8n-paper", "embedded"), load_backbone("yolov8n-paper", "embedded", "cuda")
    exact, frame = (DeviceFrame(b, *networks(b), SIZE, most=64) for b in (here, there))
    assert frame._graph is not None
    for count in (5, 64, 0, 3):
        pixels, boxes_here = image(), regions(count)
        for one in (exact, frame):
            one.room()[...] = pixels
            one.submit(boxes_here)
        wanted, found = exact.collect(), frame.collect()
        assert found.embeddings.shape == wanted.embeddings.shape
        if count:
            assert (found.embeddings * wanted.embeddings).sum(1).min() > 0.995
        np.testing.assert_allclose(found.thresholds, wanted.thresholds, atol=5e-3)
        assert 0 < frame.reid_milliseconds() < 1000


def test_people_are_found_on_a_graph() -> None:
    """The whole detector within: the boxes that it finds one part after the other."""
    detector = load_whole("yolov8n-paper", "embedded", "cuda", sparse=False)
    exact = DeviceFrame(load_whole("yolov8n-paper", "embedded", sparse=False), None, None, SIZE, most=100)
    frame = DeviceFrame(detector, None, None, SIZE, most=100)
    for _ in range(3):
        pixels = image()
        for one in (exact, frame):
            one.room()[...] = pixels
            one.submit()
        wanted, found = exact.collect(), frame.collect()
        np.testing.assert_allclose(found.scores, wanted.scores, atol=2e-2)
        assert (np.diff(found.scores) <= 0).all()
        np.testing.assert_allclose(found.regions[0], wanted.regions[0], atol=2)


@pytest.mark.parametrize("batch", [1, 4])
def test_extraction_in_batches(batch: int) -> None:
    here, there = load_backbone("yolov8n-paper", "embedded"), load_backbone("yolov8n-paper", "embedded", "cuda")
    frames = [(t, image()) for t in (1, 2, 4, 5, 6)]
    number = np.sort(RNG.choice([1, 2, 3, 4, 6], 40)).astype(np.int32)
    sets = {"SDP": (number, np.concatenate([RNG.uniform(-20, 500, (40, 2)), RNG.uniform(0, 170, (40, 2))], 1))}
    wanted, found = extract(frames, sets, here, SIZE)["SDP"], extract_batched(frames, sets, there, SIZE, batch=batch)
    np.testing.assert_array_equal(found["SDP"].present, wanted.present)
    np.testing.assert_array_equal(found["SDP"].scene_frame, wanted.scene_frame)
    one_by_one = extract(frames, sets, there, SIZE)  # the way of the other pooling modes
    for layer, exact in wanted.layers.items():
        for one in (found, one_by_one):
            a, b = exact.astype(np.float64), one["SDP"].layers[layer].astype(np.float64)
            assert np.linalg.norm(a - b) / np.linalg.norm(a) < 1e-2, layer


def test_crops_of_people() -> None:
    here, there = load_reid(), load_reid(device="cuda")
    pixels, boxes_here = image(), np.concatenate([RNG.uniform(1, 300, (37, 2)), RNG.uniform(5, 90, (37, 2))], 1)
    for count in (0, 5, 32, 37):
        found, wanted = (embed(model, pixels, boxes_here[:count], size=(64, 128)) for model in (there, here))
        assert np.abs(found - wanted).max(initial=0) < 5e-3  # TF32 may be allowed

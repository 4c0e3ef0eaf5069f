"""Pooling as it runs on a GPU, held to the kernel of the CPU: in torch, and in Triton's interpreter."""

import numpy as np
import pytest
import torch

from msfp.features.backbone import Part
from msfp.features.gpu.pooling import AddressTable, pool_on_device
from msfp.features.pooling import Mode, pool_levels
from msfp.types import Strips

STRIDES = {4: 8, 9: 32, 14: 8}


def levels(seed: int = 0, images: int = 1) -> dict[int, tuple[Part, ...]]:
    """Maps of 320x192 images as YOLOv8n's taps show them; layer 14 holds layer 4."""
    generator = torch.Generator().manual_seed(seed)
    fine, deep, coarse = (
        torch.randn(images, c, 192 // s, 320 // s, generator=generator).contiguous(memory_format=torch.channels_last)
        for c, s in ((24, 8), (80, 32), (40, 16))
    )
    return {4: (Part(fine),), 9: (Part(deep),), 14: (Part(coarse, 2), Part(fine))}


def boxes(count: int) -> torch.Tensor:
    """Inside, outside, across the border, tiny, huge and without extent."""
    rng = np.random.default_rng(0)
    corner = rng.uniform(-120, 400, (count, 2))
    sides = np.exp(rng.uniform(-4, 6.5, (count, 2)))
    sides[::11] = 0
    return torch.from_numpy(np.concatenate([corner, corner + sides], 1)).float()


def check(kernel: bool, counts: tuple[int, ...], some: bool = False, mode: Mode = "roi_align") -> None:
    """Equal to float rounding: places are float32 here, float64 there."""
    given, regions = levels(images=len(counts)), boxes(sum(counts))
    wanted = torch.arange(len(regions)) % 3 != 1 if some else None
    found = pool_on_device(given, regions, STRIDES, AddressTable() if kernel else None, counts, wanted, mode)
    if wanted is not None:
        assert not any(vectors[~wanted].any() for vectors in found.values())
        regions, counts = regions[wanted], tuple(int(part.sum()) for part in torch.split(wanted, list(counts)))
        found = {layer: vectors[wanted] for layer, vectors in found.items()}
    for image, rows in enumerate(torch.split(torch.arange(sum(counts)), list(counts))):
        alone = {k: tuple(Part(p.map[image : image + 1], p.upsample) for p in parts) for k, parts in given.items()}
        exact = pool_levels(alone, regions[rows].double().numpy(), STRIDES, mode)
        for layer, wanted in exact.items():
            np.testing.assert_allclose(found[layer][rows].numpy(), wanted, atol=2e-5)


@pytest.mark.parametrize("counts", [(0,), (300,), (20, 0, 33), (0, 0)])
def test_products_of_matrices(counts: tuple[int, ...]) -> None:
    check(False, counts)
    check(False, counts, some=True)
    check(False, counts, some=True, mode=Strips(3))


def test_lite_s_whole_cells() -> None:
    given, regions = levels(images=2), boxes(90)
    regions[:20] = (regions[:20] / 8).round() * 8  # edges on edges of cells
    found = pool_on_device(given, regions, STRIDES, AddressTable(), (50, 40), mode="lite")
    for image, rows in enumerate((slice(0, 50), slice(50, 90))):
        alone = {k: tuple(Part(p.map[image : image + 1], p.upsample) for p in parts) for k, parts in given.items()}
        for layer, wanted in pool_levels(alone, regions[rows].double().numpy(), STRIDES, "lite").items():
            np.testing.assert_allclose(found[layer][rows].numpy(), wanted, atol=2e-5)


def test_boxes_that_nobody_wants_leave_no_trace() -> None:
    """Nor one of which a network said something endless."""
    regions = boxes(2)
    regions[1] = float("inf")
    found = pool_on_device(levels(), regions, STRIDES, wanted=torch.tensor([True, False]))
    for vectors in found.values():
        assert vectors.isfinite().all()
        assert not vectors[1].any()


def test_a_table_is_written_when_the_recording_has_ended() -> None:
    table, device = AddressTable(), torch.device("cpu")
    first = table.describe([(1,) * 8], device)
    assert first.tolist() == [[1] * 8]
    table.recording = True
    there = table.describe([(2,) * 8], device)
    assert there is first
    assert there.tolist() == [[1] * 8], "nothing is copied within a graph"
    table.write()
    assert there.tolist() == [[2] * 8]
    with pytest.raises(RuntimeError, match="run the launch once before"):
        table.describe([(3,) * 8] * 2, device)


def test_a_table_described_in_inference_is_written_outside_of_it() -> None:
    """As `DeviceFrame` does, whose pass is inference and whose recording is not."""
    table = AddressTable()
    with torch.inference_mode():
        there = table.describe([(1,) * 8], torch.device("cpu"))
        table.recording = True
        table.describe([(2,) * 8], torch.device("cpu"))
    table.write()
    assert there.tolist() == [[2] * 8]

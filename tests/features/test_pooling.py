"""Separable pooling against torchvision's RoIAlign and against the definition, sample by sample."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.ops import roi_align

from msfp.features.backbone import Part, whole
from msfp.features.pooling import (
    MODES,
    Mode,
    align_with_torchvision,
    global_average,
    pool_cells,
    pool_levels,
    strip_boxes,
)
from msfp.types import Strips

WIDTH, HEIGHT = 320, 192


def pool(parts: tuple[Part, ...], boxes: np.ndarray, stride: int, mode: Mode = "roi_align") -> np.ndarray:
    return pool_levels({0: parts}, boxes, {0: stride}, mode)[0]


def random_boxes(count: int, seed: int = 0) -> np.ndarray:
    """Boxes inside, outside, across the border, tiny, huge and without extent."""
    rng = np.random.default_rng(seed)
    corner = rng.uniform(-120, 400, (count, 2))
    sides = np.exp(rng.uniform(-4, 6.5, (count, 2)))
    sides[::11], sides[::13, 0], sides[::17, 1] = 0, 0, 0
    return np.concatenate([corner, corner + sides], 1)


def random_part(channels: int, stride: int, upsample: int = 1, seed: int = 0) -> Part:
    cell = stride * upsample
    values = torch.randn(1, channels, HEIGHT // cell, WIDTH // cell, generator=torch.Generator().manual_seed(seed))
    return Part(values.contiguous(memory_format=torch.channels_last), upsample)


def sampled_mean(grid: np.ndarray, box: np.ndarray, stride: int) -> np.ndarray:
    """The definition: mean of 14 x 14 bilinear samples of a (C, h, w) map, torchvision's border rules."""
    channels, height, width = grid.shape
    left, top, right, bottom = box / stride - 0.5
    total = np.zeros(channels)
    for i in range(14):
        for j in range(14):
            y, x = top + (i + 0.5) * (bottom - top) / 14, left + (j + 0.5) * (right - left) / 14
            if y < -1 or y > height or x < -1 or x > width:
                continue
            y, x = max(y, 0.0), max(x, 0.0)
            y0, x0 = min(int(y), height - 1), min(int(x), width - 1)
            y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
            fy, fx = (y - y0 if y1 > y0 else 0.0), (x - x0 if x1 > x0 else 0.0)
            upper = grid[:, y0, x0] * (1 - fx) + grid[:, y0, x1] * fx
            lower = grid[:, y1, x0] * (1 - fx) + grid[:, y1, x1] * fx
            total += upper * (1 - fy) + lower * fy
    return total / 196


@pytest.mark.parametrize(("stride", "upsample"), [(4, 1), (8, 1), (32, 1), (8, 2), (16, 2)])
def test_no_further_from_the_exact_value_than_torchvision(stride: int, upsample: int) -> None:
    part, boxes = random_part(24, stride, upsample), random_boxes(800)
    regions = [torch.from_numpy(boxes)]
    exact = roi_align(whole((part,)).double(), regions, 7, 1 / stride, 2, aligned=True).mean((2, 3)).numpy()
    ours = np.abs(pool((part,), boxes, stride) - exact).max()
    theirs = np.abs(align_with_torchvision(part, boxes, stride).mean((2, 3)).numpy() - exact).max()
    assert ours <= theirs
    assert ours < 1e-5


@pytest.mark.parametrize("upsample", [1, 2])
def test_equals_the_definition(upsample: int) -> None:
    part, boxes = random_part(3, 16, upsample, seed=1), random_boxes(120, seed=2)
    grid = whole((part,))[0].double().numpy()
    expected = np.stack([sampled_mean(grid, box, 16) for box in boxes])
    np.testing.assert_allclose(pool((part,), boxes, 16), expected, atol=2e-6)


@given(
    st.floats(-500, 700), st.floats(-500, 700), st.floats(0, 900), st.floats(0, 900), st.sampled_from([4, 8, 16, 32])
)
def test_any_box(left: float, top: float, width: float, height: float, stride: int) -> None:
    part, box = random_part(2, stride), np.array([[left, top, left + width, top + height]])
    grid = whole((part,))[0].double().numpy()
    np.testing.assert_allclose(pool((part,), box, stride)[0], sampled_mean(grid, box[0], stride), atol=1e-5)


def test_constant_maps_give_the_constant_inside() -> None:
    part = Part(torch.full((1, 4, 6, 10), 3.5))
    np.testing.assert_allclose(pool((part,), np.array([[40.0, 40, 200, 150], [64, 64, 64, 64]]), 32), 3.5, rtol=1e-6)


def test_boxes_outside_give_zero() -> None:
    part = Part(torch.ones(1, 4, 6, 10))
    assert not pool((part,), np.array([[-300.0, -300, -200, -200], [900, 20, 950, 90]]), 32).any()


def test_parts_are_joined_in_the_order_of_channels() -> None:
    parts, boxes = (random_part(6, 8, 2), random_part(3, 8, seed=4)), random_boxes(50)
    joined = pool(parts, boxes, 8)
    np.testing.assert_allclose(joined, pool((Part(whole(parts)),), boxes, 8), atol=2e-6)
    np.testing.assert_array_equal(joined[:, 6:], pool(parts[1:], boxes, 8))


def test_global_average_is_that_of_the_whole_map() -> None:
    parts = (random_part(6, 8, 2), random_part(3, 8, seed=4))
    np.testing.assert_allclose(global_average(parts), whole(parts).mean((2, 3)).numpy(), atol=1e-6)


def crop_mean(grid: np.ndarray, box: np.ndarray, nearest: bool) -> np.ndarray:
    """The definition of Table 13's crops: the box resized to 7 x 7, one sample a cell, then the mean; box in cells."""
    channels, height, width = grid.shape
    left, top, right, bottom = box
    total = np.zeros(channels)
    for i in range(7):
        for j in range(7):
            y, x = top + (i + 0.5) * (bottom - top) / 7, left + (j + 0.5) * (right - left) / 7
            if nearest:
                if 0 <= y < height and 0 <= x < width:
                    total += grid[:, int(y), int(x)]
                continue
            y, x = y - 0.5, x - 0.5
            if y < -1 or y > height or x < -1 or x > width:
                continue
            for cell_y in range(height):
                for cell_x in range(width):
                    dy = 1 - abs(min(max(y, 0.0), height - 1) - cell_y)
                    dx = 1 - abs(min(max(x, 0.0), width - 1) - cell_x)
                    if dy > 0 and dx > 0:
                        total += dy * dx * grid[:, cell_y, cell_x]
    return total / 49


@pytest.mark.parametrize("upsample", [1, 2])
def test_other_modes_against_their_definitions(upsample: int) -> None:
    part, boxes = random_part(2, 16, upsample, seed=3), random_boxes(40, seed=5)
    grid = whole((part,))[0].double().numpy()
    height, width = grid.shape[1:]
    found = {mode: pool((part,), boxes, 16, mode) for mode in ("nearest", "bilinear", "average")}
    for row, box in enumerate(boxes / 16):
        left, top, right, bottom = box
        np.testing.assert_allclose(found["nearest"][row], crop_mean(grid, box, nearest=True), atol=1e-6)
        np.testing.assert_allclose(found["bilinear"][row], crop_mean(grid, box, nearest=False), atol=1e-5)
        columns = [c for c in range(width) if c + 1 > left and c < max(right, left + 1e-9)]
        rows = [r for r in range(height) if r + 1 > top and r < max(bottom, top + 1e-9)]
        expected = grid[:, rows][:, :, columns].mean((1, 2)) if rows and columns else np.zeros(2)
        np.testing.assert_allclose(found["average"][row], expected, atol=1e-5)


@pytest.mark.parametrize(("stride", "upsample"), [(4, 1), (32, 1), (8, 2)])
def test_lite_is_the_mean_of_whole_cells_and_one_more_on_every_side(stride: int, upsample: int) -> None:
    part, boxes = random_part(3, stride, upsample, seed=7), random_boxes(200, seed=8)
    boxes[:40] = np.round(boxes[:40] / stride) * stride  # edges on edges of cells
    grid = whole((part,))[0].double().numpy()
    found = pool((part,), boxes, stride, "lite")
    for row, (left, top, right, bottom) in enumerate(boxes / stride):
        x, y = max(int(left - 1), 0), max(int(top - 1), 0)  # int() cuts towards zero, as the original does
        across, down = min(max(int(right + 1), 0), grid.shape[2]), min(max(int(bottom + 1), 0), grid.shape[1])
        cut = grid[:, y:down, x:across]
        np.testing.assert_allclose(found[row], cut.mean((1, 2)) if cut.size else np.zeros(3), atol=1e-5)


def test_lite_s_rim_by_hand() -> None:
    """A box over cells 2 and 3 takes 1 to 4; one at the border has no rim beyond it."""
    part = Part(torch.arange(10.0).expand(1, 1, 6, 10))
    boxes = np.array([[64.0, 64, 128, 96], [0, 0, 10, 10], [50, 64, 70, 96]])
    np.testing.assert_allclose(pool((part,), boxes, 32, "lite")[:, 0], [2.5, 0.0, 1.0], atol=1e-6)


@pytest.mark.parametrize(("stride", "upsample"), [(4, 1), (32, 1), (8, 2)])
def test_cells_are_those_of_torchvision_and_their_mean_is_pooled(stride: int, upsample: int) -> None:
    parts, boxes = (random_part(5, stride, upsample), random_part(2, stride, seed=4)), random_boxes(150, seed=6)
    exact = roi_align(whole(parts).double(), [torch.from_numpy(boxes)], 7, 1 / stride, 2, aligned=True).flatten(2)
    found = pool_cells(parts, boxes, stride)
    assert found.shape == (150, 49, 7)
    np.testing.assert_allclose(found, exact.mT.numpy(), atol=2e-5)
    np.testing.assert_allclose(found.mean(1), pool(parts, boxes, stride), atol=2e-5)


def test_no_boxes() -> None:
    assert pool((random_part(5, 8),), np.zeros((0, 4)), 8).shape == (0, 5)
    assert pool_cells((random_part(5, 8),), np.zeros((0, 4)), 8).shape == (0, 49, 5)


def test_bad_boxes_are_refused() -> None:
    part = random_part(2, 8)
    for box in ([0.0, 0, np.nan, 1], [0.0, 0, np.inf, 1], [5.0, 0, 4, 1], [0.0, 3, 1, 2]):
        with pytest.raises(ValueError, match="finite, with right >= left"):
            pool((part,), np.array([box]), 8)
    with pytest.raises(ValueError, match="mode 'max' is not known; there are: roi_align"):
        pool((part,), np.zeros((1, 4)), 8, "max")


@pytest.mark.parametrize("mode", MODES)
def test_levels_that_share_a_piece_are_pooled_as_each_alone(mode: Mode) -> None:
    """A piece is shared only where it is seen at the same stride and upsampling."""
    shared, coarse, boxes = random_part(9, 8), random_part(21, 8, 2, seed=3), random_boxes(60)
    levels = {4: (shared,), 9: (random_part(5, 32),), 14: (coarse, shared), 15: (shared,), 16: (Part(coarse.map),)}
    strides = {4: 8, 9: 32, 14: 8, 15: 16, 16: 16}
    found = pool_levels(levels, boxes, strides, mode)
    assert list(found) == list(levels)
    for layer, parts in levels.items():
        np.testing.assert_array_equal(found[layer], pool(parts, boxes, strides[layer], mode))


def test_no_boxes_have_no_vectors() -> None:
    found = pool_levels({4: (random_part(9, 8), random_part(3, 8))}, np.zeros((0, 4)), {4: 8})
    assert found[4].shape == (0, 12)


@given(
    seed=st.integers(0, 1000),
    strips=st.builds(Strips, st.integers(1, 9), st.floats(0.05, 1.0)),
    stride=st.sampled_from([(8, 1), (32, 1), (8, 2)]),
)
def test_strips_are_roi_align_of_each_strip(seed: int, strips: Strips, stride: tuple[int, int]) -> None:
    part, boxes = random_part(5, *stride, seed=seed), random_boxes(40, seed)
    found = pool((part,), boxes, stride[0], strips).reshape(len(boxes), strips.number, -1)
    for n, (left, top, right, bottom) in enumerate(boxes[:7]):
        middle, half = (left + right) / 2, strips.width * (right - left) / 2
        height = (bottom - top) / strips.number
        cut = [[middle - half, top + k * height, middle + half, top + (k + 1) * height] for k in range(strips.number)]
        np.testing.assert_allclose(strip_boxes(boxes[n : n + 1], strips), cut, atol=1e-9)
    regions = [torch.from_numpy(strip_boxes(boxes, strips))]
    exact = roi_align(whole((part,)).double(), regions, 7, 1 / stride[0], 2, aligned=True).mean((2, 3)).numpy()
    np.testing.assert_allclose(found.reshape(exact.shape), exact, atol=1e-5)


def test_no_boxes_have_no_strips() -> None:
    assert pool((random_part(5, 8),), np.zeros((0, 4)), 8, Strips(3)).shape == (0, 15)

"""Extraction in batches, on the CPU in float32: the same features as frame by frame."""

import copy
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from msfp.errors import InputError
from msfp.features.backbone import Backbone, Part, load_backbone
from msfp.features.detector import load_whole
from msfp.features.gpu.extract import extract_modes_batched
from msfp.features.pooling import BoxSet, Image, Mode, extract_modes
from msfp.types import Features

from .conftest import extract, extract_batched

pytestmark = pytest.mark.xdist_group("gpu extract")

SIZE = (160, 96)
RNG = np.random.default_rng(0)
FRAMES = [(t, RNG.integers(0, 256, (90, 160, 3), dtype=np.uint8)) for t in (1, 2, 4, 5, 6, 8)]


def box_set(count: int, seed: int) -> BoxSet:
    """Boxes in frames 1 to 8, of which 3 and 7 have no pixels; frame 5 has none."""
    rng = np.random.default_rng(seed)
    frame = np.sort(rng.choice([1, 2, 3, 4, 6, 7, 8], count)).astype(np.int32)
    return frame, np.concatenate([rng.uniform(-20, 140, (count, 2)), rng.uniform(0, 70, (count, 2))], 1)


SETS = {"DPM": box_set(30, 0), "SDP": box_set(7, 1), "none": (np.zeros(0, np.int32), np.zeros((0, 4)))}


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return load_backbone("yolov8n-paper", "random-init")


@pytest.fixture(scope="module")
def one_by_one(backbone: Backbone) -> dict[str, Features]:
    return extract(FRAMES, SETS, backbone, SIZE)


@pytest.mark.parametrize("batch", [1, 2, 4, 16])
def test_batches_give_what_single_frames_give(backbone: Backbone, one_by_one: dict[str, Features], batch: int) -> None:
    steps: list[int] = []
    found = extract_batched(FRAMES, SETS, backbone, SIZE, progress=steps.append, batch=batch)
    assert sum(steps) == len(FRAMES)
    assert max(steps) == min(batch, len(FRAMES))
    assert found.keys() == one_by_one.keys()
    for name, wanted in one_by_one.items():
        np.testing.assert_array_equal(found[name].present, wanted.present)
        np.testing.assert_array_equal(found[name].scene_frame, wanted.scene_frame)
        np.testing.assert_allclose(found[name].scene, wanted.scene, rtol=2e-3, atol=1e-5)
        for layer, vectors in wanted.layers.items():
            np.testing.assert_allclose(found[name].layers[layer], vectors, rtol=2e-3, atol=1e-4)


def test_batches_pool_as_lite_does_in_the_same_pass(backbone: Backbone) -> None:
    wanted: dict[Mode, tuple[int, ...]] = {"roi_align": backbone.layers, "lite": (14,)}
    found = extract_modes_batched(FRAMES, SETS, backbone, wanted, SIZE, batch=4)
    single = extract_modes(FRAMES, SETS, backbone, wanted, SIZE)
    for mode, name in ((mode, name) for mode in wanted for name in SETS):
        assert tuple(found[mode][name].layers) == wanted[mode]
        for layer, vectors in single[mode][name].layers.items():
            np.testing.assert_allclose(found[mode][name].layers[layer], vectors, rtol=2e-3, atol=1e-4)


def test_frames_of_another_size_begin_a_new_batch(backbone: Backbone) -> None:
    other = RNG.integers(0, 256, (60, 80, 3), dtype=np.uint8)
    frames = [*FRAMES[:2], (4, other), *FRAMES[3:]]
    steps: list[int] = []
    found = extract_batched(frames, SETS, backbone, SIZE, progress=steps.append, batch=16)
    assert steps == [2, 1, 3]
    wanted = extract(frames, SETS, backbone, SIZE)
    for name, one in wanted.items():
        np.testing.assert_allclose(found[name].layers[9], one.layers[9], rtol=2e-3, atol=1e-4)


def test_no_more_than_two_batches_are_held(backbone: Backbone) -> None:
    """Frames are asked for as they are needed: two batches are under way, no more."""
    asked: list[int] = []
    back: list[int] = []

    def frames() -> Iterator[tuple[int, Image]]:
        for number, pixels in FRAMES:
            asked.append(number)
            assert len(asked) - sum(back) <= 3
            yield number, pixels

    extract_batched(frames(), SETS, backbone, SIZE, progress=back.append, batch=1)
    assert sum(back) == len(FRAMES)


def test_the_same_mistakes_are_refused(backbone: Backbone) -> None:
    with pytest.raises(InputError, match="frame 2 came twice"):
        extract_batched([*FRAMES[:2], FRAMES[1]], SETS, backbone, SIZE)
    with pytest.raises(InputError, match="row 1 .* not finite or has a negative size"):
        extract_batched(FRAMES, {"x": (np.array([1], np.int32), np.array([[1.0, 2, -3, 4]]))}, backbone, SIZE)


def test_nothing_comes_of_no_frames(backbone: Backbone) -> None:
    found = extract_batched([], SETS, backbone, SIZE)
    assert not found["DPM"].present.any()
    assert found["DPM"].scene.shape == (0, 192)


def test_numbers_beyond_half_precision_are_told(backbone: Backbone) -> None:
    class Endless(Backbone):
        def parts(self, batch):
            return {k: tuple(Part(p.map * float("nan")) for p in v) for k, v in super().parts(batch).items()}

    endless = copy.copy(backbone)
    endless.__class__ = Endless
    with pytest.raises(InputError, match=r"frames 1 to 4: .* grow beyond half precision .*; use --device cpu"):
        extract_batched(FRAMES, SETS, endless, SIZE, batch=3)


def test_random_weights_are_not_halved() -> None:
    """Their maps grow with every layer: YOLOv8m's reach 95 000 on a street, where half precision ends at 65 504."""
    assert load_backbone("yolov8n-paper", "random-init").precision == torch.float32
    assert load_backbone("yolov8n-paper", "embedded").precision == torch.float16
    assert load_whole("yolov8n-paper", "random-init").precision == torch.float32

"""One thread for torch: tests run beside each other."""

from collections.abc import Callable, Mapping

import pytest
import torch

from msfp.features.backbone import Backbone, Geometry
from msfp.features.gpu.extract import BATCH, extract_modes_batched
from msfp.features.pooling import BoxSet, Frames, Mode, extract_modes
from msfp.types import Features


def extract(
    frames: Frames,
    sets: Mapping[str, BoxSet],
    backbone: Backbone,
    size: tuple[int, int],
    geometry: Geometry = "letterbox",
    mode: Mode = "roi_align",
    progress: Callable[[int], None] | None = None,
) -> dict[str, Features]:
    """All layers pooled in one way."""
    return extract_modes(frames, sets, backbone, {mode: backbone.layers}, size, geometry, progress)[mode]


def extract_batched(
    frames: Frames,
    sets: Mapping[str, BoxSet],
    backbone: Backbone,
    size: tuple[int, int],
    progress: Callable[[int], None] | None = None,
    batch: int = BATCH,
) -> dict[str, Features]:
    """RoIAlign of all taps alone, as `extract` gives it frame by frame."""
    wanted = {"roi_align": backbone.layers}
    return extract_modes_batched(frames, sets, backbone, wanted, size, progress=progress, batch=batch)["roi_align"]


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Tests of small networks lose more to a second thread than they gain."""
    torch.set_num_threads(1)

"""One thread for torch: tests run beside each other."""

from collections.abc import Callable, Iterable, Mapping

import pytest
import torch

from msfp.features.backbone import Backbone
from msfp.features.gpu.extract import BATCH, extract_modes_batched
from msfp.features.pooling import BoxSet, Image
from msfp.types import Features


def extract_batched(
    frames: Iterable[tuple[int, Image]],
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

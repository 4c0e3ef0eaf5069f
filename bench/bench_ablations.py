"""Table 13's ways to pool and Table 16's ways to bring levels together: what each costs a frame after the network.

All get the same maps and boxes; `msfp` is RoIAlign with instance attention, the others are its alternatives, each from
feature maps to embeddings. They compute different things, so only the shape and the norm of the results are compared.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from bench_pooling import SEED, regions
from harness import OURS, Case, Options, main
from numpy.typing import NDArray

from msfp.config import FusionSettings
from msfp.experiment.speed import Given, embedder
from msfp.features.backbone import Backbone, Part, load_backbone
from msfp.features.pooling import MODES, Mode
from msfp.heads.fusion import make_head

Vectors = NDArray[np.float32]
Maps = Mapping[int, tuple[Part, ...]]
STRATEGIES = {
    "one level": "single",
    "hard assignment": "hard-assignment",
    "soft selection": "soft-roi",
    "spatial attention": "spatial-attention",
    OURS: "attention-instance",
}


def cases(options: Options) -> Iterator[Case]:
    """Ways to pool, then ways to bring levels together."""
    size, count = ((320, 192), 10) if options.quick else ((1280, 736), 50)
    backbone = load_backbone("yolov8n-paper", "random-init", seed=SEED)
    maps = backbone.parts(torch.rand(1, 3, size[1], size[0], generator=torch.Generator().manual_seed(SEED)))
    boxes = regions(options, count, size)
    inputs = f"YOLOv8n layers 4/9/14 at {size[0]}x{size[1]}, random weights, {count} boxes, seed {SEED}"
    pooled: dict[str, Callable[[], Vectors]] = {
        OURS if mode == "roi_align" else mode: embedded(backbone, maps, boxes, "attention-instance", mode)
        for mode in MODES
    }
    yield Case("ways to pool", inputs, pooled, agree, unit="ms/frame")
    joined = {name: embedded(backbone, maps, boxes, strategy) for name, strategy in STRATEGIES.items()}
    yield Case("ways to bring levels together", inputs, joined, agree, unit="ms/frame")


def embedded(
    backbone: Backbone, maps: Maps, boxes: NDArray[np.float64], strategy: str, mode: Mode = "roi_align"
) -> Callable[[], Vectors]:
    """From maps to (N, D) embeddings by an untrained head, which takes as long as a trained one."""
    torch.manual_seed(SEED)
    work = embedder(backbone, make_head(strategy, backbone.channels, FusionSettings()).eval(), mode)
    frame = Given(maps, boxes, np.zeros(len(boxes), np.float32))
    return lambda: work(frame)


def agree(results: Mapping[str, Any]) -> dict[str, int]:
    """Rows of unit norm, one a box."""
    counts = {len(found) for found in results.values()}
    assert len(counts) == 1, counts
    for name, found in results.items():
        assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-4), name
    return {"boxes": counts.pop()}


if __name__ == "__main__":
    main("ablations", cases)

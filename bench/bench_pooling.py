"""Pooling: torchvision's RoIAlign and mean beside `msfp.features.pooling`, three levels of YOLOv8n at 1280x736.

The maps are the extractor's own (seeded random weights, a seeded noise image); torchvision gets them whole and
contiguous, which is not timed. Errors are against torchvision in fp64 and relative to the level's largest value.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import crowd
import numpy as np
import torch
from harness import OURS, Case, Options, main
from numpy.typing import NDArray
from torchvision.ops import roi_align

from msfp.features.backbone import Backbone, Part, fit, load_backbone, whole
from msfp.features.pooling import CELLS, SAMPLES, pool_levels

PEER = "torchvision roi_align + mean"
Vectors = list[NDArray[np.float32]]
SEED = 0


def cases(options: Options) -> Iterator[Case]:
    """10, 50 and 200 boxes."""
    size = (320, 192) if options.quick else (1280, 736)
    backbone = load_backbone("yolov8n-paper", "random-init", seed=SEED)
    image = torch.rand(1, 3, size[1], size[0], generator=torch.Generator().manual_seed(SEED))
    parts = backbone.parts(image)
    full = {layer: whole(pieces).contiguous() for layer, pieces in parts.items()}
    for count in (10,) if options.quick else (10, 50, 200):
        boxes = regions(options, count, size)
        yield case(backbone, parts, full, boxes, f"{size[0]}x{size[1]}", options)


def regions(options: Options, count: int, size: tuple[int, int]) -> NDArray[np.float64]:
    """(count, 4) xyxy in network pixels; exact in float32, so that all sides get the same boxes."""
    rng = np.random.default_rng(SEED)
    frames = 3 if options.quick else 60
    scene = crowd.real_scene(options.root) if options.root else crowd.scene(40, frames, SEED)
    drawn = rng.choice(len(scene.found), count, replace=False)
    boxes = fit((crowd.WIDTH, crowd.HEIGHT), size).to_network(scene.found.tlwh[drawn])
    return boxes.astype(np.float32).astype(np.float64)


def case(
    backbone: Backbone,
    parts: Mapping[int, tuple[Part, ...]],
    full: Mapping[int, torch.Tensor],
    boxes: NDArray[np.float64],
    size: str,
    options: Options,
) -> Case:
    """Both sides on the same maps and boxes."""
    given = torch.from_numpy(boxes).float()

    def theirs() -> Vectors:
        return [align(full[layer], given, backbone.strides[layer]).numpy() for layer in full]

    def ours() -> Vectors:
        return list(pool_levels(parts, boxes, backbone.strides).values())

    def agree(results: Mapping[str, Any]) -> dict[str, float]:
        exact = [align(full[layer].double(), given.double(), backbone.strides[layer]).numpy() for layer in full]
        errors = {name: max(map(error, found, exact)) for name, found in results.items()}
        assert errors[OURS] <= max(errors[PEER], 1e-6), errors
        return {"error of msfp": errors[OURS], "of torchvision": errors[PEER]}

    what = "detections of a real sequence" if options.root else "walkers, seed 0"
    layers = "/".join(str(layer) for layer in full)
    inputs = f"YOLOv8n layers {layers} at {size}, random weights, boxes: {what}"
    return Case(f"{len(boxes)} boxes", inputs, {PEER: theirs, OURS: ours}, agree)


@torch.inference_mode()
def align(feature_map: torch.Tensor, boxes: torch.Tensor, stride: int) -> torch.Tensor:
    """(N, C) what torchvision makes of eq. 1."""
    return roi_align(feature_map, [boxes], CELLS, 1.0 / stride, SAMPLES, aligned=True).mean((2, 3))


def error(found: NDArray[np.float32], exact: NDArray[np.float64]) -> float:
    """Largest difference over the largest value."""
    return float(np.abs(found - exact).max() / np.abs(exact).max())


if __name__ == "__main__":
    main("pooling", cases)

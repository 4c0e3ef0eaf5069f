"""One forward pass a frame, vectors for every box set of the scene (section 3.1, A.4)."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from msfp.errors import InputError
from msfp.features.backbone import Backbone, to_batch
from msfp.features.letterbox import Geometry, Letterbox, fit
from msfp.features.pooling import Mode, global_average, pool_levels
from msfp.types import Features

BoxSet = tuple[NDArray[np.int32], NDArray[np.float64]]
HALF_MAX = float(np.finfo(np.float16).max)


def extract(
    frames: Iterable[tuple[int, NDArray[np.uint8]]],
    box_sets: Mapping[str, BoxSet],
    backbone: Backbone,
    size: tuple[int, int] = (1280, 736),
    geometry: Geometry = "letterbox",
    mode: Mode = "roi_align",
    progress: Callable[[int], None] | None = None,
) -> dict[str, Features]:
    """Pooled features of all box sets of one scene.

    Args:
        frames: (number from 1, (H, W, 3) uint8 RGB) of the frames whose pixels are present, in any order, each once.
        box_sets: name -> (frame (N,) int32 ascending, tlwh (N, 4) in file coordinates).
        backbone: the frozen detector.
        size: (width, height) of the network's input, multiples of 32.
        geometry: how a frame is placed in the input.
        mode: how a box is pooled.
        progress: called with 1 after each frame.

    Returns:
        Per box set features aligned with its rows, fp16; rows of frames that never came have `present` False.

    Raises:
        InputError: boxes that are not finite or have negative sides, or a frame that comes twice.
    """
    for name, (frame, tlwh) in box_sets.items():
        check_boxes(name, frame, tlwh)
    vectors = {name: _empty(backbone, len(frame)) for name, (frame, _) in box_sets.items()}
    present = {name: np.zeros(len(frame), np.bool_) for name, (frame, _) in box_sets.items()}
    scenes: dict[int, NDArray[np.float16]] = {}
    box: Letterbox | None = None
    for number, pixels in frames:
        if number in scenes:
            raise InputError(f"frame {number} came twice; each frame's pixels are read once")
        image = (pixels.shape[1], pixels.shape[0])
        if box is None or box.image != image:
            box = fit(image, size, geometry)
        parts = backbone.parts(to_batch(box.apply(pixels)[None]))
        scenes[number] = half(global_average(parts[backbone.preset.scene])[0])
        for name, (frame, tlwh) in box_sets.items():
            rows = slice(*np.searchsorted(frame, (number, number + 1)))
            if rows.start == rows.stop:
                continue
            regions = box.to_network(tlwh[rows])
            present[name][rows] = True
            for layer, pooled in pool_levels(parts, regions, backbone.strides, mode).items():
                vectors[name][layer][rows] = half(pooled)
        if progress:
            progress(1)
    order = sorted(scenes)
    width = backbone.channels[backbone.preset.scene]
    scene = np.stack([scenes[t] for t in order]) if order else np.zeros((0, width), np.float16)
    numbers = np.array(order, np.int32)
    return {
        name: Features(frame.astype(np.int32), present[name], vectors[name], numbers, scene)
        for name, (frame, _) in box_sets.items()
    }


def check_boxes(name: str, frame: NDArray[np.int32], tlwh: NDArray[np.float64]) -> None:
    """Hold a box set to what pooling can take.

    Raises:
        InputError: names the set and the row.
    """
    if len(frame) != len(tlwh):
        raise InputError(f"box set {name!r}: {len(frame)} frame numbers for {len(tlwh)} boxes")
    bad = ~np.isfinite(tlwh).all(1) | (tlwh[:, 2:] < 0).any(1) if len(tlwh) else np.zeros(0, np.bool_)
    if bad.any():
        row = int(bad.argmax())
        raise InputError(
            f"box set {name!r}, row {row + 1} (frame {frame[row]}): box {tlwh[row].tolist()} is not finite or has a "
            "negative size; correct or remove it"
        )


def _empty(backbone: Backbone, rows: int) -> dict[int, NDArray[np.float16]]:
    return {layer: np.zeros((rows, backbone.channels[layer]), np.float16) for layer in backbone.layers}


def half(values: NDArray[np.float32]) -> NDArray[np.float16]:
    """Values as they are stored, the largest ones cut to what fp16 holds."""
    return np.clip(values, -HALF_MAX, HALF_MAX).astype(np.float16)

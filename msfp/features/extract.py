"""One forward pass a frame, vectors for every box set of the scene (section 3.1, A.4)."""

from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from msfp.errors import InputError
from msfp.features.backbone import Backbone, Part, to_batch
from msfp.features.letterbox import Geometry, Letterbox, fit
from msfp.features.pooling import Mode, global_average, pool_cells, pool_levels
from msfp.types import Features

BoxSet = tuple[NDArray[np.int32], NDArray[np.float64]]
Network = Callable[[torch.Tensor, Letterbox], dict[int, tuple[Part, ...]]]
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
    return extract_modes(frames, box_sets, backbone, {mode: backbone.layers}, size, geometry, progress)[mode]


def extract_modes(
    frames: Iterable[tuple[int, NDArray[np.uint8]]],
    box_sets: Mapping[str, BoxSet],
    backbone: Backbone,
    wanted: Mapping[Mode, tuple[int, ...]],
    size: tuple[int, int] = (1280, 736),
    geometry: Geometry = "letterbox",
    progress: Callable[[int], None] | None = None,
    through: Network | None = None,
) -> dict[Mode, dict[str, Features]]:
    """As `extract`, with several ways to pool from the same pass.

    Args:
        frames, box_sets, backbone, size, geometry, progress: as in `extract`.
        wanted: way to pool -> the layers wanted of it.
        through: gives the backbone's parts of a batch for those who take more from the pass; None: `backbone.parts`.

    Returns:
        way to pool -> box set -> features.

    Raises:
        InputError: as `extract`.
    """
    for name, (frame, tlwh) in box_sets.items():
        check_boxes(name, frame, tlwh)
    vectors = {
        m: {n: empty(backbone, len(f), layers) for n, (f, _) in box_sets.items()} for m, layers in wanted.items()
    }
    present = {name: np.zeros(len(frame), np.bool_) for name, (frame, _) in box_sets.items()}
    scenes: dict[int, NDArray[np.float16]] = {}
    for number, box, parts in _passes(frames, backbone, size, geometry, through):
        scenes[number] = half(global_average(parts[backbone.preset.scene])[0])
        for name, (frame, tlwh) in box_sets.items():
            rows = slice(*np.searchsorted(frame, (number, number + 1)))
            if rows.start == rows.stop:
                continue
            regions = box.to_network(tlwh[rows])
            present[name][rows] = True
            for mode, layers in wanted.items():
                levels = {layer: parts[layer] for layer in layers}
                for layer, pooled in pool_levels(levels, regions, backbone.strides, mode).items():
                    vectors[mode][name][layer][rows] = half(pooled)
        if progress:
            progress(1)
    order = sorted(scenes)
    width = backbone.channels[backbone.preset.scene]
    scene = np.stack([scenes[t] for t in order]) if order else np.zeros((0, width), np.float16)
    numbers = np.array(order, np.int32)
    return {
        mode: {n: Features(f.astype(np.int32), present[n], found[n], numbers, scene) for n, (f, _) in box_sets.items()}
        for mode, found in vectors.items()
    }


def extract_cells(
    frames: Iterable[tuple[int, NDArray[np.uint8]]],
    box_sets: Mapping[str, BoxSet],
    backbone: Backbone,
    size: tuple[int, int] = (1280, 736),
    geometry: Geometry = "letterbox",
    progress: Callable[[int], None] | None = None,
) -> Iterator[tuple[str, slice, dict[int, NDArray[np.float16]]]]:
    """RoIAlign's 7x7 cells of every box, frame by frame, as they are too many to keep (50 KB a box of YOLOv8n's taps).

    Args:
        frames, box_sets, backbone, size, geometry, progress: as in `extract`.

    Yields:
        box set, its rows of one frame, and layer -> (n, 49, C) cells of these rows.

    Raises:
        InputError: as `extract`.
    """
    for name, (frame, tlwh) in box_sets.items():
        check_boxes(name, frame, tlwh)
    for number, box, parts in _passes(frames, backbone, size, geometry):
        for name, (frame, tlwh) in box_sets.items():
            rows = slice(*map(int, np.searchsorted(frame, (number, number + 1))))
            if rows.start == rows.stop:
                continue
            regions = box.to_network(tlwh[rows])
            yield name, rows, {k: half(pool_cells(p, regions, backbone.strides[k])) for k, p in parts.items()}
        if progress:
            progress(1)


def _passes(
    frames: Iterable[tuple[int, NDArray[np.uint8]]],
    backbone: Backbone,
    size: tuple[int, int],
    geometry: Geometry,
    through: Network | None = None,
) -> Iterator[tuple[int, Letterbox, dict[int, tuple[Part, ...]]]]:
    """Frame number, its place in the input, and the tapped maps of one forward pass."""
    seen: set[int] = set()
    box: Letterbox | None = None
    for number, pixels in frames:
        if number in seen:
            raise InputError(f"frame {number} came twice; each frame's pixels are read once")
        seen.add(number)
        image = (pixels.shape[1], pixels.shape[0])
        if box is None or box.image != image:
            box = fit(image, size, geometry)
        batch = to_batch(box.apply(pixels)[None])
        yield number, box, backbone.parts(batch) if through is None else through(batch, box)


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


def empty(backbone: Backbone, rows: int, layers: tuple[int, ...]) -> dict[int, NDArray[np.float16]]:
    """Room for the vectors of some layers."""
    return {layer: np.zeros((rows, backbone.channels[layer]), np.float16) for layer in layers}


def half(values: NDArray[np.float32]) -> NDArray[np.float16]:
    """Values as they are stored, the largest ones cut to what fp16 holds."""
    return np.clip(values, -HALF_MAX, HALF_MAX).astype(np.float16)

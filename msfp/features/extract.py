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

Image = NDArray[np.uint8]
BoxSet = tuple[NDArray[np.int32], NDArray[np.float64]]
"""Frame (N,) ascending, and tlwh (N, 4) in file coordinates."""
Rows = dict[str, slice]
"""Box set -> its rows of one frame."""
Parts = dict[int, tuple[Part, ...]]
Network = Callable[[torch.Tensor, Letterbox], Parts]
HALF_MAX = float(np.finfo(np.float16).max)


def extract(
    frames: Iterable[tuple[int, Image]],
    box_sets: Mapping[str, BoxSet],
    backbone: Backbone,
    size: tuple[int, int] = (1280, 736),
    geometry: Geometry = "letterbox",
    mode: Mode = "roi_align",
    progress: Callable[[int], None] | None = None,
) -> dict[str, Features]:
    """Box set -> its features, as `extract_modes` gives them, of all layers pooled in one way."""
    return extract_modes(frames, box_sets, backbone, {mode: backbone.layers}, size, geometry, progress)[mode]


def extract_modes(
    frames: Iterable[tuple[int, Image]],
    box_sets: Mapping[str, BoxSet],
    backbone: Backbone,
    wanted: Mapping[Mode, tuple[int, ...]],
    size: tuple[int, int] = (1280, 736),
    geometry: Geometry = "letterbox",
    progress: Callable[[int], None] | None = None,
    through: Network | None = None,
) -> dict[Mode, dict[str, Features]]:
    """Pool the features of all box sets of one scene.

    `frames`: (number from 1, (H, W, 3) uint8 RGB) of the frames whose pixels are present, in any order, each once.
    `wanted`: way to pool -> the layers wanted of it. `through`: gives the backbone's parts of a batch for those who
    take more from the pass; None: `backbone.parts`.
    Returns way to pool -> box set -> features aligned with its rows, fp16; rows of frames that never came have
    `present` False.
    Raises InputError: boxes that are not finite or have negative sides, or a frame that comes twice.
    """
    found = Found(box_sets, backbone, wanted)
    for number, box, parts, rows in _passes(frames, box_sets, backbone, size, geometry, progress, through):
        found.scenes[number] = half(global_average(parts[backbone.preset.scene])[0])
        for name, mine in rows.items():
            found.present[name][mine] = True
            regions = box.to_network(box_sets[name][1][mine])
            for mode, layers in wanted.items():
                pooled = pool_levels({layer: parts[layer] for layer in layers}, regions, backbone.strides, mode)
                for layer, vectors in pooled.items():
                    found.vectors[mode][name][layer][mine] = half(vectors)
    return found.features()


def extract_cells(
    frames: Iterable[tuple[int, Image]],
    box_sets: Mapping[str, BoxSet],
    backbone: Backbone,
    size: tuple[int, int] = (1280, 736),
    geometry: Geometry = "letterbox",
    progress: Callable[[int], None] | None = None,
) -> Iterator[tuple[str, slice, dict[int, NDArray[np.float16]]]]:
    """RoIAlign's 7x7 cells of every box, frame by frame, as they are too many to keep (50 KB a box of YOLOv8n's taps).

    Yields box set, its rows of one frame, and layer -> (n, 49, C) cells of these rows.
    Raises InputError: as `extract_modes`.
    """
    for _, box, parts, rows in _passes(frames, box_sets, backbone, size, geometry, progress):
        for name, mine in rows.items():
            regions = box.to_network(box_sets[name][1][mine])
            yield name, mine, {k: half(pool_cells(p, regions, backbone.strides[k])) for k, p in parts.items()}


def _passes(
    frames: Iterable[tuple[int, Image]],
    box_sets: Mapping[str, BoxSet],
    backbone: Backbone,
    size: tuple[int, int],
    geometry: Geometry,
    progress: Callable[[int], None] | None,
    through: Network | None = None,
) -> Iterator[tuple[int, Letterbox, Parts, Rows]]:
    """Frame number, its place in the input, the tapped maps of one forward pass, and the boxes' rows."""
    for number, pixels, rows in with_rows(frames, box_sets, progress):
        box = fit((pixels.shape[1], pixels.shape[0]), size, geometry)
        batch = to_batch(box.apply(pixels)[None])
        yield number, box, backbone.parts(batch) if through is None else through(batch, box), rows


def with_rows(
    frames: Iterable[tuple[int, Image]], box_sets: Mapping[str, BoxSet], progress: Callable[[int], None] | None = None
) -> Iterator[tuple[int, Image, Rows]]:
    """Add to each frame the rows of the box sets that have some in it; arguments as of `extract_modes`.

    Raises InputError: a box set that pooling cannot take, naming it and the row, or a frame that comes twice.
    """
    for name, (frame, tlwh) in box_sets.items():
        if len(frame) != len(tlwh):
            raise InputError(f"box set {name!r}: {len(frame)} frame numbers for {len(tlwh)} boxes")
        bad = ~np.isfinite(tlwh).all(1) | (tlwh[:, 2:] < 0).any(1) if len(tlwh) else np.zeros(0, np.bool_)
        if bad.any():
            row = int(bad.argmax())
            raise InputError(
                f"box set {name!r}, row {row + 1} (frame {frame[row]}): box {tlwh[row].tolist()} is not finite or has "
                "a negative size; correct or remove it"
            )
    seen: set[int] = set()
    for number, pixels in frames:
        if number in seen:
            raise InputError(f"frame {number} came twice; each frame's pixels are read once")
        seen.add(number)
        every = {name: np.searchsorted(frame, (number, number + 1)).tolist() for name, (frame, _) in box_sets.items()}
        yield number, pixels, {name: slice(a, b) for name, (a, b) in every.items() if a < b}
        if progress:
            progress(1)


class Found:
    """Vectors of a scene as they come, frame by frame.

    Attributes:
        scenes: frame -> (C,) float16 scene vector.
        present: box set -> (N,) bool, whether a row's frame has come.
        vectors: way to pool -> box set -> layer -> (N, C) float16.
    """

    def __init__(
        self, box_sets: Mapping[str, BoxSet], backbone: Backbone, wanted: Mapping[Mode, tuple[int, ...]]
    ) -> None:
        """Make room for the wanted layers of each way to pool."""
        self.scenes: dict[int, NDArray[np.float16]] = {}
        self._frames = {name: frame.astype(np.int32) for name, (frame, _) in box_sets.items()}
        self.present = {name: np.zeros(len(frame), np.bool_) for name, frame in self._frames.items()}
        self.vectors = {
            mode: {
                name: {layer: np.zeros((len(frame), backbone.channels[layer]), np.float16) for layer in layers}
                for name, frame in self._frames.items()
            }
            for mode, layers in wanted.items()
        }
        self._width = backbone.channels[backbone.preset.scene]

    def features(self) -> dict[Mode, dict[str, Features]]:
        """Way to pool -> box set -> all that came."""
        order = sorted(self.scenes)
        scene = np.stack([self.scenes[t] for t in order]) if order else np.zeros((0, self._width), np.float16)
        numbers = np.array(order, np.int32)
        return {
            mode: {n: Features(f, self.present[n], found[n], numbers, scene) for n, f in self._frames.items()}
            for mode, found in self.vectors.items()
        }


def half(values: NDArray[np.float32]) -> NDArray[np.float16]:
    """Values as they are stored, the largest ones cut to what fp16 holds."""
    return np.clip(values, -HALF_MAX, HALF_MAX).astype(np.float16)

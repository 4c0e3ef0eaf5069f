"""Features of boxes: maps pooled by RoIAlign's mean (eq. 1), of one pass of the network a frame."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal, get_args

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray

from msfp.errors import InputError
from msfp.features.backbone import Backbone, Geometry, Letterbox, Part, fit, to_batch
from msfp.types import Features, Strips

Named = Literal["roi_align", "nearest", "bilinear", "average", "lite"]
Mode = Named | Strips
MODES: tuple[Named, ...] = get_args(Named)
CELLS = 7
SAMPLES = 2
Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Ints = NDArray[np.int64]
Image = NDArray[np.uint8]
Frames = Iterable[tuple[int, Image]]
"""(number from 1, (H, W, 3) uint8 RGB) of the frames whose pixels are present, in any order, each once."""
Progress = Callable[[int], None] | None
Weights = tuple[Ints, Ints, Singles]
"""First cell (N,), number of cells (N,) and weights (N, widest) over the stored map, along one axis."""


def pool_levels(
    levels: Mapping[int, tuple[Part, ...]], boxes: Floats, strides: Mapping[int, int], mode: Mode = "roi_align"
) -> dict[int, NDArray[np.float32]]:
    """One vector a box from each of several tapped maps of one image; a piece that two taps share is pooled once.

    `boxes`: (N, 4) xyxy in network pixels, the first one's left edge at 0. `strides`: network pixels a cell of the tap.
    `mode`: `roi_align`, mean of 7x7 cells with 2x2 samples each (eq. 1). Table 13's others are named in the paper, not
    defined: `bilinear`, the box resized to 7x7 with one interpolated sample a cell; `nearest`, the same with the map's
    cell that the sample falls into; `average`, the plain mean of the cells the box touches. `lite` as LITE's authors
    released it: the mean of whole cells and one more on every side. `Strips`: RoIAlign's mean of each strip.
    Returns layer -> (N, C) float32, (N, strips * C) for strips, one after the other; zero for boxes outside the map.
    Raises ValueError: boxes that are not finite or have negative sides, or an unknown mode.
    """
    boxes = np.ascontiguousarray(boxes, np.float64).reshape(-1, 4)
    if not np.isfinite(boxes).all() or (boxes[:, 2:] < boxes[:, :2]).any():
        raise ValueError("boxes to pool have to be finite, with right >= left and bottom >= top")
    if mode not in MODES and not isinstance(mode, Strips):
        raise ValueError(f"pooling mode {mode!r} is not known; there are: {', '.join(MODES)}")
    pieces: dict[tuple[int, int, int], NDArray[np.float32]] = {}
    out = {}
    for layer, parts in levels.items():
        named = [(id(part.map), part.upsample, strides[layer]) for part in parts]
        for name, part in zip(named, parts, strict=True):
            if name not in pieces:
                pieces[name] = _pool_piece(part, boxes, strides[layer], mode)
        found = np.concatenate([pieces[name] for name in named], -1)
        out[layer] = found.reshape(len(boxes), int(np.prod(found.shape[1:])))
    return out


def _pool_piece(part: Part, boxes: Floats, stride: int, mode: Mode) -> NDArray[np.float32]:
    """(N, C), of strips (N, strips, C)."""
    if isinstance(mode, Strips):
        return _pool_strips(part, boxes, stride, mode)
    if part.map.is_cuda and mode == "roi_align":
        return align_with_torchvision(part, boxes, stride).mean((2, 3)).float().cpu().numpy()
    grid, cells = as_grid(part.map), boxes / stride
    shape = grid.shape[0] * part.upsample, grid.shape[1] * part.upsample
    rows = axis_weights(cells[:, 1], cells[:, 3], shape[0], part.upsample, mode)
    columns = axis_weights(cells[:, 0], cells[:, 2], shape[1], part.upsample, mode)
    return pool_separably(grid, *rows, *columns)


def _pool_strips(part: Part, boxes: Floats, stride: int, strips: Strips) -> NDArray[np.float32]:
    """(N, strips, C): each strip by RoIAlign's mean; strips of a box share the weights of their columns."""
    regions = strip_boxes(boxes, strips)
    if part.map.is_cuda:
        found = align_with_torchvision(part, regions, stride).mean((2, 3)).float().cpu().numpy()
        return found.reshape(len(boxes), strips.number, found.shape[1])
    grid, cells, samples = as_grid(part.map), regions / stride, CELLS * SAMPLES
    height, width = grid.shape[0] * part.upsample, grid.shape[1] * part.upsample
    rows = roi_align_weights(cells[:, 1], cells[:, 3], height, part.upsample, samples)
    once = cells[:: strips.number]
    columns = roi_align_weights(once[:, 0].copy(), once[:, 2].copy(), width, part.upsample, samples)
    return pool_rows_of_strips(grid, strips.number, *rows, *columns)


def strip_boxes(boxes: Floats, strips: Strips) -> Floats:
    """(N, 4) xyxy boxes -> (N * strips, 4) their strips, box by box, from top to bottom."""
    margin = (boxes[:, 2] - boxes[:, 0]) * (1 - strips.width) / 2
    edges = boxes[:, 1, None] + (boxes[:, 3] - boxes[:, 1])[:, None] * np.arange(strips.number + 1) / strips.number
    left, right = (np.repeat(side, strips.number) for side in (boxes[:, 0] + margin, boxes[:, 2] - margin))
    return np.stack([left, edges[:, :-1].ravel(), right, edges[:, 1:].ravel()], 1)


def pool_cells(parts: tuple[Part, ...], boxes: Floats, stride: int) -> NDArray[np.float32]:
    """RoIAlign's 7x7 cells themselves, (N, 49, C) float32, row by row, for a head that weighs them (Table 16)."""
    boxes = np.ascontiguousarray(boxes, np.float64).reshape(-1, 4)
    edges = boxes / stride
    pieces = []
    for part in parts:
        if part.map.is_cuda:
            pieces.append(align_with_torchvision(part, boxes, stride).flatten(2).mT.float().cpu().numpy())
            continue
        grid = as_grid(part.map)
        y, rows, down = _cell_weights(edges[:, 1], edges[:, 3], grid.shape[0] * part.upsample, part.upsample)
        x, columns, across = _cell_weights(edges[:, 0], edges[:, 2], grid.shape[1] * part.upsample, part.upsample)
        # Cell (i, j) of a box is its row cell i with its column cell j.
        i = np.repeat(np.arange(len(boxes) * CELLS), CELLS)
        j = (np.arange(len(boxes))[:, None, None] * CELLS + np.arange(CELLS)).repeat(CELLS, 1).ravel()
        found = pool_separably(grid, y[i], rows[i], down[i], x[j], columns[j], across[j])
        pieces.append(found.reshape(len(boxes), CELLS**2, grid.shape[2]))
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces, 2)


def _cell_weights(low: Floats, high: Floats, length: int, repeat: int) -> Weights:
    """As `axis_weights`, for each of the 7 cells of each box: a cell is RoIAlign of a smaller box."""
    edges = low[:, None] + (high - low)[:, None] * np.arange(CELLS + 1) / CELLS
    return roi_align_weights(edges[:, :-1].ravel(), edges[:, 1:].ravel(), length, repeat, SAMPLES)


def global_average(parts: tuple[Part, ...]) -> NDArray[np.float32]:
    """(B, C) mean over the map: the scene vector of eq. 6. Repeating cells does not change a mean."""
    return torch.cat([part.map.float().mean((2, 3)) for part in parts], 1).cpu().numpy()


def as_grid(feature_map: torch.Tensor) -> NDArray[np.float32]:
    """(1, C, h, w) tensor -> (h, w, C) contiguous array, without copying a channels-last map on the CPU."""
    return np.ascontiguousarray(feature_map[0].permute(1, 2, 0).float().cpu().numpy())


def axis_weights(low: Floats, high: Floats, length: int, repeat: int, mode: Named) -> Weights:
    """Weights along one axis of `length` cells, of which `repeat` show a stored one; boxes' edges (N,) in cells."""
    if mode in ("roi_align", "bilinear"):
        return roi_align_weights(low, high, length, repeat, CELLS * (SAMPLES if mode == "roi_align" else 1))
    if mode == "lite":
        return lite_weights(low, high, length, repeat)
    cell = np.arange(length)
    if mode == "nearest":  # samples outside the map count as zero
        sample = low[:, None] + (high - low)[:, None] * (np.arange(CELLS) + 0.5) / CELLS
        each = (np.floor(sample)[:, :, None] == cell).mean(1)
    else:
        touched = (cell + 1 > low[:, None]) & (cell < np.maximum(high, low + 1e-9)[:, None])
        each = touched / np.maximum(touched.sum(1, keepdims=True), 1)
    dense = each.reshape(len(low), length // repeat, repeat).sum(2)
    full = np.full(len(low), dense.shape[1], np.int64)
    return np.zeros(len(low), np.int64), full, dense.astype(np.float32)


def lite_weights(low: Floats, high: Floats, length: int, repeat: int) -> Weights:
    """Equal weights between the edges moved outwards by a cell and cut to whole numbers and to the map.

    The original first cuts boxes to whole pixels of the image, a few hundredths of a cell, which is left out here.
    """
    start, stop = (np.clip(np.trunc(edge), 0, length).astype(np.int64) for edge in (low - 1.0, high + 1.0))
    first = start // repeat
    count = np.where(stop > start, (stop - 1) // repeat - first + 1, 0)
    begin = (first[:, None] + np.arange(count.max(initial=0))) * repeat
    covered = np.minimum(stop[:, None], begin + repeat) - np.maximum(start[:, None], begin)
    return first, count, (np.maximum(covered, 0) / np.maximum(stop - start, 1)[:, None]).astype(np.float32)


@njit(cache=True)
def roi_align_weights(low: Floats, high: Floats, length: int, repeat: int, samples: int) -> Weights:
    """Per box the weight of each cell in the mean of so many samples along one axis, with torchvision's border rules.

    `aligned=True` shifts by half a cell. A sample beyond -1 or `length` is dropped (and still counts in the mean), one
    in [-1, 0] is moved to 0, one at or beyond the last cell's centre takes the last cell alone.
    """
    count = len(low)
    first, width = np.zeros(count, np.int64), np.zeros(count, np.int64)
    for n in range(count):
        start, step = low[n] - 0.5, (high[n] - low[n]) / samples
        lowest, highest = length, -1
        for k in range(samples):
            place = start + (k + 0.5) * step
            if place < -1.0 or place > length:
                continue
            cell = min(int(max(place, 0.0)), length - 1)
            lowest = min(lowest, cell)
            highest = max(highest, min(cell + 1, length - 1))
        if highest >= 0:
            first[n] = lowest // repeat
            width[n] = highest // repeat - lowest // repeat + 1
    widest = width.max() if count else 0
    weights = np.zeros((count, widest), np.float32)
    for n in range(count):
        start, step = low[n] - 0.5, (high[n] - low[n]) / samples
        for k in range(samples):
            place = start + (k + 0.5) * step
            if place < -1.0 or place > length:
                continue
            place = max(place, 0.0)
            cell = min(int(place), length - 1)
            share = place - cell if cell < length - 1 else 0.0
            weights[n, cell // repeat - first[n]] += (1.0 - share) / samples
            if share > 0.0:
                weights[n, (cell + 1) // repeat - first[n]] += share / samples
    return first, width, weights


@njit(cache=True, fastmath={"contract"})
def _add_across(total: Singles, cells: Singles, first: int, count: int, weight: Singles, outer: np.float32) -> None:
    """Add `count` cells of a row to `total` (C,), by their weights times `outer`; `cells[first]` begins the row."""
    channels = len(total)
    j = 0
    # Four cells at a time: sums are read and written a quarter as often.
    while j + 4 <= count:
        a, b, c, d = outer * weight[j], outer * weight[j + 1], outer * weight[j + 2], outer * weight[j + 3]
        if a != 0.0 or b != 0.0 or c != 0.0 or d != 0.0:
            at = cells[first + j * channels : first + (j + 4) * channels]
            for k in range(channels):
                left = a * at[k] + b * at[channels + k]
                total[k] += left + (c * at[2 * channels + k] + d * at[3 * channels + k])
        j += 4
    while j < count:
        a = outer * weight[j]
        at = cells[first + j * channels : first + (j + 1) * channels]
        for k in range(channels):
            total[k] += a * at[k]
        j += 1


@njit(cache=True, fastmath={"contract"})
def pool_separably(
    grid: Singles, row_first: Ints, row_count: Ints, row_weight: Singles, column_first: Ints, column_count: Ints,
    column_weight: Singles,
) -> Singles:  # fmt: skip
    """(N, C) sums of a (h, w, C) map under separable weights; four cells of zero weight in a row are not read."""
    count, width, channels = len(row_first), grid.shape[1], grid.shape[2]
    out = np.zeros((count, channels), np.float32)
    cells = grid.reshape(-1)
    for n in range(count):
        for i in range(row_count[n]):
            outer = row_weight[n, i]
            if outer != 0.0:
                first = ((row_first[n] + i) * width + column_first[n]) * channels
                _add_across(out[n], cells, first, column_count[n], column_weight[n], outer)
    return out


@njit(cache=True, fastmath={"contract"})
def pool_rows_of_strips(
    grid: Singles, strips: int, row_first: Ints, row_count: Ints, row_weight: Singles, column_first: Ints,
    column_count: Ints, column_weight: Singles,
) -> Singles:  # fmt: skip
    """(N, strips, C) sums of a (h, w, C) map; rows' weights are (N * strips, ...), columns' (N, ...).

    A row of the map is summed across once, and then added to each strip that it touches.
    """
    count, width, channels = len(column_first), grid.shape[1], grid.shape[2]
    out = np.zeros((count, strips, channels), np.float32)
    cells = grid.reshape(-1)
    line = np.empty(channels, np.float32)
    for n in range(count):
        lowest, highest = grid.shape[0], 0
        for s in range(n * strips, (n + 1) * strips):
            if row_count[s] > 0:
                lowest, highest = min(lowest, row_first[s]), max(highest, row_first[s] + row_count[s])
        for i in range(lowest, highest):
            line[:] = 0.0
            first = (i * width + column_first[n]) * channels
            _add_across(line, cells, first, column_count[n], column_weight[n], np.float32(1.0))
            for s in range(strips):
                place = i - row_first[n * strips + s]
                if 0 <= place < row_count[n * strips + s]:
                    share = row_weight[n * strips + s, place]
                    total = out[n, s]
                    for k in range(channels):
                        total[k] += share * line[k]
    return out


def align_with_torchvision(part: Part, boxes: Floats, stride: int) -> torch.Tensor:
    """(N, C, 7, 7) of torchvision's RoIAlign: what runs on a GPU."""
    from torchvision.ops import roi_align

    full = part.map
    if part.upsample > 1:
        full = torch.nn.functional.interpolate(full, scale_factor=part.upsample)
    regions = torch.from_numpy(boxes).to(full.device, full.dtype)
    return roi_align(full, [regions], CELLS, 1.0 / stride, SAMPLES, aligned=True)


BoxSet = tuple[NDArray[np.int32], NDArray[np.float64]]
"""Frame (N,) ascending, and tlwh (N, 4) in file coordinates."""
Rows = dict[str, slice]
"""Box set -> its rows of one frame."""
Parts = dict[int, tuple[Part, ...]]
Network = Callable[[torch.Tensor, Letterbox], Parts]
HALF_MAX = float(np.finfo(np.float16).max)


def extract_modes(
    frames: Frames, box_sets: Mapping[str, BoxSet], backbone: Backbone, wanted: Mapping[Mode, tuple[int, ...]],
    size: tuple[int, int] = (1280, 736), geometry: Geometry = "letterbox", progress: Progress = None,
    through: Network | None = None,
) -> dict[Mode, dict[str, Features]]:  # fmt: skip
    """Pool the features of all box sets of one scene.

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
    frames: Frames, box_sets: Mapping[str, BoxSet], backbone: Backbone, size: tuple[int, int] = (1280, 736),
    geometry: Geometry = "letterbox", progress: Progress = None,
) -> Iterator[tuple[str, slice, dict[int, NDArray[np.float16]]]]:  # fmt: skip
    """Box set, its rows of one frame, and layer -> (n, 49, C) RoIAlign's cells of these rows: too many to keep."""
    for _, box, parts, rows in _passes(frames, box_sets, backbone, size, geometry, progress):
        for name, mine in rows.items():
            regions = box.to_network(box_sets[name][1][mine])
            yield name, mine, {k: half(pool_cells(p, regions, backbone.strides[k])) for k, p in parts.items()}


def _passes(
    frames: Frames, box_sets: Mapping[str, BoxSet], backbone: Backbone, size: tuple[int, int], geometry: Geometry,
    progress: Progress, through: Network | None = None,
) -> Iterator[tuple[int, Letterbox, Parts, Rows]]:  # fmt: skip
    """Frame number, its place in the input, the tapped maps of one forward pass, and the boxes' rows."""
    for number, pixels, rows in with_rows(frames, box_sets, progress):
        box = fit((pixels.shape[1], pixels.shape[0]), size, geometry)
        batch = to_batch(box.apply(pixels)[None])
        yield number, box, backbone.parts(batch) if through is None else through(batch, box), rows


def with_rows(
    frames: Frames, box_sets: Mapping[str, BoxSet], progress: Progress = None
) -> Iterator[tuple[int, Image, Rows]]:
    """Add to each frame the rows of the box sets that have some in it.

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
    """Vectors of a scene as they come, frame by frame."""

    def __init__(
        self, box_sets: Mapping[str, BoxSet], backbone: Backbone, wanted: Mapping[Mode, tuple[int, ...]]
    ) -> None:
        self.scenes: dict[int, NDArray[np.float16]] = {}  # frame -> (C,) scene vector
        self._frames = {name: frame.astype(np.int32) for name, (frame, _) in box_sets.items()}
        # Whether a row's frame has come; way to pool -> box set -> layer -> (N, C).
        self.present = {name: np.zeros(len(frame), np.bool_) for name, frame in self._frames.items()}
        self.vectors: dict[Mode, dict[str, dict[int, NDArray[np.float16]]]] = {}
        for mode, layers in wanted.items():
            many = mode.number if isinstance(mode, Strips) else 1
            widths = {layer: many * backbone.channels[layer] for layer in layers}
            self.vectors[mode] = {
                name: {layer: np.zeros((len(frame), width), np.float16) for layer, width in widths.items()}
                for name, frame in self._frames.items()
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

"""The Triton kernel behind `pool_in_one_launch`; imported only where triton is."""

# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False
# Triton gives the parameters their types.

import triton
import triton.language as tl


@triton.jit
def _sample(low, high, k, length, SAMPLES: tl.constexpr):
    """First cell, second cell, their weights of the k-th sample along an axis."""
    place = low - 0.5 + (high - low) / SAMPLES * (k + 0.5)
    inside = tl.where((place >= -1.0) & (place <= length), 1.0 / SAMPLES, 0.0)
    place = tl.minimum(tl.maximum(place, 0.0), length - 1.0)
    cell = place.to(tl.int32)
    share = place - cell
    after = tl.minimum(cell + 1, length.to(tl.int32) - 1)
    return cell, after, inside * (1.0 - share), inside * share


@triton.jit
def pool(table, boxes, image, out, rows, columns, like, SAMPLES: tl.constexpr, BLOCK: tl.constexpr):
    """out[n, c] = sum over 14 x 14 samples of the bilinear value of one box and one block of channels.

    table: (B * rows, 8) int64, image by image: address of a (h, w, C) map, h, w, C, upsample, stride, first channel,
    column of `out`. image: (N,) int32, whose maps a box lies on. `like` lends the maps' element type.
    """
    n, p = tl.program_id(0), tl.program_id(1)
    row = table + (tl.load(image + n) * rows + p) * 8
    grid = tl.load(row).to(like.dtype)
    height, width, channels = tl.load(row + 1), tl.load(row + 2), tl.load(row + 3)
    repeat, stride = tl.load(row + 4).to(tl.int32), tl.load(row + 5).to(tl.float32)
    start, column = tl.load(row + 6), tl.load(row + 7)
    c = start + tl.arange(0, BLOCK)
    left, top = tl.load(boxes + n * 4) / stride, tl.load(boxes + n * 4 + 1) / stride
    right, bottom = tl.load(boxes + n * 4 + 2) / stride, tl.load(boxes + n * 4 + 3) / stride
    full_h, full_w = (height * repeat).to(tl.float32), (width * repeat).to(tl.float32)
    total = tl.zeros((BLOCK,), tl.float32)
    for i in range(SAMPLES):
        y0, y1, wy0, wy1 = _sample(top, bottom, i, full_h, SAMPLES)
        for j in range(SAMPLES):
            x0, x1, wx0, wx1 = _sample(left, right, j, full_w, SAMPLES)
            upper, lower = grid + (y0 // repeat) * width * channels, grid + (y1 // repeat) * width * channels
            near, far = (x0 // repeat) * channels + c, (x1 // repeat) * channels + c
            mask = c < channels
            total += wy0 * wx0 * tl.load(upper + near, mask, 0.0).to(tl.float32)
            total += wy0 * wx1 * tl.load(upper + far, mask, 0.0).to(tl.float32)
            total += wy1 * wx0 * tl.load(lower + near, mask, 0.0).to(tl.float32)
            total += wy1 * wx1 * tl.load(lower + far, mask, 0.0).to(tl.float32)
    tl.store(out + n * columns + column + c, total, c < channels)

"""The Triton kernels behind `pool_in_one_launch` and the blocks; imported only where triton is."""

# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False
# Triton gives the parameters their types.

import triton
import triton.language as tl


@triton.jit
def _support(low, high, length, repeat, SAMPLES: tl.constexpr, PADDED: tl.constexpr):
    """Samples of a box along one axis, and the stored cells they fall on.

    Returns (PADDED,) first cell of the tap, second cell, their weights of each sample; the first stored cell, and how
    many cells there are up to the last: 0 where all samples lie outside.
    """
    k = tl.arange(0, PADDED)
    place = low - 0.5 + (high - low) / SAMPLES * (k.to(tl.float32) + 0.5)
    inside = (k < SAMPLES) & (place >= -1.0) & (place <= length)
    place = tl.minimum(tl.maximum(place, 0.0), length - 1.0)
    cell = place.to(tl.int32)
    share = place - cell.to(tl.float32)
    after = tl.minimum(cell + 1, length.to(tl.int32) - 1)
    counted = tl.where(inside, 1.0 / SAMPLES, 0.0)
    first = tl.min(tl.where(inside, cell, length.to(tl.int32)), 0) // repeat
    last = tl.max(tl.where(inside, after, -repeat), 0) // repeat
    near, far, count = counted * (1.0 - share), counted * share, tl.maximum(last - first + 1, 0)
    return cell // repeat, after // repeat, near, far, first, count


@triton.jit
def _entry(j, samples, low, high, length, repeat, SAMPLES: tl.constexpr):
    """The j-th (stored cell, weight) along an axis, for a (J,) block of j.

    One entry a cell, its weights of all samples summed, where the box covers fewer cells than there are samples' ends;
    otherwise one entry a sample's end, so that a box's work is bounded however large it is.
    """
    cell, after, near, far, first, count = samples
    wanted = (first + j)[:, None]
    summed = tl.where(cell[None, :] == wanted, near[None, :], 0.0) + tl.where(
        after[None, :] == wanted, far[None, :], 0.0
    )
    k = (j // 2).to(tl.float32)
    place = low - 0.5 + (high - low) / SAMPLES * (k + 0.5)
    inside = (place >= -1.0) & (place <= length)
    place = tl.minimum(tl.maximum(place, 0.0), length - 1.0)
    begin = place.to(tl.int32)
    share = place - begin.to(tl.float32)
    end = tl.minimum(begin + 1, length.to(tl.int32) - 1)
    second = j % 2 == 1
    sparse = count > 2 * SAMPLES
    index = tl.where(sparse, tl.where(second, end, begin) // repeat, first + j)
    single = tl.where(inside, tl.where(second, share, 1.0 - share) / SAMPLES, 0.0)
    weight = tl.where(sparse, single, tl.sum(summed, 1))
    return index, tl.where(j < tl.minimum(count, 2 * SAMPLES), weight, 0.0)


@triton.jit
def pool(
    table, boxes, image, out, rows, columns, like,
    SAMPLES: tl.constexpr, PADDED: tl.constexpr, BLOCK: tl.constexpr, DOWN: tl.constexpr, ACROSS: tl.constexpr,
    ALIGNED: tl.constexpr,
):  # fmt: skip
    """out[n, c] = sum of a box's cells by their weights, for a block of channels; DOWN x ACROSS cells are read at once.

    table: (B * rows, 8) int64, image by image: address of a (h, w, C) map, h, w, C, upsample, stride, first channel,
    column of `out`. image: (N,) int32, whose maps a box lies on; -1 for one that nobody asks for, which gives zeros.
    `like` lends the maps' element type; ALIGNED: what divides all numbers of channels, and addresses in bytes.
    """
    n, p = tl.program_id(0), tl.program_id(1)
    whose = tl.load(image + n)
    row = table + (tl.maximum(whose, 0) * rows + p) * 8
    grid = tl.load(row).to(like.dtype)
    height, width = tl.load(row + 1), tl.load(row + 2)
    channels = tl.multiple_of(tl.load(row + 3).to(tl.int32), ALIGNED)
    repeat, stride = tl.load(row + 4).to(tl.int32), tl.load(row + 5).to(tl.float32)
    start, column = tl.multiple_of(tl.load(row + 6).to(tl.int32), BLOCK), tl.load(row + 7)
    c = start + tl.arange(0, BLOCK)
    left, top = tl.load(boxes + n * 4) / stride, tl.load(boxes + n * 4 + 1) / stride
    right, bottom = tl.load(boxes + n * 4 + 2) / stride, tl.load(boxes + n * 4 + 3) / stride
    full_h, full_w = (height * repeat).to(tl.float32), (width * repeat).to(tl.float32)
    down = _support(top, bottom, full_h, repeat, SAMPLES, PADDED)
    across = _support(left, right, full_w, repeat, SAMPLES, PADDED)
    many_rows = tl.where(whose >= 0, tl.minimum(down[5], 2 * SAMPLES), 0)
    many_columns = tl.minimum(across[5], 2 * SAMPLES)
    cell = tl.arange(0, DOWN * ACROSS)
    total = tl.zeros((DOWN * ACROSS, BLOCK), tl.float32)
    for x in range(0, many_columns, ACROSS):
        at_x, weight_x = _entry(x + cell % ACROSS, across, left, right, full_w, repeat, SAMPLES)
        for y in range(0, many_rows, DOWN):
            at_y, weight_y = _entry(y + cell // ACROSS, down, top, bottom, full_h, repeat, SAMPLES)
            weight = weight_x * weight_y
            place = (at_y * width.to(tl.int32) + at_x) * channels
            mask = (weight != 0.0)[:, None] & (c < channels)[None, :]
            pointer = tl.multiple_of(grid + place[:, None] + c[None, :], (1, ALIGNED))
            value = tl.load(pointer, mask, 0.0)
            total += weight[:, None] * value.to(tl.float32)
    tl.store(out + n * columns + column + c, tl.sum(total, 0), c < channels)


@triton.jit
def biased_silu(
    x, bias, plus, out, second, rows, channels, out_step, second_step, first,
    PLUS: tl.constexpr, SECOND: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """out[m, c] <- silu(x[m, c] + bias[c]) + plus[m, c] of (rows, channels) matrices; x may be `out` itself.

    The rows of `out` and of `second`, which gets the channels from `first` on, lie so many numbers apart.
    """
    m = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    c = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    mask = (m < rows)[:, None] & (c < channels)[None, :]
    row = m[:, None].to(tl.int64)
    value = tl.load(x + row * channels + c[None, :], mask, 0.0).to(tl.float32)
    value += tl.load(bias + c, c < channels, 0.0).to(tl.float32)[None, :]
    value *= tl.sigmoid(value)
    if PLUS:
        value += tl.load(plus + row * channels + c[None, :], mask, 0.0).to(tl.float32)
    found = value.to(out.dtype.element_ty)
    tl.store(out + row * out_step + c[None, :], found, mask)
    if SECOND and tl.program_id(1) * BLOCK >= first:
        tl.store(second + row * second_step + (c - first)[None, :], found, mask)


@triton.jit
def maxima(x, out, height, width, channels, RADIUS: tl.constexpr, BLOCK: tl.constexpr):
    """out[m] <- x[m] and its largest values within 1, 2 and 3 times RADIUS cells, channels side by side."""
    m, c = tl.program_id(0), tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    h, w = m // width % height, m % width
    inside = c < channels
    one = tl.load(x + m.to(tl.int64) * channels + c, inside, 0.0)
    near, middle, far = one, one, one
    for i in range(-3 * RADIUS, 3 * RADIUS + 1):
        for j in range(-3 * RADIUS, 3 * RADIUS + 1):
            within = (h + i >= 0) & (h + i < height) & (w + j >= 0) & (w + j < width)
            there = c < tl.where(within, channels, 0)
            other = tl.load(x + (m + i * width + j).to(tl.int64) * channels + c, there, float("-inf"))
            reach = tl.maximum(tl.maximum(i, -i), tl.maximum(j, -j))
            far = tl.maximum(far, other)
            middle = tl.where(reach <= 2 * RADIUS, tl.maximum(middle, other), middle)
            near = tl.where(reach <= RADIUS, tl.maximum(near, other), near)
    place = out + m.to(tl.int64) * 4 * channels + c
    tl.store(place, one, inside)
    tl.store(place + channels, near, inside)
    tl.store(place + 2 * channels, middle, inside)
    tl.store(place + 3 * channels, far, inside)

"""Sorting of many similarities: by their digits, whose time does not depend on the processor's own instructions.

NumPy's sort is quick on some processors and several times slower on others of the same instruction set.
"""

import numpy as np
from numpy.typing import NDArray

from msfp.compiled import kernel

DIGIT = 11  # bits: two tables of 2048 counts stay in the first cache
FEW = 4096  # below that the tables cost more than they save


def ascending(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """(N,) finite values as `np.sort` gives them; -0.0 may come before 0.0."""
    if values.dtype != np.float32 or len(values) < FEW:
        return np.sort(values)
    return _by_digits(np.ascontiguousarray(values).view(np.uint32)).view(np.float32)


@kernel
def _by_digits(bits: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Bits of floats in the floats' order: three passes over digits, the last digit first."""
    mask, sign = np.uint32(2**DIGIT - 1), np.uint32(2**31)
    counts = np.zeros((3, 2**DIGIT), np.int64)
    keys, other = np.empty_like(bits), np.empty_like(bits)
    for n in range(len(bits)):
        # As whole numbers, negative floats run backwards: turn them over, and put the others above.
        key = ~bits[n] if bits[n] & sign else bits[n] | sign
        keys[n] = key
        for turn in range(3):
            counts[turn, key >> np.uint32(turn * DIGIT) & mask] += 1
    for turn in range(3):
        place, shift, total = counts[turn], np.uint32(turn * DIGIT), np.int64(0)
        for digit in range(2**DIGIT):
            here = place[digit]
            place[digit] = total
            total += here
        for n in range(len(keys)):
            digit = keys[n] >> shift & mask
            other[place[digit]] = keys[n]
            place[digit] += 1
        keys, other = other, keys
    for n in range(len(keys)):
        keys[n] = keys[n] & ~sign if keys[n] & sign else ~keys[n]
    return keys

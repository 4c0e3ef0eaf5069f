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


def ascending_order(values: NDArray[np.floating]) -> NDArray[np.integer]:
    """(N,) places that sort finite values, as a stable `np.argsort` gives them but for -0.0, which may come first."""
    if values.dtype != np.float32 or len(values) < FEW:
        return np.argsort(values, kind="stable")
    return _order_by_digits(np.ascontiguousarray(values).view(np.uint32))


@kernel
def _key(bits: np.uint32) -> np.uint32:
    """A whole number in the float's order: negative floats run backwards and are turned over, the others put above."""
    sign = np.uint32(2**31)
    return ~bits if bits & sign else bits | sign


@kernel
def _digit_places(keys: NDArray[np.uint32]) -> NDArray[np.int64]:
    """(3, 2^DIGIT) where the keys with each digit begin, for the last digit, the one before and the first."""
    places = np.zeros((3, 2**DIGIT), np.int64)
    for key in keys:
        for turn in range(3):
            places[turn, key >> np.uint32(turn * DIGIT) & np.uint32(2**DIGIT - 1)] += 1
    for turn in range(3):
        total = np.int64(0)
        for digit in range(2**DIGIT):
            here = places[turn, digit]
            places[turn, digit] = total
            total += here
    return places


@kernel
def _by_digits(bits: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Bits of floats in the floats' order: three passes over digits, the last digit first."""
    sign, mask = np.uint32(2**31), np.uint32(2**DIGIT - 1)
    keys, other = np.empty_like(bits), np.empty_like(bits)
    for n in range(len(bits)):
        keys[n] = _key(bits[n])
    places = _digit_places(keys)
    for turn in range(3):
        place, shift = places[turn], np.uint32(turn * DIGIT)
        for n in range(len(keys)):
            digit = keys[n] >> shift & mask
            other[place[digit]] = keys[n]
            place[digit] += 1
        keys, other = other, keys
    for n in range(len(keys)):
        keys[n] = keys[n] & ~sign if keys[n] & sign else ~keys[n]
    return keys


@kernel
def _order_by_digits(bits: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Places of floats in the floats' order, equal ones as they stood."""
    mask = np.uint32(2**DIGIT - 1)
    keys, other = np.empty_like(bits), np.empty_like(bits)
    order, others = np.empty_like(bits), np.empty_like(bits)
    for n in range(len(bits)):
        keys[n], order[n] = _key(bits[n]), n
    places = _digit_places(keys)
    for turn in range(3):
        place, shift = places[turn], np.uint32(turn * DIGIT)
        for n in range(len(keys)):
            digit = keys[n] >> shift & mask
            other[place[digit]], others[place[digit]] = keys[n], order[n]
            place[digit] += 1
        keys, other, order, others = other, keys, others, order
    return order

"""Tables of plain decimals, read in one compiled pass: what nearly every file of these formats is.

A decimal of up to 15 digits is a whole number over a power of ten that are both exact in double precision, so that one
division rounds it as it should be. Whatever is written otherwise is left to a slower reader, mistakes too.
"""

import numpy as np
from numpy.typing import NDArray

from msfp.compiled import kernel

COMMA, MINUS, PLUS, DOT, NEWLINE, RETURN, ZERO, NINE = b",-+.\n\r09"
TENS: NDArray[np.float64] = np.array([float(10**k) for k in range(16)])
EXACT = 10**15  # whole numbers below it
MOST = 1000  # columns


def plain_table(data: bytes) -> tuple[NDArray[np.float64], NDArray[np.int64]] | None:
    """(N, C) values and (N,) line numbers from 1; empty lines are passed over.

    Returns:
        None: not a table of plain decimals, its rows of one width and its last line ended; or an empty one.
    """
    if not data.endswith(b"\n"):
        return None
    start = len(data) - len(data.lstrip(b"\r\n"))
    columns = data.count(b",", start, data.find(b"\n", start)) + 1
    if columns > MOST:
        return None
    lines = min(data.count(b"\n"), len(data) // (2 * columns))  # a field has a digit and an end
    values, line = np.empty((lines, columns)), np.empty(lines, np.int64)
    rows = _parse(np.frombuffer(data, np.uint8), values, line, TENS)
    return (values[:rows], line[:rows]) if rows > 0 else None


@kernel
def _parse(
    text: NDArray[np.uint8], values: NDArray[np.float64], line: NDArray[np.int64], tens: NDArray[np.float64]
) -> int:
    """Fill values and lines; the number of rows, or -1."""
    row, column, number = 0, 0, 1
    whole, digits, decimals, dotted, negative = 0, 0, 0, False, False
    at, start = 0, 0  # the byte, and its line's first one
    while at < len(text):
        byte = text[at]
        if ZERO <= byte <= NINE:
            whole, digits, decimals = 10 * whole + (byte - ZERO), digits + 1, decimals + dotted
            if whole >= EXACT or decimals >= len(tens):
                return -1
        elif byte == DOT:
            if dotted:
                return -1
            dotted = True
        elif byte in (MINUS, PLUS):
            if at and text[at - 1] not in (COMMA, NEWLINE):
                return -1
            negative = byte == MINUS
        else:
            empty = at == start and byte != COMMA
            if byte == RETURN:
                at += 1  # the last byte is a line's end
                byte = text[at]
                if byte != NEWLINE:
                    return -1
            if byte not in (COMMA, NEWLINE):
                return -1
            if not empty:
                last = column == values.shape[1] - 1
                if digits == 0 or last != (byte == NEWLINE):
                    return -1
                value = whole / tens[decimals]
                values[row, column] = -value if negative else value
                column += 1
            if byte == NEWLINE:
                if not empty:
                    line[row] = number
                    row += 1
                number, column, start = number + 1, 0, at + 1
            whole, digits, decimals, dotted, negative = 0, 0, 0, False, False
        at += 1
    return row

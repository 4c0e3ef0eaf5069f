"""Rows of comma-separated numbers, each row traceable to its line.

Every file of the MOTChallenge formats is such a table, and mostly one of plain decimals (`decimals`). Others are parsed
by pandas' C engine (exact rounding); what it does not say, namely where a file is wrong, is looked up only when it is.
"""

import io
import logging
import os
import re
from collections.abc import Sequence as Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msfp.datasets.decimals import plain_table
from msfp.errors import InputError

NUMBER = re.compile(rb"[ \t]*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?[ \t]*")
CHARACTERS = b"0123456789+-.eE, \t\r\n"
NEWLINE, COMMA, RETURN = 10, 44, 13
# Far beyond any image; what is larger is a slip, and would not fit the columns' types.
LARGEST = 1e9
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rows:
    """A table of finite numbers.

    Attributes:
        where: file (or archive member), for messages.
        values: (N, C) float64.
        line: (N,) int64, line of each row, from 1.
    """

    where: str
    values: NDArray[np.float64]
    line: NDArray[np.int64]

    def refuse(self, wrong: NDArray[np.bool_], what: str, remedy: str) -> None:
        """Raise for the first wrong row; `what` may hold `{0}`, `{1}`, ... for the row's columns.

        Args:
            wrong: (N,) bool.

        Raises:
            InputError: `file:line: what; remedy`, when any row is wrong.
        """
        if wrong.any():
            row = int(np.argmax(wrong))
            numbers = [f"{v:.10g}" for v in self.values[row]]
            more = int(wrong.sum()) - 1
            others = f" (and {more} more rows)" if more else ""
            raise InputError(f"{self.where}:{self.line[row]}: {what.format(*numbers)}{others}; {remedy}")


def read_rows(path: Path, columns: Sized[int], what: str) -> Rows:
    """Parse a file.

    Args:
        columns: the numbers of columns a file of this kind may have, one number for all its rows.
        what: what the file holds and which columns, for messages: `detections (frame, id, ...)`.

    Raises:
        InputError: no such file, not readable, or not such a table; names the line.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; {what} are read from it, so restore it or name another") from None
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise InputError(f"{path}: cannot be read ({reason}); make it a readable text file") from error
    return parse_rows(data, str(path), columns, what)


def parse_rows(data: bytes, where: str, columns: Sized[int], what: str) -> Rows:
    """Parse the bytes of a file; empty lines are passed over. Arguments and errors as `read_rows`."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    plain = plain_table(data)
    if plain is not None and plain[0].shape[1] in columns:
        return _in_range(Rows(where, *plain))
    line, commas = _structure(data)
    if not len(line):
        return Rows(where, np.empty((0, columns[0])), line)
    width = int(commas[0]) + 1
    if width not in columns or np.any(commas != commas[0]):
        width = width if width in columns else columns[0]
        _refuse_columns(data, where, line, commas + 1, width, columns, what)
    if data.translate(None, CHARACTERS) or _cut(data):
        _refuse_text(data, where)
    import pandas as pd  # 0.3 s, spared to those who read no file

    # pandas 3 reads floats exactly and warns of the option that earlier ones need for it.
    exact: dict[str, Any] = {} if int(pd.__version__.split(".")[0]) >= 3 else {"float_precision": "round_trip"}
    try:
        table = pd.read_csv(io.BytesIO(data), header=None, dtype=np.float64, na_filter=False, **exact)
    except (ValueError, OverflowError):
        _refuse_text(data, where)
        raise InputError(f"{where}: not a table of numbers; export it again as plain comma-separated text") from None
    rows = Rows(where, np.ascontiguousarray(table.to_numpy()), line)
    if len(rows.values) != len(line) or rows.values.shape[1] != width:
        raise InputError(f"{where}: its lines cannot be told apart; save it with plain line ends")
    if not data.endswith((b"\n", b"\r")):
        log.warning(
            "%s:%d: the last line has no line end; if the file was cut there, its last number is wrong", where, line[-1]
        )
    return _in_range(rows)


def _in_range(rows: Rows) -> Rows:
    """Itself, where no number is beyond `LARGEST`."""
    for column in np.flatnonzero((~(np.abs(rows.values) <= LARGEST)).any(axis=0)):
        wrong = ~(np.abs(rows.values[:, column]) <= LARGEST)
        rows.refuse(wrong, f"column {column + 1} is {{{column}}}", "numbers have to be finite and within +-1e9")
    return rows


def _structure(data: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Line number and number of commas of each line that is not empty."""
    text = np.frombuffer(data, np.uint8)
    end = np.flatnonzero(text == NEWLINE)
    if len(text) and text[-1] != NEWLINE:
        end = np.append(end, len(text))
    start = np.concatenate(([0], end[:-1] + 1))[: len(end)]
    length = end - start
    returned = (length > 0) & (text[np.maximum(end, 1) - 1] == RETURN) if len(end) else np.zeros(0, bool)
    commas = np.diff(np.searchsorted(np.flatnonzero(text == COMMA), end), prepend=0)
    filled = length - returned > 0
    return np.flatnonzero(filled).astype(np.int64) + 1, commas[filled].astype(np.int64)


def _cut(data: bytes) -> bool:
    """Whether the last line ends in the middle of a number."""
    return data[-1:] in (b"-", b"+", b".", b"e", b"E", b",")


def _refuse_columns(
    data: bytes,
    where: str,
    line: NDArray[np.int64],
    found: NDArray[np.int64],
    width: int,
    columns: Sized[int],
    what: str,
) -> None:
    row = int(np.argmax(found != width))
    asked = " or ".join(map(str, columns))
    if row == len(line) - 1 and row and found[row] < width and not data.endswith(b"\n"):
        raise InputError(
            f"{where}:{line[row]}: the last line is cut after {found[row]} of {width} columns; copy the file again"
        )
    rest = f", the rows before it {width}" if row else ""
    raise InputError(f"{where}:{line[row]}: {found[row]} columns{rest}; {what} have {asked}, separated by commas")


def _refuse_text(data: bytes, where: str) -> None:
    """Look for the first field that is not a number."""
    lines = data.split(b"\n")
    for number, text in enumerate(lines, 1):
        row = text.removesuffix(b"\r")
        if not row:
            continue
        last = number == len(lines)
        for column, value in enumerate(row.split(b","), 1):
            if NUMBER.fullmatch(value) and not (last and _cut(data)):
                continue
            if last and _cut(data):
                raise InputError(f"{where}:{number}: the last line is cut in the middle; copy the file again")
            shown = value[:40].decode("utf-8", "backslashreplace")
            raise InputError(f"{where}:{number}: column {column} is {shown!r}; numbers have to be finite decimals")

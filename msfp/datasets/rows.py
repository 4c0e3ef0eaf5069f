"""Rows of numbers, each traceable to its line: every file of the MOTChallenge formats is such a table.

Mostly it is one of plain decimals between commas (`decimals`), or one that pandas reads. Whatever else TrackEval reads
is brought to that form, or read line by line: other delimiters, line ends, encodings, quotes, rows of unequal length.
"""

import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msfp.datasets.decimals import MOST, plain_table
from msfp.datasets.text import plain_text
from msfp.errors import InputError

DELIMITERS = {b",": "commas", b"\t": "tabs", b";": "semicolons", b" ": "spaces", b":": "colons"}
"""In the order in which TrackEval prefers them where a line has several."""
SHORTEST = 7  # columns of a row that has its score; only a table all of whose rows have 6 may lack it
LARGEST_FRAME, LARGEST_ID, LARGEST = (
    10**9,
    2**31 - 2,
    10**15,
)  # what is larger is a slip, and would not fit the columns' types
BLOCK = 20_000  # lines converted at a time
FILLED = re.compile(rb"[^\n]+")
QUOTED = re.compile(rb"(['\"])([^'\"\n]*)\1")
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Rows:
    """A table of numbers.

    Attributes:
        where: file (or archive member), for messages.
        values: (N, C) float64; NaN where a row has fewer columns than the longest, and where NaN is written.
        line: (N,) int64, line of each row, from 1.
        strict: whether what is readable, but not as the format has it, is refused rather than told.
        told: what a person should know of the table; the reader passes it on.
    """

    where: str
    values: NDArray[np.float64]
    line: NDArray[np.int64]
    strict: bool = False
    told: list[str] = field(default_factory=list)

    def refuse(self, wrong: Bools, what: str, remedy: str) -> None:
        """Raise for the first wrong row; `what` may hold `{0}`, `{1}`, ... for the row's columns.

        Args:
            wrong: (N,) bool.

        Raises:
            InputError: `file:line: what; remedy`, when any row is wrong.
        """
        if wrong.any():
            row = int(np.argmax(wrong))
            numbers = [f"{v:.15g}" for v in self.values[row]]
            more = int(wrong.sum()) - 1
            others = f" (and {more} more rows)" if more else ""
            raise InputError(f"{self.where}:{self.line[row]}: {what.format(*numbers)}{others}; {remedy}")

    def tell(self, odd: Bools, what: str, remedy: str, done: str) -> None:
        """As `refuse` where `strict`; otherwise a remark that says of how many rows, and what is `done` with them."""
        if self.strict:
            self.refuse(odd, what, remedy)
        elif odd.any():
            row = int(np.argmax(odd))
            first = what.format(*(f"{v:.15g}" for v in self.values[row]))
            self.told.append(f"{int(odd.sum())} of {len(odd)} rows {done}: {first} (first: line {self.line[row]})")

    def form(self, text: str, *, quiet: bool = False) -> None:
        """As `tell`, of the whole table; where `quiet` only strictness minds."""
        if self.strict:
            raise InputError(f"{self.where}: {text}")
        if not quiet:
            self.told.append(text)

    def column(self, number: int, default: float) -> NDArray[np.float64]:
        """(N,) a column from 0; `default` where a row lacks it."""
        if number >= self.values.shape[1]:
            return np.full(len(self.values), default)
        found = self.values[:, number]
        return np.where(np.isnan(found), default, found)


def read_bytes(path: Path, what: str) -> bytes:
    """A file's bytes; `what` says what is read from it, for messages.

    Raises:
        InputError: no such file, or not readable.
    """
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; {what} are read from it, so restore it or name another") from None
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise InputError(f"{path}: cannot be read ({reason}); make it a readable text file") from error


def parse_rows(data: bytes, where: str, least: int, what: str, *, strict: bool = False) -> Rows:
    """Parse the bytes of a file; empty lines are passed over.

    Args:
        least: columns that a row has at least.
        what: what the file holds and which columns, for messages: `detections (frame, id, ...)`.
        strict: see `Rows`.

    Raises:
        InputError: not such a table; names the line, or what the file is instead.
    """
    plain = plain_table(data)
    if plain is not None and plain[0].shape[1] >= least:
        return _checked(Rows(where, *plain, strict=strict), data)
    text = plain_text(data, where)
    first = FILLED.search(text.lstrip())
    if first is None:
        return Rows(where, np.empty((0, least)), np.empty(0, np.int64), strict)
    delimiter = next((d for d in DELIMITERS if d in first.group().strip()), b",")
    ended = text.endswith(b"\n")
    if text[-1:] in (b"-", b"+", b".", b"e", b"E"):
        number = text.count(b"\n") + 1
        raise InputError(f"{where}:{number}: the last line is cut in the middle; copy the file again")
    text = _with_commas(text, delimiter)
    plain = (plain_table(text) if text is not data else None) or _regular_table(text)
    if plain is not None and plain[0].shape[1] >= least:
        rows = Rows(where, *plain, strict=strict)
    else:
        rows = _line_by_line(text, where, least, what, strict, ended)
    if delimiter != b",":
        rows.form(f"separated by {DELIMITERS[delimiter]}; the format has commas: save it with commas", quiet=True)
    if not ended:
        rows.told.append(
            f"line {rows.line[-1]}, the last, has no line end; if the file was cut there, its last number is wrong"
        )
    return _checked(rows, text)


def _with_commas(text: bytes, delimiter: bytes) -> bytes:
    """Numbers between single commas: no spaces around them, no quotes, no last delimiter, every line ended."""
    if b'"' in text or b"'" in text:
        text = QUOTED.sub(rb"\2", text)
    if not text.endswith(b"\n"):
        text += b"\n"
    blank = rb" +" if delimiter == b"\t" else rb"[ \t]+"
    if b" " in text or b"\t" in text:
        text = re.sub(blank, b" ", text).lstrip(b" ")
        for mark in (b"\n", delimiter) if delimiter != b" " else (b"\n",):
            text = text.replace(b" " + mark, mark).replace(mark + b" ", mark)
    if delimiter != b"," and b"," not in text:
        text = text.replace(delimiter, b",")
    return text.replace(b",\n", b"\n")


def _regular_table(text: bytes) -> tuple[NDArray[np.float64], NDArray[np.int64]] | None:
    """Values and line numbers of a table whose rows have one number of columns, by pandas' C engine (exact rounding).

    Returns:
        None: another table, or one that it does not read.
    """
    if text.count(b"\n") > len(text) // 4:  # hardly anything but empty lines, whose places alone fill the memory
        return None
    letters = np.frombuffer(text, np.uint8)
    end = np.flatnonzero(letters == ord("\n"))
    filled = np.diff(end, prepend=-1) > 1
    commas = np.diff(np.searchsorted(np.flatnonzero(letters == ord(",")), end), prepend=0)[filled]
    if not len(commas) or np.any(commas != commas[0]) or commas[0] >= MOST:
        return None
    import pandas as pd  # 0.3 s, spared to those who read no such file

    # pandas 3 reads floats exactly and warns of the option that earlier ones need for it.
    exact: dict[str, Any] = {} if int(pd.__version__.split(".")[0]) >= 3 else {"float_precision": "round_trip"}
    try:
        table = pd.read_csv(io.BytesIO(text), header=None, dtype=np.float64, na_filter=False, **exact)
    except (ValueError, OverflowError):
        return None
    if table.shape != (len(commas), commas[0] + 1):
        return None
    return np.ascontiguousarray(table.to_numpy()), np.flatnonzero(filled).astype(np.int64) + 1


def _line_by_line(text: bytes, where: str, least: int, what: str, strict: bool, ended: bool) -> Rows:
    """The slow way: any number Python reads, rows of unequal length, and the message for each slip."""
    blocks: list[NDArray[np.float64]] = []
    line, width = [], []
    right = b"\0" not in text
    for lines in _blocks(text):
        fields = [row.split(b",") for _, row in lines]
        count = np.array([len(f) for f in fields])
        line.append(np.array([n for n, _ in lines], np.int64))
        width.append(count)
        widest = int(count.max())
        right = right and widest <= MOST
        try:
            numbers = [[float(f) for f in row] + [np.nan] * (widest - len(row)) for row in fields] if right else []
        except ValueError:
            right = False
        if right:
            blocks.append(np.array(numbers))
    if not line:
        raise InputError(f"{where}: not a table of numbers; export it again as plain comma-separated text")
    columns, numbered = np.concatenate(width), np.concatenate(line)
    last = None if ended else int(numbered[-1])
    if columns.max() <= MOST:
        _refuse_text(text, where, right)
    _refuse_columns(where, numbered, columns, least, what, last)
    values = np.full((len(numbered), columns.max()), np.nan)
    start = 0
    for block in blocks:
        values[start : start + len(block), : block.shape[1]] = block
        start += len(block)
    rows = Rows(where, values, numbered, strict)
    if columns.min() != columns.max():
        rows.form(f"rows of {columns.min()} to {columns.max()} columns; the format has one number of columns for all")
    return rows


def _blocks(text: bytes) -> Iterator[list[tuple[int, bytes]]]:
    """Lines that are not empty with their numbers from 1, `BLOCK` at a time."""
    block, number, counted = [], 1, 0
    for found in FILLED.finditer(text):
        number += text.count(b"\n", counted, found.start())
        counted = found.start()
        block.append((number, found.group()[: 40 * MOST]))
        if len(block) == BLOCK:
            yield block
            block = []
    if block:
        yield block


def _checked(rows: Rows, text: bytes) -> Rows:
    """Itself, where frame, id and box are numbers that can be; ids too large for their type are numbered anew."""
    largest = np.array([LARGEST_FRAME, np.finfo(float).max, *[LARGEST] * 4])
    values = rows.values[:, :6]
    right = np.abs(values) <= largest  # not NaN
    for column in () if right.all() else np.flatnonzero(~right.all(axis=0)):
        limit = f" and within +-{largest[column]:g}" if column != 1 else ""
        rows.refuse(~right[:, column], f"column {column + 1} is {{{column}}}", f"numbers have to be finite{limit}")
    large = values[:, 1] > LARGEST_ID
    if large.any():
        what, done = "id {1}", "have an id of more than 31 bits, and all ids are numbered anew from 1"
        rows.tell(large, what, f"ids are whole numbers up to {LARGEST_ID}", done)
        # Time stamps in nanoseconds have more digits than double precision holds: they are compared as written.
        written = [int(Decimal(row.split(b",")[1].decode())) for block in _blocks(text) for _, row in block]
        rows.values[:, 1] = np.unique(np.array(written, object), return_inverse=True)[1].reshape(-1) + 1
    return rows


def _refuse_columns(
    where: str, line: NDArray[np.int64], found: NDArray[np.int64], least: int, what: str, last: int | None
) -> None:
    """Raise for the first row that has too few columns, or far too many."""
    wrong = (found < (max(least, SHORTEST) if found.max() >= SHORTEST else least)) | (found > MOST)
    if not wrong.any():
        return
    row = int(np.argmax(wrong))
    if line[row] == last and row:
        raise InputError(
            f"{where}:{last}: the last line is cut after {found[row]} of {found[0]} columns; copy the file again"
        )
    rest = f", the rows before it {found[0]}" if row and found[0] != found[row] else ""
    raise InputError(f"{where}:{line[row]}: {found[row]} columns{rest}; {what} have at least {least}")


def _refuse_text(text: bytes, where: str, right: bool) -> None:
    """Raise for the first field that is no number; nothing to look for where all are `right`."""
    for lines in () if right else _blocks(text):
        for number, row in lines:
            for column, value in enumerate(row.split(b","), 1):
                if _is_number(value):
                    continue
                shown = value[:40].decode("utf-8", "backslashreplace")
                raise InputError(f"{where}:{number}: column {column} is {shown!r}; {_remedy(value, number)}")


def _is_number(value: bytes) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _remedy(value: bytes, line: int) -> str:
    if b";" in value:
        return "decimals are written with a point: replace the commas in them"
    if line == 1 and re.fullmatch(rb"[#\w ]*[A-Za-z][\w ]*", value):
        return "the table begins with its first row: remove the heads"
    return "numbers have to be finite decimals"

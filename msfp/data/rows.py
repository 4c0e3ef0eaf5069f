"""Tables of numbers, each row traceable to its line: every file of the MOTChallenge formats is one.

Arrow reads a table of comma-separated numbers. Whatever else TrackEval reads is brought to that form, or read line by
line: other delimiters, line ends, encodings, quotes, rows of unequal length.
"""

import array
import codecs
import os
import re
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msfp.errors import InputError

DELIMITERS = {b",": "commas", b"\t": "tabs", b";": "semicolons", b" ": "spaces", b":": "colons"}
"""In the order in which TrackEval prefers them where a line has several."""
SHORTEST = 7  # columns of a row that has its score; only a table all of whose rows have 6 may lack it
MOST = 1000  # columns
LARGEST_FRAME, LARGEST_ID, LARGEST = 10**9, 2**31 - 2, 10**15  # beyond is a slip, and would not fit the columns' types
FILLED = re.compile(rb"[^\n]+")
QUOTED = re.compile(rb"(['\"])([^'\"\n]*)\1")
ENCODINGS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
OTHER_KINDS = (
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself; fetch it with `git lfs pull`"),
    (b"PK\x03\x04", "a zip archive; unpack it"),
    (b"\x1f\x8b", "a gzip archive; unpack it"),
    (b"<", "a web page or XML, as a failed download leaves; fetch the file again"),
    (b"{", "JSON; export it as MOTChallenge text"),
)
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Rows:
    """A table of numbers."""

    where: str  # file (or archive member), for messages
    values: Floats  # (N, C) float64; NaN where a row has fewer columns than the longest, and where NaN is written
    text: bytes  # a row a line, and empty lines
    strict: bool = False  # refuse what is readable, but not as the format has it, rather than note it
    told: list[str] = field(default_factory=list)  # notes on the table for the user; the reader passes them on

    def refuse(self, wrong: Bools, what: str, remedy: str) -> None:
        """Raise `file:line: what; remedy` for the first wrong row; `what` may hold `{0}`, ... for its columns."""
        if wrong.any():
            row, text = self._first(wrong, what)
            more = int(wrong.sum()) - 1
            others = f" (and {more} more rows)" if more else ""
            raise InputError(f"{self.where}:{self.line(row)}: {text}{others}; {remedy}")

    def tell(self, odd: Bools, what: str, remedy: str, done: str) -> None:
        """Refuse where `strict`; otherwise note how many rows are odd and what is `done` with them."""
        if self.strict:
            self.refuse(odd, what, remedy)
        elif odd.any():
            row, text = self._first(odd, what)
            self.told.append(f"{int(odd.sum())} of {len(odd)} rows {done}: {text} (first: line {self.line(row)})")

    def _first(self, marked: Bools, what: str) -> tuple[int, str]:
        row = int(np.argmax(marked))
        return row, what.format(*(f"{v:.15g}" for v in self.values[row]))

    def form(self, text: str, *, quiet: bool = False) -> None:
        """Refuse the whole table where `strict`; otherwise note the text, unless `quiet`."""
        if self.strict:
            raise InputError(f"{self.where}: {text}")
        if not quiet:
            self.told.append(text)

    def line(self, row: int) -> int:
        """Line of a row in the file, from 1."""
        found = next(islice(FILLED.finditer(self.text), row, None))
        return self.text.count(b"\n", 0, found.start()) + 1

    def column(self, number: int, default: float) -> Floats:
        """(N,) a column from 0; `default` where a row lacks it."""
        if number >= self.values.shape[1]:
            return np.full(len(self.values), default)
        found = self.values[:, number]
        return np.where(np.isnan(found), default, found)


def read_bytes(path: Path, what: str) -> bytes:
    """A file's bytes; `what` names its content in the message where they cannot be read."""
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; {what} are read from it, so restore it or name another") from None
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise InputError(f"{path}: cannot be read ({reason}); make it a readable text file") from error


def plain_text(data: bytes, where: str) -> bytes:
    """The text as UTF-8 without a byte order mark, each line ended by a line feed whatever ended it before.

    InputError: a file of another kind, named; text in UTF-16 or UTF-32 that is damaged.
    """
    encoding = next((name for mark, name in ENCODINGS if data.startswith(mark)), "")
    if not encoding:  # without a mark, the places of the zeros tell UTF-16
        even, odd = data[0:256:2], data[1:256:2]
        if 2 * odd.count(0) > len(odd) and not even.count(0):
            encoding = "utf-16-le"
        elif 2 * even.count(0) > len(even) and not odd.count(0):
            encoding = "utf-16-be"
    if encoding:
        try:
            data = data.decode(encoding).encode()
        except UnicodeError:
            raise InputError(f"{where}: text in {encoding.upper()} that is damaged; save it again as UTF-8") from None
    start = data[:64].lstrip()
    for beginning, what in OTHER_KINDS:
        if start.startswith(beginning):
            raise InputError(f"{where}: is {what}")
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in data else data


def parse_rows(data: bytes, where: str, least: int, what: str, *, strict: bool = False) -> Rows:
    """Parse the bytes of a file; empty lines are passed over.

    A row has `least` columns or more; `what` names content and columns in messages: `detections (frame, id, ...)`.
    InputError: not such a table; names the line, or what the file is instead.
    """
    text = plain_text(data, where)
    first = FILLED.search(text.lstrip())
    if first is None:
        return Rows(where, np.empty((0, least)), b"", strict)
    delimiter = next((d for d in DELIMITERS if d in first.group().strip()), b",")
    ended = text.endswith(b"\n")
    if text[-1:] in (b"-", b"+", b".", b"e", b"E"):
        number = text.count(b"\n") + 1
        raise InputError(f"{where}:{number}: the last line is cut in the middle; copy the file again")
    text = _with_commas(text, delimiter)
    values = _regular_table(text)
    rows = Rows(where, np.empty((0, 0)) if values is None else values, text, strict)
    if rows.values.shape[1] < least:
        rows = _line_by_line(rows, least, what, ended)
    if delimiter != b",":
        rows.form(f"separated by {DELIMITERS[delimiter]}; the format has commas: save it with commas", quiet=True)
    if not ended:
        last = rows.line(len(rows.values) - 1)
        rows.told.append(f"line {last}, the last, has no line end; if the file was cut there, its last number is wrong")
    _check_numbers(rows)
    return rows


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


def _regular_table(text: bytes) -> Floats | None:
    """Values of a table whose rows have one number of columns; None: another table."""
    first = FILLED.search(text)
    columns = first.group().count(b",") + 1 if first else 0
    if not 0 < columns <= MOST:
        return None
    import pyarrow as pa
    from pyarrow import csv

    types: Any = csv.ConvertOptions(column_types={f"f{k}": pa.float64() for k in range(columns)}, null_values=[])
    options = csv.ReadOptions(autogenerate_column_names=True, use_threads=False)
    try:
        table = csv.read_csv(pa.py_buffer(text), options, csv.ParseOptions(quote_char=False), types)
    except pa.ArrowInvalid:
        return None
    if table.num_columns != columns:  # it saw another first line, as after a second byte order mark
        return None
    return np.column_stack([column.to_numpy() for column in table.columns])


def _line_by_line(rows: Rows, least: int, what: str, ended: bool) -> Rows:
    """The slow way: any number Python reads, rows of unequal length, and the message for each slip."""
    where, lines = rows.where, FILLED.findall(rows.text)
    if not lines:
        raise InputError(f"{where}: not a table of numbers; export it again as plain comma-separated text")
    found = np.array([line.count(b",") for line in lines]) + 1
    flat = array.array("d")
    for at, line in enumerate(lines if found.max() <= MOST else ()):
        for column, value in enumerate(line.split(b","), 1):
            try:
                flat.append(float(value))
            except ValueError:
                shown, number = value[:40].decode("utf-8", "backslashreplace"), rows.line(at)
                raise InputError(f"{where}:{number}: column {column} is {shown!r}; {_remedy(value, number)}") from None
    wrong = (found < (max(least, SHORTEST) if found.max() >= SHORTEST else least)) | (found > MOST)
    if wrong.any():
        at = int(np.argmax(wrong))
        place = f"{where}:{rows.line(at)}"
        if at and at == len(found) - 1 and not ended:
            raise InputError(
                f"{place}: the last line is cut after {found[at]} of {found[0]} columns; copy the file again"
            )
        rest = f", the rows before it {found[0]}" if at and found[0] != found[at] else ""
        raise InputError(f"{place}: {found[at]} columns{rest}; {what} have at least {least}")
    values = np.full((len(found), found.max()), np.nan)
    values[np.arange(found.max()) < found[:, None]] = flat
    rows = replace(rows, values=values)
    if found.min() != found.max():
        rows.form(f"rows of {found.min()} to {found.max()} columns; the format has one number of columns for all")
    return rows


def _remedy(value: bytes, line: int) -> str:
    if b";" in value:
        return "decimals are written with a point: replace the commas in them"
    if line == 1 and re.fullmatch(rb"[#\w ]*[A-Za-z][\w ]*", value):
        return "the table begins with its first row: remove the heads"
    return "numbers have to be finite decimals"


def _check_numbers(rows: Rows) -> None:
    """Refuse frames, ids and boxes that are no possible numbers; number ids too large for their type anew."""
    largest = np.array([LARGEST_FRAME, np.finfo(float).max, *[LARGEST] * 4])
    values = rows.values[:, :6]
    right = np.abs(values) <= largest  # not NaN
    for column in () if right.all() else np.flatnonzero(~right.all(axis=0)):
        limit = f" and within +-{largest[column]:g}" if column != 1 else ""
        rows.refuse(~right[:, column], f"column {column + 1} is {{{column}}}", f"numbers have to be finite{limit}")
    large = values[:, 1] > LARGEST_ID
    if large.any():
        done = "have an id of more than 31 bits, and all ids are numbered anew from 1"
        rows.tell(large, "id {1}", f"ids are whole numbers up to {LARGEST_ID}", done)
        # Time stamps in nanoseconds have more digits than double precision holds: they are compared as written.
        written = [int(Decimal(row.split(b",")[1].decode())) for row in FILLED.findall(rows.text)]
        rows.values[:, 1] = np.unique(np.array(written, object), return_inverse=True)[1].reshape(-1) + 1

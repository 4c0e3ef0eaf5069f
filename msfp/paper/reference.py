"""The paper's numbers, from their one home `reference.csv`, and what is published elsewhere on the same cell."""

import csv
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING

from msfp.errors import InputError
from msfp.paper.registry import EXTRA

if TYPE_CHECKING:
    import pandas as pd

HERE = MappingProxyType({"LITE": "LITE (trained 64-d)"})
"""Rows of the paper that go by another name here: its LITE has an embedding of width 64, which must have been trained,
while LITE's authors train none."""
_NUMBER = re.compile(r"^[+-]?\d+(\.\d+)?(K?)$")


@dataclass(frozen=True)
class Entry:
    """One entry of a table of the paper.

    Attributes:
        table: 1 to 24.
        order: place in the table, row by row, from 1.
        group: heading under which the row stands, empty where there is none.
        row, column: labels, as in `types.Cell`; rows as they are called `HERE`.
        printed: the text of the cell without its spread: `63.2`, `8.3K`, `+1.9`, `Manual`.
        value: the number (`8.3K` is 8300), or `printed` for words.
        std: spread over the paper's runs.
        unit: `%`, `ms` or empty.
        private: obtained with private detections (the paper's dagger).
        published: the value published elsewhere for this method, None where we know none.
        published_source: where, and under which conditions.
        remark: what to know before comparing with it.
        decimals, std_decimals: digits behind the point, as printed.
    """

    table: int
    order: int
    group: str
    row: str
    column: str
    printed: str
    value: float | str
    std: float | None
    unit: str
    private: bool
    published: float | None
    published_source: str
    remark: str
    decimals: int
    std_decimals: int


@cache
def load() -> tuple[Entry, ...]:
    """All entries, by table and order."""
    text = (files("msfp.paper") / "reference.csv").read_text(encoding="utf-8")
    return tuple(_entry(row) for row in csv.DictReader(text.splitlines()))


@cache
def table(number: int) -> tuple[Entry, ...]:
    """Entries of one table; none of an extra one, which the paper does not have.

    Raises:
        InputError: no such table.
    """
    if number > EXTRA:
        return ()
    found = tuple(e for e in load() if e.table == number)
    if not found:
        raise InputError(f"table {number}: the paper has tables 1 to {max(e.table for e in load())}")
    return found


def frame(number: int) -> "pd.DataFrame":
    """The paper's table: row, column, value (a number or text) as printed there.

    Raises:
        InputError: no such table.
    """
    import pandas as pd

    return pd.DataFrame([{"row": e.row, "column": e.column, "value": e.value} for e in table(number)])


@cache
def rows(number: int) -> tuple[str, ...]:
    """Row labels in the paper's order."""
    return tuple(dict.fromkeys(e.row for e in table(number)))


@cache
def columns(number: int) -> tuple[str, ...]:
    """Column labels in the paper's order, without that of the row labels."""
    return tuple(dict.fromkeys(e.column for e in table(number)))


@cache
def _index(number: int) -> dict[tuple[str, str], Entry]:
    return {(e.row, e.column): e for e in table(number)}


def lookup(number: int, row: str, column: str) -> Entry | None:
    """The paper's entry, None where the paper has none; the row as the paper calls it or as it is called `HERE`."""
    return _index(number).get((here(row), column))


def here(row: str) -> str:
    """Name of a row of the paper in this suite's tables."""
    return HERE.get(row, row)


def number(text: str) -> float | None:
    """`63.2`, `+1.9`, `8.3K` as a number; None for words and dashes."""
    if not _NUMBER.match(text):
        return None
    return round(float(text[:-1]) * 1000, 6) if text.endswith("K") else float(text)


def _decimals(text: str) -> int:
    return 0 if text.endswith("K") else len(text.partition(".")[2])


def _entry(row: dict[str, str]) -> Entry:
    value = number(row["value"])
    return Entry(
        table=int(row["table"]),
        order=int(row["order"]),
        group=row["group"],
        row=here(row["row"]),
        column=row["column"],
        printed=row["value"],
        value=row["value"] if value is None else value,
        std=float(row["std"]) if row["std"] else None,
        unit=row["unit"],
        private=row["private"] == "yes",
        published=float(row["published"]) if row["published"] else None,
        published_source=row["published_source"],
        remark=row["remark"],
        decimals=0 if value is None else _decimals(row["value"]),
        std_decimals=_decimals(row["std"]),
    )

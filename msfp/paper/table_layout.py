"""A table as it is laid out: the paper's rows and columns, ours after them, with everything a writer prints as text."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from msfp.paper import columns as col
from msfp.paper import reference
from msfp.paper.registry import artefact

SEPARATOR = " · "
"""In a row's label between the method and the part it was measured on: `MSFP-Track · SDP`."""

REMARKS = " // "
"""Between two remarks on one entry of the paper."""

OURS = "Rows the paper does not have"

NOT_MEASURED = "only the paper's value, not measured here"
"""Reason of a cell that nobody computed; it needs no note, as such cells say "(paper)"."""


@dataclass(frozen=True)
class CellText:
    """One cell as text.

    Attributes:
        text: what stands in the cell, of whatever source.
        std: spread of a measured value, without sign.
        paper: the paper's value with spread and dagger; empty where it has none.
        difference: measured less paper, signed.
        published: the value published elsewhere, where it is not the cell's own.
        source: as in `types.Cell`.
        rank: 1 best, 2 second, 0 otherwise.
        note: number of its reason among the sheet's notes, 0 for none.
        remarks: numbers among the sheet's remarks.
        facts: all that is known about the cell, (what, value); first its place.
        numbers: (`measured`, `paper`, `difference`) -> what a table is sorted by, as far as there is one.
    """

    text: str
    std: str = ""
    paper: str = ""
    difference: str = ""
    published: str = ""
    source: str = "measured"
    rank: int = 0
    note: int = 0
    remarks: tuple[int, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    numbers: tuple[tuple[str, str], ...] = ()

    @property
    def hover(self) -> str:
        """The facts, a line each."""
        return "\n".join(f"{what}: {value}" for what, value in self.facts)


@dataclass(frozen=True)
class Line:
    """One row: its label within its group, and its cells (None where there is nothing)."""

    row: str
    label: str
    group: str
    cells: tuple[CellText | None, ...]


@dataclass(frozen=True)
class TableLayout:
    """A whole table; notes are reasons of cells without value, remarks concern the paper's numbers."""

    id: str
    name: str
    title: str
    caption: str
    stub: str
    columns: tuple[str, ...]
    arrows: tuple[str, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...]
    remarks: tuple[str, ...]


def lay_out(frame: pd.DataFrame, number: int) -> TableLayout:
    """A sheet from the tidy frame of `render.merge`."""
    one = artefact("table", number)
    labels = tuple(dict.fromkeys(frame["column"]))
    digits = {c: _digits(frame, number, c) for c in labels}
    ranks = ranked(frame, number, digits)
    notes = tuple(dict.fromkeys(r for r in frame["reason"] if r and r != NOT_MEASURED))
    remarks = tuple(dict.fromkeys(part for text in frame["remark"] for part in text.split(REMARKS) if part))
    lines = []
    for row, cells in frame.groupby("row", sort=False):
        by_column: dict[str, dict[Any, Any]] = {r["column"]: r for r in cells.to_dict("records")}
        found = []
        for c in labels:
            record = by_column.get(c)
            rank = ranks.get((str(row), c), 0)
            found.append(None if record is None else _shown(record, digits[c], rank, notes, remarks))
        first = next(iter(by_column.values()))
        label = str(row).partition(SEPARATOR)[0] if first["group"] == part_of(str(row)) else str(row)
        lines.append(Line(str(row), label, first["group"], tuple(found)))
    arrows = tuple(col.ARROWS[col.direction(number, c)] for c in labels)
    return TableLayout(one.id, one.name, one.title, one.caption, one.stub, labels, arrows, tuple(lines), notes, remarks)


def part_of(row: str) -> str:
    """What a row was measured on, by its label: `MSFP-Track · SDP` -> `SDP`; empty for the whole."""
    return row.partition(SEPARATOR)[2]


def ranked(frame: pd.DataFrame, number: int, digits: dict[str, int]) -> dict[tuple[str, str], int]:
    """Best (1) and second (2) of each column, among measured rows that the paper has.

    Rows measured on a part of the data are ranked among themselves. Values that print alike share a rank; two
    rows at least make a best one, three a second.
    """
    in_paper = set(reference.rows(number)) - set(col.UNRANKED_ROWS)
    pools: dict[tuple[str, str], list[tuple[float, str]]] = {}
    for record in frame[frame["source"] == "measured"].to_dict("records"):
        better = col.direction(number, record["column"])
        base, part = record["row"].partition(SEPARATOR)[0], part_of(record["row"])
        if better == col.NEITHER or base not in in_paper or not isinstance(record["measured"], (int, float)):
            continue
        value = better * float(col.fixed(record["measured"], digits[record["column"]]))
        pools.setdefault((record["column"], part), []).append((value, record["row"]))
    found = {}
    for (column, _), pool in pools.items():
        levels = sorted({value for value, _ in pool}, reverse=True)
        for value, row in pool:
            place = levels.index(value) + 1
            if place < len(pool) and place <= 2 and len(levels) > 1:
                found[row, column] = place
    return found


def _digits(frame: pd.DataFrame, number: int, column: str) -> int:
    cells = frame[frame["column"] == column]
    values = [v for v in cells["measured"] if isinstance(v, (int, float))]
    return col.decimals(number, column, values, next((u for u in cells["unit"] if u), ""))


def _shown(record: dict[Any, Any], digits: int, rank: int, notes: Sequence[str], remarks: Sequence[str]) -> CellText:
    source, measured = record["source"], record["measured"]
    paper = _paper_text(record)
    if isinstance(measured, str) and measured == paper:
        paper = "same"
    if source == "measured":
        text = _text(measured, digits, record["signed"])
    elif source == "paper":
        text = paper
    elif source == "published":
        text = _text(record["published"], digits, False)
    else:
        text = str(source)
    marks = tuple(remarks.index(part) + 1 for part in record["remark"].split(REMARKS) if part)
    return CellText(
        text=text,
        std=_spread(record["std"], max(digits, record["std_decimals"])),
        paper="" if source == "paper" else paper,
        difference=col.fixed(record["difference"], digits, signed=True) if _is(record["difference"]) else "",
        published=_text(record["published"], digits, False)
        if source != "published" and _is(record["published"])
        else "",
        source=source,
        rank=rank,
        note=notes.index(record["reason"]) + 1 if record["reason"] in notes else 0,
        remarks=marks,
        facts=_facts(record),
        numbers=_numbers(record),
    )


def _is(value: object) -> bool:
    return value is not None and not (isinstance(value, float) and value != value)


def _text(value: object, digits: int, signed: bool) -> str:
    return col.fixed(float(value), digits, signed) if isinstance(value, (int, float)) else str(value)


def _spread(std: float | None, digits: int) -> str:
    """A spread; one that would print as zero gets a digit more."""
    if not _is(std):
        return ""
    text = f"{std:.{digits}f}"
    return f"{std:.{digits + 1}f}" if std and not float(text) else text


def _paper_text(record: dict[Any, Any]) -> str:
    if not record["paper_printed"]:
        return ""
    spread = f" ±{record['paper_std_printed']}" if record["paper_std_printed"] else ""
    return record["paper_printed"] + spread + ("†" if record["private"] else "")


def _facts(record: dict[Any, Any]) -> tuple[tuple[str, str], ...]:
    unit = f" {record['unit']}" if record["unit"] else ""
    facts = [("cell", f"{record['row']} / {record['column']}"), ("source", str(record["source"]))]
    if record["source"] == "measured":
        exact = f"{record['measured']:.6g}" if isinstance(record["measured"], float) else str(record["measured"])
        spread = f" ± {record['std']:.3g}" if _is(record["std"]) else ""
        facts.append(("measured", f"{exact}{spread}{unit}"))
    if record["paper_printed"]:
        facts.append(("paper", f"{_paper_text(record)}{unit}"))
    if _is(record["difference"]):
        facts.append(("measured − paper", f"{record['difference']:+.4g}{unit}".replace("-", "−")))
    if _is(record["published"]):
        facts.append(("published", f"{record['published']:g} ({record['published_source']})"))
    facts += [("reason", record["reason"])] if record["reason"] else []
    facts += [(key, str(value)) for key, value in sorted(record["detail"].items())]
    facts += [("remark", remark) for remark in record["remark"].split(REMARKS) if remark]
    return tuple(facts)


def _numbers(record: dict[Any, Any]) -> tuple[tuple[str, str], ...]:
    found = {name: record[name] for name in ("measured", "paper", "difference") if _is(record[name])}
    return tuple((name, f"{value:.10g}" if isinstance(value, float) else str(value)) for name, value in found.items())

"""From cells to tables: ours beside the paper's and what is published elsewhere, as frames and as files."""

from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from msfp.engine.files import atomic_write
from msfp.engine.html import csv_frame
from msfp.errors import InputError
from msfp.paper import registry
from msfp.paper.cells import write_cells
from msfp.paper.latex import latex
from msfp.paper.layout import NOT_MEASURED, OURS, SEPARATOR, TableLayout, lay_out, markdown, part_of, sheet_html
from msfp.types import Cell

Place = tuple[str, str]
"""Row and column of a cell."""

TIDY = (
    "row", "column", "measured", "std", "paper", "paper_std", "difference", "published", "published_source", "source",
    "reason", "unit", "detail", "group", "private", "remark",
)  # fmt: skip


def merge(cells: Iterable[Cell], table: int, beside: bool = True) -> pd.DataFrame:
    """Cells beside the paper's entries, one line a cell; without `beside` the cells alone.

    Lines come in the paper's order; what the paper does not have follows: our rows, then rows measured on a part
    (`MSFP-Track · SDP`) grouped by part. Columns are those of `TIDY`: `measured` and `std` are ours only; `paper`,
    `paper_std` the paper's; `difference` is measured less paper, absent where either is no number or where the paper
    used private detections; `published` is known from elsewhere. The three are never mixed.

    Raises:
        InputError: no such table, or two cells for one row and column.
    """
    return _joined(cells, table, beside)[list(TIDY)]


def sheet(cells: Iterable[Cell], table: int, beside: bool = True) -> TableLayout:
    """The table laid out in the paper's shape, every entry as text; without `beside` no value of the paper."""
    return lay_out(_joined(cells, table, beside), table, beside)


def html(cells: Iterable[Cell], table: int, beside: bool = True) -> str:
    """An HTML fragment with its style sheet: per cell measured, paper, difference; all known about it on hover."""
    css = (files("msfp.paper") / "sheet.css").read_text(encoding="utf-8")
    return f"<style>{css}</style>\n{sheet_html(sheet(cells, table, beside))}"


def write_table(
    folder: Path, table: int, cells: Iterable[Cell], note: str = "", beside: bool = True
) -> tuple[Path, ...]:
    """Write `tableNN.json` (the cells), `.csv` (tidy), `.md` and `.tex` (the paper's shape).

    `note`: in the caption; `beside`: with the paper's values.

    Raises:
        InputError: no such table, two cells for one place, or a value that is not finite.
        MsfpError: the folder cannot be written.
    """
    kept = list(cells)
    laid = sheet(kept, table, beside)
    texts = {"csv": tidy_csv(merge(kept, table, beside)), "md": markdown(laid, note), "tex": latex(laid, note)}
    written = [write_cells(folder / f"{laid.made.id}.json", kept)]
    for form, text in texts.items():
        written.append(folder / f"{laid.made.id}.{form}")
        atomic_write(written[-1], text.encode())
    return tuple(written)


def tidy_csv(frame: pd.DataFrame) -> str:
    """The tidy frame as CSV: floats with six significant digits, `detail` as `key=value; key=value`."""
    out = frame.copy()
    out["detail"] = ["; ".join(f"{k}={v}" for k, v in sorted(d.items())) for d in frame["detail"]]
    out["private"] = ["yes" if p else "" for p in frame["private"]]
    for name in ("measured", "std", "paper", "paper_std", "difference", "published"):
        out[name] = list(map(csv_text, frame[name]))
    return csv_frame(out)


def csv_text(value: Any) -> str:
    """A number with six significant digits, a text as it is; nothing for a value that is missing."""
    return "" if pd.isna(value) else f"{value:.6g}" if isinstance(value, float) else str(value)


def _joined(cells: Iterable[Cell], table: int, beside: bool) -> pd.DataFrame:
    """The tidy frame with the paper's `entry`."""
    ours: dict[Place, Cell] = {}
    for cell in cells:
        if (cell.row, cell.column) in ours:
            raise InputError(f"table {table}: two cells for row {cell.row!r}, column {cell.column!r}; keep one")
        ours[cell.row, cell.column] = cell
    records = [_record(ours.get(key), entry, key, table) for key, entry in _places(ours, table, beside)]
    frame = pd.DataFrame(records, columns=[*TIDY, "entry"], dtype=object)
    numbers = ["std", "paper_std", "difference", "published"]
    frame[numbers] = frame[numbers].astype(float)
    return frame


def _places(ours: Mapping[Place, Cell], table: int, beside: bool) -> list[tuple[Place, registry.Entry | None]]:
    """(row, column) of every line, in order, with the paper's entry."""
    columns = list(dict.fromkeys([*registry.columns(table), *(c for _, c in ours)]))
    known = registry.rows(table)
    extra = [row for row in dict.fromkeys(r for r, _ in ours) if row not in known]
    parts = list(dict.fromkeys(part_of(row) for row in extra))
    extra.sort(key=lambda row: (part_of(row) != "", parts.index(part_of(row))))
    every = [(row, column) for row in [*known, *extra] for column in columns]
    entries = [(key, registry.lookup(table, *key) if beside else None) for key in every]
    return [(key, entry) for key, entry in entries if entry or key in ours]


def _group(row: str, table: int) -> str:
    """Heading under which a row stands: the paper's, else the part of the data, else ours."""
    if row in registry.rows(table):
        return next(e.group for e in registry.table(table) if e.row == row)
    if SEPARATOR in row:
        return part_of(row)
    return OURS if registry.rows(table) else ""


def _record(cell: Cell | None, entry: registry.Entry | None, key: tuple[str, str], table: int) -> dict[str, Any]:
    """One line of the tidy frame."""
    source = cell.source if cell else "paper"
    value, std = ((v.item() if isinstance(v, np.generic) else v) for v in ((cell.value, cell.std) if cell else (0, 0)))
    measured = value if source == "measured" else None
    paper = entry.value if entry else (value if source == "paper" else None)
    quoted = source == "published" and isinstance(value, (int, float))
    comparable = isinstance(measured, (int, float)) and isinstance(paper, float) and not (entry and entry.private)
    return {
        "row": key[0],
        "column": key[1],
        "measured": measured,
        "std": std if source == "measured" else None,
        "paper": paper,
        "paper_std": entry.std if entry else None,
        "difference": measured - paper if comparable else None,  # type: ignore[operator]
        "published": value if quoted else entry.published if entry else None,
        "published_source": entry.published_source if entry else "",
        "source": source,
        "reason": cell.reason if cell else NOT_MEASURED,
        "unit": (cell.unit if cell else "") or (entry.unit if entry else ""),
        "detail": dict(cell.detail) if cell else {},
        "group": _group(key[0], table),
        "private": bool(entry and entry.private),
        "remark": entry.remark if entry else "",
        "entry": entry,
    }

"""A laid-out table as CSV, Markdown, HTML and text of a terminal, and as files."""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from itertools import groupby, zip_longest
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import pandas as pd

from msfp.engine.files import atomic_write
from msfp.engine.html import csv_frame
from msfp.paper.cells import write_cells
from msfp.paper.latex import latex, spaced, templates
from msfp.paper.layout import ALONE, CellText, Line, TableLayout, merge, sheet
from msfp.types import Cell

if TYPE_CHECKING:
    from jinja2 import Environment


def write_table(
    folder: Path, table: int, cells: Iterable[Cell], note: str = "", beside: bool = True
) -> tuple[Path, ...]:
    """Write `tableNN.json` (the cells), `.csv` (tidy), `.md` and `.tex` (the paper's shape).

    `note`: in the caption; `beside`: with the paper's values.

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


def html(cells: Iterable[Cell], table: int, beside: bool = True) -> str:
    """An HTML fragment with its style sheet: per cell measured, paper, difference; all known about it on hover."""
    css = (files("msfp.paper") / "site" / "sheet.css").read_text(encoding="utf-8")
    return f"<style>{css}</style>\n{sheet_html(sheet(cells, table, beside))}"


def sheet_html(sheet: TableLayout, hint: str = "Hover for source and details.") -> str:
    """An HTML fragment without style sheet; every text is escaped. `hint` says how a reader sees a cell's facts."""
    columns = zip(*(line.cells for line in sheet.lines), strict=True)
    wordy = [any(c and (len(c.text) > 16 or len(c.paper) > 20) for c in column) for column in columns]  # to be wrapped
    template = environment().get_template("sheet.html.j2")
    return template.render(sheet=sheet, wordy=wordy, groups=_groups(sheet), hint=hint).strip() + "\n"


def _groups(sheet: TableLayout) -> list[tuple[str, list[Line]]]:
    return [(group, list(members)) for group, members in groupby(sheet.lines, key=lambda line: line.group)]


@cache
def environment() -> "Environment":
    """The templates of this room, escaping everything; filter `code`: what is in `backticks` in code type."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup, escape

    loader = PackageLoader("msfp.paper", "site")
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters["code"] = lambda text: Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))
    return made


def markdown(sheet: TableLayout, note: str = "") -> str:
    """GitHub Markdown: heading, table, reasons, remarks."""
    template = templates().get_template("table.md.j2")
    return template.render(sheet=sheet, note=spaced(note), groups=_groups(sheet))


def terminal(sheet: TableLayout, width: int = 80) -> str:
    """Plain text of at most so many columns: a table as wide, the next columns below it; the notes come last.

    Below a number stand the paper's and, in brackets, measured less paper.
    """
    margin = width // 3
    rows = [[sheet.made.stub], *(wrap(line.row, margin - 2) for line in sheet.lines)]
    blocks: list[list[list[list[str]]]] = []
    for k, head in enumerate(sheet.heads):
        column = [wrap(head, 14), *(_stacked(line.cells[k], margin) for line in sheet.lines)]
        if not blocks or sum(map(_widest, [*blocks[-1], column])) > width:
            blocks.append([rows])
        blocks[-1].append(column)
    below = "Below a number: the paper's (measured less paper)." if sheet.beside else ALONE
    said = [below, *(f"[{i}] {note}" for i, note in enumerate(sheet.notes, 1))]
    return "\n\n".join([*map(_side_by_side, blocks), "\n".join(line for text in said for line in wrap(text, width))])


def _stacked(cell: CellText | None, width: int) -> list[str]:
    """Lines of a cell: the value, then the paper's with the difference."""
    if cell is None:
        return []
    source = f"({cell.source})" if cell.source in ("paper", "published") else ""
    note = f"[{cell.note}]" if cell.note else ""
    value = " ".join(filter(None, (cell.text, cell.std and f"±{cell.std}", source, note)))
    paper = f"{cell.paper} ({cell.difference})" if cell.difference else cell.paper
    return [*wrap(value, width), *wrap(paper, width)]


def _widest(column: Iterable[Sequence[str]]) -> int:
    return 2 + max(len(line) for cell in column for line in cell)


def _side_by_side(columns: Sequence[Sequence[Sequence[str]]]) -> str:
    """Columns of cells of lines as lines of text, words to the left and numbers to the right."""
    widths = [_widest(column) for column in columns]
    lines = []
    for row in (row for row in zip(*columns, strict=True) if any(row[1:])):
        for label, *texts in zip_longest(*row, fillvalue=""):
            shown = [text.rjust(size) for text, size in zip(texts, widths[1:], strict=True)]
            lines.append("".join([label.ljust(widths[0] - 2), *shown]).rstrip())
    return "\n".join(lines)

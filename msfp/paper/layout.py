"""What a table shows: columns, groups, the paper's values beside ours, notes, the sentence below it."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations, groupby, zip_longest
from textwrap import wrap
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pandas as pd

from msfp.engine.html import md_cell, md_text
from msfp.paper import registry
from msfp.paper.registry import Artefact, artefact
from msfp.types import Cell

if TYPE_CHECKING:
    from jinja2 import Environment


HIGHER, LOWER, NEITHER = 1, -1, 0

DIRECTIONS = MappingProxyType(
    {
        **dict.fromkeys(("HOTA", "AssA", "DetA", "IDF1", "MOTA", "FPS", "A: FPS", "B: FPS", "AUC", "Gap"), HIGHER),
        **dict.fromkeys(("First of two", "MOT17", "MOT20", "MOT17-val", "MOT20-val", "Cross-domain"), HIGHER),
        **dict.fromkeys(("IDSW", "Det", "ReID", "Assoc", "Total", "ReID-only", "Runtime"), LOWER),
        **dict.fromkeys(("ms/frame", "A: ms/frame", "B: ms/frame"), LOWER),
    }
)
SPECIAL = MappingProxyType({(21, "Gap"): NEITHER, (6, ""): HIGHER})
"""(table, column) that the names above would get wrong; column empty: every column of the table."""

UNRANKED_ROWS = ("Δ",)
ARROWS = MappingProxyType({HIGHER: "↑", LOWER: "↓", NEITHER: ""})


def direction(table: int, column: str) -> int:
    """1 where higher is better, -1 where lower is, 0 where neither or unknown.

    A variant of a column, such as `AUC, hard pairs` or `HOTA (ATL)`, has the direction of what it varies.
    """
    known = DIRECTIONS.get(column, DIRECTIONS.get(stem(column), NEITHER))
    return SPECIAL.get((table, column), SPECIAL.get((table, ""), known))


def stem(column: str) -> str:
    """`AUC, hard pairs`, `HOTA (ATL)` -> `AUC`, `HOTA`."""
    return column.partition(",")[0].partition(" (")[0].strip()


def decimals(table: int, column: str, values: Iterable[float], unit: str = "") -> int:
    """Digits behind the point: as the paper prints the column, else one for percent, none for counts, three."""
    for name in (column, stem(column)):
        if printed := [e.decimals for e in registry.table(table) if e.column == name and isinstance(e.value, float)]:
            return max(printed)
    if unit == "%":
        return 1
    return 0 if all(float(v).is_integer() for v in values) else 3


def fixed(value: float, digits: int, signed: bool = False) -> str:
    """A number with so many digits; zero has no sign."""
    text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    return text.lstrip("+-") if float(text) == 0 else text


SEPARATOR = " · "
"""In a row's label between the method and the part it was measured on: `MSFP-Track · SDP`."""

REMARKS = " // "
"""Between two remarks on one entry of the paper."""

OURS = "Rows the paper does not have"

RANKS = "Bold: best, underlined: second, among the paper's rows measured here."
ALONE = "A smoke run: computed on next to no data, so these numbers mean nothing and stand beside none of the paper's."

NOT_MEASURED = "only the paper's value, not measured here"
"""Reason of a cell that nobody computed; it needs no note, as such cells say "(paper)"."""


@dataclass(frozen=True)
class CellText:
    """One cell as text."""

    text: str  # what stands in the cell, of whatever source
    std: str  # spread of a measured value, without sign
    paper: str  # the paper's value with spread and dagger; empty where it has none
    difference: str  # measured less paper, signed
    published: str  # the value published elsewhere, where it is not the cell's own
    source: str  # as in `types.Cell`
    rank: int  # 1 best, 2 second, 0 otherwise
    note: int  # number of its reason among the sheet's notes, 0 for none
    remarks: tuple[int, ...]  # numbers among the sheet's remarks
    hover: str  # all that is known about the cell, `what: value`, a line each; first its place
    numbers: dict[str, str]  # measured, paper, difference: what a table is sorted by, as far as there is one


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

    made: Artefact
    columns: tuple[str, ...]
    arrows: tuple[str, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...]
    remarks: tuple[str, ...]
    beside: bool = True  # whether the paper's values stand in it

    @property
    def key(self) -> str:
        """How its numbers are to be read."""
        return RANKS if self.beside else ALONE

    @property
    def wordy(self) -> tuple[bool, ...]:
        """Which columns hold texts, that are to be wrapped, rather than numbers."""
        columns = zip(*(line.cells for line in self.lines), strict=True)
        return tuple(any(c and (len(c.text) > 16 or len(c.paper) > 20) for c in column) for column in columns)


def lay_out(frame: pd.DataFrame, number: int, beside: bool = True) -> TableLayout:
    """A sheet from the tidy frame of `render.merge` with the paper's entries."""
    columns, digits = tuple(dict.fromkeys(frame["column"])), {}
    for column, cells in frame.groupby("column", sort=False):
        values = [v for v in cells["measured"] if isinstance(v, (int, float))]
        digits[str(column)] = decimals(number, str(column), values, next((u for u in cells["unit"] if u), ""))
    ranks = ranked(frame, number, digits) if beside else {}
    notes = tuple(dict.fromkeys(r for r in frame["reason"] if r and r != NOT_MEASURED))
    remarks = tuple(dict.fromkeys(part for text in frame["remark"] for part in text.split(REMARKS) if part))
    lines = []
    for label, cells in frame.groupby("row", sort=False):
        row, group = str(label), cells["group"].iloc[0]
        shown = {
            r["column"]: _shown(r, digits[r["column"]], ranks.get((row, r["column"]), 0), notes, remarks)
            for r in cells.to_dict("records")
        }
        base = row.partition(SEPARATOR)[0] if group == part_of(row) else row
        lines.append(Line(row, base, group, tuple(map(shown.get, columns))))
    arrows = tuple(ARROWS[direction(number, c)] for c in columns)
    return TableLayout(artefact("table", number), columns, arrows, tuple(lines), notes, remarks, beside)


def part_of(row: str) -> str:
    """What a row was measured on, by its label: `MSFP-Track · SDP` -> `SDP`; empty for the whole."""
    return row.partition(SEPARATOR)[2]


def ranked(frame: pd.DataFrame, number: int, digits: dict[str, int]) -> dict[tuple[str, str], int]:
    """Best (1) and second (2) of each column, among measured rows that the paper has.

    Rows measured on a part of the data are ranked among themselves. Values that print alike share a rank; two
    rows at least make a best one, three a second.
    """
    in_paper = set(registry.rows(number)) - set(UNRANKED_ROWS)
    pools: dict[tuple[str, str], dict[str, float]] = {}
    for row, column, value in zip(frame["row"], frame["column"], frame["measured"], strict=True):
        better = direction(number, column)
        if better != NEITHER and row.partition(SEPARATOR)[0] in in_paper and isinstance(value, (int, float)):
            pools.setdefault((column, part_of(row)), {})[row] = better * float(fixed(value, digits[column]))
    found = {}
    for (column, _), pool in pools.items():
        levels = sorted(set(pool.values()), reverse=True)
        for row, level in pool.items():
            place = levels.index(level) + 1
            if place < len(pool) and place <= 2 and len(levels) > 1:
                found[row, column] = place
    return found


def _shown(record: dict[Any, Any], digits: int, rank: int, notes: Sequence[str], remarks: Sequence[str]) -> CellText:
    source, measured, difference = record["source"], record["measured"], record["difference"]
    published, entry = record["published"], record["entry"]
    compared, elsewhere = not pd.isna(difference), not pd.isna(published)
    unit = f" {record['unit']}" if record["unit"] else ""
    paper = "" if pd.isna(record["paper"]) else str(record["paper"])
    if entry:
        spread = "" if entry.std is None else f" ±{entry.std:.{entry.std_decimals}f}"
        paper = f"{entry.printed}{spread}{'†' if entry.private else ''}"
    signed = bool(entry and entry.printed[:1] in "+-" and isinstance(entry.value, float))
    text = {"measured": _text(measured, digits, signed), "paper": paper, "published": _text(published, digits)}
    remarked = [part for part in record["remark"].split(REMARKS) if part]
    exact = f"{measured:.6g}" if isinstance(measured, float) else str(measured)
    std = "" if pd.isna(record["std"]) else f" ± {record['std']:.3g}"
    facts = [
        ("cell", f"{record['row']} / {record['column']}"),
        ("source", source),
        ("measured", f"{exact}{std}{unit}" if source == "measured" else ""),
        ("paper", f"{paper}{unit}" if paper else ""),
        ("measured − paper", f"{difference:+.4g}{unit}".replace("-", "−") if compared else ""),
        ("published", f"{published:g} ({record['published_source']})" if elsewhere else ""),
        ("reason", record["reason"]),
    ]
    facts = [(what, value) for what, value in facts if value]
    facts += [(key, str(value)) for key, value in sorted(record["detail"].items())]
    facts += [("remark", remark) for remark in remarked]
    numbers = {name: record[name] for name in ("measured", "paper", "difference") if not pd.isna(record[name])}
    return CellText(
        text=text.get(source, source),
        std=_spread(record["std"], max(digits, entry.std_decimals if entry else 0)),
        paper="" if source == "paper" else "same" if measured == paper else paper,
        difference=fixed(difference, digits, signed=True) if compared else "",
        published=text["published"] if elsewhere and source != "published" else "",
        source=source,
        rank=rank,
        note=notes.index(record["reason"]) + 1 if record["reason"] in notes else 0,
        remarks=tuple(remarks.index(part) + 1 for part in remarked),
        hover="\n".join(f"{what}: {value}" for what, value in facts),
        numbers={name: f"{value:.10g}" if isinstance(value, float) else str(value) for name, value in numbers.items()},
    )


def _text(value: object, digits: int, signed: bool = False) -> str:
    return fixed(float(value), digits, signed) if isinstance(value, (int, float)) else str(value)


def _spread(std: float, digits: int) -> str:
    """A spread; one that would print as zero gets a digit more."""
    if pd.isna(std):
        return ""
    text = f"{std:.{digits}f}"
    return f"{std:.{digits + 1}f}" if std and not float(text) else text


def terminal(sheet: TableLayout, width: int = 80) -> str:
    """Plain text of at most so many columns: a table as wide, the next columns below it; the notes come last.

    Below a number stand the paper's and, in brackets, measured less paper.
    """
    margin = width // 3
    rows = [[sheet.made.stub], *(wrap(line.row, margin - 2) for line in sheet.lines)]
    columns = [
        [wrap(f"{name} {arrow}", 14), *(_stacked(line.cells[k], margin) for line in sheet.lines)]
        for k, (name, arrow) in enumerate(zip(sheet.columns, sheet.arrows, strict=True))
    ]
    blocks: list[list[list[list[str]]]] = []
    for column in columns:
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


def markdown(sheet: TableLayout, note: str = "") -> str:
    """GitHub Markdown: heading, table, reasons, remarks."""

    def row(texts: Iterable[str]) -> str:
        return "| " + " | ".join(texts) + " |"

    head = [sheet.made.stub, *(f"{c} {a}".strip() for c, a in zip(sheet.columns, sheet.arrows, strict=True))]
    lines = [
        f"### {sheet.made.name}: {md_text(sheet.made.title)}",
        "",
        md_text(f"{sheet.made.caption}{spaced(note)} {sheet.key}"),
        "",
        row(map(md_cell, head)),
        row(["---"] * len(head)),
    ]
    for group, members in groupby(sheet.lines, key=lambda line: line.group):
        if group:
            lines.append(row([f"*{md_cell(group)}*", *[""] * len(sheet.columns)]))
        lines += [row([md_cell(line.label), *map(_cell, line.cells)]) for line in members]
    for heading, texts in (("Notes", sheet.notes), ("Remarks on the paper's numbers", sheet.remarks)):
        if texts:
            lines += ["", f"{heading}:", "", *(f"{i}. {md_text(t)}" for i, t in enumerate(texts, 1))]
    return "\n".join(lines) + "\n"


def sheet_html(sheet: TableLayout, hint: str = "Hover for source and details.") -> str:
    """An HTML fragment without style sheet; every text is escaped. `hint` says how a reader sees a cell's facts."""
    groups = [(group, list(members)) for group, members in groupby(sheet.lines, key=lambda line: line.group)]
    template = environment().get_template("sheet.html.j2")
    return template.render(sheet=sheet, wordy=sheet.wordy, groups=groups, hint=hint).strip() + "\n"


@cache
def environment() -> "Environment":
    """The templates of this room, escaping everything; filter `code`: what is in `backticks` in code type."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup, escape

    made = Environment(
        loader=ChoiceLoader([PackageLoader("msfp.paper", "."), PackageLoader("msfp.paper.site", ".")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["code"] = lambda text: Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))
    return made


def _cell(cell: CellText | None) -> str:
    """A cell of Markdown: `62.8 ±0.2 (paper 63.2)`, `n/a [1]`, `*46.8†* (paper)`."""
    if cell is None:
        return ""
    text = md_cell(cell.text)
    if cell.source == "measured" and cell.rank:
        text = f"**{text}**" if cell.rank == 1 else f"<u>{text}</u>"
    elif cell.source in ("paper", "published"):
        text = f"*{text}*"
    text += f" ±{cell.std}" if cell.std else ""
    text += f" ({cell.source})" if cell.source in ("paper", "published") else ""
    text += f" [{cell.note}]" if cell.note else ""
    paper, published = cell.paper and f"paper {cell.paper}", cell.published and f"published {cell.published}"
    beside = ", ".join(filter(None, (paper, cell.difference, published)))
    return f"{text} ({beside})" if beside else text


def spaced(note: str) -> str:
    """What is said of a run in a caption; nothing for an empty note."""
    return f" Here: {note.strip().rstrip('.')}." if note.strip() else ""


def compare(cells: Iterable[Cell], table: int) -> pd.DataFrame:
    """One line a column that both have numbers in: `rows` measured that the paper has too, the best of them here with
    its value and in the paper, and how many pairs of rows are in the same order in both."""
    measured = {(c.row, c.column): c.value for c in cells if c.source == "measured" and not isinstance(c.value, str)}
    lines = []
    for column in registry.columns(table):
        sign = direction(table, column)
        rows = {
            e.row: (sign * float(measured[e.row, column]), sign * e.value)  # type: ignore[arg-type]
            for e in registry.table(table)
            if e.column == column and isinstance(e.value, float) and measured.get((e.row, column)) is not None
        }
        if sign == NEITHER or len(rows) < 2:
            continue
        ours, theirs = (max(rows, key=lambda row: rows[row][which]) for which in (0, 1))
        pairs = [(a, b) for a, b in combinations(rows.values(), 2) if a[1] != b[1]]
        same = sum((a[0] - b[0]) * (a[1] - b[1]) > 0 for a, b in pairs)
        lines.append(
            {
                "column": column,
                "rows": len(rows),
                "best here": ours,
                "value here": sign * rows[ours][0],
                "best in the paper": theirs,
                "same best": "yes" if ours == theirs else "no",
                "pairs as in the paper": f"{same} of {len(pairs)}",
            }
        )
    return pd.DataFrame(lines)

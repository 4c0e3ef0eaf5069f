"""What a table shows: columns, groups, the paper's values beside ours, notes, the sentence below it."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import combinations, groupby
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pandas as pd

from msfp.engine.html import md_cell, md_text
from msfp.paper import registry
from msfp.paper.registry import artefact
from msfp.types import Cell

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup


HIGHER, LOWER, NEITHER = 1, -1, 0

DIRECTIONS = MappingProxyType(
    {
        "HOTA": HIGHER,
        "AssA": HIGHER,
        "DetA": HIGHER,
        "IDF1": HIGHER,
        "MOTA": HIGHER,
        "IDSW": LOWER,
        "FPS": HIGHER,
        "AUC": HIGHER,
        "Gap": HIGHER,
        "First of two": HIGHER,
        "MOT17": HIGHER,
        "MOT20": HIGHER,
        "MOT17-val": HIGHER,
        "MOT20-val": HIGHER,
        "Cross-domain": HIGHER,
        "Det": LOWER,
        "ReID": LOWER,
        "Assoc": LOWER,
        "Total": LOWER,
        "ReID-only": LOWER,
        "ms/frame": LOWER,
        "Runtime": LOWER,
        "A: ms/frame": LOWER,
        "B: ms/frame": LOWER,
        "A: FPS": HIGHER,
        "B: FPS": HIGHER,
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
    for key in ((table, column), (table, "")):
        if key in SPECIAL:
            return SPECIAL[key]
    return DIRECTIONS.get(column, DIRECTIONS.get(stem(column), NEITHER))


def stem(column: str) -> str:
    """`AUC, hard pairs`, `HOTA (ATL)` -> `AUC`, `HOTA`."""
    return column.partition(",")[0].partition(" (")[0].strip()


def decimals(table: int, column: str, values: Iterable[float], unit: str = "") -> int:
    """Digits behind the point: as the paper prints the column, else one for percent, none for counts, three."""
    printed = [e.decimals for e in registry.table(table) if e.column == column and isinstance(e.value, float)]
    if not printed:
        printed = [e.decimals for e in registry.table(table) if e.column == stem(column) and isinstance(e.value, float)]
    if printed:
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
    arrows = tuple(ARROWS[direction(number, c)] for c in labels)
    return TableLayout(one.id, one.name, one.title, one.caption, one.stub, labels, arrows, tuple(lines), notes, remarks)


def part_of(row: str) -> str:
    """What a row was measured on, by its label: `MSFP-Track · SDP` -> `SDP`; empty for the whole."""
    return row.partition(SEPARATOR)[2]


def ranked(frame: pd.DataFrame, number: int, digits: dict[str, int]) -> dict[tuple[str, str], int]:
    """Best (1) and second (2) of each column, among measured rows that the paper has.

    Rows measured on a part of the data are ranked among themselves. Values that print alike share a rank; two
    rows at least make a best one, three a second.
    """
    in_paper = set(registry.rows(number)) - set(UNRANKED_ROWS)
    pools: dict[tuple[str, str], list[tuple[float, str]]] = {}
    for record in frame[frame["source"] == "measured"].to_dict("records"):
        better = direction(number, record["column"])
        base, part = record["row"].partition(SEPARATOR)[0], part_of(record["row"])
        if better == NEITHER or base not in in_paper or not isinstance(record["measured"], (int, float)):
            continue
        value = better * float(fixed(record["measured"], digits[record["column"]]))
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
    return decimals(number, column, values, next((u for u in cells["unit"] if u), ""))


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
        difference=fixed(record["difference"], digits, signed=True) if _is(record["difference"]) else "",
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
    return fixed(float(value), digits, signed) if isinstance(value, (int, float)) else str(value)


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


RANKS = "Bold: best, underlined: second, among the paper's rows measured here."


def plain(cell: CellText | None) -> str:
    """`62.8 ±0.2 (paper 63.2)`, `n/a [1]`, `46.8† (paper)`."""
    return "" if cell is None else _compose(cell, cell.text)


def markdown(sheet: TableLayout, note: str = "") -> str:
    """GitHub Markdown: heading, table, reasons, remarks."""
    head = [sheet.stub, *(f"{c} {a}".strip() for c, a in zip(sheet.columns, sheet.arrows, strict=True))]
    lines = [
        f"### {sheet.name}: {md_text(sheet.title)}",
        "",
        md_text(f"{sheet.caption}{spaced(note)} {RANKS}"),
        "",
        _md_row([md_cell(text) for text in head]),
        _md_row(["---"] * len(head)),
    ]
    for group, members in groupby(sheet.lines, key=lambda line: line.group):
        if group:
            lines.append(_md_row([f"*{md_cell(group)}*", *[""] * len(sheet.columns)]))
        lines += [_md_row([md_cell(line.label), *(_md_cell(c) for c in line.cells)]) for line in members]
    lines += _md_list("Notes", sheet.notes)
    lines += _md_list("Remarks on the paper's numbers", sheet.remarks)
    return "\n".join(lines) + "\n"


def sheet_html(sheet: TableLayout, hint: str = "Hover for source and details.") -> str:
    """An HTML fragment without style sheet; every text is escaped. `hint` says how a reader sees a cell's facts."""
    template = environment().get_template("sheet.html.j2")
    return template.render(sheet=sheet, ranks=RANKS, groups=grouped(sheet), hint=hint).strip() + "\n"


def grouped(sheet: TableLayout) -> list[tuple[str, list[Line]]]:
    """Lines under their headings, in order."""
    return [(group, list(members)) for group, members in groupby(sheet.lines, key=lambda line: line.group)]


@cache
def environment() -> "Environment":
    """The templates of this room, escaping everything."""
    from jinja2 import DictLoader, Environment, StrictUndefined

    found = [
        p for folder in ("msfp.paper", "msfp.paper.site") for p in files(folder).iterdir() if p.name.endswith(".j2")
    ]
    texts = {path.name: path.read_text(encoding="utf-8") for path in found}
    made = Environment(
        loader=DictLoader(texts), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters["code"] = _code
    return made


def _code(text: str) -> "Markup":
    """Text for HTML, `so` in code type."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _compose(cell: CellText, text: str) -> str:
    if cell.std:
        text += f" ±{cell.std}"
    if cell.source in ("paper", "published"):
        text += f" ({cell.source})"
    if cell.note:
        text += f" [{cell.note}]"
    beside = [f"paper {cell.paper}"] if cell.paper else []
    beside += [cell.difference] if cell.difference else []
    beside += [f"published {cell.published}"] if cell.published else []
    return f"{text} ({', '.join(beside)})" if beside else text


def _md_cell(cell: CellText | None) -> str:
    if cell is None:
        return ""
    text = md_cell(cell.text)
    if cell.source == "measured" and cell.rank:
        text = f"**{text}**" if cell.rank == 1 else f"<u>{text}</u>"
    elif cell.source in ("paper", "published"):
        text = f"*{text}*"
    return _compose(cell, text)


def _md_row(texts: list[str]) -> str:
    return "| " + " | ".join(texts) + " |"


def _md_list(heading: str, texts: tuple[str, ...]) -> list[str]:
    return ["", f"{heading}:", "", *(f"{i}. {md_text(t)}" for i, t in enumerate(texts, 1))] if texts else []


def spaced(note: str) -> str:
    """What is said of a run in a caption; nothing for an empty note."""
    return f" Here: {note.strip().rstrip('.')}." if note.strip() else ""


def compare(cells: Iterable[Cell], table: int) -> pd.DataFrame:
    """One line a column that both have numbers in.

    Args:
        cells: measured cells of the table.
        table: its number.

    Returns:
        column; rows measured that the paper has too; best of them here with its value; best of the same rows in the
        paper; pairs of rows that are in the same order in both, of how many.
    """
    measured = {
        (c.row, c.column): c.value for c in cells if c.source == "measured" and isinstance(c.value, float | int)
    }
    lines = []
    for column in registry.columns(table):
        sign = direction(table, column)
        rows = {
            e.row: (sign * float(measured[e.row, column]), sign * e.value)
            for e in registry.table(table)
            if e.column == column and isinstance(e.value, float) and (e.row, column) in measured
        }
        if sign == 0 or len(rows) < 2:
            continue
        ours = max(rows, key=lambda row: rows[row][0])
        theirs = max(rows, key=lambda row: rows[row][1])
        pairs = [(rows[a], rows[b]) for a, b in combinations(rows, 2) if rows[a][1] != rows[b][1]]
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

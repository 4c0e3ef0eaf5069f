"""Layout of a table: columns, groups, the paper's values beside ours, notes; and what it says beside the paper's."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from msfp.errors import InputError
from msfp.paper import registry
from msfp.paper.registry import Artefact, Entry, artefact
from msfp.types import Cell

HIGHER, LOWER, NEITHER = 1, -1, 0
ARROWS = MappingProxyType({HIGHER: "↑", LOWER: "↓", NEITHER: ""})
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
SEPARATOR = " · "
"""In a row's label between the method and the part it was measured on: `MSFP-Track · SDP`."""
REMARKS = " // "
"""Between two remarks on one entry of the paper."""
OURS = "Rows the paper does not have"
RANKS = "Bold: best, underlined: second, among the paper's rows measured here."
ALONE = "A smoke run: computed on next to no data, so these numbers mean nothing and stand beside none of the paper's."
NOT_MEASURED = "only the paper's value, not measured here"
"""Reason of a cell that nobody computed; it needs no note, as such cells say "(paper)"."""
TIDY = (
    "row", "column", "measured", "std", "paper", "paper_std", "difference", "published", "published_source", "source",
    "reason", "unit", "detail", "group", "private", "remark",
)  # fmt: skip


def direction(table: int, column: str) -> int:
    """1 where higher is better, -1 where lower is, 0 where neither or unknown.

    A variant of a column, such as `AUC, hard pairs` or `HOTA (ATL)`, has the direction of what it varies.
    """
    known = DIRECTIONS.get(column, DIRECTIONS.get(stem(column), NEITHER))
    return SPECIAL.get((table, column), SPECIAL.get((table, ""), known))


def stem(column: str) -> str:
    """`AUC, hard pairs`, `HOTA (ATL)` -> `AUC`, `HOTA`."""
    return column.partition(",")[0].partition(" (")[0].strip()


def part_of(row: str) -> str:
    """The part of the data of a row, by its label: `MSFP-Track · SDP` -> `SDP`; empty for the whole."""
    return row.partition(SEPARATOR)[2]


def decimals(table: int, column: str, values: Iterable[float], unit: str = "") -> int:
    """Digits behind the point: as the paper prints the column, else one for percent, none for counts, three."""
    for name in (column, stem(column)):
        if printed := [e.decimals for e in registry.table(table) if e.column == name and isinstance(e.value, float)]:
            return max(printed)
    return 1 if unit == "%" else 0 if all(float(v).is_integer() for v in values) else 3


def fixed(value: float, digits: int, signed: bool = False) -> str:
    """A number with so many digits; zero has no sign."""
    text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    return text.lstrip("+-") if float(text) == 0 else text


def merge(cells: Iterable[Cell], table: int, beside: bool = True) -> pd.DataFrame:
    """Cells beside the paper's entries, one line a cell; without `beside` the cells alone.

    Lines come in the paper's order; what the paper does not have follows: our rows, then rows measured on a part
    (`MSFP-Track · SDP`) grouped by part. Columns are those of `TIDY`: `measured` and `std` are ours only; `paper`,
    `paper_std` the paper's; `difference` is measured less paper, absent where either is no number or where the paper
    used private detections; `published` is known from elsewhere. The three are never mixed.

    InputError: no such table, or two cells for one row and column.
    """
    return _joined(cells, table, beside)[list(TIDY)]


def _joined(cells: Iterable[Cell], table: int, beside: bool) -> pd.DataFrame:
    """The tidy frame with the paper's `entry`."""
    ours: dict[tuple[str, str], Cell] = {}
    for cell in cells:
        if (cell.row, cell.column) in ours:
            raise InputError(f"table {table}: two cells for row {cell.row!r}, column {cell.column!r}; keep one")
        ours[cell.row, cell.column] = cell
    known, columns = registry.rows(table), dict.fromkeys([*registry.columns(table), *(c for _, c in ours)])
    extra = [row for row in dict.fromkeys(r for r, _ in ours) if row not in known]
    parts = list(dict.fromkeys(map(part_of, extra)))
    extra.sort(key=lambda row: (part_of(row) != "", parts.index(part_of(row))))
    groups = {row: part_of(row) or (OURS if known else "") for row in extra}
    groups |= {e.row: e.group for e in registry.table(table)}
    records = []
    for place in ((row, column) for row in [*known, *extra] for column in columns):
        entry = registry.lookup(table, *place) if beside else None
        if entry or place in ours:
            record = {"row": place[0], "column": place[1], "group": groups[place[0]], "entry": entry}
            records.append(record | _sources(ours.get(place), entry))
    frame = pd.DataFrame(records, columns=[*TIDY, "entry"], dtype=object)
    numbers = ["std", "paper_std", "difference", "published"]
    frame[numbers] = frame[numbers].astype(float)
    return frame


def _sources(cell: Cell | None, entry: Entry | None) -> dict[str, Any]:
    """Measured, the paper's and published values for one place of a table."""
    source = cell.source if cell else "paper"
    value, std = ((v.item() if isinstance(v, np.generic) else v) for v in ((cell.value, cell.std) if cell else (0, 0)))
    measured = value if source == "measured" else None
    paper = entry.value if entry else (value if source == "paper" else None)
    quoted = source == "published" and isinstance(value, (int, float))
    comparable = isinstance(measured, (int, float)) and isinstance(paper, float) and not (entry and entry.private)
    return {
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
        "private": bool(entry and entry.private),
        "remark": entry.remark if entry else "",
    }


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
    def heads(self) -> list[str]:
        """The columns, each with its arrow."""
        return [f"{name} {arrow}".strip() for name, arrow in zip(self.columns, self.arrows, strict=True)]


def sheet(cells: Iterable[Cell], table: int, beside: bool = True) -> TableLayout:
    """The table laid out in the paper's shape, every entry as text; without `beside` no value of the paper."""
    frame, digits = _joined(cells, table, beside), {}
    for column, of_column in frame.groupby("column", sort=False):
        values = [v for v in of_column["measured"] if isinstance(v, (int, float))]
        digits[str(column)] = decimals(table, str(column), values, next((u for u in of_column["unit"] if u), ""))
    columns = tuple(dict.fromkeys(frame["column"]))
    ranks = _ranked(frame, table, digits) if beside else {}
    notes = tuple(dict.fromkeys(r for r in frame["reason"] if r and r != NOT_MEASURED))
    remarks = tuple(dict.fromkeys(part for text in frame["remark"] for part in text.split(REMARKS) if part))
    lines = []
    for label, of_row in frame.groupby("row", sort=False):
        row, group = str(label), of_row["group"].iloc[0]
        shown = {
            r["column"]: _shown(r, digits[r["column"]], ranks.get((row, r["column"]), 0), notes, remarks)
            for r in of_row.to_dict("records")
        }
        base = row.partition(SEPARATOR)[0] if group == part_of(row) else row
        lines.append(Line(row, base, group, tuple(map(shown.get, columns))))
    arrows = tuple(ARROWS[direction(table, c)] for c in columns)
    return TableLayout(artefact("table", table), columns, arrows, tuple(lines), notes, remarks, beside)


def _ranked(frame: pd.DataFrame, number: int, digits: dict[str, int]) -> dict[tuple[str, str], int]:
    """Best (1) and second (2) of each column, among measured rows that the paper has.

    Rows measured on a part of the data are ranked among themselves. Values that print alike share a rank; two
    rows at least make a best one, three a second.
    """
    in_paper, ranked = set(registry.rows(number)) - set(UNRANKED_ROWS), []
    for row, column, value in zip(frame["row"], frame["column"], frame["measured"], strict=True):
        better = direction(number, column)
        if better != NEITHER and row.partition(SEPARATOR)[0] in in_paper and isinstance(value, (int, float)):
            ranked.append((row, column, part_of(row), better * float(fixed(value, digits[column]))))
    levels = pd.DataFrame(ranked, columns=["row", "column", "part", "level"]).astype({"level": float})
    pools = levels.groupby(["column", "part"])["level"]
    places = pools.rank("dense", ascending=False)
    kept = (places <= 2) & (places < pools.transform("size")) & (pools.transform("nunique") > 1)
    return {
        (row, column): int(place)
        for (row, column, *_), place in zip(ranked, places.where(kept, 0), strict=True)
        if place
    }


def _shown(record: dict[Any, Any], digits: int, rank: int, notes: Sequence[str], remarks: Sequence[str]) -> CellText:
    source, measured, difference = record["source"], record["measured"], record["difference"]
    published, entry, std = record["published"], record["entry"], record["std"]
    compared, elsewhere, spread = not pd.isna(difference), not pd.isna(published), not pd.isna(std)
    unit = f" {record['unit']}" if record["unit"] else ""
    paper = "" if pd.isna(record["paper"]) else str(record["paper"])
    if entry:
        of_runs = "" if entry.std is None else f" ±{entry.std:.{entry.std_decimals}f}"
        paper = f"{entry.printed}{of_runs}{'†' if entry.private else ''}"

    def text(value: object, signed: bool = False) -> str:
        return fixed(float(value), digits, signed) if isinstance(value, (int, float)) else str(value)

    signed = bool(entry and entry.printed[:1] in "+-" and isinstance(entry.value, float))
    own = {"measured": text(measured, signed), "paper": paper, "published": text(published)}
    remarked = [part for part in record["remark"].split(REMARKS) if part]
    exact = f"{measured:.6g}" if isinstance(measured, float) else str(measured)
    facts = {
        "cell": f"{record['row']} / {record['column']}",
        "source": source,
        "measured": f"{exact}{f' ± {std:.3g}' if spread else ''}{unit}" if source == "measured" else "",
        "paper": f"{paper}{unit}" if paper else "",
        "measured − paper": f"{difference:+.4g}{unit}".replace("-", "−") if compared else "",
        "published": f"{published:g} ({record['published_source']})" if elsewhere else "",
        "reason": record["reason"],
    }
    known = [(what, value) for what, value in facts.items() if value]
    known += [*sorted(record["detail"].items()), *(("remark", remark) for remark in remarked)]
    numbers = {name: record[name] for name in ("measured", "paper", "difference") if not pd.isna(record[name])}
    places = max(digits, entry.std_decimals if entry else 0)
    return CellText(
        text=own.get(source, source),
        # one that would print as zero gets a digit more
        std="" if not spread else f"{std:.{places + (std != 0 and float(f'{std:.{places}f}') == 0)}f}",
        paper="" if source == "paper" else "same" if measured == paper else paper,
        difference=fixed(difference, digits, signed=True) if compared else "",
        published=own["published"] if elsewhere and source != "published" else "",
        source=source,
        rank=rank,
        note=notes.index(record["reason"]) + 1 if record["reason"] in notes else 0,
        remarks=tuple(remarks.index(part) + 1 for part in remarked),
        hover="\n".join(f"{what}: {value}" for what, value in known),
        numbers={name: f"{value:.10g}" if isinstance(value, float) else str(value) for name, value in numbers.items()},
    )


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
        line = {"column": column, "rows": len(rows), "best here": ours, "value here": sign * rows[ours][0]}
        line |= {"best in the paper": theirs, "same best": "yes" if ours == theirs else "no"}
        lines.append({**line, "pairs as in the paper": f"{same} of {len(pairs)}"})
    return pd.DataFrame(lines)

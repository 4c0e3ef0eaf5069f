"""What differs from the paper, column by column, and why there is no number where there is none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from msfp.paper.columns import decimals, fixed
from msfp.paper.findings import compare
from msfp.paper.registry import artefact
from msfp.paper.render import merge
from msfp.types import Cell


@dataclass(frozen=True)
class Compared:
    """One column of a table beside the paper's, over the rows that both have numbers for.

    Attributes:
        number, name: of the table.
        place: its place within the site.
        column: its heading.
        rows: how many rows are compared.
        mean, least, greatest: of measured less paper, in the column's unit, as text.
        best_here, best_there: best row of each; empty where neither direction is better.
        pairs: `12 of 15` pairs of rows are in the same order; empty likewise.
        agreement: their share, as text; empty likewise.
    """

    number: int
    name: str
    place: str
    column: str
    rows: int
    mean: str
    least: str
    greatest: str
    best_here: str = ""
    best_there: str = ""
    pairs: str = ""
    agreement: str = ""


def compared(tables: Mapping[int, Sequence[Cell]], places: Mapping[str, str]) -> list[Compared]:
    """A line a column of every table; `places`: artefact id -> page within the site."""
    return [line for number, cells in sorted(tables.items()) for line in _columns(number, cells, places)]


def _columns(number: int, cells: Sequence[Cell], places: Mapping[str, str]) -> list[Compared]:
    one = artefact("table", number)
    frame = merge(cells, number)
    orders = {line["column"]: line for line in compare(cells, number).to_dict("records")}
    lines = []
    for column, group in frame[frame["difference"].notna()].groupby("column", sort=False):
        found = [float(x) for x in group["difference"]]
        digits = max(decimals(number, str(column), found, next((u for u in group["unit"] if u), "")), 1)
        mean, least, greatest = (fixed(f(found), digits, signed=True).replace("-", "−") for f in (fmean, min, max))
        place = f"{places.get(one.id, '')}#{one.id}"
        order = orders.get(str(column))
        said = _order(order) if order else {}
        lines.append(Compared(number, one.name, place, str(column), len(found), mean, least, greatest, **said))
    return lines


def _order(order: Mapping[Any, Any]) -> dict[str, str]:
    same, _, every = str(order["pairs as in the paper"]).partition(" of ")
    return {
        "best_here": str(order["best here"]),
        "best_there": str(order["best in the paper"]),
        "pairs": f"{same} of {every}" if int(every) else "",
        "agreement": f"{int(same) / int(every):.4f}" if int(every) else "",
    }


def absent(tables: Mapping[int, Sequence[Cell]]) -> list[tuple[str, int, str]]:
    """(reason, how many cells have it, in which tables) of cells without a measured number; the most frequent first."""
    found: dict[str, list[int]] = {}
    for number, cells in sorted(tables.items()):
        for cell in cells:
            if cell.source != "measured" and cell.reason:
                found.setdefault(cell.reason, []).append(number)
    lines = [
        (reason, len(numbers), ", ".join(artefact("table", n).name for n in dict.fromkeys(numbers)))
        for reason, numbers in found.items()
    ]
    return sorted(lines, key=lambda line: -line[1])

"""What a column of a table is: which direction is better, how many digits it has."""

from collections.abc import Iterable
from types import MappingProxyType

from msfp.paper import reference

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
    printed = [e.decimals for e in reference.table(table) if e.column == column and isinstance(e.value, float)]
    if not printed:
        printed = [
            e.decimals for e in reference.table(table) if e.column == stem(column) and isinstance(e.value, float)
        ]
    if printed:
        return max(printed)
    if unit == "%":
        return 1
    return 0 if all(float(v).is_integer() for v in values) else 3


def fixed(value: float, digits: int, signed: bool = False) -> str:
    """A number with so many digits; zero has no sign."""
    text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    return text.lstrip("+-") if float(text) == 0 else text

"""What a table says beside the paper's: who is best in each, and whether the orders agree. Computed, never typed."""

from collections.abc import Iterable
from itertools import combinations

import pandas as pd

from msfp.paper import reference
from msfp.paper.columns import direction
from msfp.types import Cell


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
    for column in reference.columns(table):
        sign = direction(table, column)
        rows = {
            e.row: (sign * float(measured[e.row, column]), sign * e.value)
            for e in reference.table(table)
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

"""A small file beside a folder's figures that says which run made them, as beside those of the repository."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msfp.engine.files import atomic_write, file_digest
from msfp.paper.claims.verdict import Verdict
from msfp.paper.registry import every
from msfp.paper.render import sheet
from msfp.types import Cell

MADE = "made.json"
FORMS = ("png", "svg")
HEADLINE = 1
"""The table whose numbers the README quotes."""


def write_made(
    figures: Path, origin: Mapping[str, Any], cells: Mapping[int, Sequence[Cell]], verdicts: Sequence[Verdict]
) -> None:
    """Write the figures' digests, when and by which code they were made, and what the run found.

    Args:
        figures: `figures/<profile>`.
        origin: the run's manifest.
        cells: of its tables, by number.
        verdicts: on the paper's claims.
    """
    ours = [one for one in verdicts if one.claim.basis == "measured"]
    found = {
        "written": origin["when"]["written"],
        "code": origin["code"],
        "figures": {path.name: file_digest(path) for path in paths(figures)},
        "numbers": _numbers(cells.get(HEADLINE, ())),
        "claims": Counter(one.apart.why if one.apart else one.word for one in ours),
    }
    atomic_write(figures / MADE, (json.dumps(found, indent=1, ensure_ascii=False) + "\n").encode())


def paths(figures: Path) -> list[Path]:
    """The paper's figures in a folder, in the forms that a page shows."""
    drawn = [a.id for a in every() if a.kind == "figure" and a.section]
    return [path for id in drawn for form in FORMS if (path := figures / f"{id}.{form}").is_file()]


def _numbers(cells: Sequence[Cell]) -> dict[str, dict[str, str]]:
    """Row -> column -> the measured value as the table prints it; parts of the data are left out."""
    laid = sheet(cells, HEADLINE)
    found: dict[str, dict[str, str]] = {}
    for line in (line for line in laid.lines if line.label == line.row):
        for column, cell in zip(laid.columns, line.cells, strict=True):
            if cell is not None and cell.source == "measured":
                found.setdefault(line.row, {})[column] = f"{cell.text} ±{cell.std}" if cell.std else cell.text
    return found

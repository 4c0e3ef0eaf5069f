"""Cells of a table as a file, so that the report is written from what earlier notebooks left."""

import json
import math
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from msfp.engine.files import atomic_write
from msfp.errors import InputError
from msfp.types import Cell

FIELDS = {f.name for f in fields(Cell)}


def write_cells(path: Path, cells: Iterable[Cell]) -> Path:
    """Write cells as JSON, floats exact; the same cells give the same bytes.

    Raises:
        InputError: a value that is NaN or infinite; such a cell has source `n/a` and a reason.
        MsfpError: the file cannot be written.
    """
    rows = [{f.name: _plain(getattr(_finite(cell), f.name)) for f in fields(Cell)} for cell in cells]
    atomic_write(path, (json.dumps(rows, indent=1, ensure_ascii=False) + "\n").encode())
    return path


def read_cells(path: Path) -> list[Cell]:
    """Cells from a file that `write_cells` made.

    Raises:
        InputError: no such file, or not a list of cells.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(rows, list):
            raise TypeError("not a list")
        return [_cell(row) for row in rows]
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file; compute the table first") from None
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{path}: not a file of table cells ({error}); delete it and compute the table again"
        ) from None


def _cell(row: Any) -> Cell:
    if not isinstance(row, dict) or set(row) - FIELDS:
        raise TypeError(f"unknown fields in {str(row)[:80]}")
    return Cell(**row)


def _finite(cell: Cell) -> Cell:
    for name in ("value", "std"):
        number = getattr(cell, name)
        if isinstance(number, (int, float, np.number)) and not math.isfinite(number):
            raise InputError(
                f"cell {cell.row!r} / {cell.column!r}: {name} is {number}; a value that cannot be computed has "
                "source n/a and its reason"
            )
    return cell


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in sorted(value.items())}
    return value

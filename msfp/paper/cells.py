"""Cells of tables as files: values, and the samples they were made from."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msfp.engine.files import atomic_write
from msfp.errors import InputError, NotComputable
from msfp.metrics.bootstrap import Sample, Tracked
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


@dataclass(frozen=True)
class MeasuredCell(Cell):
    """A measured cell that knows what it was measured from; it prints and compares as any cell.

    Attributes:
        seeds: value of each training seed.
        basis: what intervals are computed from; None where it was not measured unit by unit.
        measure: name of the measure in `basis`, where the column has another.
    """

    seeds: tuple[float, ...] = field(default=(), compare=False, repr=False)
    basis: "Tracked | Sample | None" = field(default=None, compare=False, repr=False)
    measure: str = field(default="", compare=False, repr=False)


class Evidence:
    """What the cells of one table were measured from."""

    def __init__(self, cells: dict[tuple[str, str], tuple[tuple[float, ...], str, "Tracked | Sample | None"]]) -> None:
        self._cells = cells

    def sample(self, row: str, column: str) -> Sample:
        """A cell's number with its seeds and draws.

        Raises:
            NotComputable: the table has no such measured cell.
        """
        seeds, measure, basis = self._find(row, column)
        if isinstance(basis, Tracked):
            return basis.sample(measure)
        return basis or Sample(np.array(seeds))

    def tracked(self, row: str, column: str) -> tuple[Tracked, str]:
        """A cell's scores by sequence, and which measure it shows.

        Raises:
            NotComputable: there are none.
        """
        _, measure, basis = self._find(row, column)
        if not isinstance(basis, Tracked):
            raise NotComputable(f"{row} / {column} was not measured sequence by sequence")
        return basis, measure

    def _find(self, row: str, column: str) -> tuple[tuple[float, ...], str, "Tracked | Sample | None"]:
        if (row, column) not in self._cells:
            raise NotComputable(f"{row} / {column} was not measured")
        return self._cells[row, column]


def write(path: Path, cells: Iterable[Cell]) -> None:
    """Write what measured cells carry; cells that share a basis share its bytes.

    Raises:
        MsfpError: the file cannot be written.
    """
    from safetensors.numpy import save

    listed: list[dict[str, Any]] = []
    bases: dict[int, dict[str, Any]] = {}
    arrays: dict[str, NDArray[np.float64]] = {}
    for cell in cells:
        if not isinstance(cell, MeasuredCell) or cell.source != "measured":
            continue
        basis = cell.basis
        if basis is not None and id(basis) not in bases:
            number = len(bases)
            if isinstance(basis, Tracked):
                bases[id(basis)] = {"number": number, "scenes": basis.scenes}
                arrays[f"{number}.sums"] = basis.sums
            else:
                bases[id(basis)] = {"number": number, "units": basis.units, "kind": basis.kind}
                arrays[f"{number}.seeds"], arrays[f"{number}.replicates"] = basis.seeds, basis.replicates
        place = bases[id(basis)]["number"] if basis is not None else None
        listed.append({"row": cell.row, "column": cell.column, "seeds": cell.seeds, "measure": cell.measure or
                       cell.column, "basis": place})  # fmt: skip
    header = {"cells": listed, "bases": list(bases.values())}
    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}  # of a view, memory would be written
    data = save(whole, metadata={"evidence": json.dumps(header, ensure_ascii=False)})
    atomic_write(path, data, durable=False)


def read(path: Path) -> Evidence:
    """What `write` left; nothing where there is no file.

    Raises:
        InputError: damaged, or not such a file.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return Evidence({})
    try:
        with safe_open(path, "np") as file:
            header = json.loads(file.metadata()["evidence"])
            bases = [_basis(one, file) for one in header["bases"]]
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a file of evidence ({error!r}); delete it and make the table again") from None
    return Evidence(
        {
            (c["row"], c["column"]): (
                tuple(c["seeds"]),
                c["measure"],
                None if c["basis"] is None else bases[c["basis"]],
            )
            for c in header["cells"]
        }
    )


def _basis(one: dict[str, Any], file: Any) -> Tracked | Sample:
    number = one["number"]
    if "scenes" in one:
        return Tracked(tuple(one["scenes"]), file.get_tensor(f"{number}.sums"))
    seeds, replicates = file.get_tensor(f"{number}.seeds"), file.get_tensor(f"{number}.replicates")
    return Sample(seeds, replicates, tuple(one["units"]), one["kind"])

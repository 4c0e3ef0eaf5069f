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


def write_cells(path: Path, cells: Iterable[Cell]) -> Path:
    """Write cells as JSON, floats exact; the same cells give the same bytes.

    InputError: a value that is NaN or infinite; such a cell has source `n/a` and a reason.
    MsfpError: the file cannot be written.
    """
    rows = []
    for cell in cells:
        for name in ("value", "std"):
            number = getattr(cell, name)
            if isinstance(number, (int, float, np.number)) and not math.isfinite(number):
                raise InputError(
                    f"cell {cell.row!r} / {cell.column!r}: {name} is {number}; a value that cannot be computed has "
                    "source n/a and its reason"
                )
        row = {f.name: getattr(cell, f.name) for f in fields(Cell)}
        rows.append(row | {"detail": dict(sorted(cell.detail.items()))})
    text = json.dumps(rows, indent=1, ensure_ascii=False, default=lambda number: number.item())  # NumPy's
    atomic_write(path, f"{text}\n".encode())
    return path


def read_cells(path: Path) -> list[Cell]:
    """Cells from a file that `write_cells` made; InputError: no such file, or not a list of cells."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(rows, list):
            raise TypeError("not a list")
        return [Cell(**row) for row in rows]
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file; compute the table first") from None
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{path}: not a file of table cells ({error}); delete it and compute the table again"
        ) from None


@dataclass(frozen=True)
class MeasuredCell(Cell):
    """A measured cell that knows what it was measured from; it prints and compares as any cell."""

    seeds: tuple[float, ...] = field(default=(), compare=False, repr=False)  # value of each training seed
    basis: Tracked | Sample | None = field(default=None, compare=False, repr=False)  # what intervals are computed from
    measure: str = field(default="", compare=False, repr=False)  # its name in `basis`, where the column has another


@dataclass(frozen=True)
class Evidence:
    """Measurements behind the cells of one table: (row, column) -> seeds, measure, basis."""

    cells: dict[tuple[str, str], tuple[tuple[float, ...], str, Tracked | Sample | None]] = field(default_factory=dict)

    def sample(self, row: str, column: str) -> Sample:
        """A cell's number with its seeds and draws; NotComputable: the table has no such measured cell."""
        if (row, column) not in self.cells:
            raise NotComputable(f"{row} / {column} was not measured")
        seeds, measure, basis = self.cells[row, column]
        return basis.sample(measure) if isinstance(basis, Tracked) else basis or Sample(np.array(seeds))


def write_evidence(path: Path, cells: Iterable[Cell]) -> None:
    """Write what measured cells carry; cells that share a basis share its bytes. MsfpError: it cannot be written."""
    from safetensors.numpy import save

    listed: list[dict[str, Any]] = []
    bases: dict[int, dict[str, Any]] = {}
    arrays: dict[str, NDArray[np.float64]] = {}
    for cell in cells:
        if not isinstance(cell, MeasuredCell) or cell.source != "measured":
            continue
        basis, number = cell.basis, len(bases)
        if basis is not None and id(basis) not in bases:
            if isinstance(basis, Tracked):
                bases[id(basis)] = {"number": number, "scenes": basis.scenes}
                arrays[f"{number}.sums"] = basis.sums
            else:
                bases[id(basis)] = {"number": number, "units": basis.units, "kind": basis.kind}
                arrays[f"{number}.seeds"], arrays[f"{number}.replicates"] = basis.seeds, basis.replicates
        listed.append(
            {"row": cell.row, "column": cell.column, "seeds": cell.seeds, "measure": cell.measure or cell.column}
            | {"basis": None if basis is None else bases[id(basis)]["number"]}
        )
    header = {"cells": listed, "bases": list(bases.values())}
    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}  # of a view, memory would be written
    atomic_write(path, save(whole, metadata={"evidence": json.dumps(header, ensure_ascii=False)}), durable=False)


def read_evidence(path: Path) -> Evidence:
    """Read what `write_evidence` left; nothing where there is no file. InputError: damaged, or not such a file."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return Evidence()
    bases: dict[int | None, Tracked | Sample | None] = {None: None}
    try:
        with safe_open(path, "np") as file:
            header = json.loads(file.metadata()["evidence"])
            for one in header["bases"]:
                n = one["number"]
                if "scenes" in one:
                    bases[n] = Tracked(tuple(one["scenes"]), file.get_tensor(f"{n}.sums"))
                else:
                    drawn = file.get_tensor(f"{n}.seeds"), file.get_tensor(f"{n}.replicates")
                    bases[n] = Sample(*drawn, tuple(one["units"]), one["kind"])
        known = [
            ((c["row"], c["column"]), (tuple(c["seeds"]), c["measure"], bases[c["basis"]])) for c in header["cells"]
        ]
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a file of evidence ({error!r}); delete it and make the table again") from None
    return Evidence(dict(known))

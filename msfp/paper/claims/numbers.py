"""Where a test takes its numbers from: the paper's own, or the tables this run has made."""

from functools import cache

import numpy as np

from msfp.errors import InputError, NotComputable
from msfp.metrics.statistics import Sample
from msfp.paper import cell_samples, reference
from msfp.paper.stamps import TIMED, TIMES, evidence_path, published_cells
from msfp.pipeline.run import Run
from msfp.types import Cell

SAME = 1e-6


class Printed:
    """The paper's numbers by table, row and column, known to half a unit of their last digit."""

    def sample(self, table: int, row: str, column: str) -> Sample:
        """A number with its seeds and draws; NotComputable says why there is none."""
        return Sample(np.array([float(self._entry(table, row, column).value)]))

    def slack(self, table: int, row: str, column: str) -> float:
        """How far the number may be off by rounding."""
        entry = self._entry(table, row, column)
        if entry.printed.endswith("K"):
            return 500 * 10.0 ** -len(entry.printed[:-1].partition(".")[2])
        return 0.5 * 10.0**-entry.decimals if "." in entry.printed else 0.0

    def rows(self, table: int, column: str) -> list[str]:
        """The paper's rows with a number in the column, other than private ones; also where they are not measured."""
        entries = [e for e in reference.table(table) if e.column == column and isinstance(e.value, float)]
        return [e.row for e in entries if not e.private]

    def columns(self, table: int, row: str) -> list[str]:
        """Columns with a number in the row."""
        found = [e for e in reference.table(table) if e.row == reference.here(row)]
        return [e.column for e in found if isinstance(e.value, float)]

    def _entry(self, table: int, row: str, column: str) -> reference.Entry:
        entry = reference.lookup(table, row, column)
        if entry is None or not isinstance(entry.value, float):
            raise NotComputable(f"the paper's Table {table} has no number for {row} / {column}")
        return entry


class Measured(Printed):
    """Numbers measured in a run, from the files of its tables; not rounded."""

    def __init__(self, run: Run) -> None:
        self._profile = run.settings.profile
        self._cells = {number: {(c.row, c.column): c for c in cells} for number, cells in published_cells(run).items()}
        self._evidence = cache(lambda table: cell_samples.read(evidence_path(run, table)))
        self._known = cache(self._sample)

    def sample(self, table: int, row: str, column: str) -> Sample:
        """A measured value with its seeds and draws.

        Raises:
            NotComputable: not measured; the cell's own reason.
            InputError: the table and what it was measured from are of different runs.
        """
        return self._known(table, reference.here(row), column)

    def slack(self, table: int, row: str, column: str) -> float:
        return 0.0

    def columns(self, table: int, row: str) -> list[str]:
        """Columns in which the row was measured."""
        found = [c for (r, _), c in self._table(table).items() if r == reference.here(row)]
        return [c.column for c in found if c.source == "measured" and isinstance(c.value, int | float)]

    def _table(self, table: int) -> dict[tuple[str, str], Cell]:
        if table not in self._cells:
            raise NotComputable(f"Table {table} was not made in this run")
        return self._cells[table]

    def _sample(self, table: int, row: str, column: str) -> Sample:
        cell = self._table(table).get((row, column))
        if cell is None:
            raise NotComputable(f"Table {table} has no {row} / {column} here")
        if cell.source != "measured" or not isinstance(cell.value, int | float):
            raise NotComputable(cell.reason or f"{row} / {column} is no number here")
        for kept in (table, TIMES) if table in TIMED else (table,):
            try:
                sample = self._evidence(kept).sample(row, column)
                break
            except NotComputable:
                continue
        else:
            return Sample(np.array([float(cell.value)]))
        if abs(sample.value - cell.value) > SAME * max(1.0, abs(cell.value)):
            raise InputError(
                f"Table {table}, {row} / {column}: shows {cell.value:.6g}, but was measured as {sample.value:.6g}; "
                f"run msfp table {table} --profile {self._profile}"
            )
        return sample

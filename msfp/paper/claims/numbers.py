"""Where a test takes its numbers from: the tables this run has made, or the paper's own."""

from functools import cache
from typing import Protocol

import numpy as np

from msfp.errors import InputError, NotComputable
from msfp.metrics.statistics import Sample
from msfp.paper import cell_samples, reference
from msfp.paper.stamps import TIMED, TIMES, evidence_path, published_cells
from msfp.pipeline.run import Run
from msfp.types import Cell

SAME = 1e-6


class Numbers(Protocol):
    """Numbers of tables by row and column."""

    def sample(self, table: int, row: str, column: str) -> Sample:
        """A number with its seeds and draws; NotComputable says why there is none."""

    def slack(self, table: int, row: str, column: str) -> float:
        """How far the number may be off by rounding."""

    def rows(self, table: int, column: str) -> list[str]:
        """Rows of the paper that have a number in a column; private detections are left out."""

    def columns(self, table: int, row: str) -> list[str]:
        """Columns of the paper in which a row has a number."""


class Printed:
    """The paper's numbers, known to half a unit of their last digit."""

    def sample(self, table: int, row: str, column: str) -> Sample:
        """The printed value."""
        return Sample(np.array([float(self._entry(table, row, column).value)]))

    def slack(self, table: int, row: str, column: str) -> float:
        """Half a unit of the last digit."""
        entry = self._entry(table, row, column)
        if entry.printed.endswith("K"):
            return 500 * 10.0 ** -len(entry.printed[:-1].partition(".")[2])
        return 0.5 * 10.0**-entry.decimals if "." in entry.printed else 0.0

    def rows(self, table: int, column: str) -> list[str]:
        """Rows with a number in the column, other than private ones."""
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


class Measured:
    """Numbers measured in a run, from the files of its tables."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._cells = {number: {(c.row, c.column): c for c in cells} for number, cells in published_cells(run).items()}
        self._evidence = cache(lambda table: cell_samples.read(evidence_path(run, table)))
        self._samples: dict[tuple[int, str, str], Sample] = {}

    def sample(self, table: int, row: str, column: str) -> Sample:
        """A measured value with its seeds and draws.

        Raises:
            NotComputable: not measured; the cell's own reason.
            InputError: the table and what it was measured from are of different runs.
        """
        key = (table, reference.here(row), column)
        if key not in self._samples:
            self._samples[key] = self._sample(*key)
        return self._samples[key]

    def slack(self, table: int, row: str, column: str) -> float:
        """Measured values are not rounded."""
        return 0.0

    def rows(self, table: int, column: str) -> list[str]:
        """The paper's rows: a claim about all of them needs all of them."""
        return Printed().rows(table, column)

    def columns(self, table: int, row: str) -> list[str]:
        """Columns in which the row was measured."""
        self._table(table)
        found = [c for (r, _), c in self._cells[table].items() if r == reference.here(row)]
        return [c.column for c in found if c.source == "measured" and isinstance(c.value, int | float)]

    def _measured_from(self, table: int, row: str, column: str) -> Sample:
        try:
            return self._evidence(table).sample(row, column)
        except NotComputable:
            if table not in TIMED:
                raise
            return self._evidence(TIMES).sample(row, column)

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
        try:
            sample = self._measured_from(table, row, column)
        except NotComputable:
            return Sample(np.array([float(cell.value)]))
        if abs(sample.value - cell.value) > SAME * max(1.0, abs(cell.value)):
            raise InputError(
                f"Table {table}, {row} / {column}: shows {cell.value:.6g}, but was measured as {sample.value:.6g}; "
                f"run msfp table {table} --profile {self._run.settings.profile}"
            )
        return sample

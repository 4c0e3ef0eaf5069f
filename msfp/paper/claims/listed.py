"""The paper's claims as they stand in `claims.csv`, and the numbers that they are about."""

from dataclasses import dataclass
from functools import cache
from math import inf
from typing import Literal

import numpy as np

from msfp.errors import InputError, NotComputable
from msfp.experiment.run import Run
from msfp.metrics.bootstrap import Sample, Spread
from msfp.paper import cells, registry
from msfp.paper.stamps import TIMED, TIMES, evidence_path, published_cells
from msfp.types import Cell


@dataclass(frozen=True)
class Effect:
    """A number that a claim is about, with an interval at every level."""

    label: str  # `MSFP-Track − LITE`
    sample: Spread
    slack: float = 0.0  # how far it may be off by rounding
    unit: str = ""  # `points`, `ms`, `%`, `times` or empty
    margin: float = 0.0  # differences up to this are none
    printed: float | None = None  # the least that the paper's digits give it; None for times and counts of its machine
    paper: float | None = None  # its value by the paper's numbers


@dataclass(frozen=True)
class Found:
    """Effects and the region in which the claim wants every one of them."""

    effects: tuple[Effect, ...]
    low: float = 0.0
    high: float = inf
    strict: bool = True  # the lower bound is outside of the region
    bound: float | None = 0.0  # effects below this refute a claim of direction; None: the claim is about a region alone


TIME_TABLES, TIME_COLUMNS = {7, 11, 15, 24, 104}, {"ms/frame", "Runtime", "FPS"}


@dataclass(frozen=True)
class Apart:
    """Why claims are counted apart from the others, a line of `apart.csv`."""

    id: str
    why: Literal["construction", "hardware"]  # how data or modules are made decides it; a time of this machine
    where: Literal["embedded", "any", "nowhere"]  # `nowhere`: they count as all others
    reason: str  # what decides them


@dataclass(frozen=True)
class Claim:
    """One sentence of the paper and its test."""

    id: str
    topic: str  # heading in the report
    section: str  # of the paper, or the table or figure that makes the claim
    quote: str  # the paper's words; in brackets what they refer to
    basis: Literal["measured", "printed"]  # tested on this run's tables, or on the paper's own numbers
    kind: str  # a test of `rules`; `not testable` names none
    tables: tuple[int, ...]
    a: tuple[str, ...]  # rows compared; several are alternatives to a, or all of them are meant
    b: tuple[str, ...]
    columns: tuple[str, ...]  # as the kind reads them
    low: float  # infinite where the claim names no bound
    high: float
    family: str  # claims that ask one question, over which it is corrected
    apart: str  # id of why it is counted apart; empty: it is not
    remark: str  # how the sentence was read
    embedded: str  # what to know of it on the embedded worlds
    needs: str = ""  # `gpu`: an absolute time of the paper's machine

    @property
    def table(self) -> int:
        """The table that the claim stands on first."""
        return self.tables[0]

    @property
    def timed(self) -> bool:
        """True where the clock decides: two equal runs may differ in the verdict."""
        return self.basis == "measured" and bool({*self.tables} & TIME_TABLES or {*self.columns} & TIME_COLUMNS)


@cache
def load() -> tuple[Claim, ...]:
    """All claims in the file's order."""
    found = []
    for row in registry.records("claims.csv"):
        table, a, b, columns = (tuple(filter(None, row.pop(name).split("|"))) for name in ("table", "a", "b", "column"))
        low, high = float(row.pop("low") or -inf), float(row.pop("high") or inf)
        found.append(Claim(tables=tuple(map(int, table)), a=a, b=b, columns=columns, low=low, high=high, **row))  # type: ignore[arg-type]
    return tuple(found)


@cache
def reasons_apart() -> dict[str, Apart]:
    """id -> why claims are counted apart."""
    return {row["id"]: Apart(**row) for row in registry.records("apart.csv")}  # type: ignore[arg-type]


def apart(claim: Claim, embedded: bool) -> Apart | None:
    """Why a claim is counted apart, on embedded worlds or on other data; None where it is not."""
    one = reasons_apart()[claim.apart] if claim.apart and claim.basis == "measured" else None
    return one if one and (one.where == "any" or (embedded and one.where == "embedded")) else None


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
        entries = [e for e in registry.table(table) if e.column == column and isinstance(e.value, float)]
        return [e.row for e in entries if not e.private]

    def columns(self, table: int, row: str) -> list[str]:
        """Columns with a number in the row."""
        found = [e for e in registry.table(table) if e.row == registry.here(row)]
        return [e.column for e in found if isinstance(e.value, float)]

    def _entry(self, table: int, row: str, column: str) -> registry.Entry:
        entry = registry.lookup(table, row, column)
        if entry is None or not isinstance(entry.value, float):
            raise NotComputable(f"the paper's Table {table} has no number for {row} / {column}")
        return entry


class Measured(Printed):
    """Numbers measured in a run, from the files of its tables; not rounded."""

    def __init__(self, run: Run) -> None:
        self._profile = run.settings.profile
        self._cells = {number: {(c.row, c.column): c for c in cells} for number, cells in published_cells(run).items()}
        self._evidence = cache(lambda table: cells.read(evidence_path(run, table)))
        self._known = cache(self._sample)

    def sample(self, table: int, row: str, column: str) -> Sample:
        """A measured value with its seeds and draws.

        Raises:
            NotComputable: not measured; the cell's own reason.
            InputError: the table and what it was measured from are of different runs.
        """
        return self._known(table, registry.here(row), column)

    def slack(self, table: int, row: str, column: str) -> float:
        return 0.0

    def columns(self, table: int, row: str) -> list[str]:
        """Columns in which the row was measured."""
        found = [c for (r, _), c in self._table(table).items() if r == registry.here(row)]
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

"""The claims as `claims.csv` lists them: what the paper says, where, and how that is tested."""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from math import inf
from typing import Literal

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
    for row in _rows("claims.csv"):
        table, a, b, columns = (tuple(filter(None, row.pop(name).split("|"))) for name in ("table", "a", "b", "column"))
        low, high = float(row.pop("low") or -inf), float(row.pop("high") or inf)
        found.append(Claim(tables=tuple(map(int, table)), a=a, b=b, columns=columns, low=low, high=high, **row))  # type: ignore[arg-type]
    return tuple(found)


@cache
def reasons_apart() -> dict[str, Apart]:
    """id -> why claims are counted apart."""
    return {row["id"]: Apart(**row) for row in _rows("apart.csv")}  # type: ignore[arg-type]


def apart(claim: Claim, embedded: bool) -> Apart | None:
    """Why a claim is counted apart, on embedded worlds or on other data; None where it is not."""
    one = reasons_apart()[claim.apart] if claim.apart and claim.basis == "measured" else None
    return one if one and (one.where == "any" or (embedded and one.where == "embedded")) else None


def _rows(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader((files("msfp.paper") / name).read_text(encoding="utf-8").splitlines()))

"""The claims as `claims.csv` lists them: what the paper says, where, and how that is tested."""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from math import inf
from typing import Literal

Basis = Literal["measured", "printed"]


@dataclass(frozen=True)
class Claim:
    """One sentence of the paper and its test.

    Attributes:
        id: short name.
        topic: heading it stands under in the report.
        section: of the paper, or the table or figure that makes the claim.
        quote: the paper's words; in brackets what they refer to.
        basis: `measured`: tested on this run's tables; `printed`: on the paper's own numbers.
        kind: the test, a function of `rules` or `arithmetic`; `not testable` names none.
        tables: which tables it stands on.
        a, b: rows compared; several are alternatives to a, or all of them are meant.
        columns: columns compared, as the kind reads them.
        low, high: what the claimed size allows; infinite where the claim names no bound.
        remark: how the sentence was read.
        embedded: what the embedded worlds decide by their construction; empty where nothing.
        needs: `gpu` where the claim is an absolute time of the paper's machine; empty otherwise.
    """

    id: str
    topic: str
    section: str
    quote: str
    basis: Basis
    kind: str
    tables: tuple[int, ...]
    a: tuple[str, ...]
    b: tuple[str, ...]
    columns: tuple[str, ...]
    low: float
    high: float
    remark: str
    embedded: str
    needs: str = ""

    @property
    def table(self) -> int:
        """The table that the claim stands on first."""
        return self.tables[0]


@cache
def load() -> tuple[Claim, ...]:
    """All claims in the file's order."""
    text = (files("msfp.paper") / "claims.csv").read_text(encoding="utf-8")
    return tuple(_claim(row) for row in csv.DictReader(text.splitlines()))


def _claim(row: dict[str, str]) -> Claim:
    def several(name: str) -> tuple[str, ...]:
        return tuple(part for part in row[name].split("|") if part)

    return Claim(
        id=row["id"],
        topic=row["topic"],
        section=row["section"],
        quote=row["quote"],
        basis="printed" if row["basis"] == "printed" else "measured",
        kind=row["kind"],
        tables=tuple(int(t) for t in several("table")),
        a=several("a"),
        b=several("b"),
        columns=several("column"),
        low=float(row["low"]) if row["low"] else -inf,
        high=float(row["high"]) if row["high"] else inf,
        remark=row["remark"],
        embedded=row["embedded"],
        needs=row["needs"],
    )

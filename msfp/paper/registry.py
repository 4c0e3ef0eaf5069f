"""Which tables and figures there are; the notebooks' cells that are tagged with their numbers make them."""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from msfp.errors import InputError
from msfp.paper.tagged import CodeCell, sources

Kind = Literal["table", "figure"]
EXTRA = 100
"""Tables that the paper does not have are numbered from 101, so that they are never taken for one of its own."""


@dataclass(frozen=True)
class Artefact:
    """A table or figure of the paper, or one beside them.

    Attributes:
        id: `table03`, `figure03`, `leakage`; also its file name.
        title: a few words.
        section: of the paper.
        notebook: the one whose cell makes it, `03_heads`.
        stub: heading of the row labels; empty for figures.
        caption: one sentence.
    """

    id: str
    kind: Kind
    number: int
    title: str
    section: str
    notebook: str
    stub: str
    caption: str

    @property
    def tag(self) -> str:
        """Of the cell that makes it, `table-3`."""
        return f"{self.kind}-{self.number}"

    @property
    def cells(self) -> tuple[CodeCell, ...]:
        """The cells that make it, its notebook's setup first; none where nobody wrote one yet."""
        return sources(self.notebook, self.tag)

    @property
    def status(self) -> Literal["ready", "planned"]:
        """Whether it can be computed."""
        return "ready" if self.cells else "planned"

    @property
    def name(self) -> str:
        """`Table 3`, `Figure 3`, `Extra table 101`."""
        if self.number > EXTRA:
            return f"Extra {self.kind} {self.number}"
        return f"{self.kind.capitalize()} {self.number}"


def artefacts() -> tuple[Artefact, ...]:
    """All tables, then all figures of the paper."""
    return tuple(a for a in every() if a.number <= EXTRA)


def extras() -> tuple[Artefact, ...]:
    """Tables and figures that the paper does not have."""
    return tuple(a for a in every() if a.number > EXTRA)


@cache
def every() -> tuple[Artefact, ...]:
    """The paper's artefacts, then the extra ones."""
    texts = ((files("msfp.paper") / name).read_text(encoding="utf-8") for name in ("artefacts.csv", "extras.csv"))
    rows = [row for text in texts for row in csv.DictReader(text.splitlines())]
    return tuple(Artefact(**{**row, "number": int(row["number"])}) for row in rows)  # type: ignore[arg-type]


def artefact(kind: Kind, number: int) -> Artefact:
    """One artefact.

    Raises:
        InputError: the paper has none of that number.
    """
    for one in every():
        if (one.kind, one.number) == (kind, number):
            return one
    of_kind = [a for a in artefacts() if a.kind == kind]
    raise InputError(f"{kind} {number}: the paper has {kind}s 1 to {max(a.number for a in of_kind)}")

"""Which tables and figures there are; the notebooks' cells that are tagged with their numbers make them."""

import ast
import csv
import json
import linecache
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import msfp
from msfp.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


SETUP = "setup"
RUN = "run"


@dataclass(frozen=True)
class CodeCell:
    """A cell of a notebook: its name for messages, source and tags."""

    name: str
    source: str
    tags: tuple[str, ...]


def notebooks_folder() -> Path:
    """The checkout's notebooks.

    Raises:
        InputError: the package was installed without them.
    """
    folder = Path(msfp.__file__).resolve().parents[1] / "notebooks"
    if not folder.is_dir():
        raise InputError(f"no notebooks at {folder}; they come with a checkout of the project, not with the package")
    return folder


def code_cells(path: Path) -> tuple[CodeCell, ...]:
    """The code cells of a notebook, in order.

    Raises:
        InputError: not a notebook.
    """
    state = path.stat()
    return _read(path, (state.st_mtime_ns, state.st_size))


@lru_cache(maxsize=64)
def _read(path: Path, _state: tuple[int, int]) -> tuple[CodeCell, ...]:
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        found = [(n, "".join(c["source"]), c["metadata"].get("tags", ())) for n, c in enumerate(cells, 1)
                 if c["cell_type"] == "code"]  # fmt: skip
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not a notebook ({error!r}); restore it from the project") from None
    return tuple(CodeCell(f"{path.stem}, cell {n}", source, tuple(tags)) for n, source, tags in found)


def sources(notebook: str, tag: str) -> tuple[CodeCell, ...]:
    """The cells that make an artefact: those tagged `setup`, then those with its tag; none where no cell has it, or
    where the package was installed without the notebooks, as on Colab."""
    try:
        path = notebooks_folder() / f"{notebook}.ipynb"
    except InputError:
        return ()
    cells = code_cells(path) if path.is_file() else ()
    mine = tuple(c for c in cells if tag in c.tags)
    return (*(c for c in cells if SETUP in c.tags), *mine) if mine else ()


def imported(cells: tuple[CodeCell, ...]) -> Iterator[str]:
    """Modules of this package that cells import from, or whose public names they use."""
    root = Path(msfp.__file__).parents[1]
    for cell in cells:
        for node in ast.walk(ast.parse(cell.source)):
            names: tuple[str, ...] = ()
            if isinstance(node, ast.ImportFrom) and node.module == "msfp":
                names = tuple(public_module(alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("msfp."):
                names = (str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names))
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "msfp":
                names = (public_module(node.attr),)
            yield from (name for name in names if (root / (name.replace(".", "/") + ".py")).is_file())


def public_module(name: str) -> str:
    """Where a public name of the package is defined."""
    return msfp._PLACES.get(name, "").partition(":")[0]


def execute(run: object, notebook: str, tag: str) -> object:
    """Run the cells that make an artefact, with this run in place of the one that the notebook opens.

    Returns:
        The value of the last line.

    Raises:
        InputError: no cell of the notebook has the tag.
    """
    cells = sources(notebook, tag)
    if not cells:
        raise InputError(f"{notebook}.ipynb has no cell tagged {tag}; tag the cell that makes it")
    space: dict[str, Any] = {"__name__": "__main__", RUN: run}
    value = None
    for cell in cells:
        value = _execute(cell, space)
    return value


def _execute(cell: CodeCell, space: dict[str, Any]) -> object:
    """Run a cell and give the value of its last line, as a notebook shows it."""
    file = f"<{cell.name}>"
    linecache.cache[file] = (len(cell.source), None, cell.source.splitlines(keepends=True), file)
    tree = ast.parse(cell.source, file)
    body = [node for node in tree.body if not _opens_run(node)]
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), file, "exec"), space)
    return eval(compile(ast.Expression(last.value), file, "eval"), space) if isinstance(last, ast.Expr) else None


def _opens_run(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == RUN for t in node.targets)


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


HERE = MappingProxyType({"LITE": "LITE (trained 64-d)"})
"""Rows of the paper that go by another name here: its LITE has an embedding of width 64, which must have been trained,
while LITE's authors train none."""
_NUMBER = re.compile(r"^[+-]?\d+(\.\d+)?(K?)$")


@dataclass(frozen=True)
class Entry:
    """One entry of a table of the paper.

    Attributes:
        table: 1 to 24.
        order: place in the table, row by row, from 1.
        group: heading under which the row stands, empty where there is none.
        row, column: labels, as in `types.Cell`; rows as they are called `HERE`.
        printed: the text of the cell without its spread: `63.2`, `8.3K`, `+1.9`, `Manual`.
        value: the number (`8.3K` is 8300), or `printed` for words.
        std: spread over the paper's runs.
        unit: `%`, `ms` or empty.
        private: obtained with private detections (the paper's dagger).
        published: the value published elsewhere for this method, None where we know none.
        published_source: where, and under which conditions.
        remark: what to know before comparing with it.
        decimals, std_decimals: digits behind the point, as printed.
    """

    table: int
    order: int
    group: str
    row: str
    column: str
    printed: str
    value: float | str
    std: float | None
    unit: str
    private: bool
    published: float | None
    published_source: str
    remark: str
    decimals: int
    std_decimals: int


@cache
def load() -> tuple[Entry, ...]:
    """All entries, by table and order."""
    text = (files("msfp.paper") / "reference.csv").read_text(encoding="utf-8")
    return tuple(_entry(row) for row in csv.DictReader(text.splitlines()))


@cache
def table(number: int) -> tuple[Entry, ...]:
    """Entries of one table; none of an extra one, which the paper does not have.

    Raises:
        InputError: no such table.
    """
    if number > EXTRA:
        return ()
    found = tuple(e for e in load() if e.table == number)
    if not found:
        raise InputError(f"table {number}: the paper has tables 1 to {max(e.table for e in load())}")
    return found


def frame(number: int) -> "pd.DataFrame":
    """The paper's table: row, column, value (a number or text) as printed there.

    Raises:
        InputError: no such table.
    """
    import pandas as pd

    return pd.DataFrame([{"row": e.row, "column": e.column, "value": e.value} for e in table(number)])


@cache
def rows(number: int) -> tuple[str, ...]:
    """Row labels in the paper's order."""
    return tuple(dict.fromkeys(e.row for e in table(number)))


@cache
def columns(number: int) -> tuple[str, ...]:
    """Column labels in the paper's order, without that of the row labels."""
    return tuple(dict.fromkeys(e.column for e in table(number)))


@cache
def _index(number: int) -> dict[tuple[str, str], Entry]:
    return {(e.row, e.column): e for e in table(number)}


def lookup(number: int, row: str, column: str) -> Entry | None:
    """The paper's entry, None where the paper has none; the row as the paper calls it or as it is called `HERE`."""
    return _index(number).get((here(row), column))


def here(row: str) -> str:
    """Name of a row of the paper in this suite's tables."""
    return HERE.get(row, row)


def number(text: str) -> float | None:
    """`63.2`, `+1.9`, `8.3K` as a number; None for words and dashes."""
    if not _NUMBER.match(text):
        return None
    return round(float(text[:-1]) * 1000, 6) if text.endswith("K") else float(text)


def _decimals(text: str) -> int:
    return 0 if text.endswith("K") else len(text.partition(".")[2])


def _entry(row: dict[str, str]) -> Entry:
    value = number(row["value"])
    return Entry(
        table=int(row["table"]),
        order=int(row["order"]),
        group=row["group"],
        row=here(row["row"]),
        column=row["column"],
        printed=row["value"],
        value=row["value"] if value is None else value,
        std=float(row["std"]) if row["std"] else None,
        unit=row["unit"],
        private=row["private"] == "yes",
        published=float(row["published"]) if row["published"] else None,
        published_source=row["published_source"],
        remark=row["remark"],
        decimals=0 if value is None else _decimals(row["value"]),
        std_decimals=_decimals(row["std"]),
    )

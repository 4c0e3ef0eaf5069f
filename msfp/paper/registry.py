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
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msfp
from msfp.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


NOTEBOOKS, FIRST = "notebooks", "00_data.ipynb"


class CodeCell(NamedTuple):
    """A cell of a notebook."""

    name: str  # for messages
    source: str
    tags: tuple[str, ...]


def notebooks_folder() -> Path:
    """The checkout's notebooks; else those of `notebooks/` here, or here, as `msfp init` puts them; else the package's
    own."""
    package = Path(msfp.__file__).resolve().parent
    places = (package.parent / NOTEBOOKS, Path.cwd() / NOTEBOOKS, Path.cwd())
    return next((place for place in places if (place / FIRST).is_file()), package / NOTEBOOKS)


def bring_notebooks() -> tuple[Path, list[str], list[str]]:
    """Put the package's notebooks into `notebooks/` here, see `engine.notebooks.bring`; a checkout has its own."""
    from msfp.engine.notebooks import bring

    shipped, folder = Path(msfp.__file__).resolve().parent / NOTEBOOKS, notebooks_folder()
    if folder == shipped:
        folder = Path.cwd() / NOTEBOOKS
    return folder, *bring(shipped, folder)


@lru_cache(maxsize=64)
def _code_cells(path: Path, _state: tuple[int, int]) -> tuple[CodeCell, ...]:
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        return tuple(
            CodeCell(f"{path.stem}, cell {n}", "".join(c["source"]), tuple(c["metadata"].get("tags", ())))
            for n, c in enumerate(cells, 1)
            if c["cell_type"] == "code"
        )
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not a notebook ({error!r}); restore it from the project") from None


def sources(notebook: str, tag: str) -> tuple[CodeCell, ...]:
    """The cells that make an artefact: those tagged `setup`, then those with its tag; none where no cell has it."""
    path = notebooks_folder() / f"{notebook}.ipynb"
    if not path.is_file():
        return ()
    cells = _code_cells(path, (path.stat().st_mtime_ns, path.stat().st_size))
    mine = tuple(c for c in cells if tag in c.tags)
    return (*(c for c in cells if "setup" in c.tags), *mine) if mine else ()


def imported(cells: tuple[CodeCell, ...]) -> Iterator[str]:
    """Modules of this package that cells import from, or whose public names they use."""
    root, public = Path(msfp.__file__).parents[1], {k: v.partition(":")[0] for k, v in msfp._PLACES.items()}
    for node in (node for cell in cells for node in ast.walk(ast.parse(cell.source))):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom) and node.module == "msfp":
            names = [public.get(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("msfp."):
            names = [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "msfp":
            names = [public.get(node.attr, "")]
        yield from (name for name in names if (root / (name.replace(".", "/") + ".py")).is_file())


def execute(run: object, notebook: str, tag: str) -> object:
    """Run the cells that make an artefact, with this run in place of the one that the notebook opens.

    Returns the value of the last line, as a notebook shows it. InputError: no cell of the notebook has the tag.
    """
    cells = sources(notebook, tag)
    if not cells:
        raise InputError(f"{notebook}.ipynb has no cell tagged {tag}; tag the cell that makes it")
    space: dict[str, Any] = {"__name__": "__main__", "run": run}
    value = None
    for cell in cells:
        file = f"<{cell.name}>"
        linecache.cache[file] = (len(cell.source), None, cell.source.splitlines(keepends=True), file)
        body = [
            node
            for node in ast.parse(cell.source, file).body
            if not (isinstance(node, ast.Assign) and "run" in [getattr(t, "id", "") for t in node.targets])
        ]
        last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
        exec(compile(ast.Module(body, []), file, "exec"), space)
        value = None
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), file, "eval"), space)
    return value


Kind = Literal["table", "figure"]
EXTRA = 100
"""Tables that the paper does not have are numbered from 101, so that they are never taken for one of its own."""


@dataclass(frozen=True)
class Artefact:
    """A table or figure of the paper, or one beside them."""

    id: str  # `table03`, `figure03`, `leakage`; also its file name
    kind: Kind
    number: int
    title: str  # a few words
    section: str  # of the paper
    notebook: str  # the one whose cell makes it, `03_heads`
    stub: str  # heading of the row labels; empty for figures
    caption: str  # one sentence

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
        return "ready" if self.cells else "planned"

    @property
    def name(self) -> str:
        """`Table 3`, `Figure 3`, `Extra table 101`."""
        return f"Extra {self.kind} {self.number}" if self.number > EXTRA else f"{self.kind.capitalize()} {self.number}"


def artefacts() -> tuple[Artefact, ...]:
    """All tables, then all figures of the paper."""
    return tuple(a for a in every() if a.number <= EXTRA)


@cache
def every() -> tuple[Artefact, ...]:
    """The paper's artefacts, then the extra ones."""
    listed = [*records("artefacts.csv"), *records("extras.csv")]
    return tuple(Artefact(**{**row, "number": int(row["number"])}) for row in listed)  # type: ignore[arg-type]


def records(name: str) -> list[dict[str, str]]:
    """Lines of a CSV file of this package."""
    return list(csv.DictReader((files("msfp.paper") / name).read_text(encoding="utf-8").splitlines()))


def artefact(kind: Kind, number: int) -> Artefact:
    """One artefact; InputError: the paper has none of that number."""
    if found := [one for one in every() if (one.kind, one.number) == (kind, number)]:
        return found[0]
    last = max(a.number for a in artefacts() if a.kind == kind)
    raise InputError(f"{kind} {number}: the paper has {kind}s 1 to {last}")


HERE = MappingProxyType({"LITE": "LITE (trained 64-d)"})
"""Rows of the paper that go by another name here: its LITE has an embedding of width 64, which must have been trained,
while LITE's authors train none."""
_NUMBER = re.compile(r"^[+-]?\d+(\.\d+)?(K?)$")


@dataclass(frozen=True)
class Entry:
    """One entry of a table of the paper."""

    table: int  # 1 to 24
    order: int  # place in the table, row by row, from 1
    group: str  # heading under which the row stands, empty where there is none
    row: str  # label as in `types.Cell`, as rows are called `HERE`
    column: str
    printed: str  # the text of the cell without its spread: `63.2`, `8.3K`, `+1.9`, `Manual`
    value: float | str  # the number (`8.3K` is 8300), or `printed` for words
    std: float | None  # spread over the paper's runs
    unit: str  # `%`, `ms` or empty
    private: bool  # obtained with private detections (the paper's dagger)
    published: float | None  # the value published elsewhere for this method, None where we know none
    published_source: str  # where, and under which conditions
    remark: str  # what to know before comparing with it
    decimals: int  # digits behind the point, as printed
    std_decimals: int


@cache
def load() -> tuple[Entry, ...]:
    """All entries, by table and order."""
    return tuple(map(_entry, records("reference.csv")))


@cache
def table(number: int) -> tuple[Entry, ...]:
    """Entries of one table; none of an extra one, which the paper does not have. InputError: no such table."""
    if number > EXTRA:
        return ()
    found = tuple(e for e in load() if e.table == number)
    if not found:
        raise InputError(f"table {number}: the paper has tables 1 to {max(e.table for e in load())}")
    return found


def frame(number: int) -> "pd.DataFrame":
    """The paper's table: row, column, value (a number or text) as printed there; InputError: no such table.

    Example:
        >>> list(msfp.reference(3))
        ['row', 'column', 'value']
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
def lookup(number: int, row: str, column: str) -> Entry | None:
    """The paper's entry, None where the paper has none; the row as the paper calls it or as it is called `HERE`."""
    return next((e for e in table(number) if (e.row, e.column) == (here(row), column)), None)


def here(row: str) -> str:
    """Name of a row of the paper in this suite's tables."""
    return HERE.get(row, row)


def number(text: str) -> float | None:
    """`63.2`, `+1.9`, `8.3K` as a number; None for words and dashes."""
    if not _NUMBER.match(text):
        return None
    return round(float(text[:-1]) * 1000, 6) if text.endswith("K") else float(text)


def _entry(row: dict[str, str]) -> Entry:
    printed, value = row["value"], number(row["value"])
    known = {name: row[name] for name in ("group", "column", "unit", "published_source", "remark")}
    return Entry(
        **known,
        table=int(row["table"]),
        order=int(row["order"]),
        row=here(row["row"]),
        printed=printed,
        value=printed if value is None else value,
        std=float(row["std"]) if row["std"] else None,
        private=row["private"] == "yes",
        published=float(row["published"]) if row["published"] else None,
        decimals=0 if value is None or printed.endswith("K") else len(printed.partition(".")[2]),
        std_decimals=len(row["std"].partition(".")[2]),
    )

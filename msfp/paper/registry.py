"""Which tables and figures there are, and the functions that compute them.

A module of `tables/` or `figures/` registers by existing: its function carries `@table(3)` or `@figure(3)`. The
decorator only marks the function; who asks reads the marks of all modules, so nothing is kept at module level.
An artefact is `ready` when a function is registered for it and `planned` when none is.
"""

import ast
import csv
import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from msfp.errors import InputError, NotComputable
from msfp.types import Cell

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from msfp.pipeline.heads import Appearance

Kind = Literal["table", "figure"]
TableFunction = Callable[[Any], list[Cell]]
FigureFunction = Callable[[Any], "Figure"]
HeadsFunction = Callable[[Any], "list[Appearance]"]
Function = TypeVar("Function", bound=Callable[..., Any])
MARK = "__artefact__"
HOMES = ("msfp.paper.tables", "msfp.paper.figures")
EXTRA = 100
"""Tables that the paper does not have are numbered from 101, so that they are never taken for one of its own."""


@dataclass(frozen=True)
class Mark:
    """What a decorator leaves on a function."""

    kind: Kind
    number: int
    needs: tuple[str, ...]
    title: str = ""
    heads: "HeadsFunction | None" = None


@dataclass(frozen=True)
class Artefact:
    """A table or figure of the paper, or a table beside them.

    Attributes:
        id: `table03`, `figure03`, `leakage`; also its file name.
        title: a few words.
        section: of the paper.
        notebook: the one that produces it, `03_heads`.
        stub: heading of the row labels; empty for figures.
        caption: one sentence.
        function: what computes it, None while planned.
        needs: stages it draws on.
        heads: gives the embeddings whose heads it trains, so that several tables' can be trained together.
    """

    id: str
    kind: Kind
    number: int
    title: str
    section: str
    notebook: str
    stub: str
    caption: str
    function: Callable[..., Any] | None
    needs: tuple[str, ...]
    heads: "HeadsFunction | None" = None

    @property
    def status(self) -> Literal["ready", "planned"]:
        """Whether it can be computed."""
        return "planned" if self.function is None else "ready"

    @property
    def name(self) -> str:
        """`Table 3`, `Figure 3`, `Extra table 101`."""
        if self.number > EXTRA:
            return f"Extra {self.kind} {self.number}"
        return f"{self.kind.capitalize()} {self.number}"


def table(
    number: int, *, needs: tuple[str, ...] = (), title: str = "", heads: "HeadsFunction | None" = None
) -> Callable[[Function], Function]:
    """Register `(run) -> list[Cell]` as a table; `title` replaces the listed one; `heads`: see `Artefact`."""
    return _marker(Mark("table", number, needs, title, heads))


def figure(number: int, *, needs: tuple[str, ...] = (), title: str = "") -> Callable[[Function], Function]:
    """Register `(run) -> matplotlib Figure` as the paper's figure; `title` replaces the listed one."""
    return _marker(Mark("figure", number, needs, title))


def artefacts() -> tuple[Artefact, ...]:
    """All tables, then all figures of the paper, ready or planned.

    Raises:
        InputError: an id registered twice, or one that the paper does not have.
    """
    return tuple(a for a in every() if a.number <= EXTRA)


def extras() -> tuple[Artefact, ...]:
    """Tables that the paper does not have."""
    return tuple(a for a in every() if a.number > EXTRA)


@cache
def every() -> tuple[Artefact, ...]:
    """The paper's artefacts, then the extra ones."""
    return collect([module for home in HOMES for module in modules(importlib.import_module(home))])


def outline() -> tuple[Artefact, ...]:
    """As `every`, read from the source without importing it, for lists: without `needs`, and none can be called."""
    marks: dict[tuple[str, int], tuple[Mark, Callable[..., Any]]] = {}
    for home in HOMES:
        folder = Path(str(files(home)))
        for path in sorted(folder.glob("*.py")):
            for mark in _marks_in(ast.parse(path.read_text(encoding="utf-8"))):
                marks[mark.kind, mark.number] = (mark, _unread)
    return tuple(_artefact(row, marks) for row in _listed())


def _marks_in(tree: ast.Module) -> Iterator[Mark]:
    """What the decorators of a module's functions say."""
    for node in tree.body:
        for call in node.decorator_list if isinstance(node, ast.FunctionDef) else ():
            name = call.func.id if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) else ""
            if isinstance(call, ast.Call) and name in ("table", "figure"):
                titles = [ast.literal_eval(k.value) for k in call.keywords if k.arg == "title"]
                yield Mark("table" if name == "table" else "figure", ast.literal_eval(call.args[0]), (), *titles)


def _unread(_run: Any) -> Any:
    raise NotImplementedError("read from the outline; `artefacts` has the function")


def get_table(number: int) -> TableFunction:
    """The function of a table.

    Raises:
        InputError: the paper has no such table.
        NotComputable: it is planned.
    """
    return _get("table", number)


def get_figure(number: int) -> FigureFunction:
    """The function of a figure.

    Raises:
        InputError: the paper has no such figure.
        NotComputable: it is planned.
    """
    return _get("figure", number)


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


def modules(package: ModuleType) -> list[ModuleType]:
    """The modules of a folder, by name."""
    names = sorted(m.name for m in pkgutil.iter_modules(package.__path__))
    return [importlib.import_module(f"{package.__name__}.{name}") for name in names]


def collect(found: list[ModuleType]) -> tuple[Artefact, ...]:
    """All artefacts with the functions registered in modules: the paper's, then the extra ones.

    Raises:
        InputError: an id registered twice, or one that the paper does not have.
    """
    marks: dict[tuple[str, int], tuple[Mark, Callable[..., Any]]] = {}
    for module in found:
        for function in vars(module).values():
            mark = getattr(function, MARK, None)
            if mark is None or function.__module__ != module.__name__:
                continue
            key = (mark.kind, mark.number)
            if key in marks:
                first = marks[key][1]
                raise InputError(
                    f"{mark.kind} {mark.number} is registered twice: {first.__module__}.{first.__name__} and "
                    f"{module.__name__}.{function.__name__}; remove one"
                )
            marks[key] = (mark, function)
    listed = tuple(_artefact(row, marks) for row in _listed())
    unknown = sorted(set(marks) - {(a.kind, a.number) for a in listed})
    if unknown:
        kind, number = unknown[0]
        where = marks[unknown[0]][1].__module__
        raise InputError(f"{where} registers {kind} {number}, which the paper does not have")
    return listed


def _artefact(row: dict[str, str], marks: dict[tuple[str, int], tuple[Mark, Callable[..., Any]]]) -> Artefact:
    kind: Kind = "table" if row["kind"] == "table" else "figure"
    number = int(row["number"])
    mark, function = marks.get((kind, number), (None, None))
    return Artefact(
        id=row["id"],
        kind=kind,
        number=number,
        title=(mark.title if mark else "") or row["title"],
        section=row["section"],
        notebook=row["notebook"],
        stub=row["stub"],
        caption=row["caption"],
        function=function,
        needs=mark.needs if mark else (),
        heads=mark.heads if mark else None,
    )


def _listed() -> list[dict[str, str]]:
    texts = ((files("msfp.paper") / name).read_text(encoding="utf-8") for name in ("artefacts.csv", "extras.csv"))
    return [row for text in texts for row in csv.DictReader(text.splitlines())]


def _marker(mark: Mark) -> Callable[[Function], Function]:
    def decorate(function: Function) -> Function:
        setattr(function, MARK, mark)
        return function

    return decorate


def _get(kind: Kind, number: int) -> Callable[..., Any]:
    one = artefact(kind, number)
    if one.function is None:
        ready = ", ".join(str(a.number) for a in artefacts() if a.kind == kind and a.function is not None)
        raise NotComputable(f"{kind} {number} ({one.title}) is planned, not computed yet; ready {kind}s: {ready}")
    return one.function

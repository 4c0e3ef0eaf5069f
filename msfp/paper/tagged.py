"""The cells of the notebooks that make tables and figures, found by their tags and run without a kernel.

A cell tagged `table-3` makes Table 3: its last line is `run.table(3, ...)`. Cells tagged `setup` of the same notebook
come before it; what they open is replaced by the run at hand.
"""

import ast
import json
import linecache
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import msfp
from msfp.errors import InputError

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

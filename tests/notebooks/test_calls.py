"""Cells call what there is: no type checker reads notebooks, and executing all of them takes minutes."""

import ast
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))


def code_of(path: Path) -> ast.Module:
    cells = nbformat.read(path, 4).cells
    lines = (line for cell in cells if cell.cell_type == "code" for line in cell.source.splitlines())
    return ast.parse("\n".join(line for line in lines if not line.startswith(("%", "!"))))


def imported(tree: ast.Module) -> dict[str, Any]:
    """Name -> what it stands for, of all that cells take from the package; AttributeError for what is not there."""
    found: dict[str, Any] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {a.asname or a.name: importlib.import_module(a.name) for a in node.names if a.name == "msfp"}
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "msfp":
            module = importlib.import_module(str(node.module))
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")
                found[alias.asname or alias.name] = getattr(module, alias.name)
    return found


def calls(tree: ast.Module, names: dict[str, Any]) -> Iterator[tuple[ast.Call, Any]]:
    """Calls of the package's functions and classes."""
    for node in (n for n in ast.walk(tree) if isinstance(n, ast.Call)):
        match node.func:
            case ast.Name(name) if name in names:
                yield node, names[name]
            case ast.Attribute(ast.Name(name), attribute) if isinstance(names.get(name), ModuleType):
                yield node, getattr(names[name], attribute)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_cells_call_what_there_is_with_arguments_it_takes(path: Path) -> None:
    tree = code_of(path)
    names = imported(tree)
    for node, function in calls(tree, names):
        unpacked = any(isinstance(a, ast.Starred) for a in node.args) or any(k.arg is None for k in node.keywords)
        if unpacked or (isinstance(function, type) and issubclass(function, Exception)):
            continue
        try:
            inspect.signature(function).bind(*node.args, **{str(k.arg): k.value for k in node.keywords})
        except TypeError as error:
            raise AssertionError(f"{ast.unparse(node)}: {error}") from error

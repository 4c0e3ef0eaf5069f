"""The definitions that stand in the notebooks' cells, to be run against what is compiled."""

import ast
from pathlib import Path
from types import SimpleNamespace

import nbformat

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


def plain(notebook: str, *constants: str, **known: object) -> SimpleNamespace:
    """Functions, classes and imports of a notebook's cells, and the assignments of some names.

    Args:
        notebook: its number, `05`.
        constants: names that functions read, whose assignments are run too.
        known: values of other names, such as `detector`.
    """
    (path,) = NOTEBOOKS.glob(f"{notebook}_*.ipynb")
    space: dict[str, object] = {"__name__": f"notebook{notebook}", **known}
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type != "code":
            continue
        for node in ast.parse(cell.source).body:
            if _is_definition(node, constants):
                exec(compile(ast.Module([node], []), str(path), "exec"), space)
    return SimpleNamespace(**space)


def _is_definition(node: ast.stmt, constants: tuple[str, ...]) -> bool:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return not node.decorator_list
    if isinstance(node, ast.Assign):
        names = {n.id for target in node.targets for n in ast.walk(target) if isinstance(n, ast.Name)}
        return names <= set(constants) and bool(names)
    return isinstance(node, ast.Import | ast.ImportFrom)

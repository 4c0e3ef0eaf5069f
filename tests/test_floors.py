"""The house: a module imports only from floors below, and rooms on one floor do not import each other."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "msfp"
FLOORS: tuple[tuple[str, ...], ...] = (
    ("types", "config", "compiled", "errors"),
    ("engine",),
    ("data", "features", "heads", "tracking"),
    ("metrics", "worlds"),
    ("experiment",),
    ("paper", "online"),
    ("explore",),
    ("cli",),
)
FLOOR = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}
FILES = sorted(PACKAGE.rglob("*.py"))


def room_of(module: str) -> str | None:
    """`msfp.heads.fusion` -> `heads`; None for the package itself."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else None


def imported(tree: ast.Module) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            base = node.module or ""
            found |= {f"{base}.{alias.name}" for alias in node.names} if base == "msfp" else {base}
    return {name for name in found if name.split(".")[0] == "msfp"}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    own = path.relative_to(PACKAGE).with_suffix("").parts[0]
    if own == "__init__":
        return
    for module in imported(ast.parse(path.read_text(encoding="utf-8"))):
        room = room_of(module)
        if room in (None, own, "__version__"):
            continue
        allowed = FLOOR[room] < FLOOR[own] or (FLOOR[own] == 0 and FLOOR[room] == 0)
        assert allowed, f"{path.name} in {own} imports {module}: {room} is not on a floor below {own}"


def edges() -> dict[str, set[str]]:
    """Module -> modules of this package that it imports, also within functions; not what only type checkers read."""
    names = {module_name(path): path for path in FILES}
    found: dict[str, set[str]] = {}
    for name, path in names.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
                node.body = []
        wanted: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                wanted |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module or ""}
            elif isinstance(node, ast.Import):
                wanted |= {alias.name for alias in node.names}
        found[name] = {other for other in wanted if other in names and other not in (name, "msfp")}
    return found


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def test_no_files_import_each_other_in_a_circle() -> None:
    """Leaves are taken away until none is left: what remains stands in a circle or leads to one."""
    left = edges()
    while leaves := {name for name, wanted in left.items() if not wanted & left.keys()}:
        left = {name: wanted for name, wanted in left.items() if name not in leaves}
    assert not left, left


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 500
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno <= 60, f"{node.name} is longer than 60 lines"


def test_every_module_says_what_it_is() -> None:
    silent = [str(p.relative_to(PACKAGE)) for p in FILES if ast.get_docstring(ast.parse(p.read_text())) is None]
    assert not silent


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = "[m for m in ('torch', 'numba', 'pandas') if m in sys.modules]"
    code = f"import sys, msfp, msfp.types, msfp.config; print({heavy})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

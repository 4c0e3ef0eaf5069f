"""Digest of the code a result comes from: changed code is another key, a changed comment is not.

What counts of a source file is kept beside the package, named by the file's bytes, so that it is parsed once: parsing
the package takes a second, which each notebook's kernel and each worker would spend anew. It may be lost at any time.
"""

import ast
import functools
import hashlib
import importlib.util
import json
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from msfp.engine.files import atomic_write
from msfp.engine.hashing import DIGEST_BYTES, digest
from msfp.errors import MsfpError

PREFIX = "code:"
FORMAT = 1  # another one for another way to digest
PACKAGE = Path(__file__).resolve().parents[1]
# How a tree is written as text differs between versions of Python.
KEPT = PACKAGE / "__pycache__" / f"sources-{FORMAT}-{sys.implementation.cache_tag}.json"
MOST = 4096  # files kept, of earlier versions too
Docstringed = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
Stamp = tuple[int, int]


class Source(NamedTuple):
    """What counts of a source file.

    Attributes:
        digest: of its syntax tree without docstrings; comments and layout do not count.
        imports: as (level, module, names).
    """

    digest: str
    imports: tuple[tuple[int, str, tuple[str, ...]], ...]


def code_digest(*names: str, follow: bool = True) -> str:
    """Digest of the source of modules, and of all files of packages.

    Args:
        names: dotted; nothing is imported. A digest that this function returned is taken as it is.
        follow: also take every module of the same package that they import, at whatever depth. Modules that are
            discovered at run time (a registry's folder) are not seen by this; name them or their package.

    Returns:
        `code:` and a hex digest of the syntax trees without docstrings; comments and layout do not count.

    Raises:
        MsfpError: a module has no source.
    """
    given = tuple(name for name in names if name.startswith(PREFIX))
    files = {name: path for target in names if target not in given for name, path in _files_of(target)}
    asked = (tuple(files), given, follow)
    stamps, known = _known.get(asked, ((), ""))
    if not known or any(_stamp(path) != before for path, before in stamps):
        if follow:
            _add_imported(files)
        stamps = tuple((path, _stamp(path)) for path in files.values())
        known = PREFIX + digest([{name: source(path).digest for name, path in files.items()}, given])
        _known[asked] = stamps, known
        keep()
    return known


def digest_tree(tree: ast.AST) -> str:
    """Digest of a syntax tree; its docstrings are removed."""
    for node in ast.walk(tree):
        if isinstance(node, Docstringed) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return hashlib.blake2b(ast.unparse(tree).encode(), digest_size=DIGEST_BYTES).hexdigest()


def source(path: Path) -> Source:
    """A file's source; read again only when size or mtime changed.

    Raises:
        SyntaxError: not Python.
    """
    return _unchanged(path, _stamp(path))


def keep() -> None:
    """Write down what was parsed since the last time, beside what others have written."""
    if _new:
        before = _read()
        everything = {**(before if len(before) < MOST else {}), **_new}
        _new.clear()
        with suppress(MsfpError):  # a package that cannot be written beside
            atomic_write(KEPT, json.dumps(everything, separators=(",", ":")).encode(), durable=False)


# A digest, and the files it was made of as they were: asked for once a cell, it is made once a change.
_known: dict[tuple[object, ...], tuple[tuple[tuple[Path, Stamp], ...], str]] = {}
_new: dict[str, Source] = {}


def _read() -> dict[str, Source]:
    """What is kept, by the digest of a file's bytes; empty where that is nothing to be read."""
    try:
        return {
            name: Source(digest, tuple((level, module, tuple(names)) for level, module, names in imports))
            for name, (digest, imports) in json.loads(KEPT.read_bytes()).items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


_kept = functools.cache(_read)


def _stamp(path: Path) -> Stamp:
    """What tells that a file was changed: mtime and size."""
    stat = os.stat(path)
    return stat.st_mtime_ns, stat.st_size


@functools.lru_cache(maxsize=4096)
def _unchanged(path: Path, _state: Stamp) -> Source:
    text = path.read_bytes()
    if not path.is_relative_to(PACKAGE):
        return _parsed(text)
    name = hashlib.blake2b(text, digest_size=DIGEST_BYTES).hexdigest()
    found = _kept().get(name)
    if found is None:
        found = _new[name] = _parsed(text)
    return found


def _parsed(text: bytes) -> Source:
    tree = ast.parse(text)
    imports: list[tuple[int, str, tuple[str, ...]]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports += [(0, alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imports.append((node.level, node.module or "", tuple(alias.name for alias in node.names)))
    return Source(digest_tree(tree), tuple(imports))


def _files_of(name: str) -> Iterator[tuple[str, Path]]:
    """(dotted name, file) of a module, or of each module of a package."""
    path = _locate(name)
    if path is None or not path.is_file():
        raise MsfpError(f"code {name!r}: no such module, or it has no source file")
    yield name, path
    if path.name == "__init__.py":
        for file in sorted(path.parent.rglob("*.py")):
            parts = file.relative_to(path.parent).with_suffix("").parts
            yield ".".join((name, *parts)).removesuffix(".__init__"), file


def _add_imported(files: dict[str, Path]) -> None:
    todo = list(files.items())
    while todo:
        name, path = todo.pop()
        for other in _imports(path, name):
            found = None if other in files else _locate(other)
            if found is not None:
                files[other] = found
                todo.append((other, found))


def _imports(path: Path, name: str) -> Iterator[str]:
    """Dotted names a file may import from its own top-level package or from msfp."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    roots = {"msfp", package.partition(".")[0]} - {""}
    for level, module, names in source(path).imports:
        base = module
        if level:
            parent = package.split(".")[: len(package.split(".")) - level + 1]
            base = ".".join([*parent, *([module] if module else [])])
        if base.partition(".")[0] in roots:
            yield base
            yield from (f"{base}.{one}" for one in names)


@functools.lru_cache(maxsize=4096)
def _locate(name: str) -> Path | None:
    """Source file of a dotted name, found without importing it; None where the name is no module."""
    top, _, rest = name.partition(".")
    spec = importlib.util.find_spec(top)
    if spec is None or spec.origin is None:
        return None
    if not rest:
        return Path(spec.origin)
    base = Path(spec.origin).parent.joinpath(*rest.split("."))
    candidates = (base / "__init__.py", base.with_name(base.name + ".py"))
    return next((path for path in candidates if path.is_file()), None)

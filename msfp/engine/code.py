"""Digest of the code a result comes from: changed code is another key, a changed comment is not."""

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
PACKAGE = Path(__file__).resolve().parents[1]
# What counts of each of the package's files, so that it is parsed once: parsing all takes a second, which each
# notebook's kernel and each worker would spend anew. How a tree is written as text differs between versions of Python.
KEPT = Path("__pycache__") / f"sources-{sys.implementation.cache_tag}"
Docstringed = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
Stamp = tuple[int, int]
# A digest, and the files it was made of as they were: asked for once a cell, it is made once a change.
_known: dict[tuple[object, ...], tuple[dict[Path, Stamp], str]] = {}


class Source(NamedTuple):
    """What counts of a source file.

    Attributes:
        digest: of its syntax tree without docstrings; comments and layout do not count.
        imports: names it may import, `a.b` or `..b`; some of them are no modules.
    """

    digest: str
    imports: list[str]


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
    stamps, known = _known.get(asked, ({}, ""))
    if not known or any(_stamp(path) != before for path, before in stamps.items()):
        todo = list(files.items()) if follow else []
        while todo:
            for other in _imports(*todo.pop()):
                found = None if other in files else _locate(other)
                if found is not None:
                    files[other] = found
                    todo.append((other, found))
        stamps = {path: _stamp(path) for path in files.values()}
        known = PREFIX + digest([{name: source(path).digest for name, path in files.items()}, given])
        _known[asked] = stamps, known
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
    return _source(path, _stamp(path))


def _stamp(path: Path) -> Stamp:
    stat = os.stat(path)
    return stat.st_mtime_ns, stat.st_size


@functools.lru_cache(maxsize=4096)
def _source(path: Path, _stamp: Stamp) -> Source:
    text = path.read_bytes()
    own = hashlib.blake2b(text, digest_size=DIGEST_BYTES).hexdigest()
    kept = None
    if path.is_relative_to(PACKAGE):
        kept = PACKAGE / KEPT / ".".join([*path.relative_to(PACKAGE).parts, "json"])
        with suppress(OSError, ValueError, TypeError, KeyError):
            found = json.loads(kept.read_bytes())
            if found["file"] == own:
                return Source(str(found["digest"]), [str(name) for name in found["imports"]])
    tree = ast.parse(text)
    imports: dict[str, None] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports |= {alias.name: None for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            dot = "." if node.module else ""
            imports |= {base: None, **{f"{base}{dot}{alias.name}": None for alias in node.names}}
    made = Source(digest_tree(tree), list(imports))
    if kept is not None:
        with suppress(MsfpError):  # a package that cannot be written beside
            atomic_write(kept, json.dumps({"file": own, **made._asdict()}).encode(), durable=False)
    return made


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


def _imports(name: str, path: Path) -> Iterator[str]:
    """Dotted names a file may import from its own top-level package or from msfp."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    roots = {"msfp", package.partition(".")[0]} - {""}
    for one in source(path).imports:
        full = importlib.util.resolve_name(one, package)
        if full.partition(".")[0] in roots:
            yield full


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

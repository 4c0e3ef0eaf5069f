"""What counts of a source file, its digest and its imports, kept beside the package so that a file is parsed once.

Parsing the package takes a second, which each notebook's kernel and each worker would spend anew. What is kept is named
by the file's bytes; it may be lost at any time.
"""

import ast
import functools
import hashlib
import json
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from msfp.engine.files import atomic_write
from msfp.engine.hashing import DIGEST_BYTES
from msfp.errors import MsfpError

FORMAT = 1  # another one for another way to digest
PACKAGE = Path(__file__).resolve().parents[1]
# How a tree is written as text differs between versions of Python.
KEPT = PACKAGE / "__pycache__" / f"sources-{FORMAT}-{sys.implementation.cache_tag}.json"
MOST = 4096  # files kept, of earlier versions too
Docstringed = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
Stamp = tuple[int, int]


@dataclass(frozen=True)
class Source:
    """What counts of a source file.

    Attributes:
        digest: of its syntax tree without docstrings; comments and layout do not count.
        imports: as (level, module, names).
    """

    digest: str
    imports: tuple[tuple[int, str, tuple[str, ...]], ...]


def source(path: Path) -> Source:
    """A file's source; read again only when size or mtime changed.

    Raises:
        SyntaxError: not Python.
    """
    return _unchanged(str(path), stamp(path))


def stamp(path: Path) -> Stamp:
    """What tells that a file was changed: mtime and size."""
    stat = os.stat(path)
    return stat.st_mtime_ns, stat.st_size


def digest_tree(tree: ast.AST) -> str:
    """Digest of a syntax tree; its docstrings are removed."""
    for node in ast.walk(tree):
        if isinstance(node, Docstringed) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return hashlib.blake2b(ast.unparse(tree).encode(), digest_size=DIGEST_BYTES).hexdigest()


def keep() -> None:
    """Write down what was parsed since the last time, beside what others have written."""
    if _new:
        before = _read()
        everything = {**(before if len(before) < MOST else {}), **_new}
        _new.clear()
        with suppress(MsfpError):  # a package that cannot be written beside
            rows = {name: (one.digest, one.imports) for name, one in everything.items()}
            atomic_write(KEPT, json.dumps(rows, separators=(",", ":")).encode(), durable=False)


_new: dict[str, Source] = {}


def _read() -> dict[str, Source]:
    """What is kept, by the digest of a file's bytes; empty where that is nothing to be read."""
    try:
        rows = json.loads(KEPT.read_bytes())
        return {
            name: Source(digest, tuple((level, module, tuple(names)) for level, module, names in imports))
            for name, (digest, imports) in rows.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


_kept = functools.cache(_read)


@functools.lru_cache(maxsize=4096)
def _unchanged(path: str, _stamp: Stamp) -> Source:
    text = Path(path).read_bytes()
    if not Path(path).is_relative_to(PACKAGE):
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

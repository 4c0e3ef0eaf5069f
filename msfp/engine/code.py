"""Digest of the code a result comes from: changed code is another key, a changed comment is not."""

import ast
import functools
import importlib.util
import inspect
import os
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from msfp.engine.hashing import digest
from msfp.engine.source_digests import Stamp, digest_tree, keep, source, stamp
from msfp.errors import MsfpError

PREFIX = "code:"
Target = ModuleType | Callable[..., Any] | str


def code_digest(*targets: Target, follow: bool = True) -> str:
    """Digest of the source of modules, of all files of packages, and of the modules of functions or classes.

    Args:
        targets: modules or their dotted names (nothing is imported for a name), functions, classes; a digest that this
            function returned is taken as it is.
        follow: also take every module of the same package that the targets import, at whatever depth. Modules that
            are discovered at run time (a registry's folder) are not seen by this; name them or their package.

    Returns:
        `code:` and a hex digest of the syntax trees without docstrings; comments and layout do not count.

    Raises:
        MsfpError: a target has no source.
    """
    files: dict[str, Path] = {}
    loose: list[str] = []
    for target in targets:
        if isinstance(target, str) and target.startswith(PREFIX):
            loose.append(target)
        elif (found := dict(_files_of(target))) or not callable(target):
            files |= found
        else:
            loose.append(_digest_function(target))
    named = (tuple(files.items()), tuple(loose), follow)
    known = _known.get(named)
    if known is None or any(stamp(path) != before for path, before in known.stamps):
        if follow:
            _add_imported(files)
        stamps = tuple((path, stamp(path)) for path in files.values())
        made = PREFIX + digest([{name: source(path).digest for name, path in files.items()}, loose])
        known = _known[named] = _Known(stamps, made)
        keep()
    return known.digest


@dataclass(frozen=True)
class _Known:
    """A digest, and the files it was made of as they were: asked for once a cell, it is made once a change."""

    stamps: tuple[tuple[Path, Stamp], ...]
    digest: str


_known: dict[tuple[Any, ...], _Known] = {}


def _digest_function(function: Callable[..., Any]) -> str:
    """Digest of a function that lies in no file, such as one typed into a notebook."""
    try:
        text = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError) as error:
        raise MsfpError(f"code of {function!r} has no source; name the modules it depends on with `code=`") from error
    try:
        return digest_tree(ast.parse(text))
    except SyntaxError:  # a lambda's source is a piece of a statement
        return digest(text)


def _files_of(target: Target) -> Iterator[tuple[str, Path]]:
    """(dotted name, file) of a module, of each module of a package, or of the module a function lives in."""
    while isinstance(target, functools.partial):
        target = target.func
    name = target if isinstance(target, str) else getattr(target, "__name__", "")
    if isinstance(target, str | ModuleType):
        path: Path | None = _locate(name) if isinstance(target, str) else Path(target.__file__ or "")
        if path is None or not path.is_file():
            raise MsfpError(f"code {name!r}: no such module, or it has no source file")
        yield name, path
        if path.name == "__init__.py":
            for file in sorted(path.parent.rglob("*.py")):
                parts = file.relative_to(path.parent).with_suffix("").parts
                yield ".".join((name, *parts)).removesuffix(".__init__"), file
    else:
        module = inspect.getmodule(inspect.unwrap(target))
        origin = getattr(module, "__file__", None)
        if module is not None and origin is not None and os.path.isfile(origin):
            yield module.__name__, Path(origin)


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

"""Code that results come from: digests of modules, and of functions and classes typed into a notebook."""

import ast
import functools
import hashlib
import importlib.metadata
import inspect
import json
import linecache
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

from msfp.engine.files import DIGEST_BYTES, atomic_write, digest, stamp
from msfp.errors import MsfpError
from msfp.types import Stamp

PREFIX = "code:"
PACKAGE = Path(__file__).resolve().parents[1]
# What counts of each of the package's files, so that it is parsed once: parsing all takes a second, which each
# notebook's kernel and each worker would spend anew. How a tree is written as text differs between versions of Python.
FORMAT = 3  # another one for another way to digest
KEPT = Path("__pycache__") / f"sources-{FORMAT}-{sys.implementation.cache_tag}"
Docstringed = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
# A digest, and the files it was made of as they were: asked for once a cell, it is made once a change.
_known: dict[tuple[object, ...], tuple[dict[Path, Stamp | None], str]] = {}


class Source(NamedTuple):
    """The part of a source file that counts in a digest."""

    digest: str  # of its syntax tree without docstrings; comments and layout do not count
    imports: list[str]  # names it imports from the package, `msfp.a.b`; some of them are no modules


def code_digest(*names: str, follow: bool = True) -> str:
    """`code:` and a digest of the source of this package's modules, and of all files of its rooms, by dotted names.

    Nothing is imported. A digest that this function returned is taken as it is. With `follow` every module of the
    package that they import counts, too, at whatever depth; modules that are discovered at run time (a registry's
    folder) are not seen by this: name them or their room. MsfpError: no such module.
    """
    given = tuple(name for name in names if name.startswith(PREFIX))
    files = {name: path for target in names if target not in given for name, path in _files_of(target)}
    asked = (tuple(files), given, follow)
    stamps, known = _known.get(asked, ({}, ""))
    if not known or any(stamp(path) != before for path, before in stamps.items()):
        todo = list(files.values()) if follow else []
        while todo:
            for other in source(todo.pop()).imports:
                found = None if other in files else _locate(other)
                if found is not None:
                    files[other] = found
                    todo.append(found)
        stamps = {path: stamp(path) for path in files.values()}
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
    """A file's source; read again only when the file changed."""
    return _source(path, stamp(path))


@functools.lru_cache(maxsize=4096)
def _source(path: Path, _stamp: Stamp | None) -> Source:
    text = path.read_bytes()
    own = hashlib.blake2b(text, digest_size=DIGEST_BYTES).hexdigest()
    kept = PACKAGE / KEPT / ".".join([*path.relative_to(PACKAGE).parts, "json"])
    with suppress(OSError, ValueError, TypeError, KeyError):
        found = json.loads(kept.read_bytes())
        if found["file"] == own:
            return Source(str(found["digest"]), [str(name) for name in found["imports"]])
    tree = ast.parse(text)
    imports: dict[str, None] = {}
    for node in ast.walk(tree):  # all imports of the package are absolute
        if isinstance(node, ast.Import):
            imports |= {alias.name: None for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            imports |= {node.module: None, **{f"{node.module}.{alias.name}": None for alias in node.names}}
    own_imports = [name for name in imports if name.partition(".")[0] == PACKAGE.name]
    made = Source(digest_tree(tree), own_imports)
    with suppress(MsfpError):  # a package that cannot be written beside
        atomic_write(kept, json.dumps({"file": own, **made._asdict()}).encode(), durable=False)
    return made


def _files_of(name: str) -> Iterator[tuple[str, Path]]:
    """(dotted name, file) of a module, or of each module of a package."""
    path = _locate(name)
    if path is None:
        raise MsfpError(f"code {name!r}: no such module of {PACKAGE.name}, or it has no source file")
    yield name, path
    if path.name == "__init__.py":
        for file in sorted(path.parent.rglob("*.py")):
            parts = file.relative_to(path.parent).with_suffix("").parts
            yield ".".join((name, *parts)).removesuffix(".__init__"), file


@functools.lru_cache(maxsize=4096)
def _locate(name: str) -> Path | None:
    """Source file of a dotted name of the package; None where the name is no module."""
    base = PACKAGE.parent.joinpath(*name.split("."))
    candidates = (base / "__init__.py", base.with_name(base.name + ".py"))
    return next((path for path in candidates if path.is_relative_to(PACKAGE) and path.is_file()), None)


CELLS = "__main__"
Typed = Callable[..., Any]


def typed_digest(*things: Typed) -> str:
    """Digest of functions and classes with all that they use, as `code_digest` gives it.

    Code of this package counts by its modules, that of other packages by their version. MsfpError names a source that
    cannot be read, or a variable that has no content to tell it by.
    """
    seen: dict[str, Any] = {}
    known: dict[int, str] = {}
    for number, thing in enumerate(things):
        _visit(thing, f"{number} {_name(thing)}", seen, known)
    return PREFIX + digest([[_name(thing) for thing in things], seen])


def source_of(thing: Typed) -> str:
    """Source of a function or class, also of a class of a cell, which `inspect` does not find.

    MsfpError: it cannot be read, as of what was typed into `python -c` or made by `exec`.
    """
    with suppress(OSError, TypeError):
        return textwrap.dedent(inspect.getsource(thing))
    for method in vars(thing).values() if inspect.isclass(thing) else ():
        code = getattr(inspect.unwrap(getattr(method, "__func__", method)), "__code__", None)
        text = "".join(linecache.getlines(code.co_filename)) if code is not None else ""
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef) and node.name == thing.__name__:
                return textwrap.dedent(ast.get_source_segment(text, node, padded=True) or "")
    raise MsfpError(
        f"{_name(thing)}: its source cannot be read, so results cannot be kept under it; define it in a cell of its "
        "own or in a file"
    )


def need_originals() -> None:
    """Hold the package to its own functions: one that a cell put in the place of another is no longer the paper's.

    Its results would be stored under the name of the original, and workers would not have it: MsfpError names it.
    """
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == PACKAGE.name:
            for attribute, value in list(vars(module).items()):
                if callable(value) and getattr(value, "__module__", None) == CELLS:
                    raise MsfpError(
                        f"{name}.{attribute} was replaced by one of this notebook: results would be kept as the "
                        "paper's. Hand yours over instead (run.train(head, loss=...), @run.cached), and restart the "
                        "kernel"
                    )


def _name(thing: object) -> str:
    return str(getattr(thing, "__qualname__", None) or getattr(thing, "__name__", None) or repr(thing))


def _visit(thing: Any, name: str, seen: dict[str, Any], known: dict[int, str]) -> None:
    """Put the thing that a name stands for into `seen` (name -> what it is told by), and whatever it uses.

    The name is a variable's of the cells, or the way to it: two closures of one factory have two names. `known` holds
    the first name of each function and class by its identity.
    """
    while isinstance(thing, functools.partial):
        for place, value in [*enumerate(thing.args), *thing.keywords.items()]:
            _visit(value, f"{name}({place})", seen, known)
        thing = thing.func
    if name in seen:
        return
    is_code, module = inspect.isroutine(thing) or inspect.isclass(thing), getattr(thing, "__module__", None)
    if isinstance(thing, ModuleType):
        seen[name] = _module(thing.__name__)
    elif is_code and module != CELLS:
        seen[name] = [_module(module or ""), _name(thing)]
    elif is_code:
        thing = inspect.unwrap(thing)
        first = known.setdefault(id(thing), name)
        if first != name:
            seen[name] = ["as", first]
            return
        seen[name] = digest_tree(ast.parse(source_of(thing)))
        for other, value in _used(thing, name):
            _visit(value, other, seen, known)
    elif getattr(type(thing), "__module__", None) == CELLS and not hasattr(type(thing), "__dataclass_fields__"):
        raise MsfpError(f"{name}: an object of a class of this notebook has no content to tell it by; pass values")
    else:
        try:
            seen[name] = digest(thing)
        except MsfpError as error:
            raise MsfpError(
                f"{name}: is used and has no content to tell results by ({error}); make it an argument, or a number, "
                "text, array or frame"
            ) from None


def _module(name: str) -> str:
    """Text that stands for a module: this package's by its source with all it imports, another's by its version."""
    top = name.partition(".")[0]
    if top == PACKAGE.name:
        return code_digest(name)
    with suppress(importlib.metadata.PackageNotFoundError, ValueError):
        return f"{name} {importlib.metadata.version(top)}"
    return name


def _used(thing: Typed, key: str) -> Iterator[tuple[str, Any]]:
    """(name, value) of everything outside of itself that a function or class reads; `key` is its own name."""
    if isinstance(thing, FunctionType):
        yield from _read(thing, key)
    elif inspect.isclass(thing):
        yield from ((_name(base), base) for base in thing.__bases__)
        for name, value in vars(thing).items():
            function = inspect.unwrap(getattr(value, "__func__", value)) if hasattr(value, "__func__") else value
            if isinstance(function, FunctionType) and function.__qualname__.startswith(f"{thing.__qualname__}."):
                yield from _read(function, f"{key}.{name}")
            elif isinstance(function, FunctionType):  # put there from outside, as a loss is
                yield f"{key}.{name}", function
            elif isinstance(value, int | float | str | tuple) and not name.startswith("__"):
                yield f"{key}.{name}", value  # may have been computed when the class was made


def _read(function: FunctionType, key: str) -> Iterator[tuple[str, Any]]:
    """Global names and enclosed variables that a function reads, with their values now, and its defaults."""
    codes = [function.__code__]
    while codes:
        code = codes.pop()
        codes += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
        yield from ((name, function.__globals__[name]) for name in code.co_names if name in function.__globals__)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        if name != "__class__":
            yield f"{key}.{name}", cell.cell_contents
    for place, value in [*enumerate(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).items()]:
        yield f"{key}.{place}=", value

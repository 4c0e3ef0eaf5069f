"""Code that was typed into a notebook: its source, and a digest of it and of all that it uses.

A function of a package is named by its file, and its file by the bytes; a function of a cell has no file. What it does
depends on its own source, on the functions and classes of other cells that it calls, and on the values of the variables
that it reads. All of them are in the digest, so that a changed loss is another loss.
"""

import ast
import functools
import importlib.metadata
import inspect
import linecache
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import CodeType, FunctionType, ModuleType
from typing import Any

from msfp.engine.code import PREFIX, code_digest, digest_tree
from msfp.engine.hashing import digest
from msfp.errors import MsfpError

CELLS = "__main__"
PACKAGE = "msfp"
Typed = Callable[..., Any]


def typed_digest(*things: Typed) -> str:
    """Digest of functions and classes with all that they use, as `code_digest` gives it.

    Code of this package counts by its modules, that of other packages by their version.

    Raises:
        MsfpError: a source cannot be read, or a variable that is used has no content to tell it by; names it.
    """
    seen: dict[str, Any] = {}
    known: dict[int, str] = {}
    for number, thing in enumerate(things):
        _visit(thing, f"{number} {_name(thing)}", seen, known)
    return PREFIX + digest([[_name(thing) for thing in things], seen])


def source_of(thing: Typed) -> str:
    """Source of a function or class, also of a class of a cell, which `inspect` does not find.

    Raises:
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

    Its results would be stored under the name of the original, and workers would not have it.

    Raises:
        MsfpError: names the first that was replaced, and what to do instead.
    """
    for name, module in list(sys.modules.items()):
        if name == PACKAGE or name.startswith(f"{PACKAGE}."):
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
    """Put the thing that a name stands for into `seen`, and whatever it uses.

    Args:
        thing: any.
        name: of a variable of the cells, or the way to it: two closures of one factory have two names.
        seen: name -> what it is told by.
        known: identity of a function or class -> its first name.
    """
    while isinstance(thing, functools.partial):
        for place, value in [*enumerate(thing.args), *thing.keywords.items()]:
            _visit(value, f"{name}({place})", seen, known)
        thing = thing.func
    if name in seen:
        return
    is_code = inspect.isroutine(thing) or inspect.isclass(thing)
    if isinstance(thing, ModuleType):
        seen[name] = _module(thing.__name__)
    elif is_code and getattr(thing, "__module__", None) != CELLS:
        seen[name] = [_module(getattr(thing, "__module__", None) or ""), _name(thing)]
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
    if top == PACKAGE:
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

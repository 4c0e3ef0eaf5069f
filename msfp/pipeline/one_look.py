"""Files within a task: each is looked at once, and what was found of it holds until the task ends.

Results are kept under the content of the files that they come from, so files are asked for whether they are still the
same before every use. A task of a few milliseconds would ask for the same ones a thousand times.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_found: ContextVar[dict[Any, Any] | None] = ContextVar("_found", default=None)


@contextmanager
def one_look() -> Iterator[None]:
    """Within, `looked_once` functions look at each file once; a task within a task shares its looks."""
    if _found.get() is not None:
        yield
        return
    token = _found.set({})
    try:
        yield
    finally:
        _found.reset(token)


def looked_once(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Within `one_look`, give what the function gave for these very arguments; outside of it, call the function."""

    @functools.wraps(function)
    def look(*arguments: Arguments.args, **options: Arguments.kwargs) -> Result:
        known = _found.get()
        if known is None:
            return function(*arguments, **options)
        given = (*arguments, *options.values())
        key = (function, *options, *(one if isinstance(one, str) else id(one) for one in given))
        if key not in known:
            known[key] = function(*arguments, **options), given  # kept, so that no other object gets its place
        return known[key][0]

    return look


def task(item: Any, function: Callable[[Any], Result]) -> Result:
    """Call a function on an item as a task of its own."""
    with one_look():
        return function(item)

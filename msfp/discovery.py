"""Families that register by existing: the concrete classes that the modules of a folder define."""

import importlib
import pkgutil
from collections.abc import Iterable
from typing import TypeVar

Base = TypeVar("Base")


def concrete(package: str, path: Iterable[str], base: type[Base]) -> dict[str, type[Base]]:
    """Subclasses of `base` with a `name` of their own, by name; each counts where it is defined, not where imported.

    Args:
        package: the folder's name, `msfp.tracking`.
        path: its `__path__`.
        base: abstract class of the family, which carries `name`.

    Raises:
        TypeError: two of one name.
    """
    found: dict[str, type[Base]] = {}
    for info in pkgutil.iter_modules(list(path)):
        module = importlib.import_module(f"{package}.{info.name}")
        for value in vars(module).values():
            if not (isinstance(value, type) and issubclass(value, base) and value.__module__ == module.__name__):
                continue
            name = str(getattr(value, "name", ""))
            if not name:
                continue
            if name in found:
                raise TypeError(f"two of {package} are named {name!r}: {found[name]} and {value}")
            found[name] = value
    return dict(sorted(found.items()))

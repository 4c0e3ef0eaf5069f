"""Trackers on one shared core. A file of this folder that defines a concrete `Tracker` registers it by existing."""

from functools import cache
from typing import Any

from msfp.errors import InputError
from msfp.tracking.base import FrameContext, Tracker, TrackerOutput
from msfp.tracking.run import track
from msfp.types import concrete

__all__ = ["FrameContext", "Tracker", "TrackerOutput", "make", "names", "track", "tracker_class"]


@cache
def _classes() -> dict[str, type[Tracker]]:
    """Concrete trackers by name, found in the modules of this folder."""
    return concrete(__name__, __path__, Tracker)


def names() -> tuple[str, ...]:
    """Names of all trackers, sorted.

    Example:
        >>> "bytetrack" in msfp.trackers()
        True
    """
    return tuple(_classes())


def tracker_class(name: str) -> type[Tracker]:
    """Class of a tracker, for its `label`, `needs_embeddings`, `appearance` and `Settings`.

    Raises InputError: no such tracker; lists those there are.
    """
    if name not in _classes():
        raise InputError(f"tracker {name!r} is not known; there are: {', '.join(names())}")
    return _classes()[name]


def make(name: str, **settings: Any) -> Tracker:
    """A tracker with its own state.

    Raises InputError: unknown tracker, unknown setting or a value that does not fit.
    """
    return tracker_class(name)(**settings)

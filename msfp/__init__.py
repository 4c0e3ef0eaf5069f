"""msfp: an open reproduction suite for the paper MSFP-Track."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from msfp.pipeline.tracker import Tracker as Tracker

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """`msfp.Tracker`, loaded when asked for: it needs torch, which this package alone must not load."""
    if name == "Tracker":
        from msfp.pipeline.tracker import Tracker

        return Tracker
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""msfp: an open reproduction suite for the paper MSFP-Track."""

import os
from typing import TYPE_CHECKING

# OpenCV reads it when it is loaded: an image of a few bytes that declares gigabytes is refused by its head.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", "100000000")

if TYPE_CHECKING:
    from msfp.pipeline.tracker import Tracker as Tracker

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """`msfp.Tracker`, loaded when asked for: it needs torch, which this package alone must not load."""
    if name == "Tracker":
        from msfp.pipeline.tracker import Tracker

        return Tracker
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

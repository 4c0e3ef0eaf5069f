"""The torch device a person named, and whether Triton is there for it."""

from types import ModuleType
from typing import Any

import torch

from msfp.errors import InputError


def device_named(name: str) -> torch.device:
    """`cpu`, `cuda`, `cuda:1`, ... as torch knows it.

    Raises:
        InputError: not a device, or one that is not there.
    """
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"device {name!r} is not known; use cpu or cuda") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(f"device {name!r}: torch sees {torch.cuda.device_count()} GPUs; use cpu")
    return device


def triton_here() -> ModuleType | Any | None:
    """triton where it is installed, else None."""
    try:
        import triton
    except ImportError:
        return None
    return triton

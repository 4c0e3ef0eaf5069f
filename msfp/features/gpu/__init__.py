"""Extraction and whole frames on a GPU; the Triton kernels are used where Triton is installed."""

from importlib.util import find_spec

TRITON = find_spec("triton") is not None

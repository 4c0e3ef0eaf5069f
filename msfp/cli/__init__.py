"""The command `msfp`."""

from msfp.cli.app import main

__all__ = ["main"]

"""The embedded worlds."""

from msfp.datasets.synth.render import render
from msfp.datasets.synth.world import World, worlds

__all__ = ["World", "render", "worlds"]

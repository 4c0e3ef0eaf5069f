"""The embedded worlds: rendered scenes with labels, and statistical twins of MOT17's public detectors."""

from msfp.worlds.render import render
from msfp.worlds.world import DATASETS, GENERATOR_VERSION, World, worlds
from msfp.worlds.write import Job, generate, jobs, render_sequence

__all__ = ["DATASETS", "GENERATOR_VERSION", "Job", "World", "generate", "jobs", "render", "render_sequence", "worlds"]

"""The embedded worlds: rendered scenes with labels, and statistical twins of MOT17's public detectors."""

from msfp.worlds.render import Job, generate, jobs, render, render_sequence
from msfp.worlds.world import DATASETS, GENERATOR_VERSION, World

__all__ = ["DATASETS", "GENERATOR_VERSION", "Job", "World", "generate", "jobs", "render", "render_sequence"]

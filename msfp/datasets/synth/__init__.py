"""The embedded worlds: rendered scenes with labels, and statistical twins of MOT17's public detectors."""

from msfp.datasets.synth.catalogue import DATASETS, GENERATOR_VERSION
from msfp.datasets.synth.render import render
from msfp.datasets.synth.world import World, worlds
from msfp.datasets.synth.write import Job, generate, jobs, render_sequence

__all__ = ["DATASETS", "GENERATOR_VERSION", "Job", "World", "generate", "jobs", "render", "render_sequence", "worlds"]

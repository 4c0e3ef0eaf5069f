"""ultralytics' model as it comes, run to its end: what our own ways are held to."""

from typing import Any

import torch

from msfp.features.presets import preset_named
from msfp.features.weights import load_detector


def load_person_detector(preset: str, weights: str = "embedded") -> Any:
    """A preset's whole model, frozen."""
    chosen = preset_named(preset)
    return load_detector(chosen.architecture, weights, chosen.embedded).to(memory_format=torch.channels_last)

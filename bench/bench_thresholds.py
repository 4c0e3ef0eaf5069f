"""Thresholds frame by frame, as beside a tracker: ATL's scene encoder with its smoothing, and rules that see scores.

The scene vector is there already, as the detector's pass made it. What each side costs is the Runtime column of the
paper's Table 8, which the suite's table leaves to this benchmark, as times never repeat exactly.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import crowd
import numpy as np
from harness import OURS, Case, Options, main

from msfp.config import AtlSettings
from msfp.tracking.thresholds import make_policy, policies
from msfp.types import frame_bounds

CHANNELS = 192  # of YOLOv8n's layer 14


def cases(options: Options) -> Iterator[Case]:
    """One sequence, few or many boxes a frame."""
    predict = encoder()
    for places in (10,) if options.quick else (10, 50, 200):
        scene = crowd.scene(places, 10 if options.quick else 150, 0)
        bounds = frame_bounds(scene.found.frame, scene.length)
        scores = [scene.found.score[a:b] for a, b in pairwise(bounds)]
        scenes = np.random.default_rng(0).random((scene.length, CHANNELS), np.float32)
        sides = {OURS: lambda scenes=scenes: learned(predict, scenes)}
        sides |= {name: lambda name=name, scores=scores: by_rule(name, scores) for name in policies()}
        inputs = f"walkers, seed 0, {scene.length} frames, {len(scene.found)} scores; encoder of {CHANNELS} channels"
        yield Case(f"{places} people", inputs, sides, agree, unit="ms/frame", per=scene.length)


def encoder() -> Callable[[np.ndarray], float]:
    """ATL with random weights, from one scene vector to one threshold."""
    import torch

    from msfp.heads.threshold import SceneEncoder

    torch.manual_seed(0)
    made = SceneEncoder(CHANNELS, "single", AtlSettings()).eval()

    def predict(scene: np.ndarray) -> float:
        with torch.inference_mode():
            return float(made(torch.from_numpy(scene[None])))

    return predict


def learned(predict: Callable[[np.ndarray], float], scenes: np.ndarray) -> list[float]:
    """ATL on one scene vector a frame, smoothed as eq. 7."""
    beta = AtlSettings().beta
    out: list[float] = []
    for scene in scenes:
        raw = predict(scene)
        out.append(beta * out[-1] + (1 - beta) * raw if out else raw)
    return out


def by_rule(name: str, scores: list[np.ndarray]) -> list[float]:
    """A policy on the scores of each frame."""
    policy = make_policy(name)
    return [float(policy.update(found)[0]) for found in scores]


def agree(results: Mapping[str, Any]) -> dict[str, float]:
    """They are different rules: all that most of them share are the bounds."""
    atl = AtlSettings()
    free = {name for name, rule in policies().items() if not rule.bounded}
    assert all(atl.tau_min <= tau <= atl.tau_max for name in results.keys() - free for tau in results[name])
    return {f"mean threshold of {name}": float(np.mean(found)) for name, found in results.items()}


if __name__ == "__main__":
    main("thresholds", cases)

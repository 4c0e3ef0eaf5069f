"""Sizes of boxes as the network sees them, in octaves about the mean of those learned from (Table 16)."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from msfp.pipeline import data
from msfp.pipeline.data import Part
from msfp.pipeline.features import TRUTH, public_boxes
from msfp.pipeline.run import Run


def network_sides(run: Run, part: Part, boxes: str) -> NDArray[np.float64]:
    """(N,) square root of the area of a part's boxes (`gt` or a public detector), in pixels of the network's input."""
    from msfp.features.letterbox import fit

    scene = part.scene
    if boxes == TRUTH:
        truth = data.truth(scene)
        frame, tlwh = truth.frame, truth.tlwh
    else:
        frame, tlwh = public_boxes(scene)[boxes]
    keep = slice(*np.searchsorted(frame, [part.first, part.last + 1]))
    image = scene.pixels.width, scene.pixels.height
    scale = fit(image, run.settings.input.size, run.settings.input.geometry).scale
    return np.sqrt(np.maximum(tlwh[keep, 2] * scale[0] * tlwh[keep, 3] * scale[1], 1.0))


@lru_cache(maxsize=16)
def mean_size(run: Run, learn: tuple[Part, ...]) -> float:
    """Geometric mean of `network_sides` over the pedestrians labelled in the learning parts."""
    sides = [network_sides(run, part, TRUTH)[data.window(data.labels(part.scene), part).pedestrian] for part in learn]
    return float(np.exp(np.mean(np.log(np.concatenate(sides)))))


def octaves(run: Run, part: Part, boxes: str, learn: tuple[Part, ...]) -> NDArray[np.float16]:
    """(N, 1) size of a part's boxes in octaves above the mean of the learning parts."""
    return np.log2(network_sides(run, part, boxes) / mean_size(run, learn)).astype(np.float16)[:, None]

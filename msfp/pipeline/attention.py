"""What instance attention does on real boxes: layer weights beside the boxes' size, occlusion and crowd (Figure 2)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msfp.heads.apply import attention
from msfp.heads.fusion import Attention
from msfp.pipeline import data
from msfp.pipeline.data import Part
from msfp.pipeline.features import TRUTH
from msfp.pipeline.heads import Appearance, network_sides, part_vectors, restored, train_head
from msfp.pipeline.run import Run


@dataclass(frozen=True)
class Weighed:
    """Attention on labelled pedestrians."""

    layers: tuple[int, ...]  # tapped, in the order of the columns of `weights`
    size: NDArray[np.float64]  # (N,) square root of the box's area, pixels of the network's input
    occluded: NDArray[np.float64]  # (N,) hidden share of the box, by its label
    crowd: NDArray[np.float64]  # (N,) labelled pedestrians in the box's frame
    weights: NDArray[np.float32]  # (N, L), rows sum to 1


def weigh(run: Run, part: Part, look: Appearance) -> Weighed:
    """Attention of a trained head on the labelled pedestrians of a part."""
    data.need_pixels((part, *look.learn))
    vectors = part_vectors(run, part, TRUTH, look)
    head = restored(run, look.strategy, vectors, train_head(run, look).state)
    assert isinstance(head, Attention)
    truth = data.window(data.truth(part.scene), part)
    kept = truth.pedestrian
    crowd = np.bincount(truth.frame[kept], minlength=part.length + 1)[truth.frame]
    return Weighed(
        layers=tuple(head.channels),
        size=network_sides(run, part, TRUTH)[kept],
        occluded=1.0 - truth.visibility[kept].astype(np.float64),
        crowd=crowd[kept].astype(np.float64),
        weights=attention(head, {layer: v[kept] for layer, v in vectors.items()}),
    )

"""A frame's feature maps, as one looks at them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from msfp.experiment.clip import Clip
from msfp.pipeline.run import Run


@dataclass(frozen=True)
class Maps:
    """The tapped maps of one frame.

    Attributes:
        input: (h, w, 3) uint8, the image as the network gets it.
        layers: layer -> (C, h, w) float32.
        strides: layer -> pixels of the input a cell.
        boxes: the labels of the frame, with their corners in pixels of the input as x1, y1, x2, y2 (the first pixel's
            left edge at 0).
    """

    input: NDArray[np.uint8]
    layers: dict[int, NDArray[np.float32]]
    strides: dict[int, int]
    boxes: pd.DataFrame


def feature_maps(run: Run, clip: Clip, frame: int) -> Maps:
    """Run the frozen detector, cut after its deepest tapped layer, on one frame.

    Raises:
        InputError: the frame is not there.
    """
    from msfp.features.backbone import to_batch
    from msfp.features.letterbox import fit

    image, backbone, config = clip.image(frame), run.backbone(), run.settings.input
    box = fit((image.shape[1], image.shape[0]), config.size, config.geometry)
    given = box.apply(image)
    maps = backbone.maps(to_batch(given[None], backbone.device))
    labels = clip.labels()
    labels = labels[labels["frame"] == frame].copy()
    corners = box.to_network(labels[["x", "y", "w", "h"]].to_numpy(np.float64))
    labels[["x1", "y1", "x2", "y2"]] = corners
    layers = {layer: values[0].float().cpu().numpy() for layer, values in maps.items()}
    return Maps(given, layers, dict(backbone.strides), labels)

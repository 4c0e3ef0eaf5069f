"""How clearly people stand out in a finished picture: what a detector's scores depend on beside size and visibility."""

import cv2
import numpy as np

from msfp.datasets.synth.camera import Floats
from msfp.datasets.synth.raster import Image

CORE = (0.25, 0.1)  # cut from each side of a box, of its width and height: what is left is mostly person
RIM = (0.5, 0.1)  # put on at each side: what is around is mostly background


def clearness(image: Image, tlwh: Floats) -> Floats:
    """How much people differ from what is around them, read from the picture that a detector would be given.

    Args:
        image: (H, W, 3) uint8 RGB, after haze, exposure, blur and noise.
        tlwh: (N, 4) boxes, file coordinates.

    Returns:
        (N,) ln(1 + d), d the distance between the mean colours of a box's core and of its rim in grey levels.
    """
    sums = cv2.integral(image).astype(np.float64)
    size = tlwh[:, 2:]
    centre = tlwh[:, :2] - 1 + size / 2

    def total(grow: tuple[float, float]) -> tuple[Floats, Floats]:
        """(N, 3) sums and (N, 1) pixels of the boxes, grown by shares of their sides and cut at the border."""
        half = size * (0.5 + np.array(grow))
        first, last = (
            np.clip(np.rint(corner), 0, image.shape[1::-1]).astype(int) for corner in (centre - half, centre + half)
        )
        (x0, y0), (x1, y1) = first.T, last.T
        inside = sums[y1, x1] - sums[y0, x1] - sums[y1, x0] + sums[y0, x0]
        return inside, np.asarray((last - first).prod(axis=1)[:, None], np.float64)

    core, core_pixels = total((-CORE[0], -CORE[1]))
    whole, whole_pixels = total((0.0, 0.0))
    grown, grown_pixels = total(RIM)
    rim = (grown - whole) / np.maximum(grown_pixels - whole_pixels, 1)
    apart = core / np.maximum(core_pixels, 1) - rim
    return np.asarray(np.log1p(np.linalg.norm(apart, axis=1) / np.sqrt(3)))

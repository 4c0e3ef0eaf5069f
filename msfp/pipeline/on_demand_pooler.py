"""Pooled vectors at boxes that become known only while tracking: the detector's maps are held for one frame.

All who look at a part go through its frames together, so that each frame's forward pass is run once for all of them.
Caching every map instead would take 1 to 3 MB a frame; a pass over the frames for each round of new boxes, as many
passes as the longest recovery has frames.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from msfp.pipeline import data
from msfp.pipeline.data import Part
from msfp.pipeline.run import Run
from msfp.types import xyxy_to_tlwh


class OnDemandPooler:
    """Pooled vectors at any boxes of a part's frames, asked for in ascending order; holds one frame's maps."""

    def __init__(self, run: Run, frames: Iterator[tuple[int, NDArray[np.uint8]]], first: int) -> None:
        self._backbone, self._input = run.backbone(), run.settings.input
        self._frames, self._first, self._at = frames, first, 0
        self._known: dict[bytes, NDArray[np.float32]] = {}

    def __call__(self, frame: int, xyxy: NDArray[np.float64]) -> NDArray[np.float32]:
        """(N, C) vectors of all tapped layers in a row, of (N, 4) file coordinates in a frame of the part, from 1."""
        from msfp.features.backbone import to_batch
        from msfp.features.extract import half
        from msfp.features.letterbox import fit
        from msfp.features.pooling import pool_levels

        if self._at < frame:
            while self._at < frame:
                number, pixels = next(self._frames)
                self._at = number - self._first + 1
            self._known.clear()
            self._box = fit((pixels.shape[1], pixels.shape[0]), self._input.size, self._input.geometry)
            self._maps = self._backbone.parts(to_batch(self._box.apply(pixels)[None]))
        boxes = np.asarray(xyxy, np.float64).reshape(-1, 4)
        asked = boxes.tobytes()  # every method that tracks a detector's boxes asks for the same
        if asked not in self._known:
            pooled = pool_levels(self._maps, self._box.to_network(xyxy_to_tlwh(boxes)), self._backbone.strides)
            vectors = np.concatenate([half(pooled[k]) for k in self._backbone.layers], axis=1).astype(np.float32)
            vectors.setflags(write=False)
            self._known[asked] = vectors
        return self._known[asked]


@contextmanager
def pooler_of(run: Run, part: Part) -> Iterator[OnDemandPooler]:
    """A pooler over a part, all of whose frames must be there; leaving it stops its reader."""
    from msfp.datasets.frames import FrameReader

    data.need_pixels((part,))
    with FrameReader(part.scene.pixels, part.present) as frames:
        yield OnDemandPooler(run, iter(frames), part.first)

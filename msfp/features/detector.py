"""The whole detector in one forward pass: people with their scores, pooled vectors, and the scene vector."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from msfp.features.backbone import Backbone, Part, device_named, inputs_of, to_batch
from msfp.features.detect import Boxes, PeopleHead, can_take, chosen, predicted
from msfp.features.extract import half
from msfp.features.fused import fuse
from msfp.features.letterbox import Geometry, Letterbox, fit
from msfp.features.pooling import Mode, global_average, pool_levels
from msfp.features.presets import Preset


@dataclass(frozen=True)
class Sight:
    """What one look at a frame gives."""

    tlwh: NDArray[np.float64]  # (N, 4) float64, file coordinates, best score first where the detector found them
    score: NDArray[np.float32]  # (N,) float32
    layers: dict[int, NDArray[np.float16]]  # tapped layer -> (N, C) float16 mean-pooled vectors (eq. 1).
    scene: NDArray[np.float16]  # (C,) float16, mean of the scene layer (eq. 6).


class Detector(Backbone):
    """A frozen detector that runs to its end and keeps the tapped maps on the way."""

    def __init__(self, model: Any, preset: Preset, device: str = "cpu", sparse: bool | None = None) -> None:
        """Take a whole ultralytics detection model, batch normalisation folded.

        `sparse`: compute boxes only where people are; None: on a CPU. It has to be known which cells passed before it
        goes on, for which a GPU would be waited for.
        """
        self.family = type(model).__name__
        last = model.model[-1]
        sparse = device_named(device).type == "cpu" if sparse is None else sparse
        self._head = PeopleHead(last) if sparse and can_take(last) else None
        self._ends = [last.i] if self._head is None else inputs_of(last)
        super().__init__(model, preset, device, self._ends)
        if self._head is not None:
            fuse(self._head.eval().requires_grad_(False).to(memory_format=torch.channels_last))

    @torch.inference_mode()
    def look(
        self,
        frame: NDArray[np.uint8],
        size: tuple[int, int] = (640, 384),
        *,
        confidence: float = 0.25,
        overlap: float = 0.7,
        limit: int = 300,
        geometry: Geometry = "letterbox",
        boxes: Boxes | None = None,
        pooling: Mode = "roi_align",
    ) -> Sight:
        """People in a frame, with their vectors.

        `frame`: (H, W, 3) uint8 RGB. `overlap`: IoU above which the lower-scoring of two boxes is suppressed. `boxes`:
        (N, 4) tlwh in file coordinates and (N,) scores of another detector, to be looked at in place of the people
        found here.
        """
        box = fit((frame.shape[1], frame.shape[0]), size, geometry)
        batch = to_batch(box.apply(frame)[None], self.device)
        parts, found = self.detect(batch, box, confidence, overlap, limit)
        tlwh, score = found if boxes is None else boxes
        regions = box.to_network(tlwh)
        pooled = pool_levels(parts, regions, self.strides, pooling)
        vectors = {layer: half(found) for layer, found in pooled.items()}
        return Sight(tlwh, score, vectors, half(global_average(parts[self.preset.scene])[0]))

    def people(
        self,
        frame: NDArray[np.uint8],
        size: tuple[int, int],
        confidence: float = 0.25,
        geometry: Geometry = "letterbox",
    ) -> Boxes:
        """People in a frame, without their vectors; arguments as in `look`."""
        box = fit((frame.shape[1], frame.shape[0]), size, geometry)
        return self.detect(to_batch(box.apply(frame)[None], self.device), box, confidence)[1]

    @property
    def sparse(self) -> bool:
        """Whether boxes are computed only where people are."""
        return self._head is not None

    def keep_grid_exact(self) -> None:
        """Hold the grid of cells in single precision: half precision knows whole pixels only beyond 1024."""
        last: Any = self._modules[str(self._ends[0])]
        last.anchors, last.strides = last.anchors.float(), last.strides.float()

    @torch.inference_mode()
    def whole(self, batch: torch.Tensor) -> tuple[dict[int, tuple[Part, ...]], Any]:
        """Tapped maps, and what the detector's own last layer gives, for `detect.predicted`; not of a sparse one."""
        outputs = self._forward(batch)
        return self._taps(outputs), outputs[self._ends[0]]

    @torch.inference_mode()
    def detect(
        self, batch: torch.Tensor, box: Letterbox, confidence: float = 0.25, overlap: float = 0.7, limit: int = 300
    ) -> tuple[dict[int, tuple[Part, ...]], Boxes]:
        """Layer -> parts as of `Backbone.parts`, and people best first, of a frame that lies in its input as `box`."""
        outputs = self._forward(batch)
        ends = [outputs[i] for i in self._ends]
        if self._head is None:
            xyxy, scores = predicted(ends[0], box.size, self.family)
        else:
            xyxy, scores = self._head(ends, confidence)
        return self._taps(outputs), chosen(xyxy, scores, box, confidence, overlap, limit)


load_whole = Detector.load

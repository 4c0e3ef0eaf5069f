"""A frame as it comes, through the networks: boxes, embeddings, ATL's prediction; on a GPU in one recorded piece."""

import copy
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from msfp.config import InputSettings
from msfp.errors import InputError
from msfp.features.detect import Boxes, suppressed
from msfp.features.detector import Detector, load_whole
from msfp.features.gpu.extract import check_finite
from msfp.features.gpu.frame import DeviceFrame
from msfp.features.letterbox import Letterbox, fit
from msfp.heads.apply import ScenePredictor
from msfp.pipeline.detection_source import CONFIDENCE
from msfp.pipeline.live import embed_boxes
from msfp.pipeline.run import Run

if TYPE_CHECKING:
    from msfp.heads.fusion import FusionHead

Image = NDArray[np.uint8]
OVERLAP, LIMIT = 0.7, 300  # of the suppression, as in `Detector.look`
CANDIDATES = 1024  # the most certain ones are pooled before suppression: some fifteen a person for seventy people


@dataclass(frozen=True)
class Seen:
    """What the networks make of a frame."""

    tlwh: NDArray[np.float64]  # (N, 4), file coordinates
    score: NDArray[np.float32]  # (N,)
    vectors: NDArray[np.float32]  # (N, D) unit embeddings; (N, 0) without a head
    prediction: NDArray[np.float32]  # (k,) ATL's raw thresholds; (0,) without ATL


def frame_predictor(
    run: Run, head: "FusionHead | None", predictor: ScenePredictor | None
) -> "CpuPredictor | CudaGraphPredictor":
    """The predictor for a run's device; RT-DETR's decoder has not been made part of a graph."""
    config, device = run.settings.input, run.settings.device
    if device.startswith("cuda"):
        detector = load_whole(config.preset, config.weights, device)
        if detector.family != "RTDETRDetectionModel":
            return CudaGraphPredictor(detector, config, head, predictor)
    return CpuPredictor(_detector_of(run), config, head, predictor)


@lru_cache(maxsize=4)
def _detector_of(run: Run) -> Detector:
    chosen = run.settings.input  # loaded once: it keeps nothing of the frames it saw
    return load_whole(chosen.preset, chosen.weights, run.settings.device)


@dataclass(frozen=True, eq=False)
class CpuPredictor:
    """Detector, fusion head and ATL's encoder one after the other: people are known before their vectors are pooled."""

    detector: Detector
    config: InputSettings
    head: "FusionHead | None" = None
    predictor: ScenePredictor | None = None

    def see(self, pixels: Image, boxes: Boxes | None = None) -> Seen:
        """The next frame, (H, W, 3) uint8 RGB.

        `boxes`: (N, 4) tlwh in file coordinates and (N,) scores to look at in place of the detector's own.
        """
        sight = self.detector.look(
            pixels,
            self.config.size,
            confidence=CONFIDENCE,
            overlap=OVERLAP,
            limit=LIMIT,
            geometry=self.config.geometry,
            boxes=boxes,
            pooling="roi_align" if self.head is None else self.head.pooling,
        )
        nobody = np.zeros((len(sight.tlwh), 0), np.float32)
        vectors = nobody if self.head is None else embed_boxes(self.head, sight.layers)
        prediction = np.zeros(0, np.float32) if self.predictor is None else self.predictor(sight.scene)
        return Seen(sight.tlwh, sight.score, vectors, prediction)


class CudaGraphPredictor:
    """All of the networks as one recorded piece: candidates are embedded first and suppressed after, on the host."""

    def __init__(
        self,
        detector: Detector,
        config: InputSettings,
        head: "FusionHead | None" = None,
        predictor: ScenePredictor | None = None,
        most: int = CANDIDATES,
    ) -> None:
        """Record the networks with room for `most` candidates or given boxes.

        The detector's weights are converted in place; it must not be sparse.
        """
        encoder = None if predictor is None else predictor.encoder
        head, encoder = copy.deepcopy(head), copy.deepcopy(encoder)  # theirs stay where they are
        lite = head is not None and head.pooling == "lite"
        self.frame = DeviceFrame(detector, head, encoder, config.size, most, CONFIDENCE, lite=lite)
        self._config = config
        self._box: Letterbox | None = None

    def see(self, pixels: Image, boxes: Boxes | None = None) -> Seen:
        """As of `CpuPredictor`; InputError where boxes outnumber the room, or numbers the detector's precision."""
        image = (pixels.shape[1], pixels.shape[0])
        if self._box is None or self._box.image != image:
            self._box = fit(image, self._config.size, self._config.geometry)
        if boxes is not None and len(boxes[0]) > self.frame.most:
            raise InputError(
                f"{len(boxes[0])} boxes in a frame, and room for {self.frame.most} on a GPU; keep the most certain"
            )
        self._box.apply(pixels, self.frame.room())
        self.frame.submit(None if boxes is None else self._box.to_network(boxes[0]))
        found = self.frame.collect()
        check_finite("a frame", *map(torch.from_numpy, (found.regions, found.embeddings, found.thresholds)))
        if boxes is not None:
            return Seen(*boxes, found.embeddings, found.thresholds)
        passing = int((found.scores >= CONFIDENCE).sum())  # the most certain come first
        xyxy, score = torch.from_numpy(found.regions[:passing]), torch.from_numpy(found.scores[:passing])
        order = suppressed(xyxy, score, OVERLAP, LIMIT).numpy()
        tlwh = self._box.to_file(found.regions[order])
        return Seen(tlwh, found.scores[order], found.embeddings[order], found.thresholds)

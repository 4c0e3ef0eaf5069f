"""People in what a whole detector says of a frame."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torchvision.ops import nms

from msfp.features.backbone import to_batch
from msfp.features.letterbox import Geometry, Letterbox, fit
from msfp.features.people_head import PERSON

Boxes = tuple[NDArray[np.float64], NDArray[np.float32]]


@torch.inference_mode()
def detect(
    model: nn.Module,
    frame: NDArray[np.uint8],
    size: tuple[int, int] = (640, 384),
    confidence: float = 0.25,
    overlap: float = 0.7,
    limit: int = 300,
    geometry: Geometry = "letterbox",
) -> Boxes:
    """People in a frame.

    Args:
        model: a whole ultralytics detector, in evaluation mode.
        frame: (H, W, 3) uint8 RGB.
        size: (width, height) of the network's input.
        confidence: smallest score kept.
        overlap: IoU above which the lower-scoring of two boxes is suppressed.
        limit: most boxes kept.
        geometry: how the frame is placed in the input.

    Returns:
        (N, 4) float64 tlwh in file coordinates and (N,) float32 scores, best first.
    """
    box = fit((frame.shape[1], frame.shape[0]), size, geometry)
    output = model(to_batch(box.apply(frame)[None], next(model.parameters()).device))
    return chosen(*passing(output, box, type(model).__name__, confidence), box, overlap, limit)


def passing(output: Any, box: Letterbox, family: str, confidence: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The people in what a detector gave for one frame, each as often as it was seen.

    Args:
        output: of an ultralytics detection model in evaluation mode.
        box: how the frame lies in the input.
        family: the model's class, as RT-DETR's output differs.
        confidence: smallest score kept.

    Returns:
        (N, 4) xyxy in network pixels and (N,) scores.
    """
    xyxy, scores = predicted(output, box.size, family)
    keep = scores >= confidence
    return xyxy[keep], scores[keep]


def predicted(output: Any, size: tuple[int, int], family: str) -> tuple[torch.Tensor, torch.Tensor]:
    """All that a detector says of a frame, threshold or not; asks for no number, so that a graph can record it.

    Args:
        output, family: as of `passing`.
        size: (width, height) of the network's input.

    Returns:
        (A, 4) float32 xyxy in network pixels and (A,) scores of being a person.
    """
    predictions = (output[0] if isinstance(output, tuple) else output)[0].float()
    if family == "RTDETRDetectionModel":  # rows are queries, boxes relative to the input
        predictions = predictions.T
        centre, extent = (torch.stack([p[0] * size[0], p[1] * size[1]], 1) for p in (predictions[:2], predictions[2:4]))
    else:
        centre, extent = predictions[:2].T, predictions[2:4].T
    return torch.cat([centre - extent / 2, centre + extent / 2], 1), predictions[4 + PERSON]


def chosen(xyxy: torch.Tensor, scores: torch.Tensor, box: Letterbox, overlap: float, limit: int) -> Boxes:
    """Each person once: the best of those that overlap.

    Args:
        xyxy, scores: from `passing`.
        box: how the frame lies in the input.
        overlap, limit: see `detect`.

    Returns:
        (N, 4) float64 tlwh in file coordinates and (N,) float32 scores, best first.
    """
    order = suppressed(xyxy, scores, overlap, limit)
    return box.to_file(xyxy[order].cpu().numpy()), scores[order].cpu().numpy().astype(np.float32)


def suppressed(xyxy: torch.Tensor, scores: torch.Tensor, overlap: float, limit: int) -> torch.Tensor:
    """(M,) places of those that are kept, best first; arguments as of `chosen`."""
    return nms(xyxy, scores, overlap)[:limit]

"""A detector and an embedding trained together (JDE, FairMOT): one pass gives boxes, scores and appearance.

What frozen features are compared with. The branch reads the detector's finest neck map and is pooled over boxes exactly
as frozen layers are (eq. 1), so that what differs is the training.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from msfp.errors import InputError
from msfp.features.backbone import Geometry, Part, device_named, fit, to_batch
from msfp.features.detector import chosen, predicted
from msfp.features.pooling import Frames, Image, Progress, pool_levels
from msfp.features.weights import build, find, load_strict, read_state

EMBEDDED = "joint-synth.safetensors"
WIDTH = 128
LEVEL, STRIDE = 0, 8  # the finest of the maps that the detection head reads: 64 channels, one cell 8 input pixels


class JointNetwork(nn.Module):
    """YOLOv8n for people with an embedding branch on the stride-8 neck map; a person's vector is its mean there."""

    def __init__(self, detector: Any) -> None:
        super().__init__()
        self.detector = detector
        channels = next(detector.model[-1].cv2[LEVEL].parameters()).shape[1]
        self.branch = nn.Sequential(
            nn.Conv2d(channels, WIDTH, 3, padding=1), nn.SiLU(inplace=True), nn.Conv2d(WIDTH, WIDTH, 1)
        )

    def forward(self, batch: torch.Tensor) -> tuple[Any, torch.Tensor]:
        """(B, 3, H, W) RGB in 0..1 -> what the detector gives, and (B, WIDTH, H / 8, W / 8) appearances.

        The detector gives (B, 5, A) boxes and scores of all anchors; in training what its loss takes.
        """
        output = self.detector(batch)
        predictions, raw = (output, output) if self.training else output
        return predictions, self.branch(raw["feats"][LEVEL])


@dataclass(frozen=True)
class Seen:
    """People in a frame, or in a scene, best first within a frame."""

    frame: NDArray[np.int32]  # (N,)
    tlwh: NDArray[np.float64]  # (N, 4) in file coordinates
    score: NDArray[np.float32]  # (N,)
    vectors: NDArray[np.float16]  # (N, WIDTH) unit vectors


def load_joint(weights: str | Path = "embedded", device: str = "cpu") -> JointNetwork:
    """The jointly trained network, frozen; `weights`: `embedded`, or a file of `scripts/make_weights.py joint`.

    Raises InputError: weights that are missing, damaged or another network's.
    """
    path = find(weights, EMBEDDED)
    network = JointNetwork(build("yolov8n", classes=1))
    load_strict(network, read_state(path), path, "yolov8n with an embedding branch")
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last).to(device_named(device))


@torch.inference_mode()
def see(
    network: JointNetwork, number: int, frame: Image, size: tuple[int, int] = (640, 384), confidence: float = 0.1,
    geometry: Geometry = "letterbox",
) -> Seen:  # fmt: skip
    """People in a frame with their appearance, from one forward pass."""
    box = fit((frame.shape[1], frame.shape[0]), size, geometry)
    predictions, appearance = network(to_batch(box.apply(frame)[None], next(network.parameters()).device))
    found = predicted(predictions, size, type(network.detector).__name__)
    tlwh, score = chosen(*found, box, confidence, overlap=0.7, limit=300)
    vectors = mean_under(appearance, box.to_network(tlwh)).astype(np.float16)
    return Seen(np.full(len(tlwh), number, np.int32), tlwh, score, vectors)


def see_all(
    frames: Frames, network: JointNetwork, size: tuple[int, int] = (640, 384), confidence: float = 0.1,
    geometry: Geometry = "letterbox", progress: Progress = None,
) -> Seen:  # fmt: skip
    """People in all frames of a scene, which come ascending; InputError otherwise."""
    found = [Seen(np.zeros(0, np.int32), np.zeros((0, 4)), np.zeros(0, np.float32), np.zeros((0, WIDTH), np.float16))]
    last = 0
    for number, pixels in frames:
        if number <= last:
            raise InputError(f"frame {number} after frame {last}; give each frame once, in ascending order")
        last = number
        found.append(see(network, number, pixels, size, confidence, geometry))
        if progress:
            progress(1)
    columns = ("frame", "tlwh", "score", "vectors")
    return Seen(**{column: np.concatenate([getattr(f, column) for f in found]) for column in columns})


def mean_under(appearance: torch.Tensor, xyxy: NDArray[np.float64]) -> NDArray[np.float32]:
    """(N, WIDTH) unit means of a (1, WIDTH, h, w) map under boxes in input pixels."""
    vectors = pool_levels({0: (Part(appearance),)}, xyxy, {0: STRIDE})[0]
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.float32(1e-12))

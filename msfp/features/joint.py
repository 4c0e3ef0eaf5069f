"""A detector and an embedding trained together (JDE, FairMOT): one pass gives boxes, scores and appearance.

What frozen features are compared with. The branch reads the detector's finest neck map and is pooled over boxes exactly
as frozen layers are (eq. 1), so that what differs is the training.
"""

from collections.abc import Callable, Iterable
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
from msfp.features.pooling import pool
from msfp.features.weights import build, find, load_detector, load_strict, read_state

ARCHITECTURE = "yolov8n"
EMBEDDED = "joint-synth.safetensors"
DETECTOR = "yolov8n-synth.safetensors"
WIDTH = 128
# The finest of the maps that the detection head reads: 64 channels, one cell 8 input pixels.
LEVEL, STRIDE = 0, 8


class JointNetwork(nn.Module):
    """YOLOv8n for people with an embedding branch on the stride-8 neck map.

    Attributes:
        detector: ultralytics' model, one class, batch normalisation folded.
        branch: (B, 64, h, w) -> (B, WIDTH, h, w); a person's vector is its mean under the box.
    """

    def __init__(self, detector: Any) -> None:
        """Put a new branch on a detector."""
        super().__init__()
        self.detector = detector
        channels = next(detector.model[-1].cv2[LEVEL].parameters()).shape[1]
        self.branch = nn.Sequential(
            nn.Conv2d(channels, WIDTH, 3, padding=1), nn.SiLU(inplace=True), nn.Conv2d(WIDTH, WIDTH, 1)
        )

    def forward(self, batch: torch.Tensor) -> tuple[Any, torch.Tensor]:
        """What the detector gives, and the map of appearances.

        `batch`: (B, 3, H, W) float RGB in 0..1.
        Returns in evaluation (B, 5, A) boxes and scores of all anchors, in training what the detector's loss takes; and
        (B, WIDTH, H / 8, W / 8).
        """
        output = self.detector(batch)
        predictions, raw = (output, output) if self.training else output
        return predictions, self.branch(raw["feats"][LEVEL])


@dataclass(frozen=True)
class Seen:
    """People in a frame, or in a scene, best first within a frame."""

    frame: NDArray[np.int32]  # (N,) int32 frame number
    tlwh: NDArray[np.float64]  # (N, 4) float64 in file coordinates
    score: NDArray[np.float32]  # (N,) float32
    vectors: NDArray[np.float16]  # (N, WIDTH) float16 unit vectors


def load_joint(weights: str | Path = "embedded", device: str = "cpu") -> JointNetwork:
    """The jointly trained network, frozen.

    `weights`: `embedded`, or a .safetensors file that `scripts/make_weights.py joint` made.
    Raises InputError: weights that are missing, damaged or another network's.
    """
    path = find(weights, EMBEDDED)
    network = JointNetwork(build(ARCHITECTURE, classes=1))
    load_strict(network, read_state(path), path, f"{ARCHITECTURE} with an embedding branch")
    return _ready(network, device)


def untrained_joint(weights: str | Path = "embedded", seed: int = 0) -> JointNetwork:
    """A detector as it is, with a branch of seeded random weights: where joint training starts.

    `weights`: of the plain one-class detector; `embedded`, or a file.
    Raises InputError: weights that are missing or do not fit.
    """
    detector = load_detector(ARCHITECTURE, weights, DETECTOR)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _ready(JointNetwork(detector), "cpu")


def _ready(network: JointNetwork, device: str) -> JointNetwork:
    frozen = network.eval().requires_grad_(False)
    return frozen.to(memory_format=torch.channels_last).to(device_named(device))


@torch.inference_mode()
def see(
    network: JointNetwork,
    number: int,
    frame: NDArray[np.uint8],
    size: tuple[int, int] = (640, 384),
    confidence: float = 0.1,
    geometry: Geometry = "letterbox",
) -> Seen:
    """People in a frame with their appearance, from one forward pass. `frame`: (H, W, 3) uint8 RGB."""
    box = fit((frame.shape[1], frame.shape[0]), size, geometry)
    predictions, appearance = network(to_batch(box.apply(frame)[None], next(network.parameters()).device))
    found = predicted(predictions, size, type(network.detector).__name__)
    tlwh, score = chosen(*found, box, confidence, overlap=0.7, limit=300)
    vectors = _pooled(appearance, box.to_network(tlwh)).astype(np.float16)
    return Seen(np.full(len(tlwh), number, np.int32), tlwh, score, vectors)


@torch.inference_mode()
def describe(
    network: JointNetwork,
    frame: NDArray[np.uint8],
    tlwh: NDArray[np.float64],
    size: tuple[int, int] = (640, 384),
    geometry: Geometry = "letterbox",
) -> NDArray[np.float32]:
    """(N, WIDTH) unit vectors of given boxes. `frame`: (H, W, 3) uint8 RGB. `tlwh`: (N, 4) in file coordinates."""
    box = fit((frame.shape[1], frame.shape[0]), size, geometry)
    appearance = network(to_batch(box.apply(frame)[None], next(network.parameters()).device))[1]
    return _pooled(appearance, box.to_network(tlwh))


def see_all(
    frames: Iterable[tuple[int, NDArray[np.uint8]]],
    network: JointNetwork,
    size: tuple[int, int] = (640, 384),
    confidence: float = 0.1,
    geometry: Geometry = "letterbox",
    progress: Callable[[int], None] | None = None,
) -> Seen:
    """People in all frames of a scene.

    `frames`: (number from 1, (H, W, 3) uint8 RGB), ascending.
    Raises InputError: frames that do not ascend.
    """
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


def _pooled(appearance: torch.Tensor, xyxy: NDArray[np.float64]) -> NDArray[np.float32]:
    """(N, WIDTH) unit means of a (1, WIDTH, h, w) map under boxes in input pixels."""
    vectors = pool((Part(appearance),), xyxy, STRIDE)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.float32(1e-12))

"""The detector's own boxes: decoded, suppressed, and in file coordinates."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from msfp.features.weights import load_detector
from shipped_weights.average_precision import iou
from shipped_weights.detector import detect
from tests.whole_model import load_person_detector


class Scripted(nn.Module):
    """A detector that always says the same: (x centre, y centre, width, height, person, other) an anchor."""

    def __init__(self, rows: list[list[float]]) -> None:
        super().__init__()
        self.rows = nn.Parameter(torch.tensor(rows, dtype=torch.float32).T[None])

    def forward(self, batch: torch.Tensor) -> tuple[torch.Tensor, None]:
        assert batch.shape == (1, 3, 384, 640)
        assert batch.min() >= 0
        assert batch.max() <= 1
        return self.rows, None


def test_boxes_are_in_file_coordinates_best_first() -> None:
    model = Scripted(
        [
            [110, 212, 20, 40, 0.6, 0.9],  # content starts 12 rows down: pixels 100..120 x 180..220
            [110, 213, 20, 40, 0.5, 0.0],  # suppressed by the first
            [300, 112, 10, 30, 0.8, 0.0],
            [500, 112, 10, 30, 0.2, 0.99],  # another class
        ]
    )
    tlwh, score = detect(model, np.zeros((360, 640, 3), np.uint8))
    np.testing.assert_allclose(tlwh, [[296, 86, 10, 30], [101, 181, 20, 40]], atol=1e-4)
    np.testing.assert_allclose(score, [0.8, 0.6], atol=1e-6)
    assert len(detect(model, np.zeros((360, 640, 3), np.uint8), overlap=1.0)[1]) == 3
    assert len(detect(model, np.zeros((360, 640, 3), np.uint8), limit=1)[1]) == 1


def test_nothing_found() -> None:
    tlwh, score = detect(Scripted([[1, 1, 1, 1, 0.1, 0.0]]), np.zeros((360, 640, 3), np.uint8))
    assert tlwh.shape == (0, 4)
    assert score.shape == (0,)


def test_a_preset_gives_its_whole_detector() -> None:
    model = load_person_detector("yolov8n-paper", "random-init")
    tlwh, score = detect(model, np.zeros((90, 160, 3), np.uint8), (160, 96), confidence=0.0, limit=5)
    assert tlwh.shape == (5, 4)
    assert np.all(np.diff(score) <= 0)


@pytest.mark.real
def test_real_weights_on_real_frames(shared: Path) -> None:
    """People at least a quarter visible, IoU 0.5: precision and recall as measured by others, within 0.03."""
    import cv2

    model = load_detector("yolov8n", shared / "weights" / "yolov8n-coco-dequant.safetensors")
    model.to(memory_format=torch.channels_last)
    right = detected = labelled = 0
    for scene in ("02", "04", "05", "09"):
        folder = shared / "mot17-dev" / "train" / f"MOT17-{scene}-FRCNN"
        truth = np.loadtxt(folder / "gt" / "gt.txt", delimiter=",")
        truth = truth[(truth[:, 6] == 1) & (truth[:, 7] == 1) & (truth[:, 8] > 0.25)]
        for file in sorted((folder / "img1").glob("*.jpg"))[::4]:
            boxes, _ = detect(model, cv2.imread(str(file))[..., ::-1], (1280, 736), 0.25, 0.7)
            here = truth[truth[:, 0] == int(file.stem), 2:6]
            overlap = iou(boxes, here)
            free = np.ones(len(here), np.bool_)
            for row in overlap:
                best = np.where(free, row, 0.0)
                if best.max(initial=0) >= 0.5:
                    free[best.argmax()] = False
                    right += 1
            detected, labelled = detected + len(boxes), labelled + len(here)
    assert right / detected == pytest.approx(0.74, abs=0.05)
    assert right / labelled == pytest.approx(0.65, abs=0.05)

"""The head that computes boxes where people are only, held to ultralytics' that computes all."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from msfp.features import detector as module
from msfp.features.detector import PeopleHead, can_take
from msfp.features.weights import load_detector

WIDTHS = (64, 128, 256)


@pytest.fixture(scope="module", params=["yolov8n", "yolo11n"])
def detect(request: pytest.FixtureRequest) -> Any:
    """ultralytics' head with random weights, its scores spread."""
    head = load_detector(request.param, "random-init").model[-1]
    with torch.no_grad():
        for branch in head.cv3:
            branch[-1].weight.mul_(40)
            branch[-1].bias.zero_()
    return head


def maps(height: int, width: int, seed: int) -> list[torch.Tensor]:
    """What the head reads of an input of 32 * (width, height)."""
    drawn = torch.Generator().manual_seed(seed)
    sizes = [(c, height * k, width * k) for c, k in zip(WIDTHS, (4, 2, 1), strict=True)]
    return [torch.randn(1, *s, generator=drawn).to(memory_format=torch.channels_last) for s in sizes]


def wanted(detect: Any, read: list[torch.Tensor], confidence: float) -> tuple[torch.Tensor, torch.Tensor]:
    """xyxy and scores from ultralytics' whole output, (1, 4 + classes, cells)."""
    centre, extent, scores = detect(list(read))[0][0].split([2, 2, detect.nc])
    keep = scores[0] >= confidence
    return torch.cat([centre - extent / 2, centre + extent / 2])[:, keep].T, scores[0][keep]


@given(
    height=st.integers(1, 4),
    width=st.integers(1, 4),
    seed=st.integers(0, 2**16),
    dense=st.sampled_from([0.0, 0.1, 1.0]),
    share=st.floats(0, 1),
)
def test_boxes_and_scores_are_those_of_the_whole_head(
    detect: Any, height: int, width: int, seed: int, dense: float, share: float
) -> None:
    read = maps(height, width, seed)
    with torch.inference_mode(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "DENSE", dense)
        every = wanted(detect, read, 0.0)[1].sort().values
        # Between two scores: at one of them the last bit would decide.
        at = min(int(share * len(every)), len(every) - 2)
        confidence = float(every[at] + every[at + 1]) / 2
        boxes, scores = PeopleHead(detect)(read, confidence)
        right_boxes, right_scores = wanted(detect, read, confidence)
    torch.testing.assert_close(scores, right_scores, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(boxes, right_boxes, rtol=1e-4, atol=2e-3)


def test_nobody() -> None:
    with torch.inference_mode():
        boxes, scores = PeopleHead(load_detector("yolov8n", "random-init").model[-1])(maps(2, 3, 0), 1.1)
    assert boxes.shape == (0, 4)
    assert scores.shape == (0,)


def test_heads_of_other_kinds_are_left_alone(detect: Any) -> None:
    assert can_take(detect)
    assert not can_take(load_detector("rtdetr-resnet50", "random-init").model[-1])
    assert [can_take(Detect(end2end)) for end2end in (False, True)] == [True, False]


class Detect:
    """What tells one kind of head from another."""

    def __init__(self, end2end: bool) -> None:
        self.end2end, self.reg_max = end2end, 16

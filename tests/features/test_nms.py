"""Suppression against torchvision's and against its definition."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from msfp.features.detector import suppressed

# A coarse grid: many boxes are equal, touch, or overlap by exactly the limit.
CORNERS = arrays(np.int64, st.tuples(st.integers(0, 40), st.just(4)), elements=st.integers(0, 12))


def random_boxes(seed: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    corner, extent = rng.uniform(0, 600, (count, 2)), rng.uniform(5, 120, (count, 2))
    xyxy = torch.from_numpy(np.concatenate([corner, corner + extent], 1)).float()
    return xyxy, torch.from_numpy(rng.uniform(0, 1, count)).float().round(decimals=2)  # equal scores as well


@pytest.mark.parametrize("overlap", [0.1, 0.45, 0.7])
@pytest.mark.parametrize("seed", range(4))
def test_it_is_torchvisions(seed: int, overlap: float) -> None:
    from torchvision.ops import nms

    xyxy, scores = random_boxes(seed, 700)
    for limit in (5, 10_000):
        assert torch.equal(suppressed(xyxy, scores, overlap, limit), nms(xyxy, scores, overlap)[:limit])


@given(CORNERS, st.sampled_from([0.0, 0.25, 0.5, 0.7]), st.randoms(use_true_random=False))
def test_it_is_its_definition(corners: np.ndarray, overlap: float, draw) -> None:
    xyxy = np.concatenate([np.minimum(corners[:, :2], corners[:, 2:]), np.maximum(corners[:, :2], corners[:, 2:])], 1)
    xyxy[:, 2:] += 1
    scores = np.array([draw.random() for _ in xyxy], np.float32)
    kept: list[int] = []
    for i in np.argsort(-scores, kind="stable").tolist():
        if all(iou(xyxy[i], xyxy[k]) <= overlap for k in kept):
            kept.append(i)
    found = suppressed(torch.from_numpy(xyxy).float(), torch.from_numpy(scores), overlap, 300)
    assert found.tolist() == kept


def iou(one: np.ndarray, other: np.ndarray) -> np.float32:
    """Of whole numbers, in single precision."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    inside = np.float32(max(sides[0], 0) * max(sides[1], 0))
    areas = [np.float32(np.prod(box[2:] - box[:2])) for box in (one, other)]
    return np.float32(inside / (areas[0] + areas[1] - inside))

"""A frame's device part, run on the CPU without a graph: the same vectors and thresholds as the stages give."""

import numpy as np
import pytest
import torch

from msfp.config import settings
from msfp.features.backbone import load_backbone, to_batch
from msfp.features.gpu.frame import DeviceFrame
from msfp.features.pooling import global_average, pool_levels
from msfp.heads.fusion import make_head
from msfp.heads.threshold import SceneEncoder

SIZE = (160, 96)


def test_frames_in_turn_give_what_the_stages_give() -> None:
    backbone = load_backbone("yolov8n-paper", "random-init")
    fusion, atl = settings("demo").fusion, settings("demo").atl
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        head = make_head("attention-instance", backbone.channels, fusion).eval()
        encoder = SceneEncoder(backbone.channels[backbone.preset.scene], "offset", atl).eval()
    frame = DeviceFrame(backbone, head, encoder, SIZE, most=12)
    rng = np.random.default_rng(0)
    for count in (5, 12, 0, 3):
        image = rng.integers(0, 256, (96, 160, 3), dtype=np.uint8)
        corner = rng.uniform(-20, 140, (count, 2))
        regions = np.concatenate([corner, corner + rng.uniform(1, 60, (count, 2))], 1)
        frame.submit(image, regions)
        found = frame.collect()
        parts = backbone.parts(to_batch(image[None]))
        pooled = {k: torch.from_numpy(v) for k, v in pool_levels(parts, regions, backbone.strides).items()}
        with torch.inference_mode():
            wanted = head(pooled).numpy()
            tau = encoder(torch.from_numpy(global_average(parts[backbone.preset.scene]))).numpy()[0]
        assert found.embeddings.shape == wanted.shape
        np.testing.assert_allclose(found.embeddings, wanted, atol=2e-4)
        np.testing.assert_allclose(found.thresholds, tau, atol=1e-5)


def test_too_many_boxes_are_refused() -> None:
    backbone = load_backbone("yolov8n-paper", "random-init")
    head = make_head("attention-instance", backbone.channels, settings("demo").fusion)
    encoder = SceneEncoder(backbone.channels[backbone.preset.scene], "offset", settings("demo").atl)
    frame = DeviceFrame(backbone, head, encoder, SIZE, most=2)
    with pytest.raises(ValueError, match="3 boxes where there is room for 2"):
        frame.submit(np.zeros((96, 160, 3), np.uint8), np.zeros((3, 4)))

"""A frame's device part, run on the CPU without a graph: the same vectors and thresholds as the stages give."""

from functools import partial

import numpy as np
import pytest
import torch

from msfp.config import settings
from msfp.features.backbone import Backbone, load_backbone, to_batch
from msfp.features.detector import load_whole
from msfp.features.gpu.frame import DeviceFrame, DeviceResult
from msfp.features.pooling import global_average, pool_levels
from msfp.heads.fusion import FusionHead, make_head
from msfp.heads.threshold import SceneEncoder

SIZE = (160, 96)


def networks(backbone: Backbone) -> tuple[FusionHead, SceneEncoder]:
    """A head and a scene encoder, the same each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        head = make_head("attention-instance", backbone.channels, settings("demo").fusion)
        encoder = SceneEncoder(backbone.channels[backbone.preset.scene], "offset", settings("demo").atl)
    return head.eval(), encoder.eval()


def show(frame: DeviceFrame, image: np.ndarray, regions: np.ndarray | None = None) -> DeviceResult:
    frame.room()[...] = image
    frame.submit(regions)
    return frame.collect()


def test_frames_in_turn_give_what_the_stages_give() -> None:
    backbone = load_backbone("yolov8n-paper", "random-init")
    head, encoder = networks(backbone)
    frame = DeviceFrame(backbone, head, encoder, SIZE, most=12)
    rng = np.random.default_rng(0)
    for count in (5, 12, 0, 3):
        image = rng.integers(0, 256, (96, 160, 3), dtype=np.uint8)
        corner = rng.uniform(-20, 140, (count, 2))
        regions = np.concatenate([corner, corner + rng.uniform(1, 60, (count, 2))], 1)
        found = show(frame, image, regions)
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
    frame = DeviceFrame(backbone, *networks(backbone), SIZE, most=2)
    with pytest.raises(ValueError, match="3 boxes where there is room for 2"):
        frame.submit(np.zeros((3, 4)))
    with pytest.raises(ValueError, match="ends before its boxes"):
        frame.submit()


def test_a_sparse_detector_is_refused() -> None:
    with pytest.raises(ValueError, match="load it with sparse=False"):
        DeviceFrame(load_whole("yolov8n-paper", "random-init"), None, None, SIZE)


def test_boxes_of_a_pass_in_low_precision_lie_between_whole_pixels() -> None:
    """At the far end of a wide input, where bfloat16 knows every eighth pixel."""
    detector = load_whole("yolov8n-paper", "embedded", sparse=False)
    detector.to_dtype(torch.bfloat16)
    batch = torch.rand(1, 3, 64, 1280, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    found = []
    with torch.inference_mode():
        for _ in range(2):
            found.append(detector.whole(batch)[1][0][0, 0].float())  # centres along x
            detector.keep_grid_exact()
    far = found[1] > 1024
    assert (found[0][far] % 8 == 0).all()
    assert (found[1][far] % 8 != 0).float().mean() > 0.9
    torch.testing.assert_close(*found, atol=8, rtol=0)


def small_frame(most: int = 12, finds: bool = False) -> DeviceFrame:
    load = partial(load_whole, sparse=False) if finds else load_backbone
    backbone = load("yolov8n-paper", "random-init")
    return DeviceFrame(backbone, *networks(backbone), SIZE, most=most)


def nowhere(frame: DeviceFrame) -> DeviceFrame:
    """The frame on a device that holds shapes but no numbers: whoever waits for a number there, or mixes in a tensor of
    the host, fails. A graph can record no such thing either."""
    meta = torch.device("meta")
    for module in (frame._backbone._modules, frame._head, frame._encoder):
        module.to(meta)
    frame._backbone.device = meta
    frame._image, frame._boxes = frame._image.to(meta), frame._boxes.to(meta)
    return frame


def test_the_recorded_part_asks_for_no_number_and_takes_nothing_from_the_host() -> None:
    outputs = nowhere(small_frame())._forward()
    assert len(outputs[1]) == 12
    assert {output.device.type for output in outputs} == {"meta"}


def test_nor_does_a_detector_that_finds_its_boxes() -> None:
    frame = nowhere(small_frame(finds=True))
    frame._backbone._modules[str(frame._backbone.executed[-1])].shape = None  # its grid is laid on the device
    outputs = frame._forward()
    assert [o.shape[0] for o in outputs] == [12, 12, 1]
    assert {output.device.type for output in outputs} == {"meta"}


@pytest.mark.parametrize(
    "asks",
    [
        lambda pooled: pooled[4][pooled[4].sum(1) > 0],
        lambda pooled: pooled[4] * pooled[4].max().item(),
        lambda pooled: pooled[4] + torch.zeros(pooled[4].shape),
    ],
    ids=["as many rows as are positive", "a number", "a tensor of the host"],
)
def test_a_head_that_does_is_found(asks) -> None:
    class Head(torch.nn.Module):
        def forward(self, pooled: dict[int, torch.Tensor]) -> torch.Tensor:
            return asks(pooled)

    frame = nowhere(small_frame())
    frame._head = Head()
    with pytest.raises((RuntimeError, NotImplementedError)):
        frame._forward()


def test_boxes_of_padding_change_nobody_and_no_threshold() -> None:
    """What an earlier frame left behind the boxes of this one."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (96, 160, 3), dtype=np.uint8)
    few, many = small_frame(), small_frame()
    corner = rng.uniform(0, 100, (12, 2))
    regions = np.concatenate([corner, corner + 30], 1)
    show(many, rng.integers(0, 256, (96, 160, 3), dtype=np.uint8), regions)
    found = [show(frame, image, regions[:3]) for frame in (few, many)]
    np.testing.assert_array_equal(found[0].embeddings, found[1].embeddings)
    np.testing.assert_array_equal(found[0].thresholds, found[1].thresholds)

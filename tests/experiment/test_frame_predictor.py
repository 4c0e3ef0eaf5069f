"""All networks of a frame in one piece, run on the CPU without a graph, against one part after the other."""

import numpy as np
import pytest
import torch

from msfp import worlds
from msfp.config import settings
from msfp.errors import InputError
from msfp.experiment.live import CpuPredictor, CudaGraphPredictor, Seen
from msfp.features.detector import Detector, load_whole
from msfp.heads.fusion import FusionHead, make_head
from msfp.heads.threshold import SceneEncoder
from msfp.heads.training import ScenePredictor
from msfp.online.video import frames, open_source

pytestmark = pytest.mark.xdist_group("eyes")

CONFIG = settings("demo", {"input.size": (320, 192)})


def in_one_piece() -> Detector:
    return load_whole("yolov8n-paper", "embedded", sparse=False)


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> list[np.ndarray]:
    """Three frames with people."""
    folder = worlds.generate("synth17", tmp_path_factory.mktemp("street"), seed=0, frames=5, size=(320, 180))
    source = open_source(str(sorted(folder.rglob("img1"))[0]))
    return [pixels for _, pixels in frames(source)][::2]


@pytest.fixture(scope="module")
def networks() -> tuple[FusionHead, ScenePredictor]:
    detector = in_one_piece()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        head = make_head("attention-instance", detector.channels, CONFIG.fusion).eval()
        encoder = SceneEncoder(detector.channels[detector.preset.scene], "dual", CONFIG.atl)
    state = {k: v.numpy() for k, v in encoder.state_dict().items()}
    return head, ScenePredictor("dual", detector.channels[detector.preset.scene], state, CONFIG.atl)


def same(one: Seen, other: Seen) -> None:
    np.testing.assert_allclose(one.tlwh, other.tlwh, atol=1e-2)
    np.testing.assert_allclose(one.score, other.score, atol=1e-4)
    np.testing.assert_allclose(one.vectors, other.vectors, atol=2e-3)  # the stages keep vectors in half precision
    np.testing.assert_allclose(one.prediction, other.prediction, atol=1e-4)


def test_both_see_the_same(street, networks) -> None:
    host = CpuPredictor(load_whole("yolov8n-paper", "embedded"), CONFIG.input, *networks)
    device = CudaGraphPredictor(in_one_piece(), CONFIG.input, *networks)
    for pixels in street:
        wanted = host.see(pixels)
        assert len(wanted.tlwh) >= 3, "a frame without people tells nothing"
        same(device.see(pixels), wanted)


def test_given_boxes_and_found_ones_come_in_turn(street, networks) -> None:
    host = CpuPredictor(load_whole("yolov8n-paper", "embedded"), CONFIG.input, *networks)
    device = CudaGraphPredictor(in_one_piece(), CONFIG.input, *networks)
    given = np.array([[20.0, 30, 40, 90], [200, 60, 30, 70]]), np.array([0.4, 0.9], np.float32)
    nobody = np.zeros((0, 4)), np.zeros(0, np.float32)
    for pixels, boxes in zip(street, (given, None, nobody), strict=True):
        wanted = host.see(pixels, boxes)
        same(device.see(pixels, boxes), wanted)
        assert boxes is None or np.array_equal(wanted.tlwh, boxes[0])


def test_strips_are_centred_by_those_who_are_seen_once(street, networks) -> None:
    """A GPU pools candidates before anybody knows which of them overlap; the mean is that of the kept ones."""
    width = CONFIG.fusion.strips * in_one_piece().channels[4]
    head = make_head("parts", {4: width}, CONFIG.fusion).eval()
    host = CpuPredictor(load_whole("yolov8n-paper", "embedded"), CONFIG.input, head, networks[1])
    device = CudaGraphPredictor(in_one_piece(), CONFIG.input, head, networks[1])
    given = np.array([[20.0, 30, 40, 90], [200, 60, 30, 70]]), np.array([0.4, 0.9], np.float32)
    for pixels, boxes in zip(street, (None, given, None), strict=True):
        wanted = host.see(pixels, boxes)
        assert wanted.vectors.shape == (len(wanted.tlwh), width)
        same(device.see(pixels, boxes), wanted)


def test_without_head_and_thresholds_there_are_boxes_only(street) -> None:
    device, host = CudaGraphPredictor(in_one_piece(), CONFIG.input), CpuPredictor(in_one_piece(), CONFIG.input)
    seen = device.see(street[0])
    same(seen, host.see(street[0]))
    assert (seen.vectors.shape[1], len(seen.prediction)) == (0, 0)


def test_where_room_is_short_the_most_certain_are_seen(street, networks) -> None:
    wanted = CudaGraphPredictor(in_one_piece(), CONFIG.input, *networks).see(street[0])
    seen = CudaGraphPredictor(in_one_piece(), CONFIG.input, *networks, most=8).see(street[0])
    assert 0 < len(seen.tlwh) < len(wanted.tlwh)
    np.testing.assert_allclose(seen.tlwh[0], wanted.tlwh[0], atol=1e-3)
    with pytest.raises(InputError, match="9 boxes in a frame, and room for 8"):
        CudaGraphPredictor(in_one_piece(), CONFIG.input, *networks, most=8).see(
            street[0], (np.ones((9, 4)), np.ones(9, np.float32))
        )


def test_what_was_given_stays_as_it_was(networks) -> None:
    head, predictor = networks
    CudaGraphPredictor(in_one_piece(), CONFIG.input, *networks).frame._head.to("meta")
    assert {p.device.type for p in head.parameters()} == {p.device.type for p in predictor.encoder.parameters()}


def test_vectors_that_are_no_numbers_are_told(street, networks) -> None:
    device = CudaGraphPredictor(in_one_piece(), CONFIG.input, *networks)
    device.see(street[0])
    for parameter in device.frame._head.parameters():
        parameter.requires_grad_(False).fill_(float("nan"))
    with pytest.raises(InputError, match="a frame: the detector's numbers grow beyond half precision"):
        device.see(street[1])

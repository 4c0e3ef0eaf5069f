"""`--device cuda`: the same people as on the CPU, but for who stands at a threshold."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from msfp import worlds
from msfp.experiment import data
from msfp.experiment.features import features
from msfp.experiment.live import CpuPredictor, CudaGraphPredictor
from msfp.features.detector import load_whole
from msfp.online.tracker import Tracker
from msfp.online.video import frames, open_source
from msfp.tracking.costs import iou
from msfp.types import tlwh_to_xyxy

from .conftest import LENGTH, Make
from .test_frame_predictor import CONFIG, networks

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")
__all__ = ["networks"]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> list[np.ndarray]:
    folder = worlds.generate("synth17", tmp_path_factory.mktemp("film"), seed=0, frames=30, size=(640, 360))
    return [pixels for _, pixels in frames(open_source(str(sorted(folder.rglob("img1"))[0])))]


def test_both_see_the_same(film, networks) -> None:
    """Suppression may choose another one of boxes that are nearly equally certain."""
    host = CpuPredictor(load_whole("yolov8n-paper", "embedded"), CONFIG.input, *networks)
    device = CudaGraphPredictor(load_whole("yolov8n-paper", "embedded", "cuda"), CONFIG.input, *networks)
    for pixels in film[::6]:
        wanted, found = host.see(pixels), device.see(pixels)
        sure = wanted.score > 0.3
        assert sure.sum() >= 3, "a frame without people tells nothing"
        overlap = iou(tlwh_to_xyxy(wanted.tlwh[sure]), tlwh_to_xyxy(found.tlwh))
        assert np.median(overlap.max(1)) > 0.95
        best = overlap.argmax(1)
        assert np.median((wanted.vectors[sure] * found.vectors[best]).sum(1)) > 0.99
        np.testing.assert_allclose(found.prediction, wanted.prediction, atol=1e-2)
        given = wanted.tlwh, wanted.score
        looked = device.see(pixels, given)
        assert (looked.vectors * wanted.vectors).sum(1).min() > 0.98


def test_one_part_after_the_other_on_a_gpu_too(film, networks) -> None:
    """The way of detectors that no graph records."""
    there = CpuPredictor(load_whole("yolov8n-paper", "embedded", "cuda"), CONFIG.input, *networks)
    here = CpuPredictor(load_whole("yolov8n-paper", "embedded"), CONFIG.input, *networks)
    wanted = here.see(film[0])
    found = there.see(film[0], (wanted.tlwh, wanted.score))
    assert (found.vectors * wanted.vectors).sum(1).min() > 0.999
    assert abs(len(there.see(film[0]).tlwh) - len(wanted.tlwh)) <= 1


@pytest.mark.parametrize("tracker", ["bytetrack", "sort"])
def test_who_is_followed(film, tracker: str, tmp_path: Path) -> None:
    people = {}
    for device in ("cpu", "cuda"):
        size = {"input.size": (640, 384)}
        follow = Tracker(tracker, threshold="default", device=device, home=tmp_path, settings=size)
        people[device] = [follow.update(pixels) for pixels in film]
    found = []
    for here, there in zip(*people.values(), strict=True):
        overlap = iou(here.xyxy, there.xyxy)
        found += (overlap.max(1) > 0.7).tolist() if len(there) else [False] * len(here)
    assert len(found) > 30
    assert np.mean(found) > 0.85


def test_features_of_a_run(make_run: Make) -> None:
    """Kept apart by device; the same vectors to half precision."""
    here = make_run({"MOT17-02-SDP": LENGTH})
    there = replace(here, settings=here.settings.model_copy(update={"device": "cuda"}))
    (scene,) = data.scenes(here, "mot17")
    wanted, found = (features(run, scene) for run in (here, there))
    assert wanted.keys() == found.keys()
    for name, one in wanted.items():
        np.testing.assert_array_equal(found[name].present, one.present)
        for layer, exact in one.layers.items():
            a, b = exact.astype(np.float64), found[name].layers[layer].astype(np.float64)
            assert 0 < np.linalg.norm(a - b) / np.linalg.norm(a) < 2e-2, layer

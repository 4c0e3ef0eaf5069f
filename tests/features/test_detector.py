"""One pass of the whole detector gives what detection and extraction give apart."""

import numpy as np
import pytest
from numpy.typing import NDArray

from msfp.errors import InputError
from msfp.features.backbone import load_backbone
from msfp.features.detector import load_whole
from shipped_weights.detector import detect
from tests.whole_model import load_person_detector

from .conftest import extract

SIZE = (160, 96)
FRAME = np.random.default_rng(0).integers(0, 256, (90, 160, 3), dtype=np.uint8)
GIVEN = np.array([[10.0, 20.0, 30.0, 50.0], [-40.0, -10.0, 60.0, 30.0], [150.0, 80.0, 40.0, 40.0]])


@pytest.mark.parametrize("preset", ["yolov8n-paper", "rtdetr-resnet50"])
def test_boxes_are_the_detectors_and_vectors_the_extractors(preset: str) -> None:
    seen = load_whole(preset, "random-init").look(FRAME, SIZE, confidence=0.0, limit=5)
    tlwh, score = detect(load_person_detector(preset, "random-init"), FRAME, SIZE, confidence=0.0, limit=5)
    np.testing.assert_allclose(seen.tlwh, tlwh, rtol=2e-5, atol=1e-3)
    np.testing.assert_allclose(seen.score, score, atol=1e-5)
    assert len(tlwh) == 5
    assert ((score >= 0) & (score <= 1)).all()
    cut = load_backbone(preset, "random-init")
    apart = extract([(1, FRAME)], {"found": (np.ones(5, np.int32), seen.tlwh)}, cut, SIZE)["found"]
    assert seen.layers.keys() == apart.layers.keys() == set(cut.layers)
    for layer, vectors in apart.layers.items():
        close(seen.layers[layer], vectors)
    close(seen.scene, apart.scene[0])


def close(found: NDArray[np.float16], wanted: NDArray[np.float16]) -> None:
    """Equal but for the last digits of fp16."""
    assert found.dtype == wanted.dtype == np.float16
    assert np.abs(wanted).max() > 0
    np.testing.assert_allclose(found, wanted, rtol=2e-3, atol=2e-3 * float(np.abs(wanted).max()))


def test_given_boxes_are_looked_at_in_place_of_those_found() -> None:
    scores = np.array([0.9, 0.1, 0.5], np.float32)
    seen = load_whole("yolov8n-paper", "random-init").look(FRAME, SIZE, boxes=(GIVEN, scores))
    np.testing.assert_array_equal(seen.tlwh, GIVEN)
    np.testing.assert_array_equal(seen.score, scores)
    cut = load_backbone("yolov8n-paper", "random-init")
    apart = extract([(1, FRAME)], {"det": (np.ones(3, np.int32), GIVEN)}, cut, SIZE)["det"]
    for layer, vectors in apart.layers.items():
        close(seen.layers[layer], vectors)


def test_nobody_found() -> None:
    seen = load_whole("yolov8n-paper", "random-init").look(FRAME, SIZE, confidence=1.1)
    assert seen.tlwh.shape == (0, 4)
    assert seen.score.shape == (0,)
    assert {k: v.shape for k, v in seen.layers.items()} == {4: (0, 64), 9: (0, 256), 14: (0, 192)}
    assert seen.scene.shape == (192,)


def test_a_size_that_no_stride_divides_is_refused() -> None:
    with pytest.raises(InputError, match="multiples of 32"):
        load_whole("yolov8n-paper", "random-init").look(FRAME, (160, 90))

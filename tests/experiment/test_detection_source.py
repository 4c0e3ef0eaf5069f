"""Boxes that are tracked in place of the public ones."""

import numpy as np
import pytest

from msfp.data.frames import read_frame
from msfp.errors import NotComputable
from msfp.experiment import data
from msfp.experiment.detections import CONFIDENCE
from msfp.experiment.features import features
from msfp.experiment.thresholds import Threshold
from msfp.experiment.tracks import Method, tracks
from msfp.metrics.hota import evaluate
from shipped_weights.detector import detect
from tests.whole_model import load_person_detector

from .conftest import LENGTH, Make

TWO = {"MOT17-02-SDP": LENGTH, "MOT17-02-FRCNN": LENGTH, "MOT17-04-SDP": 3}


def test_public_boxes_are_the_default(make_run: Make) -> None:
    scene, _ = data.scenes(make_run(TWO), "mot17")
    assert [s.detector for s in scene.sequences] == ["FRCNN", "SDP"]


def test_true_boxes_are_the_labels(make_run: Make) -> None:
    run = make_run(TWO, detections="ground_truth")
    scene, other = data.scenes(run, "mot17")
    assert [s.name for s in scene.sequences] == ["MOT17-02-TRUE"]
    found, truth = data.detections(scene.sequences[0]), data.labels(scene)
    assert np.array_equal(found.tlwh, truth.tlwh)
    assert (found.score == 1).all()
    assert data.sequences(data.whole(other)), "labels need no frames"
    method = Method("ByteTrack", "bytetrack", None, Threshold("fixed", 0.6, 0.1))
    followed = tracks(run, data.whole(scene), scene.sequences[0], method)
    assert evaluate(truth, followed, LENGTH).hota > 0.95


def test_own_boxes_are_the_detectors(make_run: Make) -> None:
    public = make_run(TWO)
    run = public.variant(detections="detector")
    assert public.variant(detections="detector") is run
    scene, partial = data.scenes(run, "mot17")
    (sequence,) = data.sequences(data.whole(scene))
    assert (sequence.name, sequence.detector, sequence.scene) == ("MOT17-02-OWN", "OWN", "MOT17-02")
    model = load_person_detector("yolov8n-paper", "random-init")
    boxes, scores = zip(
        *(detect(model, read_frame(scene.pixels, t), (96, 64), CONFIDENCE) for t in scene.pixels.frames), strict=True
    )
    found = data.detections(sequence)
    assert len(found) > 0
    assert np.allclose(found.tlwh, np.concatenate(boxes), atol=1e-2)  # pixels
    assert np.allclose(found.score, np.concatenate(scores), atol=1e-4)
    assert set(features(run, scene)) == {"gt", "OWN"}
    assert data.sequences(data.whole(partial)) == (), "3 of 9 frames are too few to detect on"
    with pytest.raises(NotComputable, match="MOT17-04-OWN has no det/det.txt"):
        tracks(run, data.whole(partial), partial.sequences[0], Method("ByteTrack", "bytetrack"))

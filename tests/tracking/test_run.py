"""Whole sequences: shapes that must fit, and real public detections."""

from configparser import ConfigParser
from pathlib import Path

import numpy as np
import pytest

from msfp.errors import InputError
from msfp.tracking import make, names, track, tracker_class
from msfp.types import Detections
from tests.tracking.conftest import Walk


def test_unknown_tracker_names_the_known_ones() -> None:
    with pytest.raises(InputError, match="tracker 'magic' is not known; there are: .*bytetrack.*sort"):
        make("magic")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"length": 10}, "bytetrack: detections lie in frames 1 to 40, tracked are 1 to 10; cut the detections"),
        ({"thresholds": np.ones((3, 2))}, "bytetrack: thresholds has 3 rows, needed are 40, one a frame"),
        ({"thresholds": np.ones((40, 3))}, r"bytetrack: thresholds have shape \(40, 3\); give \(length, 2\)"),
        ({"embeddings": np.ones((3, 8))}, r"bytetrack: embeddings has 3 rows, needed are \d+, one a detection"),
        ({"warps": np.ones((3, 2, 3))}, "bytetrack: warps has 3 rows, needed are 40, one a frame"),
    ],
)
def test_arrays_that_do_not_fit(scene: Walk, change: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        track(make("bytetrack"), **{"detections": scene.detections, "length": 40, **change})


def test_thresholds_per_frame_reach_the_tracker(scene: Walk) -> None:
    shut = np.tile(np.float32([0.95, 0.95]), (40, 1))
    assert len(track(make("bytetrack"), scene.detections, 40, thresholds=shut)) == 0
    half = shut.copy()
    half[20:] = 0.5, 0.1
    assert track(make("bytetrack"), scene.detections, 40, thresholds=half).frame.min() >= 21


def test_camera_motion_is_followed() -> None:
    """A camera that turns 25 px a frame for some frames: without its motion people of 30 px are lost."""
    length, jumps = 30, (0.0,) * 10 + (25.0,) * 3 + (0.0,) * 17
    left = 100 + np.cumsum(jumps)
    tlwh = np.stack([left, np.full(length, 50.0), np.full(length, 30.0), np.full(length, 80.0)], axis=1)
    found = Detections(np.arange(1, length + 1, dtype=np.int32), tlwh, np.full(length, 0.9, np.float32))
    warps = np.tile(np.eye(2, 3), (length, 1, 1))
    warps[:, 0, 2] = jumps
    assert len(np.unique(track(make("bytetrack"), found, length, warps=warps).id)) == 1
    assert len(np.unique(track(make("bytetrack"), found, length).id)) == 2


def read(folder: Path) -> tuple[Detections, int, float]:
    """Public detections, length and frame rate, without the readers under test elsewhere."""
    rows = np.loadtxt(folder / "det/det.txt", delimiter=",")
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    info = ConfigParser()
    info.read(folder / "seqinfo.ini")
    found = Detections(rows[:, 0].astype(np.int32), rows[:, 2:6], rows[:, 6].astype(np.float32))
    return found, int(info["Sequence"]["seqLength"]), float(info["Sequence"]["frameRate"])


@pytest.mark.real
@pytest.mark.parametrize(("name", "least"), [("sort", 0.40), ("bytetrack", 0.45)])
def test_real_detections_give_a_sane_hota(shared: Path, name: str, least: float) -> None:
    from msfp.metrics.scores import evaluate
    from msfp.types import GroundTruth

    folder = shared / "mot17-dev/train/MOT17-09-SDP"
    found, length, fps = read(folder)
    rows = np.loadtxt(folder / "gt/gt.txt", delimiter=",")
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    frame, identity, category = (rows[:, i].astype(np.int32) for i in (0, 1, 7))
    flag, visibility = rows[:, 6].astype(np.float32), rows[:, 8].astype(np.float32)
    truth = GroundTruth(frame, identity, rows[:, 2:6], flag, category, visibility)
    out = track(make(name, fps=fps), found, length)
    assert evaluate(truth, out, length).hota > least


@pytest.mark.real
@pytest.mark.parametrize("detector", ["DPM", "FRCNN", "SDP"])
@pytest.mark.parametrize("name", ["lite", "msfp-track"])
def test_real_detections_with_any_embeddings(shared: Path, name: str, detector: str) -> None:
    found, length, fps = read(shared / f"mot17-dev/train/MOT17-05-{detector}")
    vectors = np.random.default_rng(0).normal(size=(len(found), 16)).astype(np.float32)
    out = track(make(name, fps=fps), found, length, vectors)
    assert len(out) > 1000
    assert len(np.unique(np.stack([out.frame, out.id]), axis=1).T) == len(out)
    assert tracker_class(name).label


@pytest.mark.parametrize("name", names())
def test_a_sequence_declared_far_too_long_costs_what_it_holds(name: str, scene: Walk) -> None:
    """seqinfo.ini may say a million frames where some are labelled: all as with the right length."""
    looks = scene.embeddings if tracker_class(name).needs_embeddings else None
    right = track(make(name), scene.detections, scene.length + 100, looks)
    tracks = track(make(name), scene.detections, 10_000_000, looks)  # minutes, were every frame gone through
    for field in ("frame", "id", "tlwh", "score"):
        assert np.array_equal(getattr(tracks, field), getattr(right, field)), field

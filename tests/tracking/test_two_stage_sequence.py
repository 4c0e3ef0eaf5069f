"""A whole sequence in compiled code against the same tracker frame by frame."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from msfp.errors import InputError
from msfp.tracking import make, names, run, track, tracker_class
from msfp.tracking.base import Tracker
from msfp.tracking.looks import blend, cosine_distance
from msfp.tracking.run import Given, Part, at_once, frame_by_frame
from msfp.tracking.track_state import most_alive
from msfp.tracking.two_stage import TwoStage
from msfp.types import Detections, frame_bounds, tlwh_to_xyxy
from tests.tracking.conftest import Walk
from tests.tracking.test_run import read

from .definitions import cosine_distance_plain

TWO_STAGE = [name for name in names() if getattr(tracker_class(name), "_step", None) is TwoStage._step]
COMMON: dict[str, list[Any]] = {
    "fuse_score": [False, True],
    "output": ["state", "detection"],
    "buffer": [0, 3, 30],
    "new_track_margin": [0.0, 0.1],
    "match": [0.8, 0.95],
}
LOOKS: dict[str, list[Any]] = {
    "fusion": ["sum", "min_gate", "mahalanobis"],
    "min_iou": [0.0, 0.2],
    "look_divisor": [2.0, 1.0],
    "ema": [0.0, 0.9],
}


def crowd(rng: np.random.Generator, length: int, people: int, misses: float, same: bool) -> Given:
    """People close together; boxes missing, some twice, some frames empty; thresholds and camera of every frame."""
    rows = [
        (t, p)
        for t in range(length)
        for p in range(people)
        if rng.random() >= misses
        for _ in range(1 + (same and p == 0))
    ]
    frame, person = np.array(rows, np.int64).reshape(-1, 2).T
    speed, place = rng.normal(0, 6, people), rng.uniform(0, 60, (people, 2))
    left_top = place[person] + np.stack([speed[person] * frame, 0 * frame], axis=1)
    if not same:
        left_top = left_top + rng.normal(0, 1, left_top.shape)
    size = np.array([30.0, 70.0])
    boxes = np.hstack([left_top, left_top + size])
    scores = rng.choice(np.float32([0.05, 0.3, 0.5, 0.7, 0.95]), len(frame))
    vectors = rng.normal(size=(people, 5))[person] + 0.3 * rng.normal(size=(len(frame), 5))
    thresholds = np.float32([[0.6, 0.1], [0.5, 0.5], [0.8, 0.2]])[rng.integers(0, 3, length)]
    warps = np.tile(np.array([[1.01, 0.02, 2.0], [-0.02, 0.99, -1.0]]), (length, 1, 1))
    bounds = np.searchsorted(frame, np.arange(length + 1))
    return Given(bounds, boxes, scores, vectors, rng.random(len(frame)) < 0.8, thresholds, warps)


def same(first: list[Part], second: list[Part]) -> None:
    """Equal identities, scores and numbers of tracks; boxes to the last digits."""
    for name in ("counts", "ids", "scores", "boxes"):
        a, b = (np.concatenate([getattr(part, name) for part in parts]) for parts in (first, second))
        if name == "boxes":
            assert np.allclose(a, b, rtol=0, atol=1e-9)
        else:
            assert np.array_equal(a, b), name


def both(tracker: Tracker, given: Given) -> None:
    """Track both ways and compare."""
    tracker.reset()
    whole = at_once(tracker, given)
    assert whole is not None
    tracker.reset()
    same(whole, list(frame_by_frame(tracker, given, 1)))


@pytest.mark.parametrize("name", ["bytetrack", "lite", "botsort"])
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_equals_frame_by_frame(name: str, data: st.DataObject) -> None:
    known = COMMON if name == "bytetrack" else COMMON | LOOKS
    options = {key: data.draw(st.sampled_from(values), label=key) for key, values in known.items()}
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1), label="seed"))
    length, people = data.draw(st.integers(1, 20)), data.draw(st.integers(1, 6))
    scene = crowd(rng, length, people, data.draw(st.sampled_from([0.0, 0.3])), data.draw(st.booleans()))
    absent = data.draw(st.sets(st.sampled_from(["has_embedding", "thresholds", "warps"])), label="absent")
    scene = Given(**{**vars(scene), **dict.fromkeys(absent)})
    if name == "bytetrack" or data.draw(st.booleans(), label="no embeddings"):
        mask = np.zeros(len(scene.boxes), np.bool_)
        scene = Given(**{**vars(scene), "embeddings": None, "has_embedding": mask})
    both(make(name, **options), scene)


def test_stretches_join_without_a_seam(scene: Walk, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = make("lite")
    whole = track(tracker, scene.detections, scene.length, scene.embeddings)
    monkeypatch.setattr(run, "STRETCH", 9)
    pieces = track(tracker, scene.detections, scene.length, scene.embeddings)
    assert all(np.array_equal(getattr(whole, f), getattr(pieces, f)) for f in ("frame", "id", "tlwh", "score"))


@pytest.mark.parametrize("name", TWO_STAGE)
def test_every_two_stage_tracker_has_it(name: str, scene: Walk) -> None:
    bounds = frame_bounds(scene.detections.frame, scene.length)
    boxes, vectors = tlwh_to_xyxy(scene.detections.tlwh), scene.embeddings
    both(make(name), Given(bounds, boxes, scene.detections.score, vectors, None, None, None))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tlwh": (7, np.nan)}, r"lite, frame 2: box 1 is not finite"),
        ({"score": (7, np.nan)}, r"lite, frame 2: score 1 is not finite"),
        ({"embeddings": (7, np.nan)}, r"lite, frame 2: embedding 1 is not finite"),
        ({"score": (7, 3.0)}, r"lite, frame 2: score 3 lies outside the declared range"),
    ],
)
def test_what_is_wrong_is_named_as_frame_by_frame(scene: Walk, change: dict, message: str) -> None:
    found, vectors = scene.detections, scene.embeddings.copy()
    arrays = {"tlwh": found.tlwh.copy(), "score": found.score.copy(), "embeddings": vectors}
    for name, (row, value) in change.items():
        arrays[name][row] = value
    bad = Detections(found.frame, arrays["tlwh"], arrays["score"])
    with pytest.raises(InputError, match=message):
        track(make("lite", score_range=(0.0, 1.0)), bad, scene.length, arrays["embeddings"])


def test_room_for_tracks_is_what_the_buffer_can_hold() -> None:
    bounds = np.array([0, 5, 5, 7, 7, 7, 7, 7, 27])
    assert most_alive(bounds, 0) == 20
    assert most_alive(bounds, 100) == 27
    assert most_alive(np.array([0]), 30) == 0


@given(hnp.arrays(np.float32, (3, 37), elements=st.floats(-1, 1, width=32)))
@settings(deadline=None)
def test_cosine_distance_is_as_defined(vectors: np.ndarray) -> None:
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.float32(1e-6))
    assert np.allclose(cosine_distance(vectors, vectors[:2]), cosine_distance_plain(vectors, vectors[:2]), atol=1e-6)


def test_blend_by_hand() -> None:
    own = np.float32([[1, 0], [0, 0], [0, 1]])
    blend(own, np.array([0, 1]), np.float32([[0, 1], [0.6, 0.8]]), np.float32([0.75, 0.0]))
    assert np.allclose(own, [np.array([3, 1]) / 10**0.5, [0.6, 0.8], [0, 1]])


@pytest.mark.real
@pytest.mark.parametrize(("name", "folder"), [("bytetrack", "MOT17-04-SDP"), ("botsort", "MOT17-05-FRCNN")])
def test_equals_frame_by_frame_on_real_detections(shared: Path, name: str, folder: str) -> None:
    found, length, fps = read(shared / "mot17-dev/train" / folder)
    vectors = np.random.default_rng(0).normal(size=(len(found), 16)).astype(np.float32)
    bounds = frame_bounds(found.frame, length)
    both(make(name, fps=fps), Given(bounds, tlwh_to_xyxy(found.tlwh), found.score, vectors, None, None, None))

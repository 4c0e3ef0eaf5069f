"""Every tracker over a whole sequence in one call against the same tracker frame by frame, and what both refuse."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import msfp
from msfp import tracking
from msfp.errors import InputError
from msfp.experiment.selection import open_settings
from msfp.tracking import Given, at_once, frame_by_frame, make, names, track, tracker_class
from msfp.tracking.base import Tracker, TrackerOutput
from msfp.tracking.costs import blend
from msfp.types import Detections, frame_bounds, tlwh_to_xyxy
from tests.tracking.conftest import Walk
from tests.tracking.test_run import read

SPACE = Path(msfp.__file__).with_name("experiment") / "search_space.csv"
GATED = ("deepsort", "lite-deepsort", "strongsort", "lite-strongsort")
CENTRIC = ("sort", "ocsort", "deep-ocsort", "lite-deep-ocsort")
VALUES: dict[str, list[Any]] = {
    "fuse_score": [False, True],
    "output": ["state", "detection"],
    "buffer": [0, 3, 30],
    "new_track_margin": [0.0, 0.1],
    "match": [0.8, 0.95],
    "fusion": ["sum", "min_gate", "mahalanobis"],
    "min_iou": [0.0, 0.2],
    "look_divisor": [2.0, 1.0],
    "ema": [0.0, 0.9],
    "fps": [7.0, 30.0],
    "gate": [0.5, 9.4877, 1e12],
    "coast": [0, 1, 40],
    "n_init": [1, 2, 3, 10**30],
    "max_age": [0, 3, 30, 10**30],
    "max_cosine": [0.05, 0.2, 0.7, 2.0],
    "max_iou_distance": [0.0, 0.7, 1.0],
    "weight": [0.0, 0.5, 0.98, 1.0],
    "gallery": [1, 2, 100, 10**30],
    "cascade": [False, True],
    "match_iou": [0.0, 0.1, 0.3, 0.5],
    "min_hits": [0, 1, 2, 3],
    "min_score": [None, 0.3, 0.6],
    "track_high": [0.3, 0.6],
    "delta_t": [1, 2, 3, 5],
    "inertia": [0.0, 0.2, 0.4],
    "look_weight": [0.0, 0.25, 0.75, 1.5],
    "adaptive": [False, True],
    "adaptive_bottom": [0.0, 0.5],
}


def choices(name: str) -> dict[str, list[Any]]:
    """Values for a tracker's settings: those that are tried when settings are selected, and odd ones."""
    fields = tracker_class(name).Settings.model_fields
    found = {key: [*values] for key, values in VALUES.items() if key in fields}
    for one in open_settings(name):
        found.setdefault(one.setting, []).extend(one.candidates)
    if "boosttrack" in name:
        found.pop("max_age", None)
    return {key: found[key] for key in sorted(found)}


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


def joined(parts: list[TrackerOutput]) -> dict[str, np.ndarray]:
    """Counts, identities, scores and boxes of all frames."""
    names = ("counts", "ids", "boxes", "scores")
    return {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}


def whole(tracker: Tracker, scene: Given) -> dict[str, np.ndarray]:
    """Many frames in one call."""
    tracker.reset()
    return joined(at_once(tracker, scene))


def both(tracker: Tracker, scene: Given, first: int = 1) -> None:
    """Track both ways and hold that all is equal, to the bit."""
    compiled = whole(tracker, scene)
    tracker.reset()
    stepped = joined(list(frame_by_frame(tracker, scene, first)))
    for name, values in compiled.items():
        assert np.array_equal(values, stepped[name]), name


@pytest.mark.parametrize("name", names())
@given(data=st.data())
def test_equals_frame_by_frame(name: str, data: st.DataObject) -> None:
    options = {key: data.draw(st.sampled_from(values), label=key) for key, values in choices(name).items()}
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1), label="seed"))
    length, people = data.draw(st.integers(1, 25)), data.draw(st.integers(1, 7))
    scene = crowd(rng, length, people, data.draw(st.sampled_from([0.0, 0.3, 0.7])), data.draw(st.booleans()))
    absent = data.draw(st.sets(st.sampled_from(["has_embedding", "thresholds", "warps"])), label="absent")
    scene = Given(**{**vars(scene), **dict.fromkeys(absent)})
    if not tracker_class(name).needs_embeddings or data.draw(st.booleans(), label="no embeddings"):
        mask = np.zeros(len(scene.boxes), np.bool_)
        scene = Given(**{**vars(scene), "embeddings": None, "has_embedding": mask})
    both(make(name, **options), scene, data.draw(st.sampled_from([0, 1, 100]), label="first frame"))


@pytest.mark.parametrize("name", names())
def test_on_a_plain_walk(name: str, scene: Walk) -> None:
    bounds = frame_bounds(scene.detections.frame, scene.length)
    boxes, vectors = tlwh_to_xyxy(scene.detections.tlwh), scene.embeddings
    both(make(name), Given(bounds, boxes, scene.detections.score, vectors, None, None, None))


@pytest.mark.parametrize("name", [*GATED, *CENTRIC])
def test_all_that_is_selected_is_a_setting(name: str) -> None:
    with SPACE.open(encoding="utf-8", newline="") as file:
        named = {
            row["setting"] for row in csv.DictReader(file) if name.removeprefix("lite-") in row["trackers"].split()
        }
    assert named <= set(choices(name))


@pytest.mark.parametrize("name", names())
def test_stretches_join_without_a_seam(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = crowd(np.random.default_rng(3), 60, 7, 0.3, False)
    pieces = {}
    for size in (1 << 14, 9, 1):
        monkeypatch.setattr(tracking, "STRETCH", size)
        tracker = make(name)
        parts = at_once(tracker, scene)
        pieces[size] = joined(parts)
        assert (len(parts) > 1) == (size < len(scene.boxes))
    for other in (9, 1):
        assert all(np.array_equal(pieces[1 << 14][key], pieces[other][key]) for key in pieces[other])


@pytest.mark.parametrize("name", GATED)
@pytest.mark.parametrize("seed", range(3))
def test_long_crowds_that_come_and_go(name: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tracks are dropped between others that stay, galleries wrap, and the room for embeddings grows more than once."""
    monkeypatch.setattr(tracking, "STRETCH", 150)
    scene = crowd(np.random.default_rng(seed), 120, 12, 0.4, same=False)
    options = {"max_age": 4, "n_init": 2} | ({"gallery": 7} if "deep" in name else {})
    both(make(name, **options), scene)


@pytest.mark.parametrize("name", GATED)
def test_those_who_are_gone_are_reported_as_long_as_asked(name: str) -> None:
    """More is reported than there are boxes; scores come from frames of earlier stretches."""
    boxes = np.repeat(np.array([[0.0, 0, 30, 70], [200, 0, 230, 70]]), 4, axis=0).reshape(2, 4, 4).swapaxes(0, 1)
    scores = np.linspace(0.7, 0.9, 8).astype(np.float32)
    bounds = np.concatenate([np.arange(0, 9, 2), np.full(60, 8)])
    scene = Given(bounds, boxes.reshape(-1, 4), scores, np.eye(2)[np.arange(8) % 2], None, None, None)
    tracker = make(name, coast=40, max_age=50)
    both(tracker, scene)
    assert whole(tracker, scene)["counts"].tolist() == [0, 0] + [2] * 42 + [0] * 20


@pytest.mark.parametrize("name", ["lite", *GATED])
def test_what_is_wrong_is_named_with_its_frame(name: str, scene: Walk) -> None:
    found = scene.detections
    for field, value, message in (
        ("tlwh", np.nan, "box 1 is not finite"),
        ("score", np.nan, "score 1 is not finite"),
        ("embeddings", np.nan, "embedding 1 is not finite"),
        ("score", 3.0, "score 3 lies outside the declared range"),
    ):
        arrays = {"tlwh": found.tlwh.copy(), "score": found.score.copy(), "embeddings": scene.embeddings.copy()}
        arrays[field][7] = value
        bad = Detections(found.frame, arrays["tlwh"], arrays["score"])
        with pytest.raises(InputError, match=rf"{name}, frame 2: {message}"):
            track(make(name, score_range=(0.0, 1.0)), bad, scene.length, arrays["embeddings"])
    with pytest.raises(InputError, match="boxes come without embeddings"):
        track(make(name), found, scene.length)


@pytest.mark.parametrize("name", names())
def test_a_sequence_declared_far_too_long_costs_little(name: str, scene: Walk) -> None:
    """Where nobody is left, a frame is nearly nothing."""
    tracker = make(name)
    tracks = track(tracker, scene.detections, 10**5, scene.embeddings)
    short = track(tracker, scene.detections, scene.length, scene.embeddings)
    assert np.array_equal(tracks.id[: len(short)], short.id)


def test_numbers_of_frames_do_not_matter() -> None:
    """Nothing was seen before the first frame, whatever its number is."""
    scene = crowd(np.random.default_rng(1), 12, 6, 0.2, False)
    found = []
    for first in (0, 1, 2, 50):
        tracker = make("ocsort", delta_t=5, min_hits=0)
        found.append([tracker.update(*scene.frame(t, first + t)) for t in range(12)])
    for other in found[1:]:
        assert all(np.array_equal(a.boxes, b.boxes) for a, b in zip(found[0], other, strict=True))


@pytest.mark.parametrize("name", CENTRIC)
def test_boxes_far_too_large_end_both_ways_alike(name: str) -> None:
    """Beside people whose pairs must be chosen among, an area that overflows is refused; nothing hangs."""
    frame = np.array([[0.0, 0, 30, 70], [1.0, 0, 31, 70], [0.0, 0, 1e200, 1e200]])
    scene = Given(np.arange(0, 12, 3), np.tile(frame, (3, 1)), np.full(9, 0.9, np.float32), np.eye(9), None, None, None)
    tracker = make(name)
    with pytest.raises(ValueError, match="not finite"):
        whole(tracker, scene)
    tracker.reset()
    with pytest.raises(ValueError, match="not finite"):
        list(frame_by_frame(tracker, scene, 1))


@given(hnp.arrays(np.float32, (2, 5), elements=st.floats(-1, 1, width=32)), st.floats(0, 1, width=32))
def test_blend_is_the_mean_of_unit_length(vectors: np.ndarray, memory: float) -> None:
    own, seen = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.float32(1e-6))
    expected = memory * own.astype(np.float64) + (1 - memory) * seen
    length = np.linalg.norm(expected)
    blend(own, seen, np.float32(memory))
    if length > 1e-3:
        assert np.allclose(own, expected / length, atol=1e-4)


@pytest.mark.real
@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("folder", ["MOT17-04-SDP", "MOT17-05-FRCNN"])
def test_equals_frame_by_frame_on_real_detections(shared: Path, name: str, folder: str) -> None:
    found, length, fps = read(shared / "mot17-dev/train" / folder)
    rows = found.frame <= 200
    found, length = Detections(found.frame[rows], found.tlwh[rows], found.score[rows]), min(length, 200)
    vectors = np.random.default_rng(0).normal(size=(len(found), 16)).astype(np.float32)
    bounds = frame_bounds(found.frame, length)
    both(make(name, fps=fps), Given(bounds, tlwh_to_xyxy(found.tlwh), found.score, vectors, None, None, None))

"""A whole sequence of DeepSORT's and StrongSORT's kind in compiled code against the same tracker frame by frame."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import msfp
from msfp.errors import InputError
from msfp.tracking import gated_appearance_sequence as sequence
from msfp.tracking import make, names, run, track, tracker_class
from msfp.tracking.gated_appearance import GatedAppearance
from msfp.tracking.run import Given, at_once
from msfp.types import Detections, frame_bounds, tlwh_to_xyxy
from tests.tracking.conftest import Walk
from tests.tracking.test_run import read
from tests.tracking.test_two_stage_sequence import both, crowd, same

GATED = [name for name in names() if issubclass(tracker_class(name), GatedAppearance)]
SPACE = Path(msfp.__file__).with_name("pipeline") / "search_space.csv"
FURTHER: dict[str, list[Any]] = {
    "fps": [5.0, 30.0],
    "gate": [0.5, 9.4877, 1e12],
    "coast": [0, 1, 40],
    "n_init": [1, 2, 3, 10**30],
    "max_age": [0, 3, 30, 10**30],
    "max_cosine": [0.05, 0.2, 0.7, 2.0],
    "max_iou_distance": [0.0, 0.7, 1.0],
    "weight": [0.0, 0.5, 0.98, 1.0],
    "ema": [0.0, 0.9],
    "gallery": [1, 2, 100, 10**30],
    "cascade": [False, True],
}


def choices(name: str) -> dict[str, list[Any]]:
    """Values for a tracker's settings: those that are tried when settings are selected, and odd ones."""
    found: dict[str, list[Any]] = {key: list(values) for key, values in FURTHER.items()}
    family = name.removeprefix("lite-")
    with SPACE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if family in row["trackers"].split():
                number = int if row["setting"] in ("max_age", "n_init") else float
                found.setdefault(row["setting"], []).extend(number(value) for value in row["candidates"].split())
    return {key: found[key] for key in sorted(found) if key in tracker_class(name).Settings.model_fields}


def test_it_is_these_four() -> None:
    assert sorted(GATED) == ["deepsort", "lite-deepsort", "lite-strongsort", "strongsort"]
    assert {"track_high", "max_cosine", "max_age", "n_init", "max_iou_distance"} <= set(choices("lite-deepsort"))
    assert {"ema", "weight"} <= set(choices("strongsort"))


@pytest.mark.parametrize("name", GATED)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_equals_frame_by_frame(name: str, data: st.DataObject) -> None:
    options = {key: data.draw(st.sampled_from(values), label=key) for key, values in choices(name).items()}
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1), label="seed"))
    length, people = data.draw(st.integers(1, 25)), data.draw(st.integers(1, 6))
    scene = crowd(rng, length, people, data.draw(st.sampled_from([0.0, 0.3, 0.7])), data.draw(st.booleans()))
    absent = data.draw(st.sets(st.sampled_from(["has_embedding", "thresholds", "warps"])), label="absent")
    scene = Given(**{**vars(scene), **dict.fromkeys(absent)})
    if data.draw(st.booleans(), label="no embeddings"):
        scene = Given(**{**vars(scene), "embeddings": None, "has_embedding": np.zeros(len(scene.boxes), np.bool_)})
    if options.get("gallery", 0) > 100:
        # frame by frame a gallery takes its room at once
        tracker, equal = make(name, **options), make(name, **(options | {"gallery": 25}))
        whole = at_once(tracker, scene)
        other = at_once(equal, scene)
        assert whole is not None
        assert other is not None
        same(whole, other)
        options["gallery"] = 25
    both(make(name, **options), scene)


@pytest.mark.parametrize("name", GATED)
@pytest.mark.parametrize("seed", range(3))
def test_long_crowds_that_come_and_go(name: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tracks are dropped between others that stay, galleries wrap, and the room for embeddings grows more than once."""
    monkeypatch.setattr(sequence, "ROOM", 1)
    monkeypatch.setattr(run, "STRETCH", 150)
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
    whole = at_once(tracker, scene)
    assert whole is not None
    assert np.concatenate([part.counts for part in whole]).tolist() == [0, 0] + [2] * 42 + [0] * 20


@pytest.mark.parametrize("name", GATED)
def test_stretches_join_without_a_seam(name: str, scene: Walk, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = make(name)
    whole = track(tracker, scene.detections, scene.length, scene.embeddings)
    monkeypatch.setattr(run, "STRETCH", 9)
    pieces = track(tracker, scene.detections, scene.length, scene.embeddings)
    assert len(whole)
    assert all(np.array_equal(getattr(whole, f), getattr(pieces, f)) for f in ("frame", "id", "tlwh", "score"))


@pytest.mark.parametrize("name", GATED)
def test_the_same_to_the_bit(name: str, scene: Walk) -> None:
    """On a plain scene not a digit differs, as it is the same kernels that reckon."""
    tracker = make(name)
    bounds = frame_bounds(scene.detections.frame, scene.length)
    given = Given(bounds, tlwh_to_xyxy(scene.detections.tlwh), scene.detections.score, scene.embeddings, *3 * [None])
    whole = at_once(tracker, given)
    assert whole is not None
    stepped = list(run.frame_by_frame(tracker, given, 1))
    boxes = [np.concatenate([part.boxes for part in parts]) for parts in (whole, stepped)]
    assert len(boxes[0])
    assert np.array_equal(*boxes)


def test_embeddings_take_room_by_tracks_alive_and_frames() -> None:
    """Not by how many boxes a sequence has, nor by how many embeddings a track may keep."""
    gates = make("deepsort", gallery=10**6, max_age=5)._gates()
    bounds = np.arange(0, 10_001, 2)
    following = sequence.Following(gates, make("deepsort")._filter, bounds)
    assert following._gates.gallery == 5000
    history = following._begin(8)
    assert len(history.slot) == len(history.gallery) <= 20
    wider = sequence._wider(history, 50)
    assert sequence._wider(wider, 100) is wider
    assert len(wider.gallery) == 100
    assert sorted(wider.slot) == list(range(100))


@pytest.mark.parametrize("name", GATED)
def test_what_is_wrong_is_named_as_frame_by_frame(name: str, scene: Walk) -> None:
    found, vectors = scene.detections, scene.embeddings.copy()
    vectors[7] = np.nan
    with pytest.raises(InputError, match=rf"{name}, frame 2: embedding 1 is not finite"):
        track(make(name), found, scene.length, vectors)
    scores = found.score.copy()
    scores[7] = np.nan
    with pytest.raises(InputError, match=rf"{name}, frame 2: score 1 is not finite"):
        track(make(name), Detections(found.frame, found.tlwh, scores), scene.length, scene.embeddings)
    with pytest.raises(InputError, match="boxes come without embeddings"):
        track(make(name), found, scene.length)


@pytest.mark.real
@pytest.mark.parametrize(("name", "folder"), [("deepsort", "MOT17-04-SDP"), ("strongsort", "MOT17-05-FRCNN")])
def test_equals_frame_by_frame_on_real_detections(shared: Path, name: str, folder: str) -> None:
    found, length, fps = read(shared / "mot17-dev/train" / folder)
    vectors = np.random.default_rng(0).normal(size=(len(found), 16)).astype(np.float32)
    bounds = frame_bounds(found.frame, length)
    both(make(name, fps=fps), Given(bounds, tlwh_to_xyxy(found.tlwh), found.score, vectors, None, None, None))

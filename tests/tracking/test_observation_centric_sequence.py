"""SORT, OC-SORT and Deep OC-SORT over a whole sequence in compiled code against the same trackers frame by frame."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msfp.pipeline.selection import open_settings
from msfp.tracking import make, names, run, track, tracker_class
from msfp.tracking.base import Tracker
from msfp.tracking.observation_centric import ObservationCentric
from msfp.tracking.run import Given, Part, at_once, frame_by_frame
from msfp.tracking.sort import Sort
from msfp.types import frame_bounds, tlwh_to_xyxy
from tests.tracking.conftest import Walk
from tests.tracking.test_run import read
from tests.tracking.test_two_stage_sequence import crowd

FOLLOWED = [
    name for name in names() if getattr(tracker_class(name), "_step", None) in (ObservationCentric._step, Sort._step)
]
SHARED: dict[str, list[Any]] = {
    "match_iou": [0.0, 0.1, 0.3, 0.5],
    "min_hits": [0, 1, 2, 3],
    "max_age": [0, 1, 3, 10, 30],
    "fps": [30.0, 7.0],
}
SORT: dict[str, list[Any]] = {"min_score": [None, 0.3, 0.6]}
CENTRIC: dict[str, list[Any]] = {
    "track_high": [0.3, 0.6],
    "delta_t": [1, 2, 3, 5],
    "inertia": [0.0, 0.2, 0.4],
}
LOOKS: dict[str, list[Any]] = {
    "look_weight": [0.0, 0.25, 0.75, 1.5],
    "ema": [0.0, 0.8, 0.95, 1.0],
    "adaptive": [False, True],
    "adaptive_bottom": [0.0, 0.5],
}
OPEN = {"sort": SHARED | SORT, "ocsort": SHARED | CENTRIC} | dict.fromkeys(
    ("deep-ocsort", "lite-deep-ocsort"), SHARED | CENTRIC | LOOKS
)


def whole(tracker: Tracker, scene: Given) -> list[Part]:
    """In compiled code."""
    tracker.reset()
    parts = at_once(tracker, scene)
    assert parts is not None
    return parts


def both(tracker: Tracker, scene: Given, first: int = 1) -> None:
    """Track both ways and hold that all is equal, to the bit."""
    compiled = whole(tracker, scene)
    tracker.reset()
    stepped = list(frame_by_frame(tracker, scene, first))
    for name in ("counts", "ids", "scores", "boxes"):
        a, b = (np.concatenate([getattr(part, name) for part in parts]) for parts in (compiled, stepped))
        assert np.array_equal(a, b), name


def test_all_that_share_the_course_of_a_frame_are_compared() -> None:
    assert set(FOLLOWED) == set(OPEN)


@pytest.mark.parametrize("name", FOLLOWED)
def test_all_that_is_selected_is_drawn(name: str) -> None:
    assert {one.setting for one in open_settings(name)} <= set(OPEN[name])


@pytest.mark.parametrize("name", ["sort", "ocsort", "deep-ocsort"])
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_equals_frame_by_frame(name: str, data: st.DataObject) -> None:
    selected = {one.setting: [*one.candidates] for one in open_settings(name)}
    values = {key: [*own, *selected.get(key, [])] for key, own in OPEN[name].items()}
    options = {key: data.draw(st.sampled_from(choice), label=key) for key, choice in values.items()}
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1), label="seed"))
    length, people = data.draw(st.integers(1, 30)), data.draw(st.integers(1, 8))
    scene = crowd(rng, length, people, data.draw(st.sampled_from([0.0, 0.3, 0.7])), data.draw(st.booleans()))
    absent = data.draw(st.sets(st.sampled_from(["has_embedding", "thresholds", "warps"])), label="absent")
    scene = Given(**{**vars(scene), **dict.fromkeys(absent)})
    if data.draw(st.booleans(), label="no embeddings"):
        mask = np.zeros(len(scene.boxes), np.bool_)
        scene = Given(**{**vars(scene), "embeddings": None, "has_embedding": mask})
    both(make(name, **options), scene, data.draw(st.sampled_from([0, 1, 100]), label="first frame"))


@pytest.mark.parametrize("name", FOLLOWED)
def test_every_such_tracker_has_it(name: str, scene: Walk) -> None:
    bounds = frame_bounds(scene.detections.frame, scene.length)
    boxes, vectors = tlwh_to_xyxy(scene.detections.tlwh), scene.embeddings
    both(make(name), Given(bounds, boxes, scene.detections.score, vectors, None, None, None))


@pytest.mark.parametrize("name", FOLLOWED)
def test_stretches_join_without_a_seam(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = crowd(np.random.default_rng(3), 60, 7, 0.3, False)
    pieces = {}
    for size in (1 << 14, 9, 1):
        monkeypatch.setattr(run, "STRETCH", size)
        parts = whole(make(name, min_hits=1), scene)
        pieces[size] = [np.concatenate([getattr(part, f) for part in parts]) for f in vars(parts[0])]
        assert (len(parts) > 1) == (size < len(scene.boxes))
    for other in (9, 1):
        assert all(np.array_equal(a, b) for a, b in zip(pieces[1 << 14], pieces[other], strict=True))


@pytest.mark.parametrize("name", FOLLOWED)
def test_stepping_ends_where_nobody_is_left(name: str, scene: Walk) -> None:
    """A sequence declared far too long costs no time, whichever way it is tracked."""
    tracker = make(name)
    tracks = track(tracker, scene.detections, 10**7, scene.embeddings)
    short = track(tracker, scene.detections, scene.length, scene.embeddings)
    assert np.array_equal(tracks.id, short.id)


def test_numbers_of_frames_do_not_matter() -> None:
    """Nothing was seen before the first frame, whatever its number is."""
    scene = crowd(np.random.default_rng(1), 12, 6, 0.2, False)
    directions = []
    for first in (0, 1, 2, 50):
        tracker = make("ocsort", delta_t=5)
        for t in range(4):
            tracker.update(*scene.frame(t, first + t))
        directions.append(tracker._table["direction"].copy())
    assert directions[0].any()
    assert all(np.array_equal(directions[0], other) for other in directions)


@pytest.mark.parametrize("name", FOLLOWED)
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


@pytest.mark.real
@pytest.mark.parametrize("name", FOLLOWED)
@pytest.mark.parametrize("folder", ["MOT17-04-SDP", "MOT17-05-FRCNN"])
def test_equals_frame_by_frame_on_real_detections(shared: Path, name: str, folder: str) -> None:
    found, length, fps = read(shared / "mot17-dev/train" / folder)
    vectors = np.random.default_rng(0).normal(size=(len(found), 16)).astype(np.float32)
    bounds = frame_bounds(found.frame, length)
    both(make(name, fps=fps), Given(bounds, tlwh_to_xyxy(found.tlwh), found.score, vectors, None, None, None))

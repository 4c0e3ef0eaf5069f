"""The open sequence and frame, shared by the panels; used without a browser."""

from dataclasses import replace

import pytest

from msfp.errors import InputError
from msfp.experiment.data import Part
from msfp.explore.panels import (
    Explorer,
    PeoplePanel,
    ThresholdPanel,
    TrackersPanel,
    busiest,
    liveliest,
)
from msfp.explore.session import FULL, Clip


@pytest.fixture
def desk(clip: Clip) -> Explorer:
    """A scene whole, and two stretches of it, of which neither slider range contains the other."""
    scene = clip.part.scene
    parts = {"whole": clip.part, "first": Part(scene, 1, 5), "last": Part(scene, 7, 12), "again": Part(scene, 7, 12)}
    return Explorer({name: replace(clip, part=part) for name, part in parts.items()}, "whole")


def test_sequences_bring_their_own_frames(desk: Explorer) -> None:
    desk.slider.value = 11
    assert desk.frame == 11
    for name, first, last in (("first", 1, 5), ("last", 7, 12), ("first", 1, 5), ("whole", 1, 12)):
        desk.sequences.value = name
        assert (desk.slider.min, desk.slider.max, desk.slider.value) == (first, last, first), name
        assert desk.frame == 1
    desk.frame = 5
    assert desk.slider.value == 5


def test_the_frame_stays_where_the_pixels_do(desk: Explorer) -> None:
    desk.sequences.value = "last"
    desk.slider.value = 9
    assert desk.frame == 3
    desk.sequences.value = "again"
    assert (desk.frame, desk.slider.value) == (3, 9)


def test_panels_follow_the_desk(desk: Explorer) -> None:
    people, thresholds = PeoplePanel(desk, FULL), ThresholdPanel(desk, FULL)
    trackers = TrackersPanel(desk, FULL, "SORT")
    views = people.view, thresholds.view, *trackers.views
    pictures = [view.jpeg for view in views]
    desk.slider.value = 12
    assert all(view.jpeg != before for view, before in zip(views, pictures, strict=True))
    desk.sequences.value = "last"
    assert "frame 7," in people.view.caption


def test_the_buttons_go_through_the_frames_with_switches_and_round_the_end(clips: dict[str, Clip]) -> None:
    desk = Explorer(clips, "DPM")
    panel = TrackersPanel(desk, "SORT", "SORT")
    switches = desk.clip.result("SORT").switches
    assert switches is not None
    frames = sorted(set(switches.frame.tolist()))
    visited = []
    for _ in range(len(frames) + 1):
        panel.on.click()
        visited.append(desk.frame)
    assert visited == [*frames, frames[0]]
    panel.back.click()
    assert desk.frame == frames[-1]


def test_who_was_clicked_is_forgotten_with_another_tracker(desk: Explorer) -> None:
    panel = PeoplePanel(desk, FULL)
    panel.view.clicked = [panel.view.boxes[0]["id"], 1]
    assert panel.view.chosen == panel.view.boxes[0]["id"]
    assert panel.curve.value
    panel.tracker.value = "ByteTrack"
    assert panel.view.chosen == -1
    assert not panel.curve.value


def test_what_is_not_there_names_what_is(clip: Clip, desk: Explorer) -> None:
    with pytest.raises(InputError, match=f"there are: {clip.sequence.name}"):
        Explorer({clip.sequence.name: clip}, "MOT99")
    with pytest.raises(InputError, match=f"tracker 'none' is not among the run's; there are: {FULL}"):
        PeoplePanel(desk, "none")


def test_layers_lie_beside_the_tracks_and_cannot_be_clicked(desk: Explorer) -> None:
    panel, clip = PeoplePanel(desk, FULL), desk.clip
    tracks = list(panel.view.boxes)
    panel.layers["labels"].value = panel.layers["detections"].value = True
    kinds = [box["kind"] for box in panel.view.boxes]
    assert clip.truth is not None
    here = clip.truth.pedestrian & (clip.truth.frame == 1)
    assert (kinds.count("label"), kinds.count("detection")) == (here.sum(), (clip.detections.frame == 1).sum())
    assert [box for box in panel.view.boxes if box["kind"] == "track"] == tracks
    assert f"{here.sum()} labels" in panel.view.caption
    shown = {float(box["label"]) for box in panel.view.boxes if box["kind"] == "detection"}
    assert shown == {round(float(score), 2) for score in clip.detections.score[clip.detections.frame == 1]}
    panel.layers["labels"].value = panel.layers["detections"].value = False
    assert panel.view.boxes == tracks


def test_it_opens_where_most_is_going_on(clips: dict[str, Clip]) -> None:
    clip = clips["SDP"]
    part = Part(clip.part.scene, 1, 5)
    empty = replace(clip, part=part)
    vars(empty)["truth"] = None
    some = {"nobody knows": empty, "whole": clip}
    assert liveliest(some) == "whole"
    assert liveliest({"nobody knows": empty}) == "nobody knows"
    assert busiest(empty) == 1
    frame, truth = busiest(clip), clip.truth
    assert truth is not None
    counts = [int((truth.pedestrian & (truth.frame == t)).sum()) for t in range(1, clip.length + 1)]
    assert counts[frame - 1] == max(counts) > counts[0] or frame == 1

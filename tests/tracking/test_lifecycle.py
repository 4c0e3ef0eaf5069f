"""States of tracks: ByteTrack's whole life cycle against a model in plain Python, and the arrays that keep them."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from msfp.tracking import make
from msfp.tracking.lifecycle import (
    CONFIRMED,
    LOST,
    REMOVED,
    Progress,
    TrackState,
    buffer_frames,
    drop_duplicates,
    expire,
    make_progress,
    make_tracks,
    sweep,
    with_room,
)

BUFFER = 3
LANES = 4


@dataclass
class Model:
    """One lane's track as the paper tells it."""

    id: int
    state: str
    last: int
    expired: bool = False


class ByteTrackLife(RuleBasedStateMachine):
    """Four people who stand still, far apart, so that only the life cycle decides."""

    def __init__(self) -> None:
        super().__init__()
        self.tracker = make("bytetrack", buffer=BUFFER)
        self.lanes: dict[int, Model] = {}
        self.frame = 0
        self.next = 1

    @rule(scores=st.lists(st.sampled_from([0.0, 0.05, 0.3, 0.65, 0.9]), min_size=LANES, max_size=LANES))
    def step(self, scores: list[float]) -> None:
        self.frame += 1
        seen = [lane for lane in range(LANES) if scores[lane] > 0]
        boxes = np.array([[300.0 * lane, 0, 300.0 * lane + 40, 100] for lane in seen]).reshape(-1, 4)
        out = self.tracker.update(boxes, np.array([scores[lane] for lane in seen]))
        for lane in range(LANES):
            self.advance(lane, scores[lane])
        expected = {m.id: 300.0 * lane for lane, m in self.lanes.items() if m.state == "confirmed"}
        assert dict(zip(out.ids.tolist(), np.round(out.boxes[:, 0], 3).tolist(), strict=True)) == expected

    def advance(self, lane: int, score: float) -> None:
        track = self.lanes.get(lane)
        if track is None:
            if score >= 0.7:
                state = "confirmed" if self.frame == 1 else "tentative"
                self.lanes[lane] = Model(self.next, state, self.frame)
                self.next += 1
            return
        sure, unsure = score > 0.6, 0.1 < score < 0.6
        if sure or (unsure and track.state == "confirmed"):
            track.state, track.last = "confirmed", self.frame
        elif track.state == "tentative":
            del self.lanes[lane]
        else:
            track.state = "lost"
            if track.expired:
                del self.lanes[lane]
            track.expired = self.frame - track.last > BUFFER


TestByteTrackLife = ByteTrackLife.TestCase
TestByteTrackLife.settings = settings(stateful_step_count=25)


def state_of(*rows: tuple[int, int, int], room: int = 8) -> tuple[TrackState, Progress]:
    """Tracks 1, 2, ... with (state, start, last)."""
    tracks, at = make_tracks(window=2, room=room), make_progress()
    for k, (state, start, last) in enumerate(rows):
        tracks.id[k], tracks.state[k], tracks.start[k], tracks.last[k] = k + 1, state, start, last
    at.alive[0] = len(rows)
    return tracks, at


def test_who_is_removed_makes_room_and_the_others_keep_their_order_and_embeddings() -> None:
    tracks, at = state_of(*[(CONFIRMED, k, 10) for k in range(6)])
    tracks = with_room(tracks, 6, 3, 4)
    for k in range(6):
        for column in (tracks.mean, tracks.blocks, tracks.box, tracks.recent, tracks.missed_mean, tracks.missed_blocks):
            column[k] = k + 1
        tracks.gallery[tracks.slot[k]] = k + 1
    tracks.state[[0, 3, 4]] = REMOVED
    sweep(tracks, at)
    assert at.alive[0] == 3
    assert tracks.id[:3].tolist() == [2, 3, 6]
    assert sorted(tracks.slot) == list(range(len(tracks.slot)))
    for column in (tracks.mean, tracks.blocks, tracks.box, tracks.recent, tracks.missed_mean, tracks.missed_blocks):
        assert [np.unique(column[k]).tolist() for k in range(3)] == [[2], [3], [6]]
    assert [np.unique(tracks.gallery[tracks.slot[k]]).tolist() for k in range(3)] == [[2], [3], [6]]


def test_more_room_keeps_all_and_is_taken_only_where_needed() -> None:
    tracks, _ = state_of((CONFIRMED, 1, 2), (LOST, 3, 4))
    assert with_room(tracks, 8, 3, 0) is tracks
    tracks = with_room(tracks, 2, 3, 5)
    tracks.gallery[1, 2] = 7.0
    assert with_room(tracks, 8, 2, 5) is tracks
    wider = with_room(tracks, 9, 4, 5)
    assert len(wider.id) == 16
    assert wider.gallery.shape == (16, 4, 5)
    assert wider.last[:3].tolist() == [2, 4, 0]
    assert (wider.gallery[1, 2] == 7).all()
    assert wider.gallery.sum() == 35
    assert sorted(wider.slot) == list(range(16))


def test_expire_counts_frames_since_the_last_match_and_grants_one_more() -> None:
    tracks, at = state_of((LOST, 1, 10), (LOST, 1, 9), (CONFIRMED, 1, 2))
    at.frame[0] = 40
    expire(tracks, at, 30)
    assert tracks.state[:3].tolist() == [LOST, LOST, CONFIRMED]
    at.frame[0] = 41
    expire(tracks, at, 30)
    assert tracks.state[:3].tolist() == [LOST, REMOVED, CONFIRMED]


@pytest.mark.parametrize(("fps", "expected"), [(30, 30), (25, 25), (14, 14), (60, 60), (12.5, 12)])
def test_buffer_follows_the_frame_rate(fps: float, expected: int) -> None:
    assert buffer_frames(30, fps) == expected


@given(buffer=st.integers(0, 300), fps=st.floats(0.01, 240))
def test_a_buffer_is_a_frame_at_least_by_rate_and_by_clock(buffer: int, fps: float) -> None:
    kept = buffer_frames(buffer, fps)
    assert kept >= min(buffer, 1)
    assert kept <= max(buffer / 30 * fps + 1e-9, 1)
    tracker = make("bytetrack", fps=fps, buffer=buffer)
    for frame in range(3):
        tracker._tick(frame + 1, frame / fps)
    assert tracker._kept() >= min(buffer, 1)
    assert kept > 2 or abs(tracker._kept() - kept) <= 1


def test_the_shorter_of_two_coinciding_tracks_goes() -> None:
    """Rows 0 and 2 coincide, the lost one is older; rows 1 and 3 coincide, the live one is older."""
    tracks, at = state_of((CONFIRMED, 8, 10), (CONFIRMED, 1, 10), (LOST, 1, 9), (LOST, 5, 9), (LOST, 1, 9))
    boxes = np.array([[0.0, 0, 10, 10], [50, 0, 60, 10], [0, 0, 10, 10.5], [50, 0, 60, 10], [52, 0, 62, 10]])
    drop_duplicates(tracks, at, boxes)
    assert tracks.state[:5].tolist() == [REMOVED, CONFIRMED, LOST, REMOVED, LOST]

"""States of tracks: ByteTrack's whole life cycle against a model in plain Python, and the table that keeps them."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from msfp.tracking import make
from msfp.tracking.lifecycle import CONFIRMED, LOST, REMOVED, TrackTable, buffer_frames, drop_duplicates, expire

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
TestByteTrackLife.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


def table_of(*rows: tuple[int, int, int]) -> TrackTable:
    """Tracks with (state, start, last)."""
    table = TrackTable()
    table.add(len(rows))
    for i, (state, start, last) in enumerate(rows):
        table["state"][i], table["start"][i], table["last"][i] = state, start, last
    return table


def test_identities_are_never_used_twice() -> None:
    table = TrackTable()
    rows = table.add(100)
    table["state"][rows[:60]] = REMOVED
    table.sweep()
    assert table["id"].tolist() == list(range(61, 101))
    table.add(2)
    assert table["id"][-2:].tolist() == [101, 102]


def test_growing_keeps_values_and_clears_new_rows() -> None:
    table = TrackTable({"hits": ((), np.int32)})
    table.add(60, hits=7)
    table["state"][:] = REMOVED
    table.sweep()
    rows = table.add(500)
    assert (table["hits"][rows] == 0).all()
    assert table["mean"].shape == (500, 8)


def test_expire_counts_frames_since_the_last_match_and_grants_one_more() -> None:
    table = table_of((LOST, 1, 10), (LOST, 1, 9), (CONFIRMED, 1, 2))
    expire(table, 40, 30)
    assert table["state"].tolist() == [LOST, LOST, CONFIRMED]
    expire(table, 41, 30)
    assert table["state"].tolist() == [LOST, REMOVED, CONFIRMED]


@pytest.mark.parametrize(("fps", "expected"), [(30, 30), (25, 25), (14, 14), (60, 60), (12.5, 12)])
def test_buffer_follows_the_frame_rate(fps: float, expected: int) -> None:
    assert buffer_frames(30, fps) == expected


@given(buffer=st.integers(0, 300), fps=st.floats(0.01, 240))
def test_a_buffer_is_a_frame_at_least_by_rate_and_by_clock(buffer: int, fps: float) -> None:
    kept = buffer_frames(buffer, fps)
    assert kept >= min(buffer, 1)
    assert kept <= max(buffer / 30 * fps + 1e-9, 1)
    tracker = make("bytetrack", fps=fps)
    for frame in range(3):
        tracker._clock.tick(frame + 1, frame / fps)
    assert tracker._kept(buffer) >= min(buffer, 1)
    assert kept > 2 or abs(tracker._kept(buffer) - kept) <= 1


def test_the_shorter_of_two_coinciding_tracks_goes() -> None:
    """Rows 0 and 2 coincide, the lost one is older; rows 1 and 3 coincide, the live one is older."""
    table = table_of((CONFIRMED, 8, 10), (CONFIRMED, 1, 10), (LOST, 1, 9), (LOST, 5, 9), (LOST, 1, 9))
    boxes = np.array([[0.0, 0, 10, 10], [50, 0, 60, 10], [0, 0, 10, 10.5], [50, 0, 60, 10], [52, 0, 62, 10]])
    drop_duplicates(table, boxes)
    assert table["state"].tolist() == [REMOVED, CONFIRMED, LOST, REMOVED, LOST]

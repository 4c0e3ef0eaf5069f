"""Returns after a long absence, by hand and against the list of switches."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from msfp.metrics import hota
from msfp.metrics.switches import find_returns, find_switches


def test_a_return_under_the_old_a_new_or_no_identity(make_truth, make_tracks, walk):
    away = [*range(1, 11), *range(21, 31)]
    truth = [row for who in range(4) for row in walk(who, away, 100.0 * who, 1, 1)]
    tracks = [
        *walk(50, away, 0.0),  # the same track
        *walk(51, range(1, 11), 100.0), *walk(61, range(24, 31), 100.0),  # another, some frames late
        *walk(52, range(1, 11), 200.0),  # never found again
        *walk(63, range(21, 31), 300.0),  # not tracked before it left: nothing to recover
    ]  # fmt: skip
    found = find_returns(hota.prepare(make_truth(truth), 30), make_tracks(tracks), least=10)
    assert found.frame.tolist() == [21, 21, 21]
    assert found.person.tolist() == [0, 1, 2]
    assert found.absent.tolist() == [10, 10, 10]
    assert found.recovered.tolist() == [True, False, False]
    assert len(find_returns(hota.prepare(make_truth(truth), 30), make_tracks(tracks), least=11)) == 0


def test_a_box_of_somebody_else_on_the_way_is_judged_first(make_truth, make_tracks, walk):
    truth = make_truth(walk(1, [*range(1, 6), *range(20, 31)], 0.0, 1, 1))
    tracks = make_tracks([*walk(7, range(1, 6)), *walk(8, [20]), *walk(7, range(21, 31))])
    found = find_returns(hota.prepare(truth, 30), tracks, least=10)
    assert found.recovered.tolist() == [False]


def test_leaving_again_before_being_found_is_a_return_of_its_own(make_truth, make_tracks, walk):
    truth = make_truth(walk(1, [*range(1, 6), *range(20, 23), *range(40, 51)], 0.0, 1, 1))
    tracks = make_tracks([*walk(7, range(1, 6)), *walk(7, range(41, 51))])
    found = find_returns(hota.prepare(truth, 50), tracks, least=10)
    assert found.frame.tolist() == [20, 40]
    assert found.recovered.tolist() == [False, True]


@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(1, 8))
def test_who_was_not_recovered_but_found_is_a_switch(make_truth, make_tracks, seed, people, least):
    rng = np.random.default_rng(seed)
    truth_rows, track_rows = [], []
    for who in range(people):
        there = np.repeat(rng.random(12) < 0.6, rng.integers(1, 9, 12))[:40]
        for t in (np.flatnonzero(there) + 1).tolist():
            truth_rows.append((t, who + 1, 100.0 * who, 0.0, 20.0, 40.0, 1, 1))
            if rng.random() < 0.7:
                track_rows.append((t, 10 * (who + 1) + int(rng.integers(2)), 100.0 * who, 0.0, 20.0, 40.0))
    if not truth_rows or not track_rows:
        return
    truth, tracks = hota.prepare(make_truth(truth_rows), 100), make_tracks(track_rows)
    switches = find_switches(truth, tracks)
    at = set(zip(switches.frame.tolist(), switches.person.tolist(), strict=True))
    found, names = find_returns(truth, tracks, least), np.unique([row[1] for row in truth_rows])
    for k in range(len(found)):
        who, frame = int(found.person[k]), int(found.frame[k])
        labelled = {row[0] for row in truth_rows if row[1] == names[who]}
        assert frame in labelled
        assert not labelled & set(range(frame - int(found.absent[k]), frame))
        stay = [t for t in range(frame, 101) if t in labelled]
        stay = [t for t in stay if not any(f > frame and f <= t for f in found.frame[found.person == who])]
        boxes = [t for t in stay if any(row[0] == t and row[1] // 10 == names[who] for row in track_rows)]
        assert found.recovered[k] == (bool(boxes) and (boxes[0], who) not in at)

"""Switches that are listed against those that are counted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msfp.metrics import hota
from msfp.metrics.switches import find_switches

BENCHMARKS = st.sampled_from(["MOT17", "MOT20", "MOT15", "DanceTrack", "PersonPath22"])


@given(seed=st.integers(0, 2**32), grid=st.booleans(), people=st.integers(1, 14), benchmark=BENCHMARKS)
def test_as_many_are_found_as_the_score_counts(make_scene, seed, grid, people, benchmark):
    gt, tracks = make_scene(seed, grid=grid, people=people)
    truth = hota.prepare(gt, 8, benchmark=benchmark)
    found = find_switches(truth, tracks)
    assert len(found) == hota.score(truth, tracks).idsw
    assert np.all(np.diff(found.frame) >= 0)
    for frame, before, after, box in zip(found.frame, found.before, found.after, found.xyxy, strict=True):
        assert before != after
        assert after in tracks.id[tracks.frame == frame]
        assert before in tracks.id[tracks.frame < frame]
        assert any(np.allclose(box[:2], one[:2]) for one in gt.tlwh[gt.frame == frame])


@pytest.mark.parametrize("frames", [None, (3, 6)])
def test_one_switch_by_hand(make_truth, make_tracks, frames):
    gt = make_truth([(t, 7, 10 * t, 5, 20, 40, 1, 1) for t in range(1, 9)])
    tracks = make_tracks([(t, 4 if t < 5 else 9, 10 * t, 5, 20, 40) for t in range(1, 9) if t != 4])
    found = find_switches(hota.prepare(gt, 8, frames=frames), tracks)
    assert (found.frame + (0 if frames is None else frames[0] - 1)).tolist() == [5]
    assert found.before.tolist() == [4]
    assert found.after.tolist() == [9]
    assert found.xyxy.tolist() == [[50, 5, 70, 45]]

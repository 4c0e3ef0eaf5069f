"""What is shown of a sequence, against the run's own results and definitions written out."""

from pathlib import Path

import numpy as np
import pytest

from msfp.experiment.heads import embeddings
from msfp.experiment.reid import weigh
from msfp.experiment.tracks import settled
from msfp.explore.drawing import boxes_of, crop
from msfp.explore.session import FULL, Clip, NoRun, detections_of, looks_of, open_clips
from msfp.metrics import scores
from msfp.tracking import make

pytestmark = pytest.mark.xdist_group("explore")


def test_scores_are_trackevals_and_switches_are_all_there(clip: Clip) -> None:
    for label in (FULL, "ByteTrack"):
        result = clip.result(label)
        assert clip.truth is not None
        assert result.score is not None
        assert result.switches is not None
        reference = scores.evaluate(clip.truth, result.tracks, clip.length)
        assert result.score.hota == pytest.approx(reference.hota, abs=1e-9)
        assert len(result.switches) == result.score.idsw == reference.idsw


def test_its_own_thresholds_by_hand_give_a_tracker_its_own_tracks(clip: Clip) -> None:
    own = make("bytetrack", **dict(settled(clip.run, clip.methods["ByteTrack"]).options)).settings
    stored, again = clip.result("ByteTrack").tracks, clip.retrack("ByteTrack", own.track_high, own.track_low).tracks
    assert np.array_equal(stored.id, again.id)
    assert np.array_equal(stored.tlwh, again.tlwh)
    assert len(clip.retrack("ByteTrack", 0.95, 0.9).tracks) < len(stored)


def test_with_atl_msfp_track_is_itself(clip: Clip) -> None:
    assert clip.result(FULL, adapted=True) is clip.result(FULL)
    assert clip.atl.shape == (clip.length, 2)


def test_tracks_find_the_detections_they_took(clip: Clip) -> None:
    found = clip.result(FULL).tracks
    taken = detections_of(clip, found)
    assert np.all(taken >= 0)
    assert len(np.unique(taken)) == len(taken), "no two tracks take one detection"
    assert np.array_equal(clip.detections.frame[taken], found.frame)
    assert np.array_equal(clip.detections.score[taken], found.score)


def test_looks_are_those_that_the_tracker_compares(clip: Clip) -> None:
    looks, look = looks_of(clip), clip.methods[FULL].look
    assert look is not None
    assert np.array_equal(looks.vectors, embeddings(clip.run, clip.part, clip.sequence.detector, look))
    assert np.allclose(looks.weights.sum(axis=1), 1, atol=1e-5)
    assert [f"layer {k}" for k in looks.layers] == list(weigh(clip.run, clip.part, look))[3:]
    assert (looks.person >= 0).any()


def test_neighbours_and_curves_by_a_naive_loop(clip: Clip) -> None:
    looks = looks_of(clip)
    row = int(np.flatnonzero(looks.person >= 0)[0])
    every, own = np.ones(len(looks.frame), np.bool_), looks.person == looks.person[row]
    similarity = [float(np.dot(v, looks.vectors[row])) for v in looks.vectors]
    for one_each in (False, True):
        near = looks.nearest(row, every, 5, 3, one_each).tolist()
        assert near == sorted(near, key=lambda i: -similarity[i])
        assert all(abs(int(looks.frame[i]) - int(looks.frame[row])) >= 3 for i in near)
        allowed = [i for i in range(len(similarity)) if abs(int(looks.frame[i]) - int(looks.frame[row])) >= 3]
        assert near[0] == max(allowed, key=lambda i: similarity[i])
        people = [looks.person[i] for i in near if looks.person[i] >= 0]
        assert not one_each or len(set(people)) == len(people)
    mine, other = looks.over_time(row, own, clip.length)
    for t in range(clip.length):
        for curve, rows in ((mine, own), (other, ~own)):
            values = [similarity[i] for i in np.flatnonzero(rows & (looks.frame == t + 1))]
            assert np.isnan(curve[t]) if not values else curve[t] == pytest.approx(max(values), abs=1e-6)
    assert mine[looks.frame[row] - 1] == pytest.approx(1, abs=1e-5)


def test_boxes_lie_in_pixels_and_switches_are_marked(clip: Clip) -> None:
    result = clip.result(FULL)
    rows, boxes = result.tracks.frame == 3, boxes_of(result, 3)
    assert [b["id"] for b in boxes] == result.tracks.id[rows].tolist()
    assert boxes[0]["x"] == pytest.approx(result.tracks.tlwh[rows][0, 0] - 1, abs=0.06)
    assert result.switches is not None
    marked = [b for t in range(1, clip.length + 1) for b in boxes_of(result, t, switches=True) if b["kind"] == "switch"]
    assert len(marked) == len(result.switches)
    assert crop(clip, 0).startswith("data:image/jpeg;base64,")


def test_without_a_run_one_line_says_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(
        NoRun, match=r"^There is no run in .* yet\. Make one first: msfp reproduce --profile smoke$"
    ) as e:
        open_clips("smoke", home=tmp_path)
    assert e.value._render_traceback_() == [str(e.value)]

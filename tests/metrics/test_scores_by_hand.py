"""Both evaluations on cases whose result can be worked out by hand."""

import pickle

import numpy as np
import pytest

from msfp.errors import InputError
from msfp.metrics import hota
from msfp.metrics import scores as trackeval
from msfp.metrics.scores import ALPHAS, identical
from msfp.types import Tracks

pytestmark = pytest.mark.parametrize("evaluate", [trackeval.evaluate, hota.evaluate], ids=["trackeval", "fast"])


def test_the_truth_itself_is_perfect(evaluate, make_truth, walk):
    gt = make_truth(walk(1, range(1, 9), 0, 1, 1) + walk(2, range(3, 7), 100, 1, 1))
    own = Tracks(gt.frame, gt.id + 5, gt.tlwh, np.ones(len(gt), np.float32))
    row = evaluate(gt, own, 8).row()
    assert all(row[name] == pytest.approx(1, abs=1e-12) for name in ("HOTA", "DetA", "AssA", "LocA"))
    assert (row["MOTA"], row["MOTP"], row["IDF1"], row["MT"]) == (1, 1, 1, 2)
    assert (row["IDSW"], row["FP"], row["FN"], row["Frag"], row["TP"]) == (0, 0, 0, 0, 12)


def test_one_handover_is_one_switch(evaluate, make_truth, make_tracks, walk):
    gt = make_truth(walk(1, range(1, 5), 0, 1, 1))
    row = evaluate(gt, make_tracks(walk(5, [1, 2]) + walk(6, [3, 4])), 4).row()
    assert (row["IDSW"], row["TP"], row["Frag"], row["IDTP"]) == (1, 4, 0, 2)
    assert row["MOTA"] == 1 - 1 / 4
    assert row["IDF1"] == 2 / (2 + 0.5 * 2 + 0.5 * 2)
    assert row["AssA"] == pytest.approx(2 / (4 + 2 - 2))
    assert row["HOTA"] == pytest.approx(np.sqrt(0.5))


def test_a_switch_is_counted_over_a_gap_and_the_gap_is_a_fragment(evaluate, make_truth, make_tracks, walk):
    gt = make_truth(walk(1, range(1, 6), 0, 1, 1) + walk(2, range(1, 6), 100, 1, 1))
    score = evaluate(gt, make_tracks(walk(5, [1, 2]) + walk(6, [4, 5]) + walk(7, range(1, 6), 100)), 5)
    assert (score.idsw, score.frag, score.fn, score.mt, score.pt) == (1, 1, 1, 1, 1)


def test_a_frame_without_any_track_interrupts_nobody(evaluate, make_truth, make_tracks, walk):
    score = evaluate(make_truth(walk(1, range(1, 6), 0, 1, 1)), make_tracks(walk(5, [1, 2, 4, 5])), 5)
    assert (score.idsw, score.frag, score.fn) == (0, 0, 1)


def test_two_people_who_exchange_tracks_are_two_switches(evaluate, make_truth, make_tracks, walk):
    gt = make_truth(walk(1, range(1, 5), 0, 1, 1) + walk(2, range(1, 5), 100, 1, 1))
    swapped = walk(5, [1, 2], 0) + walk(6, [3, 4], 0) + walk(6, [1, 2], 100) + walk(5, [3, 4], 100)
    assert evaluate(gt, make_tracks(swapped), 4).idsw == 2


def test_the_running_track_is_kept_though_another_fits_better(evaluate, make_truth, make_tracks, walk):
    gt = make_truth(walk(1, range(1, 5), 0, 1, 1))
    score = evaluate(gt, make_tracks(walk(5, range(1, 5), 4) + walk(6, [2, 3, 4], 0)), 4)
    assert (score.idsw, score.tp, score.fp) == (0, 4, 3)
    assert score.motp == pytest.approx(16 / 24)


@pytest.mark.parametrize(
    ("benchmark", "category", "false"),
    [
        ("MOT17", 7, 0),
        ("MOT16", 12, 0),
        ("MOT17", 6, 4),
        ("MOT20", 6, 0),
        ("MOT17", 3, 4),
        ("MOT15", 7, 0),
        ("DanceTrack", 1, 0),
    ],
)
def test_tracks_on_distractors_are_not_false(evaluate, make_truth, make_tracks, walk, benchmark, category, false):
    gt = make_truth(walk(1, range(1, 5), 0, 1, 1) + walk(2, range(1, 5), 100, 1, category))
    score = evaluate(gt, make_tracks(walk(5, range(1, 5)) + walk(6, range(1, 5), 100)), 4, benchmark=benchmark)
    preprocessed = benchmark.startswith("MOT") and benchmark != "MOT15"
    assert (score.fp, score.fn, score.tp) == (false, 0, 4 if preprocessed else 8)


def test_unflagged_people_do_not_count(evaluate, make_truth, make_tracks, walk):
    gt = make_truth(walk(1, range(1, 5), 0, 1, 1) + walk(2, range(1, 5), 100, 0, 1))
    assert evaluate(gt, make_tracks(walk(5, range(1, 5)) + walk(6, range(1, 5), 100)), 4).row()["FP"] == 4


def test_nothing_tracked_nothing_true_nothing_at_all(evaluate, make_truth, make_tracks, walk):
    gt, own = make_truth(walk(1, range(1, 5), 0, 1, 1)), make_tracks(walk(1, range(1, 5)))
    none, nobody = make_tracks([]), make_truth([])
    missed, false, empty = evaluate(gt, none, 4), evaluate(nobody, own, 4), evaluate(nobody, none, 4)
    assert (missed.fn, missed.fp, missed.ml, missed.idfn, missed.hota, missed.mota) == (4, 0, 1, 4, 0, 0)
    assert (false.fn, false.fp, false.ml, false.idfp, false.hota, false.mota) == (0, 4, 0, 4, 0, 0)
    assert (empty.fn, empty.fp, empty.hota, empty.localisation) == (0, 0, 0, 1)
    assert missed.hota_fn.tolist() == [4.0] * len(ALPHAS)


def test_a_window_is_a_sequence_of_its_own(evaluate, make_scene):
    gt, tracks = make_scene(3, length=12)
    cut = evaluate(gt, tracks, 12, frames=(5, 9))
    inside, seen = (gt.frame >= 5) & (gt.frame <= 9), (tracks.frame >= 5) & (tracks.frame <= 9)
    columns = {name: column[inside] for name, column in vars(gt).items()} | {"frame": gt.frame[inside] - 4}
    moved = Tracks(*(column[seen] for column in (tracks.frame - 4, tracks.id, tracks.tlwh, tracks.score)))
    assert cut.frames == 5
    assert identical(cut, evaluate(type(gt)(**columns), moved, 5))


def test_combined_counts_are_sums_and_association_is_weighted_by_hits(evaluate, make_scene):
    scores = {str(seed): evaluate(*make_scene(seed), 8) for seed in range(3)}
    stored = pickle.loads(pickle.dumps(scores))
    score = trackeval.combine(stored)
    total = score.combined
    parts = list(scores.values())
    assert total.idsw == sum(p.idsw for p in parts)
    weight = sum(p.hota_tp for p in parts)
    assert total.ass_a == pytest.approx(sum(p.ass_a * p.hota_tp for p in parts) / np.maximum(1, weight))
    rows = score.rows()
    assert [row["sequence"] for row in rows] == ["0", "1", "2", "COMBINED"]
    assert rows[-1]["MOTA"] == pytest.approx((total.tp - total.fp - total.idsw) / (total.tp + total.fn))
    assert len(pickle.dumps(parts[0])) < 4000


def test_clear_messages(evaluate, make_truth, make_tracks, walk):
    gt, own = make_truth(walk(1, range(1, 5), 0, 1, 1)), make_tracks(walk(1, range(1, 5)))
    with pytest.raises(InputError, match="tracks: frame 4 lies outside the sequence's frames 1-3"):
        evaluate(make_truth([]), own, 3)
    with pytest.raises(InputError, match="ground truth: frame 4 lies outside"):
        evaluate(gt, make_tracks([]), 3)
    with pytest.raises(InputError, match="tracks: identity 9 appears more than once in frame 2"):
        evaluate(gt, make_tracks(walk(9, [1, 2, 2])), 4)
    with pytest.raises(InputError, match="benchmark 'MOT18': unknown; choose one of MOT15"):
        evaluate(gt, own, 4, benchmark="MOT18")
    with pytest.raises(InputError, match="frames 3-9: not within the sequence's frames 1-4"):
        evaluate(gt, own, 4, frames=(3, 9))
    with pytest.raises(InputError, match="class 14 in frame 1; MOT17 has classes 1 to 13"):
        evaluate(make_truth(walk(1, [1], 0, 1, 14)), own, 4)
    with pytest.raises(InputError, match="tracks: box of identity 1 in frame 3 is not finite"):
        evaluate(gt, make_tracks(walk(1, [1, 2]) + walk(1, [3], float("nan"))), 4)


def test_personpath22_judges_no_track_within_a_crowd(evaluate, make_truth, make_tracks, walk):
    crowd = [(t, 9, 100.0, 0.0, 80.0, 80.0, 0.0, 13) for t in (1, 2)]
    truth = make_truth([*walk(1, [1, 2], 0.0, 1.0, 1), *crowd])
    tracks = make_tracks([*walk(1, [1, 2]), *walk(2, [1, 2], 110.0), *walk(3, [1, 2], 170.0)])
    found = evaluate(truth, tracks, 2, benchmark="PersonPath22")
    assert (found.tp, found.fp, found.fn) == (2, 2, 0), "who stands in the crowd by half is judged"
    assert evaluate(truth, tracks, 2, benchmark="MOT17").fp == 4

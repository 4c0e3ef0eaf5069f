"""Stages: what is missing is said, what is there is computed once, and seeds and settings tell results apart."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from msfp.errors import MsfpError
from msfp.experiment import data, reid, scores
from msfp.experiment.features import TRUTH, features
from msfp.experiment.heads import appearance, embeddings, train_head
from msfp.experiment.run import Run, open_run
from msfp.experiment.thresholds import Threshold
from msfp.experiment.tracks import Method, tracks
from msfp.metrics import hota
from msfp.metrics.scores import SequenceScore
from msfp.paper import methods
from msfp.paper.methods import BYTETRACK, LITE, SORT
from tests.tables import made

from .conftest import FEW, LENGTH, Make

SMALL = {"training.identities": 2, "training.instances": 2}


def reopened(run: Run) -> Run:
    """The same run in a process that remembers nothing."""
    return replace(run, notes=[])


def test_features_of_every_box_set_come_from_one_pass(make_run: Make) -> None:
    run = make_run({"MOT17-02-FRCNN": LENGTH, "MOT17-02-DPM": 0})
    (scene,) = data.scenes(run, "mot17")
    found = features(run, scene)
    assert sorted(found) == ["DPM", "FRCNN", TRUTH]
    assert all(f.present.all() for f in found.values())
    assert np.array_equal(found["DPM"].scene, found["FRCNN"].scene)
    again = features(reopened(run), scene)
    assert all(np.array_equal(again[k].layers[4], found[k].layers[4]) for k in found)
    assert run.store.events == []


def test_heads_differ_by_seed_only_where_something_is_trained(make_run: Make) -> None:
    run = make_run({"MOT17-02-SDP": LENGTH}, **SMALL)
    (scene,) = data.scenes(run, "mot17")
    learn, judged = ((part,) for part in data.halves(scene))
    looks = [appearance("concat", learn, seed) for seed in (0, 1)]
    vectors = [embeddings(run, judged[0], TRUTH, look) for look in looks]
    assert np.allclose(np.linalg.norm(vectors[0], axis=1), 1, atol=1e-5)
    assert not np.allclose(vectors[0], vectors[1])
    assert appearance("native", learn, 0) == appearance("native", (), 1)
    again = train_head(reopened(run), looks[0])
    assert all(np.array_equal(value, train_head(run, looks[0]).state[key]) for key, value in again.state.items())


def test_methods_are_scored_or_say_why_not(make_run: Make) -> None:
    run = make_run({"MOT17-02-SDP": LENGTH, "MOT17-04-SDP": 2}, **SMALL)
    (fold,) = data.folds(run, "mot17")
    motion, looked = SORT.each_seed(fold.learn, (0, 1)), LITE.each_seed(fold.learn, (0, 1))
    assert (len(motion), len(looked)) == (1, 2)
    measured = scores.measure(run, [*motion, looked[0]], fold.evaluate, "")
    assert [m.score is not None for m in measured] == [True, True, False, False]
    assert f"MOT17-04: 2 of {LENGTH} frames present" in measured[-1].reason


def test_a_sample_of_the_scores_is_trackevals_and_is_counted(make_run: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run({"MOT17-02-SDP": 0, "MOT17-04-SDP": 0})
    (fold,) = data.folds(run, "mot17")
    methods = [Method(f"{tau}", "bytetrack", None, Threshold("fixed", tau, tau)) for tau in (0.1, 0.2, 0.3)]
    monkeypatch.setattr(scores, "LEAST", 4)
    measured = scores.measure(run, methods, fold.evaluate, "")
    assert run.scored == {"MOT17": (6, 4)}
    scores.measure(run, methods, fold.evaluate, "")
    assert run.scored == {"MOT17": (12, 4)}, "a twentieth of twelve is less than the four that were"
    assert run.store.misses["official-score"] == 4 - run.store.hits["official-score"]
    assert sum(one.score is not None for one in measured) == 6


@pytest.mark.parametrize("field", ["idsw", "ass_a"])
def test_a_score_that_is_not_trackevals_stops_the_run(
    make_run: Make, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    run = make_run({"MOT17-02-SDP": 0})
    (fold,) = data.folds(run, "mot17")
    true = hota.evaluate

    def wrong(*args: object, **options: object) -> SequenceScore:
        found = true(*args, **options)  # type: ignore[arg-type]
        return replace(found, **{field: getattr(found, field) + (1 if field == "idsw" else 1e-6)})

    monkeypatch.setattr(hota, "evaluate", wrong)
    with pytest.raises(MsfpError, match="ByteTrack on MOT17-02-SDP, frames 5 to 9: .* differs from TrackEval's"):
        scores.measure(run, BYTETRACK.each_seed((), (0,)), fold.evaluate, "")


def test_tracks_of_a_part_know_nothing_of_the_rest(make_run: Make) -> None:
    run = make_run({"MOT17-02-SDP": 0})
    (scene,) = data.scenes(run, "mot17")
    part = data.halves(scene)[1]
    found = tracks(run, part, scene.sequences[0], BYTETRACK.configured((), 0))
    assert found.frame.min() >= 1
    assert found.frame.max() == part.length


def test_thresholds_of_a_method_reach_the_tracker(make_run: Make) -> None:
    run = make_run({"MOT17-02-SDP": 0})
    (scene,) = data.scenes(run, "mot17")
    part, sequence = data.whole(scene), scene.sequences[0]
    counts = [
        len(np.unique(tracks(run, part, sequence, Method("m", "bytetrack", None, Threshold("fixed", tau, tau))).id))
        for tau in (0.1, 0.55, 0.75)  # a new track needs 0.1 more
    ]
    assert counts == [3, 2, 1]  # the people's scores are 0.5, 0.7 and 0.9


def test_people_are_told_apart_on_pairs(make_run: Make) -> None:
    run = make_run({"MOT17-02-SDP": LENGTH})
    (scene,) = data.scenes(run, "mot17")
    found = reid.discrimination(run, data.whole(scene), appearance("native", (), 0))
    assert 0.5 < found.auc <= 1
    assert found.pairs == 3 * LENGTH * (LENGTH - 1) // 2
    assert np.trapezoid(found.true_positive, found.false_positive) == pytest.approx(
        found.auc, abs=2e-3
    )  # 201 points are kept
    assert found.positives.sum() * np.diff(found.edges)[0] == pytest.approx(1)


@pytest.mark.real
def test_table_1_of_real_labels_with_a_few_frames(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MOT17-04 with 8 of its 1050 frames: motion is measured, appearance says what it lacks."""
    root = tmp_path / "root" / "train"
    root.mkdir(parents=True)
    for detector in ("DPM", "FRCNN", "SDP"):
        name = f"MOT17-04-{detector}"
        (root / name).symlink_to(shared / "mot17-dev" / "train" / name)
    run = open_run("mot17", root=root.parent, weights="random-init", home=tmp_path, overrides={"seeds": (0,), **FEW})
    monkeypatch.setattr(methods, "TABLE_1", (BYTETRACK, LITE))
    cells = made(run, 1)
    for row in ("ByteTrack", "ByteTrack · DPM", "ByteTrack · FRCNN", "ByteTrack · SDP"):
        assert cells[row, "HOTA"].source == "measured"
    assert 30 < float(cells["ByteTrack · SDP", "HOTA"].value or 0) < 90
    lacking = cells["LITE (trained 64-d)", "HOTA"]
    assert (lacking.source, lacking.value) == ("n/a", None)
    assert "MOT17-04: 8 of 1050 frames present" in lacking.reason
    assert cells["recall ceiling · SDP", "DetA"].source == "measured"
    assert any("no test split" in note for note in run.notes)

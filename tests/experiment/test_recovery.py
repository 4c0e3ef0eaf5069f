"""Recovery as a stage: the expert's labels, thinned detections, one pass for many methods, words that choose it."""

from dataclasses import replace

import numpy as np
import pytest

from msfp.errors import InputError, NotComputable
from msfp.experiment import data
from msfp.experiment.folders import method_from
from msfp.experiment.scores import measure
from msfp.experiment.tracks import Expert, Method, Recovery, part_cases, thinned, tracks, train_recovery
from msfp.paper.methods import BYTETRACK, LITE_FREE, recovered
from msfp.tracking.recovery import AT_PREDICTION, FIRST_NEIGHBOUR, HISTORY, MISSED, NEIGHBOURS, PLACE, TOKENS, Proposals
from msfp.types import Detections, GroundTruth
from tests.experiment.conftest import LENGTH, Make

NAMES = {"MOT17-02-SDP": LENGTH, "MOT17-02-DPM": 0}
SMALL = {"training.identities": 2, "training.instances": 2, "recovery.epochs": 2}


def truth(boxes: list[tuple[int, int, float]]) -> GroundTruth:
    """(frame, identity, left) of boxes 20 wide and 40 high."""
    rows = sorted(boxes)
    count = len(rows)
    tlwh = np.array([[left, 10.0, 20, 40] for _, _, left in rows])
    ones = np.ones(count, np.float32)
    frame, person = (np.array([row[i] for row in rows], np.int32) for i in (0, 1))
    return GroundTruth(frame, person, tlwh, ones, np.ones(count, np.int32), ones)


def proposal(left: float, neighbour: float | None = None, taken: bool = False) -> Proposals:
    """In frame 5: a track whose last detection was at 0 in frame 3, predicted at `left`, with one detection or none."""
    box = np.array([[left, 10.0, left + 20, 50]])
    detection = np.full((1, NEIGHBOURS), -1)
    boxes = np.zeros((1, NEIGHBOURS, 4))
    owned = np.zeros((1, NEIGHBOURS), np.bool_)
    if neighbour is not None:
        detection[0, 0], boxes[0, 0], owned[0, 0] = 7, [neighbour, 10, neighbour + 20, 50], taken
    zero = np.zeros((1, TOKENS, PLACE), np.float32)
    there = np.ones((1, TOKENS), np.bool_)
    last = np.array([[0.0, 10, 20, 50]])
    return Proposals(5, zero, zero, there, box, detection, boxes, owned, np.array([3]), last)


@pytest.mark.parametrize(
    ("labels", "given", "right"),
    [
        ([(3, 1, 0.0), (5, 1, 8.0)], proposal(9.0), AT_PREDICTION),
        ([(3, 1, 0.0), (5, 1, 8.0)], proposal(40.0), MISSED),  # the filter drifted off
        ([(3, 1, 0.0)], proposal(9.0), MISSED),  # the person left
        ([(3, 1, 90.0), (5, 1, 8.0)], proposal(9.0), MISSED),  # the track was on nobody
        ([(3, 1, 0.0), (5, 1, 8.0)], proposal(40.0, 9.0), FIRST_NEIGHBOUR),
        ([(3, 1, 0.0), (5, 1, 8.0)], proposal(9.0, 12.0), AT_PREDICTION),  # the predicted box is the better one
        ([(3, 1, 0.0), (5, 1, 8.0)], proposal(9.0, 12.0, taken=True), FIRST_NEIGHBOUR),  # another track has the person
    ],
)
def test_the_expert_goes_by_the_labels(labels: list, given: Proposals, right: int) -> None:
    expert = Expert(truth(labels))
    assert expert(given).argmax(axis=1).tolist() == [right]
    assert expert.chosen[0].tolist() == [right]


def test_thinning_takes_a_person_out_for_some_frames() -> None:
    labels = truth([(t, p, 100.0 * p + t) for t in range(1, 60) for p in (1, 2, 3)])
    found = Detections(labels.frame, labels.tlwh, np.ones(len(labels), np.float32))
    left = thinned(found, labels, np.random.default_rng(0))
    assert 0.5 * len(found) < len(left) < len(found)
    assert len(thinned(left, truth([(1, 9, 900.0)]), np.random.default_rng(0))) == len(left)


def test_methods_share_one_pass_and_give_what_each_gives_alone(make_run: Make) -> None:
    run = make_run(NAMES, **SMALL)
    (fold,) = data.folds(run, "mot17")
    methods = [recovered(row).configured(fold.learn, 0) for row in (BYTETRACK, LITE_FREE)]
    measured = measure(run, methods, fold.evaluate, "")
    assert all(m.score is not None for m in measured)
    assert run.store.misses["recovery"] == 1
    (part,) = fold.evaluate
    again = make_run({}, **SMALL)
    again.home = run.home / "other"  # whose store is empty
    for method in methods:
        for sequence in data.sequences(part):
            alone, shared = tracks(again, part, sequence, method), tracks(run, part, sequence, method)
            assert np.array_equal(alone.tlwh, shared.tlwh)
    plain = replace(methods[0], recovery=None)
    assert len(tracks(run, part, data.sequences(part)[0], plain)) > 0


def test_cases_and_seeds(make_run: Make) -> None:
    run = make_run(NAMES, **{**SMALL, "recovery.cases": 5})
    (fold,) = data.folds(run, "mot17")
    whole = data.whole(fold.learn[0].scene)
    cases = part_cases(run, whole)
    assert cases.look.shape[1] == TOKENS
    assert cases.look.dtype == np.float16
    assert len(cases.choice) <= 5 * 4
    assert cases.there[:, HISTORY].all()
    first, second = (train_recovery(run, Recovery((whole,), seed)).state for seed in (0, 1))
    assert not np.array_equal(first["look.weight"], second["look.weight"])


def test_what_it_lacks(make_run: Make) -> None:
    run = make_run({"MOT17-02-SDP": 3}, **SMALL)
    (fold,) = data.folds(run, "mot17")
    method = Method("x", "bytetrack", recovery=Recovery(fold.learn))
    with pytest.raises(NotComputable, match="MOT17-02: 3 of 9 frames present"):
        tracks(run, fold.evaluate[0], data.sequences(fold.evaluate[0])[0], method)


def test_words_choose_it(make_run: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(NAMES)
    monkeypatch.setattr("msfp.experiment.folders.learning_parts", lambda run, root=None: ())
    assert method_from(run, "sort", "", "default", {}, 3).recovery is None
    assert method_from(run, "sort", "", "default", {}, 3, "busca").recovery == Recovery((), 3)
    with pytest.raises(InputError, match="--recovery lost: not known; there are: none, busca"):
        method_from(run, "sort", "", "default", {}, 3, "lost")

"""What methods need to have learned is there before they are measured."""

import pytest

from msfp.experiment import data
from msfp.experiment.heads import appearance
from msfp.experiment.scores import learn_all, measure_one
from msfp.experiment.thresholds import Threshold
from msfp.experiment.tracks import Method

from .conftest import LENGTH, Make

LEARNED = ("features", "head", "grid", "atl")


@pytest.mark.parametrize("offset", ["literal", "centered"])
def test_nothing_is_learned_while_measuring(make_run: Make, offset: str) -> None:
    overrides = {"atl.offset": offset, "atl.grid": (0.1, 0.4), "seeds": (0, 3), "training.joint_epochs": 1}
    run = make_run({"MOT17-02-SDP": LENGTH, "MOT17-02-FRCNN": LENGTH}, **overrides)
    fold = data.folds(run, "mot17")[0]
    learn = {"learn": fold.learn, "seed": 3}
    methods = [
        Method("joint", "msfp-track", appearance("attention-instance", fold.learn, 3, joint=True), rule)
        for rule in (
            Threshold("atl", mode="offset", joint=True, **learn),
            Threshold("atl", mode="dual", temporal="frame", **learn),
            Threshold("atl", supervision="statistics", **learn),
            Threshold("grid", learn=fold.learn),
        )
    ]
    methods.append(Method("motion", "bytetrack", None, Threshold("fixed", 0.6, 0.1)))
    methods.append(Method("single", "lite", appearance("single", fold.learn, 3)))
    learn_all(run, methods, fold.evaluate)
    learned = {stage: run.store.misses[stage] for stage in LEARNED}
    assert learned["head"] == 4, "two of the methods and two to search thresholds with, all seeds of a head at once"
    for method in methods:
        for sequence in data.sequences(fold.evaluate[0]):
            found = measure_one((method, fold.evaluate[0], sequence), run)
            assert found.score is not None, found.reason
    assert {stage: run.store.misses[stage] for stage in LEARNED} == learned

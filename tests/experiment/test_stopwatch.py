"""Times of stages, frame by frame."""

import time

from msfp.experiment.live import Stopwatch


def test_stages_add_up_and_absent_ones_are_zero() -> None:
    watch = Stopwatch()
    for number in range(3):
        watch.begin()
        for _ in range(2):
            with watch.stage("twice"):
                time.sleep(0.002)
        if number == 1:
            with watch.stage("once", device=True):
                pass
        watch.finish()
    found = watch.times()
    assert list(found) == ["twice", "once"]
    assert (found["twice"] >= 4.0).all()
    assert found["once"][[0, 2]].tolist() == [0.0, 0.0]
    assert found["once"][1] > 0
    assert watch.times(skip=1)["twice"].tolist() == found["twice"][1:].tolist()

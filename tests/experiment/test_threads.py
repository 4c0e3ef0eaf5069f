"""Results that are kept are the same with any number of threads and workers."""

import numpy as np
import torch

from msfp.compiled import one_thread
from msfp.experiment import data
from msfp.experiment.features import box_sets, compute

from .conftest import LENGTH, Make


def test_threads_are_held_and_given_back() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_features_do_not_depend_on_threads(make_run: Make) -> None:
    run = make_run({"MOT17-02-SDP": LENGTH}, **{"input.size": (640, 384)})
    (scene,) = data.scenes(run, "mot17")
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(compute(run, data.Part(scene, 1, 2), "embedded", box_sets(scene)))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        for way, name in ((way, name) for way, sets in found[0].items() for name in sets):
            one, two = found[0][way][name], other[way][name]
            assert all(np.array_equal(v, two.layers[k]) for k, v in one.layers.items())
            assert np.array_equal(one.scene, two.scene)

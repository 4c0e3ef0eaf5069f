"""Attention on labelled boxes, and the layout of people that are told apart perfectly or not."""

import numpy as np
import pytest

from msfp.errors import NotComputable
from msfp.experiment import data, reid
from msfp.experiment.heads import appearance
from msfp.experiment.reid import weigh

from .conftest import LENGTH, Make


def test_weights_belong_to_their_boxes(make_run: Make) -> None:
    run = make_run({"MOT17-02-SDP": LENGTH}, **{"training.identities": 2, "training.instances": 2})
    learn, judged = data.halves(data.scenes(run, "mot17")[0])
    found = weigh(run, judged, appearance("attention-instance", (learn,), 0))
    assert found.layers == (4, 9, 14)
    assert found.weights.shape == (3 * judged.length, 3)
    np.testing.assert_allclose(found.weights.sum(1), 1, rtol=1e-5)
    assert set(found.crowd) == {3}
    np.testing.assert_allclose(found.size, np.sqrt(16 * 36))


def test_silhouette_tells_separated_people_from_mixed_ones() -> None:
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(4, dtype=np.int32), 12)
    apart = np.eye(8, dtype=np.float32)[person] + rng.normal(0, 0.01, (48, 8)).astype(np.float32)
    good = reid._lay_out.function(None, apart, person, 1)
    again = reid._lay_out.function(None, apart, person, 1)
    mixed = reid._lay_out.function(None, rng.normal(size=(48, 8)).astype(np.float32), person, 1)
    assert good.silhouette > 0.9
    assert mixed.silhouette < 0.1
    np.testing.assert_array_equal(good.place, again.place)
    own = np.linalg.norm(good.place[:, None] - good.place, axis=2)
    same = person[:, None] == person
    assert own[same].max() < own[~same].min()


def test_whole_frames_are_left_out_where_there_are_too_many_boxes(make_run: Make) -> None:
    run = make_run({"MOT17-02-SDP": LENGTH})
    part = data.whole(data.scenes(run, "mot17")[0])
    look = appearance("native", (), 0)
    found = reid.lay_out(run, part, look, most=14)
    assert (found.every, len(found.person)) == (2, 15)
    with pytest.raises(NotComputable, match="fewer than two people are seen twice"):
        reid.lay_out(run, data.Part(part.scene, 1, 1), look)

"""The decision of linking is learned from labels, and finished tracks go through the steps asked for."""

from pathlib import Path

import numpy as np
import pytest

from msfp.errors import InputError
from msfp.experiment import data
from msfp.experiment.folders import finish, link_pairs, steps_from, track_folder
from msfp.experiment.thresholds import Threshold
from msfp.experiment.tracks import Method
from msfp.heads.recovery import Linker, fit_link
from msfp.heads.training import Fitted
from msfp.metrics.hota import evaluate
from msfp.types import GroundTruth, Tracks

from .conftest import LENGTH, Make

pytestmark = pytest.mark.xdist_group("linking")  # trained once, not once a worker


def street(seed: int, people: int = 24, length: int = 120) -> GroundTruth:
    """People who cross a street at their own speeds."""
    rng = np.random.default_rng(seed)
    t = np.arange(1, length + 1)
    start, speed = rng.uniform(0, 500, (people, 2)), rng.normal(0, 3, (people, 2))
    boxes = [
        np.column_stack([*(start[k] + speed[k] * t[:, None]).T, np.full((length, 2), (30, 80))]) for k in range(people)
    ]
    frame, identity = np.tile(t, people), np.repeat(np.arange(1, people + 1), length)
    order = np.argsort(frame, kind="stable")
    ones = np.ones(len(frame), np.float32)
    return GroundTruth(
        frame[order].astype(np.int32), identity[order].astype(np.int32), np.concatenate(boxes)[order], ones,
        ones.astype(np.int32), ones,
    )  # fmt: skip


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    return fit_link(*link_pairs([street(s) for s in range(3)], 0), 10, 0)


def test_linking_learns_to_tell_people_apart_on_streets_it_never_saw(fitted: Fitted) -> None:
    assert fitted.loss[-1] < 0.4 * fitted.loss[0]
    pairs, same = link_pairs([street(9)], 0)
    weights = Linker(fitted.state)(pairs)
    ranks = weights.argsort().argsort()[same].mean() - (same.sum() - 1) / 2
    assert ranks / (~same).sum() > 0.95, "area under the curve"


def test_training_repeats_exactly() -> None:
    given = link_pairs([street(0, people=8)], 0)
    one, other = (fit_link(*given, 2, 7).state for _ in range(2))
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_steps_come_in_their_order_and_unknown_ones_are_refused() -> None:
    assert steps_from("smooth, link") == ("link", "smooth")
    assert steps_from("") == ()
    with pytest.raises(InputError, match="--after gsi: not known; there are: link, fill, smooth"):
        steps_from("link,gsi")


def test_broken_tracks_are_mended(make_run: Make, fitted: Fitted) -> None:
    run = make_run({"MOT17-02-SDP": LENGTH, "MOT17-04-SDP": LENGTH})
    truth = street(5)
    pieces = 10 * truth.id + (truth.frame > 60)
    kept = (truth.frame < 58) | (truth.frame > 63)
    score = np.ones(int(kept.sum()), np.float32)
    broken = Tracks(truth.frame[kept], pieces[kept].astype(np.int32), truth.tlwh[kept], score)
    run.store.get_or_compute = lambda *_, **__: fitted  # type: ignore[method-assign]
    before = evaluate(truth, broken, 120)
    mended = evaluate(truth, finish(run, broken, ("link", "fill"), ()), 120)
    assert before.idsw >= 20
    assert mended.idsw < before.idsw / 4
    assert mended.hota > before.hota
    nobody = Tracks(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros((0, 4)), np.zeros(0, np.float32))
    assert finish(run, nobody, ("link", "fill", "smooth"), ()) is nobody


def test_a_folder_is_tracked_and_finished(make_run: Make, tmp_path: Path) -> None:
    run = make_run({"MOT17-02-SDP": 0})
    method = Method("ByteTrack", "bytetrack", None, Threshold("fixed", 0.2, 0.05))
    plain, _ = track_folder(run, method, "train", tmp_path / "plain")
    smoothed, _ = track_folder(run, method, "train", tmp_path / "smooth", ("fill", "smooth"))
    assert plain[0].read_text() != smoothed[0].read_text()
    assert plain[0].name == smoothed[0].name == "MOT17-02-SDP.txt"
    assert data.scenes(run, "mot17"), "labels and detections are enough"

"""Any appearance, any tracker, any threshold policy, with recovery or without: it runs, or says what to change."""

from itertools import product

import numpy as np
import pytest

from msfp import tracking
from msfp.errors import InputError
from msfp.experiment import data
from msfp.experiment.folders import ALIASES, ATL_MODES, RECOVERIES, method_from
from msfp.experiment.heads import appearance
from msfp.experiment.run import Run
from msfp.experiment.thresholds import Threshold
from msfp.experiment.tracks import Method, tracks
from msfp.heads.fusion import strategies
from msfp.tracking.thresholds import policies
from tests.experiment.conftest import LENGTH, Make

SMALL = {"training.identities": 2, "training.instances": 2, "training.joint_epochs": 1, "atl.grid": (0.1, 0.4)}
THRESHOLDS = ("default", "0.4", "0.6,0.1", *ATL_MODES, *policies())
APPEARANCES = ("", "none", *strategies(), *ALIASES, "reid")


@pytest.fixture
def run(make_run: Make, monkeypatch: pytest.MonkeyPatch) -> Run:
    """One small scene, which is also what `msfp run` learns from."""
    made = make_run({"MOT17-02-SDP": LENGTH}, **SMALL, **{"input.reid_weights": "random-init", "recovery.epochs": 1})
    part = data.folds(made, "mot17")[0].learn
    monkeypatch.setattr("msfp.experiment.folders.learning_parts", lambda run, root=None: part)
    return made


def track_with(run: Run, method: Method) -> None:
    part = data.whole(data.scenes(run, "mot17")[0])
    found = tracks(run, part, part.scene.sequences[0], method)
    assert np.isfinite(found.tlwh).all()
    pairs = np.stack([found.frame, found.id], axis=1)
    assert len(np.unique(pairs, axis=0)) == len(pairs)


@pytest.mark.parametrize("tracker", tracking.names())
def test_words_make_a_method_or_say_what_to_change(run: Run, tracker: str) -> None:
    compares = tracking.tracker_class(tracker).needs_embeddings
    for look, threshold, recovery in product(APPEARANCES, THRESHOLDS, RECOVERIES):
        fits = look == "" or (look == "none") != compares
        if fits:
            method = method_from(run, tracker, look, threshold, {}, 0, recovery)
            assert (method.look is not None) == compares
            assert (method.recovery is not None) == (recovery == "busca")
            continue
        remedy = "compares appearances; choose one of .*reid" if compares else "leave it out, or take one of .*botsort"
        with pytest.raises(InputError, match=f"--appearance {look}: {tracker} .*{remedy}"):
            method_from(run, tracker, look, threshold, {}, 0, recovery)


def test_every_tracker_with_every_threshold(run: Run) -> None:
    for tracker, threshold in product(tracking.names(), ("default", "0.6,0.1", "atl", *policies())):
        compares = tracking.tracker_class(tracker).needs_embeddings
        track_with(run, method_from(run, tracker, "concat" if compares else "", threshold, {}, 0))


def test_every_appearance_in_trackers_of_every_kind(run: Run) -> None:
    learn = data.folds(run, "mot17")[0].learn
    for tracker, look in product(("botsort", "deepsort", "deep-ocsort", "boosttrack"), (*strategies(), "reid")):
        track_with(run, Method("x", tracker, appearance(look, learn, 0), Threshold("fixed", 0.4, 0.1)))


def test_every_tracker_with_recovery(run: Run) -> None:
    for tracker in tracking.names():
        compares = tracking.tracker_class(tracker).needs_embeddings
        track_with(run, method_from(run, tracker, "native" if compares else "", "default", {}, 0, "busca"))


@pytest.mark.parametrize(
    ("weights", "boxes", "words", "high", "fused"),
    [
        ("embedded", "detector", ("", {}), None, False),
        ("somebodys.pt", "public", ("", {}), None, False),
        ("somebodys.pt", "detector", ("", {}), 0.25, True),
        ("somebodys.pt", "detector", ("atl", {}), None, True),
        ("somebodys.pt", "detector", ("0.4", {"fuse_score": "false"}), 0.4, False),
    ],
)
def test_thresholds_unless_told_otherwise(
    run: Run, weights: str, boxes: str, words: tuple[str, dict[str, str]], high: float | None, fused: bool
) -> None:
    """ATL where it knows the pictures; a number where it learned from drawings and the detector from photographs."""
    config = run.settings.input.model_copy(update={"weights": weights})
    run = run.variant(input=config, detections=boxes)
    method = method_from(run, "msfp-track", "", words[0], words[1], 0)
    assert (method.threshold.kind, method.threshold.high) == (("atl", 0.6) if high is None else ("fixed", high))
    assert dict(method.options).get("fuse_score", False) == fused
    assert method_from(run, "bytetrack", "", "", {}, 0).threshold.kind == "default"

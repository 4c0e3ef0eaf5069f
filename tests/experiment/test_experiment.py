"""The verbs of a notebook: clips, heads and losses that stand in cells, trackers, and a cache of one's own."""

import builtins
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import msfp
from msfp.errors import InputError, MsfpError, NotComputable
from msfp.experiment import data, reid, scores
from msfp.experiment.heads import appearance
from msfp.experiment.verbs import Experiment
from msfp.metrics import scores as trackeval
from msfp.metrics.scores import identical
from msfp.paper.notebook import begin
from msfp.types import Detections

from .conftest import FEW, LENGTH, Make

TWO = {"MOT17-02-SDP": LENGTH, "MOT17-02-FRCNN": 0, "MOT17-04-SDP": LENGTH}
SMALL = {"training.identities": 2, "training.instances": 2, "data.embedded": None}


@pytest.fixture
def run(make_run: Make, tmp_path) -> Experiment:
    make_run(TWO)
    settings = {"input.size": "96,64", "training.epochs": 1, "seeds": "0,1", **FEW, **SMALL}
    words = " ".join(f"{name}={value}" for name, value in settings.items())
    return begin("mot17", root=str(tmp_path / "root"), weights="random-init", home=tmp_path / "home", settings=words)


class Sum(msfp.FusionHead):
    def __init__(self, channels, config) -> None:
        super().__init__(channels, config)
        self.project = nn.ModuleDict({str(k): nn.Linear(c, config.width) for k, c in channels.items()})

    def embed(self, layers):
        return sum(self.project[str(k)](layers[k]) for k in self.channels)


def soft_margin(rows, person, margin):
    same = person[:, None] == person
    d = 1 - rows @ rows.T
    hardest = d.masked_fill(~same, -9).amax(dim=1) - d.masked_fill(same, 9).amin(dim=1)
    return nn.functional.softplus(hardest).mean(), (hardest > 0).float().mean()


def other_margin(rows, person, margin):
    loss, active = soft_margin(rows, person, margin)
    return 2 * loss, active


def test_clips_hold_what_the_files_hold(run: Experiment) -> None:
    clip = run.clips()[0]
    assert (clip.name, clip.length, clip.detectors) == ("MOT17-02", 5, ("FRCNN", "SDP"))
    labels, boxes = clip.labels(), clip.detections("SDP")
    assert labels.frame.tolist() == sorted([1, 2, 3, 4, 5] * 3)
    assert boxes.frame.max() == 5
    assert (boxes.x2 - boxes.x1 == 16).all()
    assert clip.image(1).shape == (64, 96, 3)
    with pytest.raises(NotComputable, match="MOT17-02 has no DPM detections"):
        clip.detections("DPM")
    assert run.embed("native", clip).shape == (len(labels), 192)
    assert run.embed("native", clip, "SDP").shape == (len(boxes), 192)
    assert {k: v.shape for k, v in run.features(clip).items()}[4] == (len(labels), 64)
    assert run.scene_vectors(clip).shape == (5, 192)


def test_scores_are_those_of_the_tables(run: Experiment) -> None:
    clip = run.clips()[0]
    tracks = msfp.track("bytetrack", clip.detections("SDP"), fps=clip.fps)
    assert identical(clip.score(tracks), clip.trackeval(tracks), 1e-9)
    rows = [msfp.Method("ByteTrack", "bytetrack"), msfp.Method("concat", "msfp-concat", "concat")]
    found = run.evaluate(rows)
    assert found.groupby("row").seed.nunique().to_dict() == {"ByteTrack": 1, "concat": 2}
    assert len(found) == 3 * 1 + 3 * 2
    whole = msfp.combine(found, by=["row", "seed"])
    fold = run.fold()
    theirs = scores.measure(run, [rows[0].configured(fold.learn, 0)], fold.evaluate, "tracking")
    total = trackeval.combine({m.sequence.name: m.score for m in theirs if m.score is not None}).combined
    assert whole.loc[("ByteTrack", 0)].to_dict() == pytest.approx(scores.percents(total))
    assert pytest.approx(whole.loc["concat"].HOTA.mean(), abs=1) == msfp.combine(found, by="row").loc["concat"].HOTA


def test_embeddings_measured_by_hand_are_those_of_table_3(run: Experiment) -> None:
    clip = run.reid_clips()[0]
    mine = run.reid("concat", [clip])
    assert mine.seed.tolist() == [0, 1]
    for seed in (0, 1):
        theirs = reid.discrimination(run, clip.part, appearance("concat", run.fold().learn, seed))
        assert mine.auc[seed] == pytest.approx(theirs.auc, abs=1e-9)
        assert mine.gap[seed] == pytest.approx(theirs.gap, abs=1e-6)
    assert run.reid("native", [clip]).seed.tolist() == [0]


def test_a_head_and_a_loss_of_ones_own(run: Experiment) -> None:
    mine = run.train(Sum, loss=soft_margin, name="sum")
    assert run.store.misses["own-head"] == 1
    again = run.train(Sum, loss=soft_margin)
    assert run.store.misses["own-head"] == 1, "kept"
    assert np.array_equal(mine.curve, again.curve)
    other = run.train(Sum, loss=other_margin)
    plain = run.train(Sum)
    assert run.store.misses["own-head"] == 3, "another loss is another head"
    assert not np.array_equal(other.fitted.state["project.4.weight"], mine.fitted.state["project.4.weight"])
    assert plain.curve.loss.notna().all()
    losses = [run.train(name, loss=soft_margin) for name in ("concat", "single")]
    assert run.store.misses["own-head"] == 5, "another strategy under the same loss is another head"
    assert losses[0].fitted.state.keys() != losses[1].fitted.state.keys()
    clip = run.clips()[0]
    vectors = run.embed(mine, clip)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert run.reid([mine, "native"], [clip]).name.tolist() == ["sum", "native"]
    found = run.evaluate([msfp.Method("mine", "msfp-attention", mine, (0.6, 0.1)), msfp.Method("BT", "bytetrack")])
    assert found.row.tolist() == ["mine"] * 3 + ["BT"] * 3
    assert found.score.notna().all()
    assert 0 < msfp.combine(found, by="row").HOTA["mine"] <= 100


def test_a_registered_head_is_the_one_of_the_tables(run: Experiment) -> None:
    from msfp.experiment.heads import train_head

    fold = run.fold()
    trained = run.train("concat", seed=1)
    theirs = train_head(run, appearance("concat", fold.learn, 1))
    assert all(np.array_equal(trained.fitted.state[k], v) for k, v in theirs.state.items())
    assert np.array_equal(run.embed(trained, run.clips()[0]), run.embed("concat", run.clips()[0], seed=1))


@pytest.mark.parametrize(
    ("head", "loss", "message"),
    [
        ("concat", lambda rows, person, margin: rows.sum(), "needed are two numbers, the loss and the share"),
        ("concat", lambda rows, person, margin: (torch.tensor(1.0), 0.5), "does not depend on the embeddings"),
        (nn.Linear, None, "give the name of a strategy, or a class derived from msfp.FusionHead"),
        (type("Flat", (Sum,), {"embed": lambda self, layers: layers[4].sum()}), None, "needed is \\(N, D\\)"),
        (type("Gone", (Sum,), {"embed": lambda self, layers: layers[99]}), None, "Gone.embed fails on .* KeyError: 99"),
        (type("Cells", (Sum,), {"sees_cells": True}), None, "sees pooled vectors or strips, not cells or sizes"),
        ("nonsense", None, "fusion strategy 'nonsense' is not known"),
    ],
)
def test_heads_and_losses_that_cannot_be_trained(run: Experiment, head, loss, message: str) -> None:
    with pytest.raises(InputError, match=message):
        run.train(head, loss=loss)
    assert not run.store.misses["own-head"]


def test_what_was_cached_is_told_by_source_and_content(run: Experiment) -> None:
    calls = []

    def counted(clip, vectors, options):
        calls.append(clip)
        return {"mean": float(vectors.mean()), "frame": clip.labels().head(2)}

    kept = run.cached(counted)
    clips = run.clips()
    vectors = np.arange(6.0)
    # The list that counts calls is a variable that the function reads: it must not make another key.
    calls_before = len(calls)
    with pytest.raises(MsfpError):
        run.cached(builtins.open)("x", object())
    assert len(calls) == calls_before
    kept = run.cached(length_of)
    first = kept(clips[0], vectors, {"a": 1})
    assert run.store.misses["cached"] == 1
    assert kept(clips[0], vectors, {"a": 1}) == first
    assert run.store.misses["cached"] == 1
    kept(clips[1], vectors, {"a": 1})
    kept(clips[0], vectors + 1, {"a": 1})
    kept(clips[0], vectors, {"a": 2})
    assert run.store.misses["cached"] == 4


def length_of(clip, vectors, options):
    return clip.length + float(vectors.sum()) + options["a"]


def profile_of(run: Experiment) -> str:
    return run.settings.profile


def test_a_run_may_be_an_argument_wherever_its_data_lie(run: Experiment) -> None:
    assert run.settings.data.root is not None, "a folder is a place, not content"
    kept, before = run.cached(profile_of), run.store.misses["cached"]
    assert kept(run) == kept(run) == "mot17"
    assert run.store.misses["cached"] == before + 1
    assert kept(run.variant(scores="calibrated")) == "mot17"
    assert run.store.misses["cached"] == before + 2


def test_cached_functions_go_to_workers(run: Experiment) -> None:
    import pickle

    kept = pickle.loads(pickle.dumps(run.cached(length_of)))
    assert kept(run.clips()[0], np.zeros(2), {"a": 1}) == 6
    assert run.cached(length_of)(run.clips()[0], np.zeros(2), {"a": 1}) == 6
    assert not run.store.misses["cached"], "the worker's result"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="score"), "detections: column 'score' is missing"),
        (lambda f: f.iloc[::-1], "detections: rows are not sorted by frame"),
    ],
)
def test_frames_that_cannot_be_tracked(run: Experiment, change, message: str) -> None:
    with pytest.raises(InputError, match=message):
        msfp.track("bytetrack", change(run.clips()[0].detections("SDP")))


def test_frames_that_cannot_be_combined(run: Experiment) -> None:
    found = run.evaluate([msfp.Method("BT", "bytetrack")])
    with pytest.raises(InputError, match="column 'scenes' is not in the frame"):
        msfp.combine(found, by="scenes")
    with pytest.raises(InputError, match="row 'SORT' is not in the frame; there are: BT"):
        msfp.difference(found, "BT", "SORT")
    found.loc[0, ["score", "reason"]] = [None, "no pixels"]
    with pytest.raises(NotComputable, match="no pixels"):
        msfp.combine(found)
    with pytest.raises(InputError, match="give \\(high, low\\), 'atl', or None"):
        run.evaluate([msfp.Method("BT", "bytetrack", thresholds=(0.5,))])


def test_thresholds_of_a_method(run: Experiment) -> None:
    clip = run.clips()[0]
    assert run.thresholds(msfp.Method("BT", "bytetrack"), clip, "SDP") is None
    fixed = run.thresholds(msfp.Method("BT", "bytetrack", thresholds=(0.5, 0.2)), clip, "SDP")
    assert fixed.tolist() == np.tile(np.float32([0.5, 0.2]), (clip.length, 1)).tolist()
    learned = run.thresholds(msfp.Method("BT", "bytetrack", thresholds="atl"), clip, "SDP")
    assert learned.shape == (clip.length, 2)
    assert (learned[:, 0] >= learned[:, 1]).all()


def test_difference_is_its_definition() -> None:
    """The value is that of the combined scores; its draws take whole scenes."""
    rng = np.random.default_rng(0)

    def score(good: float) -> SimpleNamespace:
        tp = 50 + 40 * good + rng.normal(0, 3)
        alpha = np.full(19, tp)
        counts = dict(tp=int(tp), fn=int(100 - tp), fp=10, idsw=3, idtp=int(tp * 0.8), idfn=30, idfp=20)
        return SimpleNamespace(hota_tp=alpha, hota_fn=100 - alpha, hota_fp=alpha * 0.1, ass_a=alpha / 120, **counts)

    rows = [
        {"row": row, "seed": seed, "scene": f"S{scene}", "detector": d, "score": score(good), "reason": ""}
        for row, good, seeds in (("a", 0.6, (0, 1, 2)), ("b", 0.4, (0,)))
        for seed in seeds
        for scene in range(7)
        for d in ("DPM", "SDP")
    ]
    found = msfp.difference(pd.DataFrame(rows), "a", "b")
    low, high = found.interval()
    assert low < found.value < high
    assert found.over == "7 scenes, 3 seeds"
    assert found.seeds.shape == (3,)
    back = msfp.difference(pd.DataFrame(rows), "b", "a")
    assert back.value == pytest.approx(-found.value)


def test_every_public_name_is_there() -> None:
    names = [name for name in dir(msfp) if not name.startswith("_")]
    assert len(names) >= 20
    for name in names:
        found = getattr(msfp, name)
        assert found.__doc__, name
        assert f"msfp.{name}" in msfp.__doc__ or name not in ("open", "track", "Tracker", "Method", "combine")
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        msfp.nonsense  # noqa: B018


def test_the_grid_is_the_one_that_atl_learns_from(run: Experiment) -> None:
    clip = run.clips(run.fold().learn)[0]
    curve = run.grid(clip, "SDP")
    assert curve.index.tolist() == pytest.approx(run.settings.atl.grid)
    tau = curve.index[3]
    one = msfp.track("bytetrack", clip.detections("SDP"), thresholds=(tau, tau), length=clip.length, fps=clip.fps)
    assert curve.iloc[3] == pytest.approx(100 * clip.score(one).hota)


def test_maps_are_those_that_vectors_are_pooled_from(run: Experiment) -> None:
    clip = run.clips()[0]
    maps = run.maps(clip, 2)
    assert set(maps.layers) == set(run.features(clip))
    assert maps.boxes.frame.unique().tolist() == [2]
    scene = maps.layers[14].mean(axis=(1, 2))
    assert np.allclose(scene, run.scene_vectors(clip)[1], rtol=2e-3, atol=2e-3)
    with pytest.raises(InputError, match="frame"):
        clip.image(99)


def test_detections_round_trip(run: Experiment) -> None:
    clip = run.clips()[0]
    part = data.window(data.detections(clip.part.scene.sequences[-1]), clip.part)
    from msfp.experiment.clip import as_detections

    back: Detections = as_detections(clip.detections("SDP"))
    assert np.allclose(back.tlwh, part.tlwh)
    assert np.array_equal(back.score, part.score)

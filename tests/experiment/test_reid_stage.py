"""Separate ReID as an appearance like any other: any tracker, any threshold policy, kept by content."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from msfp.errors import InputError, NotComputable
from msfp.experiment import data, features
from msfp.experiment.data import Part
from msfp.experiment.folders import method_from
from msfp.experiment.heads import Appearance, appearance, box_inputs, embeddings, head_inputs
from msfp.experiment.run import Run
from msfp.experiment.scores import measure, prepare
from msfp.experiment.thresholds import Threshold, search
from msfp.experiment.tracks import Method, tracks
from msfp.features import reid
from tests.experiment.conftest import LENGTH

NAMES = {"MOT17-02-SDP": LENGTH, "MOT17-02-DPM": 0}
RANDOM = {"input.reid_weights": "random-init", "data.separate_reid": True}
LOOK = Appearance("reid")
Make = Callable[..., Run]


def test_all_public_boxes_of_a_scene_in_one_pass(make_run: Make) -> None:
    run = make_run(NAMES, **RANDOM)
    (scene,) = data.scenes(run, run.settings.data.main)
    found = features.reid_features(run, data.whole(scene))
    assert set(found) == {"SDP", "DPM"}, "labels are none of them"
    for vectors in found.values():
        assert vectors.shape == (3 * LENGTH, 512)
        assert vectors.dtype == np.float16
        np.testing.assert_allclose(np.linalg.norm(vectors.astype(float), axis=1), 1, atol=2e-3)
    np.testing.assert_allclose(found["SDP"].astype(float), found["DPM"], atol=1e-4)  # the same boxes here
    image = dict(iter(data_frames(run)))[2]
    boxes = data.detections(scene.sequences[0])
    rows = boxes.frame == 2
    direct = reid.embed(reid.load_reid("random-init"), image, boxes.tlwh[rows])
    np.testing.assert_allclose(found["SDP"][rows].astype(np.float32), direct, atol=1e-3)
    assert run.store.misses["reid-features"] == 1


def data_frames(run: Run) -> list[tuple[int, np.ndarray]]:
    from msfp.data.frames import FrameReader

    (scene,) = data.scenes(run, run.settings.data.main)
    return list(FrameReader(scene.pixels))


def test_it_is_training_free_and_shares_results() -> None:
    part = (object(),)
    assert appearance("reid", part, 2) == LOOK  # type: ignore[arg-type]


def test_embeddings_of_parts_and_labels(make_run: Make) -> None:
    run = make_run(NAMES, **RANDOM)
    (scene,) = data.scenes(run, run.settings.data.main)
    part = Part(scene, 4, 6)
    own = embeddings(run, part, "SDP", LOOK)
    assert own.dtype == np.float32
    np.testing.assert_array_equal(own, features.reid_features(run, data.whole(scene))["SDP"][9:18].astype(np.float32))
    assert "reid-truth-features" not in run.store.misses, "labelled boxes only when asked for"
    labelled = embeddings(run, part, "gt", LOOK)
    assert labelled.shape == (9, 512)
    np.testing.assert_allclose(labelled, own, atol=1e-3)  # the conftest's detections lie on the labels


def test_keys_know_weights_and_nothing_of_the_detector(make_run: Make) -> None:
    run = make_run(NAMES, **RANDOM)
    (scene,) = data.scenes(run, run.settings.data.main)
    other = make_run({}, **RANDOM, **{"input.preset": "yolov8m-paper", "training.epochs": 7, "fusion.width": 64})
    assert head_inputs(run, LOOK) == head_inputs(other, LOOK)
    assert box_inputs(run, scene, LOOK) == box_inputs(other, scene, LOOK)
    fused = Appearance("native")
    assert box_inputs(run, scene, fused) != box_inputs(run, scene, LOOK)
    assert "network" in head_inputs(run, LOOK)


def test_a_file_of_weights_is_keyed_by_content(make_run: Make, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    make_run({"MOT17-02-SDP": 0})
    path = tmp_path / "osnet.safetensors"
    digests = []
    for seed in (0, 1):
        save_file({k: v.contiguous() for k, v in reid.load_reid("random-init", seed=seed).state_dict().items()}, path)
        digests.append(features.network_inputs(make_run({}, **{"input.reid_weights": str(path)}))["network"])
        path = path.with_stem("other")
    assert digests[0] != digests[1]
    with pytest.raises(InputError, match=r"absent.pt: file not found"):
        features.network_inputs(make_run({}, **{"input.reid_weights": "absent.pt"}))


def test_why_there_is_none(make_run: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reid, "EMBEDDED", "absent.safetensors")
    with pytest.raises(NotComputable, match="separate ReID network: no embedded weights absent.safetensors"):
        features.network_inputs(make_run({"MOT17-02-SDP": 0}))
    partial = make_run({"MOT17-04-SDP": 5}, **RANDOM)
    part = data.whole(data.scenes(partial, partial.settings.data.main)[-1])
    with pytest.raises(NotComputable, match="MOT17-04: 5 of 9 frames present"):
        embeddings(partial, part, "SDP", LOOK)


@pytest.mark.parametrize("tracker", ["deepsort", "botsort", "msfp-attention"])
def test_any_tracker_any_threshold(make_run: Make, tracker: str) -> None:
    run = make_run(NAMES, **RANDOM, **{"atl.grid": (0.1, 0.4)})
    (scene,) = data.scenes(run, run.settings.data.main)
    part = data.whole(scene)
    prepare(run, [Method("x", tracker, LOOK)], [part])
    assert run.store.misses["reid-features"] == 1
    for rule in (Threshold(), Threshold("fixed", 0.4, 0.1), Threshold("oracle")):
        found = tracks(run, part, data.sequences(part)[1], Method("x", tracker, LOOK, rule))
        assert set(found.frame.tolist()) <= set(range(1, LENGTH + 1))
    assert run.store.misses["reid-features"] == 1
    assert search(run, part, data.sequences(part)[1], "single", LOOK, tracker, ()).hota.shape == (2,)


def test_tables_leave_it_out_unless_asked(make_run: Make) -> None:
    run = make_run(NAMES, **{**RANDOM, "data.separate_reid": False})
    (scene,) = data.scenes(run, run.settings.data.main)
    method = Method("x", "deepsort", LOOK, camera="ecc")
    found = measure(run, [method, Method("y", "sort")], [data.whole(scene)], "tracking")
    assert [m.score is None for m in found] == [True, True, False, False]
    assert "data.separate_reid=true" in found[0].reason
    assert not {"camera", "reid-features"} & set(run.store.misses)
    # Who names it gets it all the same.
    assert len(tracks(run, data.whole(scene), data.sequences(data.whole(scene))[1], method))


def test_words_choose_it(make_run: Make) -> None:
    run = make_run(NAMES, **RANDOM)
    assert method_from(run, "deepsort", "", "default", {}, 0).look == LOOK
    assert method_from(run, "lite", "reid", "0.6,0.1", {}, 0).look == LOOK
    with pytest.raises(InputError, match=r"--appearance osnet: not known; there are: none, .*reid"):
        method_from(run, "lite", "osnet", "default", {}, 0)

"""Heads that see other layers, other pooling, the boxes' sizes or their cells."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from msfp.data.frames import FrameReader
from msfp.errors import NotComputable
from msfp.experiment import data
from msfp.experiment.features import TRUTH, box_vectors, features, labelled_cells, layers_of, thinned
from msfp.experiment.heads import appearance, embeddings, octaves, train_head, training_set
from msfp.experiment.reid import weigh
from msfp.features.backbone import Backbone
from msfp.features.pooling import extract_modes
from msfp.heads.training import embed, restore_head

from .conftest import HEIGHT, LENGTH, WIDTH, Make

SMALL = {"training.identities": 2, "training.instances": 2}


def test_a_further_layer_and_other_pooling_come_from_one_pass(make_run: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run({"MOT17-02-SDP": LENGTH})
    (scene,) = data.scenes(run, "mot17")
    part = data.halves(scene)[1]
    usual = layers_of(features(run, scene)["SDP"], part)
    passes = []
    original = Backbone.parts
    monkeypatch.setattr(Backbone, "parts", lambda self, batch: passes.append(1) or original(self, batch))
    deeper = box_vectors(run, part, "SDP", layers=(4, 14, 17))
    assert list(deeper) == [4, 14, 17]
    assert deeper[17].shape == (len(usual[4]), 192)
    np.testing.assert_array_equal(deeper[14], usual[14])
    for pooling in ("nearest", "bilinear", "average"):
        found = box_vectors(run, part, "SDP", pooling=pooling)
        assert list(found) == [4, 9, 14]
        assert found[4].shape == usual[4].shape
        assert not np.array_equal(found[4], usual[4])
    assert len(passes) - 1 == LENGTH  # one pass of the network looks at its shapes


def test_lite_as_released_comes_with_the_usual_features(make_run: Make) -> None:
    run = make_run({"MOT17-02-SDP": LENGTH})
    (scene,) = data.scenes(run, "mot17")
    part, frame = data.halves(scene)[1], scene.pixels
    looked = embeddings(run, part, "SDP", appearance("lite", (), 3))
    assert appearance("lite", (part,), 3) == appearance("lite", (), 0), "nothing is trained: results are shared"
    assert run.store.misses == {"features": 1}
    found = data.window(data.detections(scene.sequences[0]), part)
    with FrameReader(frame, range(part.first, part.last + 1)) as frames:
        sets = {"SDP": (found.frame + np.int32(part.first - 1), found.tlwh)}
        pooled = extract_modes(frames, sets, run.backbone(), {"lite": (14,)}, run.settings.input.size)["lite"]["SDP"]
    again = pooled.layers[14].astype(np.float32)
    length = np.linalg.norm(again, axis=1, keepdims=True)
    np.testing.assert_allclose(looked, again / np.where(length > 0, length, 1), atol=1e-5)
    assert looked.shape[1] == 192
    assert not np.allclose(looked, embeddings(run, part, "SDP", appearance("native", (), 0)))
    assert len(embeddings(run, part, TRUTH, appearance("lite", (), 0)))
    with pytest.raises(NotComputable, match="preset yolov8n-paper names no layer 4 pooled as lite"):
        box_vectors(run, part, "SDP", layers=(4,), pooling="lite")


def test_layers_that_no_preset_names_are_refused(make_run: Make) -> None:
    run = make_run({"MOT17-02-SDP": LENGTH})
    part = data.whole(data.scenes(run, "mot17")[0])
    with pytest.raises(NotComputable, match="preset yolov8n-paper names no layer 12"):
        box_vectors(run, part, TRUTH, layers=(4, 12))


def test_heads_that_see_cells_train_and_embed_like_any_and_seeds_share_a_pass(
    make_run: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run({"MOT17-02-SDP": LENGTH}, seeds=(0, 1), **SMALL)
    learn, judged = data.halves(data.scenes(run, "mot17")[0])
    looks = [appearance("spatial-attention", (learn,), seed) for seed in run.settings.seeds]
    states = [train_head(run, look).state for look in looks]
    passes = []
    original = Backbone.parts
    monkeypatch.setattr(Backbone, "parts", lambda self, batch: passes.append(1) or original(self, batch))
    found = [embeddings(run, judged, boxes, look) for look in looks for boxes in (TRUTH, "SDP")]
    assert len(passes) == judged.length
    assert not np.allclose(found[0], found[2])
    truth = data.labels(judged.scene)
    rows = np.flatnonzero((truth.frame >= judged.first) & (truth.frame <= judged.last))
    cells = labelled_cells(run, judged, rows, "")
    head = restore_head("spatial-attention", {k: v.shape[-1] for k, v in cells.items()}, states[1], run.settings.fusion)
    np.testing.assert_allclose(found[2], embed(head, cells), atol=2e-3)


def test_rows_of_cells_and_labels_belong_together(make_run: Make) -> None:
    run = make_run({"MOT17-02-SDP": LENGTH, "MOT17-04-SDP": LENGTH}, **SMALL)
    learn = tuple(data.halves(s)[0] for s in data.scenes(run, "mot17"))
    usual, labels = training_set(run, learn, appearance("attention-instance", learn, 0))
    cells, same = training_set(run, learn, appearance("spatial-attention", learn, 0))
    np.testing.assert_array_equal(labels.identity, same.identity)
    for layer, vectors in usual.items():
        np.testing.assert_allclose(cells[layer].astype(np.float32).mean(1), vectors.astype(np.float32), atol=5e-3)


def test_too_many_boxes_are_thinned_by_frames() -> None:
    frames = [np.repeat(np.arange(1, 11), 3), np.arange(1, 6)]
    assert all(keep.all() for keep in thinned(frames, 35))
    kept = thinned(frames, 34)
    assert [sorted(set(f[k].tolist())) for f, k in zip(frames, kept, strict=True)] == [[1, 3, 5, 7, 9], [1, 3, 5]]


def test_sizes_are_octaves_about_the_learning_boxes(make_run: Make) -> None:
    run = make_run({"MOT17-02-SDP": LENGTH}, **SMALL)
    learn, judged = data.halves(data.scenes(run, "mot17")[0])
    assert not octaves(run, judged, TRUTH, (learn,)).any()  # all boxes are alike
    path = judged.scene.sequences[0].det_path
    assert path is not None
    wide = path.read_text().replace(",16,36,", ",32,72,")
    Path(path).write_text(wide)
    assert np.all(octaves(run, judged, "SDP", (learn,)) == 1)
    learn, judged = data.halves(data.scenes(run, "mot17")[0])
    assert run.settings.input.size == (WIDTH, HEIGHT)  # so that pixels of image and input are the same
    found = embeddings(replace(run, notes=[]), judged, TRUTH, appearance("hard-assignment", (learn,), 0))
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_attention_weights_belong_to_their_boxes(make_run: Make) -> None:
    run = make_run({"MOT17-02-SDP": LENGTH}, **SMALL)
    learn, judged = data.halves(data.scenes(run, "mot17")[0])
    found = weigh(run, judged, appearance("attention-instance", (learn,), 0))
    assert list(found)[3:] == ["layer 4", "layer 9", "layer 14"]
    assert len(found) == 3 * judged.length
    np.testing.assert_allclose(found.filter(like="layer").sum(axis=1), 1, rtol=1e-5)
    assert set(found.crowd) == {3}
    np.testing.assert_allclose(found["size"], np.sqrt(16 * 36))

"""One pass a frame for all box sets, rows aligned, absent frames marked."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.ops import roi_align

from msfp.errors import InputError
from msfp.features.backbone import Backbone, fit, load_backbone, to_batch
from msfp.features.pooling import extract_cells, extract_modes

from .conftest import extract

SIZE = (160, 96)
RNG = np.random.default_rng(0)
FRAMES = [(t, RNG.integers(0, 256, (90, 160, 3), dtype=np.uint8)) for t in (1, 2, 4)]
FRAME = np.array([1, 1, 2, 3, 4], np.int32)
BOXES = np.array([[10.0, 12, 30, 50], [100, 5, 20, 60], [-20, -9, 40, 40], [1, 1, 5, 5], [150, 80, 60, 60]], np.float64)
NOTHING = (np.zeros(0, np.int32), np.zeros((0, 4)))


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return load_backbone("yolov8n-paper", "random-init")


def test_vectors_are_mean_roi_align_of_the_maps(backbone: Backbone) -> None:
    found = extract(FRAMES, {"gt": (FRAME, BOXES)}, backbone, SIZE)["gt"]
    box = fit((160, 90), SIZE)
    for number, pixels in FRAMES:
        rows = number == FRAME
        regions = [torch.from_numpy(box.to_network(BOXES[rows]).astype(np.float32))]
        for layer, full in backbone.maps(to_batch(box.apply(pixels)[None])).items():
            scale = 1 / backbone.strides[layer]
            expected = roi_align(full.clone(), regions, 7, scale, 2, aligned=True).mean((2, 3)).numpy()
            np.testing.assert_allclose(found.layers[layer][rows], expected, rtol=2e-3, atol=1e-4)
    assert {layer: v.shape for layer, v in found.layers.items()} == {4: (5, 64), 9: (5, 256), 14: (5, 192)}
    assert all(v.dtype == np.float16 for v in found.layers.values())


def test_absent_frames_are_marked_and_zero(backbone: Backbone) -> None:
    found = extract(FRAMES, {"gt": (FRAME, BOXES)}, backbone, SIZE)["gt"]
    assert found.present.tolist() == [True, True, True, False, True]
    assert not found.layers[9][3].any()
    assert found.layers[9][[0, 1, 2, 4]].any(1).all()
    assert found.scene_frame.tolist() == [1, 2, 4]
    assert found.scene.shape == (3, 192)


def test_scene_vector_is_the_global_average_of_layer_14(backbone: Backbone) -> None:
    found = extract(FRAMES[:1], {"gt": NOTHING}, backbone, SIZE)["gt"]
    full = backbone.maps(to_batch(fit((160, 90), SIZE).apply(FRAMES[0][1])[None]))[14]
    np.testing.assert_allclose(found.scene[0], full.mean((2, 3))[0].numpy(), rtol=2e-3, atol=1e-4)


def test_box_sets_do_not_influence_each_other_and_share_the_pass(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = []
    original = Backbone.parts
    monkeypatch.setattr(Backbone, "parts", lambda self, batch: passes.append(1) or original(self, batch))
    few = (FRAME[1:3], BOXES[1:3])
    both = extract(FRAMES, {"gt": (FRAME, BOXES), "SDP": few, "none": NOTHING}, backbone, SIZE)
    assert len(passes) == len(FRAMES)
    for layer in backbone.layers:
        np.testing.assert_array_equal(both["SDP"].layers[layer], both["gt"].layers[layer][1:3])
    assert len(both["none"].frame) == 0
    assert both["none"].layers[14].shape == (0, 192)


def test_several_modes_share_the_pass_and_equal_each_alone(backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    passes = []
    original = Backbone.parts
    monkeypatch.setattr(Backbone, "parts", lambda self, batch: passes.append(1) or original(self, batch))
    wanted = {"nearest": (4, 9), "average": (14,)}
    together = extract_modes(FRAMES, {"gt": (FRAME, BOXES)}, backbone, wanted, SIZE)
    assert len(passes) == len(FRAMES)
    for mode, layers in wanted.items():
        alone = extract(FRAMES, {"gt": (FRAME, BOXES)}, backbone, SIZE, mode=mode)["gt"]
        assert tuple(together[mode]["gt"].layers) == layers
        for layer in layers:
            np.testing.assert_array_equal(together[mode]["gt"].layers[layer], alone.layers[layer])


def test_cells_come_row_by_row_and_their_mean_is_pooled(backbone: Backbone) -> None:
    pooled = extract(FRAMES, {"gt": (FRAME, BOXES)}, backbone, SIZE)["gt"]
    seen = []
    for name, rows, cells in extract_cells(FRAMES, {"gt": (FRAME, BOXES)}, backbone, SIZE):
        seen.append((name, rows.start, rows.stop))
        for layer, values in cells.items():
            expected = pooled.layers[layer][rows].astype(np.float32)
            np.testing.assert_allclose(values.astype(np.float32).mean(1), expected, rtol=4e-3, atol=1e-3)
    assert seen == [("gt", 0, 2), ("gt", 2, 3), ("gt", 4, 5)]


def test_order_of_frames_does_not_matter_and_progress_counts(backbone: Backbone) -> None:
    seen: list[int] = []
    forward = extract(FRAMES, {"gt": (FRAME, BOXES)}, backbone, SIZE, progress=seen.append)["gt"]
    backward = extract(FRAMES[::-1], {"gt": (FRAME, BOXES)}, backbone, SIZE)["gt"]
    assert seen == [1, 1, 1]
    np.testing.assert_array_equal(forward.layers[14], backward.layers[14])
    np.testing.assert_array_equal(forward.scene, backward.scene)


def test_no_frames_at_all(backbone: Backbone) -> None:
    found = extract([], {"gt": (FRAME, BOXES)}, backbone, SIZE)["gt"]
    assert not found.present.any()
    assert found.scene.shape == (0, 192)


def test_geometry_changes_where_boxes_fall(backbone: Backbone) -> None:
    frames = [(1, RNG.integers(0, 256, (120, 160, 3), dtype=np.uint8))]
    first, second = (
        extract(frames, {"gt": (FRAME[:2], BOXES[:2])}, backbone, SIZE, geometry)["gt"]
        for geometry in ("letterbox", "paper_scale")
    )
    assert not np.allclose(first.layers[4], second.layers[4], atol=1e-3)


def test_bad_input_is_named(backbone: Backbone) -> None:
    bad = BOXES.copy()
    bad[2, 3] = np.nan
    with pytest.raises(InputError, match=r"box set 'SDP', row 3 \(frame 2\): box .* not finite or has a negative size"):
        extract(FRAMES, {"SDP": (FRAME, bad)}, backbone, SIZE)
    with pytest.raises(InputError, match="frame 1 came twice"):
        extract([FRAMES[0], FRAMES[0]], {"gt": (FRAME, BOXES)}, backbone, SIZE)
    with pytest.raises(InputError, match="box set 'gt': 5 frame numbers for 4 boxes"):
        extract(FRAMES, {"gt": (FRAME, BOXES[:4])}, backbone, SIZE)


@pytest.mark.real
def test_real_frames_tell_people_apart(shared: Path) -> None:
    """Layer 9 of the real detector finds a person again in the next frame of MOT17-04 better than chance."""
    import cv2
    from sklearn.metrics import roc_auc_score

    folder = shared / "mot17-dev" / "train" / "MOT17-04-FRCNN"
    rows = np.loadtxt(folder / "gt" / "gt.txt", delimiter=",")
    rows = rows[(rows[:, 0] <= 2) & (rows[:, 6] == 1) & (rows[:, 7] == 1) & (rows[:, 8] > 0.3)]
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    frames = ((t, cv2.imread(str(folder / "img1" / f"{t:06d}.jpg"))[..., ::-1]) for t in (1, 2))
    real = load_backbone("yolov8n-paper", shared / "weights" / "yolov8n-coco-dequant.safetensors")
    found = extract(frames, {"gt": (rows[:, 0].astype(np.int32), rows[:, 2:6])}, real, (1280, 736))["gt"]
    unit = found.layers[9].astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    first, second = found.frame == 1, found.frame == 2
    same = rows[first, 1][:, None] == rows[second, 1]
    assert roc_auc_score(same.ravel(), (unit[first] @ unit[second].T).ravel()) > 0.95

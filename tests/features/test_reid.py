"""The separate ReID network: crops, unit vectors, real people told apart."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from msfp.errors import InputError
from msfp.features.reid import OSNet, cut, embed, extract_reid, load_reid, normalise

FRAME = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def model() -> OSNet:
    return load_reid("random-init", seed=1)


def test_crops_hold_the_pixels_of_the_box() -> None:
    frame = np.zeros((120, 160, 3), np.uint8)
    frame[20:60, 30:50] = (10, 200, 30)
    crops = cut(frame, np.array([[31.0, 21, 20, 40], [-100, -100, 30, 30], [31, 21, 0, 0]]))
    assert crops.shape == (3, 256, 128, 3)
    assert (crops[0] == (10, 200, 30)).all()
    assert (crops[1] == 128).all()
    assert (crops[2] == 128).all()


def test_normalisation_is_imagenets() -> None:
    x = normalise(np.full((1, 256, 128, 3), 255, np.uint8))
    np.testing.assert_allclose(
        x[0, :, 0, 0], [(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225], rtol=1e-5
    )


def test_vectors_have_unit_length_and_batches_do_not_matter(model: OSNet) -> None:
    boxes = np.array([[10.0, 10, 40, 90], [60, 5, 30, 80], [90, 20, 50, 99]])
    together, small = embed(model, FRAME, boxes), embed(model, FRAME, boxes, batch=2)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(together, small, atol=1e-5)
    assert embed(model, FRAME, np.zeros((0, 4))).shape == (0, 512)


@pytest.mark.parametrize("count", [1, 3, 4])
def test_black_crops_fill_a_pass_and_change_nobodys_vector(model: OSNet, count: int) -> None:
    crops = np.random.default_rng(3).integers(0, 256, (count, 64, 32, 3), dtype=np.uint8)
    whole = np.pad(crops, ((0, 4 - count), (0, 0), (0, 0), (0, 0)))
    np.testing.assert_allclose(model(normalise(whole))[:count], model(normalise(crops)), rtol=1e-4, atol=1e-5)


def test_rows_of_absent_frames_stay_zero(model: OSNet) -> None:
    frame, boxes = np.array([1, 2, 3], np.int32), np.array([[10.0, 10, 40, 90]] * 3)
    present, vectors = extract_reid([(3, FRAME), (1, FRAME)], {"gt": (frame, boxes)}, model)["gt"]
    assert present.tolist() == [True, False, True]
    assert not vectors[1].any()
    np.testing.assert_array_equal(vectors[0], vectors[2])
    with pytest.raises(InputError, match="frame 1 came twice"):
        extract_reid([(1, FRAME), (1, FRAME)], {"gt": (frame, boxes)}, model)


def unfolded() -> dict[str, torch.Tensor]:
    """What a file of the random network's weights holds."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return dict(OSNet().state_dict())


def test_weights_without_a_classifier_load(model: OSNet, tmp_path: Path) -> None:
    state = {key: value for key, value in unfolded().items() if "classifier" not in key}
    save_file(state, tmp_path / "small.safetensors")
    boxes = np.array([[10.0, 10, 40, 90]])
    again = load_reid(tmp_path / "small.safetensors")
    np.testing.assert_allclose(embed(again, FRAME, boxes), embed(model, FRAME, boxes), atol=1e-6)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    state = unfolded()
    del state["conv5.bn.bias"]
    save_file(state, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match=r"do not fit osnet_x0_25: 1 tensors missing \(conv5\.bn\.bias"):
        load_reid(tmp_path / "other.safetensors")


@pytest.mark.real
def test_real_weights_tell_real_people_apart(shared: Path) -> None:
    """MOT17-09's first and last given frame: the same people far more alike than different ones."""
    import cv2
    from sklearn.metrics import roc_auc_score

    folder = shared / "mot17-dev" / "train" / "MOT17-09-FRCNN"
    rows = np.loadtxt(folder / "gt" / "gt.txt", delimiter=",")
    rows = rows[(rows[:, 6] == 1) & (rows[:, 7] == 1) & (rows[:, 8] > 0.3)]
    real = load_reid(shared / "weights" / "osnet_x0_25_msmt17.safetensors")
    vectors, people = [], []
    for number in (1, 4):
        here = rows[rows[:, 0] == number]
        vectors.append(embed(real, cv2.imread(str(folder / "img1" / f"{number:06d}.jpg"))[..., ::-1], here[:, 2:6]))
        people.append(here[:, 1])
    same = people[0][:, None] == people[1]
    assert roc_auc_score(same.ravel(), (vectors[0] @ vectors[1].T).ravel()) > 0.97

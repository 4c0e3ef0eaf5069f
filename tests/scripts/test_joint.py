"""Detector and embedding in one network: one pass, vectors that are means under the boxes, both trained together."""

from pathlib import Path

import numpy as np
import pytest
import torch

from msfp.errors import InputError
from msfp.features.backbone import fit
from msfp.features.joint import STRIDE, WIDTH, JointNetwork, load_joint, see, see_all
from shipped_weights import joint as training
from shipped_weights.card import save_weights
from shipped_weights.crops import CropSettings
from shipped_weights.detector import detect
from shipped_weights.joint import describe, untrained_joint
from shipped_weights.people import JointRecipe, appearances, draw_batch
from shipped_weights.samples import Sample
from tests.scripts.test_trainers import painted

pytestmark = pytest.mark.xdist_group("joint network")

SIZE = (320, 192)
TINY = JointRecipe(steps=2, people=2, views=2, free=1, crop=CropSettings(size=(64, 64), scales=(0.8, 1.2)))


@pytest.fixture(scope="module")
def network() -> JointNetwork:
    return untrained_joint()


@pytest.fixture(scope="module")
def sample() -> Sample:
    return painted(1)[0]


def test_vectors_are_unit_means_of_the_branch_under_the_boxes(network: JointNetwork, sample: Sample) -> None:
    """A box on cell borders, worked out by hand from the map."""
    frame = sample.pixels()
    placed = fit((320, 180), SIZE)
    left, top = placed.to_file(np.array([[64.0, 48.0, 96.0, 112.0]]))[0, :2]
    found = describe(network, frame, np.array([[left, top, 32.0, 64.0]]), SIZE)
    assert found.shape == (1, WIDTH)
    with torch.inference_mode():
        pixels = torch.from_numpy(placed.apply(frame).copy()).permute(2, 0, 1)[None].float() / 255
        cells = network(pixels)[1][0, :, 48 // STRIDE : 112 // STRIDE, 64 // STRIDE : 96 // STRIDE]
    expected = cells.mean((1, 2)).numpy()
    # RoIAlign reads between cells at the box's border, so the mean is not exact there.
    assert found[0] @ (expected / np.linalg.norm(expected)) > 0.99
    assert np.linalg.norm(found[0]) == pytest.approx(1, abs=1e-5)


def test_one_pass_sees_what_detector_and_branch_see_apart(network: JointNetwork, sample: Sample) -> None:
    frame = sample.pixels()
    seen = see(network, 3, frame, SIZE, confidence=0.001)
    tlwh, score = detect(network.detector, frame, SIZE, 0.001)
    np.testing.assert_allclose(seen.tlwh, tlwh, atol=1e-3)
    np.testing.assert_allclose(seen.score, score, atol=1e-5)
    assert len(score) > 1
    assert set(seen.frame) == {3}
    np.testing.assert_allclose(seen.vectors, describe(network, frame, seen.tlwh, SIZE), atol=1e-3)


def test_scenes_are_frames_in_order(network: JointNetwork, sample: Sample) -> None:
    frame, ticks = sample.pixels(), []
    blank = np.zeros_like(frame)
    whole = see_all([(1, blank), (4, frame)], network, SIZE, 0.3, progress=ticks.append)
    assert set(whole.frame) <= {4}
    assert ticks == [1, 1]
    assert len(see_all([], network).vectors) == 0
    with pytest.raises(InputError, match="frame 4 after frame 4; give each frame once, in ascending order"):
        see_all([(4, blank), (4, blank)], network, SIZE)


def test_weights_are_read_back_and_others_refused(network: JointNetwork, sample: Sample, tmp_path: Path) -> None:
    path = tmp_path / "joint.safetensors"
    save_weights(path, network.state_dict(), {})
    again = load_joint(path)
    boxes, frame = sample.tlwh, sample.pixels()
    np.testing.assert_allclose(describe(again, frame, boxes, SIZE), describe(network, frame, boxes, SIZE), atol=2e-3)
    save_weights(path, network.detector.state_dict(), {})
    with pytest.raises(InputError, match=r"joint\.safetensors.*yolov8n with an embedding branch"):
        load_joint(path)
    with pytest.raises(InputError, match="absent"):
        load_joint(tmp_path / "absent.safetensors")


def test_the_branch_is_seeded() -> None:
    first, same, other = (untrained_joint(seed=seed).branch[0].weight for seed in (0, 0, 1))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_batches_hold_people_from_several_frames_and_know_them() -> None:
    samples = painted(4)
    found = appearances(samples, TINY)
    assert [len(places) for places in found] == [4] * 5
    first, again = (draw_batch(samples, found, TINY, np.random.default_rng([0, 1])) for _ in range(2))
    assert torch.equal(first.identity, again.identity)
    assert torch.equal(first.detection["img"], again.detection["img"])
    assert first.detection["img"].shape == (TINY.batch, 3, 64, 64)
    assert len(first.boxes) == TINY.batch
    assert sum(map(len, first.boxes)) == len(first.identity) == len(first.detection["bboxes"])
    counts = np.bincount(first.identity.numpy(), minlength=5)
    assert (counts >= TINY.views).sum() >= TINY.people
    with pytest.raises(InputError, match="joint training: 0 people seen often enough, 2 are needed"):
        appearances(painted(1), TINY)


def test_people_hardly_visible_are_found_but_not_told_apart() -> None:
    hidden = [Sample(s.jpeg, s.xyxy, s.id, np.where(s.id < 3, 0.25, 0.9)) for s in painted(3)]
    found = appearances(hidden, TINY)
    assert len(found) == 2
    batch = draw_batch(hidden, found, TINY, np.random.default_rng(0))
    assert set(batch.identity.tolist()) <= {3, 4}
    assert len(batch.detection["bboxes"]) >= len(batch.identity)


def test_both_losses_reach_all_that_is_trained() -> None:
    samples = painted(4)
    model = training.Balanced(untrained_joint()).train().requires_grad_(True)
    detector = model.network.detector
    detector.args = training.SimpleNamespace(**training.GAINS, overlap_mask=False)
    batch = draw_batch(samples, appearances(samples, TINY), TINY, np.random.default_rng(0))
    boxes, identities = training.step_losses(model.network, detector.init_criterion(), batch, TINY)
    identities.backward(retain_graph=True)
    first = next(detector.parameters())
    assert model.network.branch[0].weight.grad.abs().sum() > 0
    assert first.grad.abs().sum() > 0, "identity teaches the detector's own layers: nothing is frozen"
    first.grad = None
    boxes.backward(retain_graph=True)
    assert first.grad.abs().sum() > 0
    total = model(boxes, identities)
    spread = torch.tensor([-1.85, -1.05])
    expected = 0.5 * ((-spread).exp() * torch.stack([boxes, identities]) + spread).sum()
    assert total.item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_run_moves_every_part_and_continues(tmp_path: Path) -> None:
    samples, path = painted(3), tmp_path / "joint.ckpt"
    lines: list[str] = []
    done = training.train_joint(samples, TINY, path, lambda _, text: lines.append(text), every=1)
    assert (done.steps, done.people) == (2, 5)
    assert len(lines) == len(done.curve) == 2
    assert "detection " in lines[0]
    assert "identity " in lines[0]
    before = untrained_joint().state_dict()
    moved = {k.split(".")[0] for k, v in done.network.state_dict().items() if not torch.equal(v, before[k])}
    assert moved == {"detector", "branch"}
    again = training.train_joint(samples, TINY, path)
    assert again.steps == 2
    for key, value in done.network.state_dict().items():
        torch.testing.assert_close(again.network.state_dict()[key], value)
    auc, same, other = training.held_out_auc(done.network, samples, SIZE)
    assert (same, other) == (10, 40)
    assert 0.0 <= auc <= 1.0
    frozen = training.frozen_aucs(samples, SIZE)
    assert set(frozen) == {*(f"AUC of frozen layer {k}" for k in (4, 9, 14)), "AUC of frozen layers together"}
    assert all(0.5 < value <= 1.0 for value in frozen.values())  # people of one colour each

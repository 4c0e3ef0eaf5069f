"""Trainers: budgets, crops whose boxes fit their pixels, runs that continue exactly, cards that say what was done."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import nn

from msfp.errors import InputError
from msfp.features.reid import OSNet
from shipped_weights import detector as detector_training
from shipped_weights import reid as reid_training
from shipped_weights.card import save_weights, write_card
from shipped_weights.crops import CropSettings, clip_targets, draw_crop, jitter
from shipped_weights.detector import DetectorRecipe, draw_batch, held_out_precision, train_detector
from shipped_weights.gallery import cut_gallery, draw_rows, vary
from shipped_weights.progress import Average, Budget, learning_rate, load_checkpoint, save_checkpoint
from shipped_weights.reid import ReidRecipe, contrast, held_out_auc, pairs_of, train_reid
from shipped_weights.samples import Sample, gather

SMALL = CropSettings(size=(64, 64), scales=(0.8, 1.2))


def painted(count: int = 6, people: int = 5) -> list[Sample]:
    """Frames of dark ground with bright upright boxes; person k is always of the same colour."""
    rng = np.random.default_rng(0)
    colours = rng.integers(120, 256, (people, 3))

    def frames():
        for _ in range(count):
            frame = np.full((180, 320, 3), 20, np.uint8)
            tlwh = []
            for k in range(people):
                left, top = 10 + 60 * k + rng.integers(0, 15), rng.integers(5, 80)
                frame[top : top + 80, left : left + 30] = colours[k]
                tlwh.append([left + 1.0, top + 1.0, 30, 80])
            yield frame, np.array(tlwh), np.arange(people), np.full(people, 0.9)

    return gather(frames())


def test_learning_rate_warms_up_and_falls() -> None:
    assert learning_rate(0.0, 1.0) == pytest.approx(0.02)
    assert learning_rate(0.03, 1.0) == pytest.approx(1.0)
    assert learning_rate(0.515, 1.0) == pytest.approx(0.51)
    assert learning_rate(1.0, 1.0) == pytest.approx(0.02)


def test_budget_is_what_runs_out_first() -> None:
    budget = Budget(10, 60)
    budget.resume(5, 0.0)
    assert budget.share == pytest.approx(0.5, abs=1e-3)
    budget.resume(5, 45 * 60.0)
    assert budget.share == pytest.approx(0.75, abs=1e-3)
    with pytest.raises(InputError, match="training needs a budget"):
        Budget(None, None)


def test_average_is_the_recursion() -> None:
    model = nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(0.0)
    average = Average(model, decay=0.5, warm=1.0)
    model.weight.data.fill_(1.0)
    expected = 0.0
    for step in (1, 2, 3):
        average.update(model)
        decay = 0.5 * (1 - math.exp(-step))
        expected = decay * expected + 1 - decay
    assert average.model.weight.item() == pytest.approx(expected, rel=1e-5)


def test_gather_refuses_what_does_not_fit_together() -> None:
    frame = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(InputError, match="training frame 1: 1 boxes, 2 ids, 1 visibilities"):
        gather([(frame, np.zeros((1, 4)), np.arange(2), np.ones(1))])
    with pytest.raises(InputError, match="no training frames"):
        gather([])


@pytest.mark.parametrize("seed", range(12))
def test_boxes_of_a_crop_lie_on_their_pixels(seed: int) -> None:
    settings = CropSettings(size=(320, 192), hue=0, saturation=0, value=0)
    sample = painted(1)[0]
    crop, targets = draw_crop(sample, settings, np.random.default_rng(seed))
    assert crop.shape == (192, 320, 3)
    assert crop.dtype == np.uint8
    bright = (crop.max(2) > 90) & (np.ptp(crop.astype(int), axis=2) + crop.min(2) != 114)
    for left, top, right, bottom in targets:
        inside = bright[round(top) + 2 : round(bottom) - 2, round(left) + 2 : round(right) - 2]
        assert inside.size == 0 or inside.mean() > 0.97
        edge = round(right) + 4
        if edge < 320 and not any(l - 6 < edge < r + 6 for l, _, r, _ in targets if r != right):  # noqa: E741
            assert not bright[round((top + bottom) / 2), edge] or edge > right + 8


def test_targets_are_cut_to_the_crop_and_dropped_when_mostly_outside() -> None:
    boxes = np.array([[-10.0, 0, 10, 20], [-18, 0, 2, 20], [10, 10, 12, 40], [0, 0, 64, 64]])
    np.testing.assert_array_equal(clip_targets(boxes, SMALL), [[0, 0, 10, 20], [0, 0, 64, 64]])
    assert clip_targets(np.zeros((0, 4)), SMALL).shape == (0, 4)


def test_jitter_keeps_shape_and_without_gains_keeps_flat_colours() -> None:
    still, crop = CropSettings(hue=0, saturation=0, value=0), np.full((32, 32, 3), (200, 80, 40), np.uint8)
    changes = [np.abs(jitter(crop, still, np.random.default_rng(i)).astype(int) - crop).max() for i in range(40)]
    assert np.mean(np.array(changes) <= 3) > 0.8  # the others were drawn grey
    strong = jitter(crop, CropSettings(), np.random.default_rng(1))
    assert strong.shape == crop.shape
    assert strong.dtype == np.uint8


def test_batches_repeat_and_hold_relative_boxes() -> None:
    samples, recipe = painted(), DetectorRecipe(batch=3, crop=SMALL)
    first, again = (draw_batch(samples, recipe, np.random.default_rng([0, 1])) for _ in range(2))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert first["img"].shape == (3, 3, 64, 64)
    assert len(first["cls"]) == len(first["bboxes"]) == len(first["batch_idx"])
    assert ((first["bboxes"] >= 0) & (first["bboxes"] <= 1)).all()


def test_a_continued_detector_run_equals_an_unbroken_one(tmp_path: Path) -> None:
    samples, path = painted(3), tmp_path / "state.ckpt"
    recipe = DetectorRecipe(crops=2, batch=1, crop=SMALL)
    lines: list[str] = []
    whole = train_detector(samples, recipe, report=lambda _, text: lines.append(text), every=1)
    # A killed run: the state after one of the two steps is what remains.
    kept = detector_training.save_checkpoint
    states: list[dict] = []
    try:
        detector_training.save_checkpoint = lambda file, state: states.append(
            {k: (torch.load(_copy(state, tmp_path), weights_only=True))[k] for k in state}
        )
        train_detector(samples, recipe, path, every=1)
    finally:
        detector_training.save_checkpoint = kept
    save_checkpoint(path, states[0])
    continued = train_detector(samples, recipe, path, every=1)
    assert continued.crops == whole.crops == 2
    assert len(lines) == 2
    for key, value in whole.model.state_dict().items():
        torch.testing.assert_close(continued.model.state_dict()[key], value)
    assert 0.0 <= held_out_precision(whole.model, samples[:1], (320, 192))[0] <= 1.0


def _copy(state: dict, folder: Path) -> Path:
    """The state as it is now: later steps change its tensors in place."""
    torch.save(state, folder / "copy.ckpt")
    return folder / "copy.ckpt"


def test_checkpoints_that_do_not_fit_are_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.ckpt"
    assert load_checkpoint(path) is None
    path.write_bytes(b"torn")
    with pytest.raises(InputError, match=r"broken\.ckpt: training checkpoint unreadable .* delete it to start over"):
        load_checkpoint(path)
    save_checkpoint(path, {"model": {}, "done": 1})
    with pytest.raises(InputError, match=r"broken\.ckpt: checkpoint of another model"):
        train_detector(painted(1), DetectorRecipe(crops=1, batch=1, crop=SMALL), path)


def test_contrast_is_the_loop() -> None:
    generator = torch.Generator().manual_seed(0)
    feature, label = torch.randn(8, 5, generator=generator), torch.tensor([0, 0, 0, 1, 1, 2, 2, 3])
    unit = nn.functional.normalize(feature)
    anchors = []
    for i in range(8):
        others = [j for j in range(8) if j != i]
        likeness = {j: math.exp((unit[i] @ unit[j]).item() / 0.2) for j in others}
        positives = [-math.log(likeness[j] / sum(likeness.values())) for j in others if label[j] == label[i]]
        if positives:
            anchors.append(sum(positives) / len(positives))
    assert contrast(feature, label, 0.2).item() == pytest.approx(sum(anchors) / len(anchors), rel=1e-4)


def test_reid_batches_hold_people_seen_together() -> None:
    gallery = cut_gallery(painted(4), 0.3, 24.0, people=3)
    assert gallery.crops.shape == (20, 128, 64, 3)
    assert set(gallery.label) == set(range(5))
    rows = draw_rows(gallery, 3, 4, np.random.default_rng(0))
    people = gallery.label[rows].reshape(3, 4)
    assert (people == people[:, :1]).all()
    assert len(set(people[:, 0])) == 3
    assert vary(gallery.crops[rows], np.random.default_rng(0)).shape == (12, 256, 128, 3)
    with pytest.raises(InputError, match="ReID training: 0 people seen often enough, 3 are needed"):
        cut_gallery(painted(1), 0.3, 24.0, people=3)


def test_pairs_are_reappearances_and_others_beside_them() -> None:
    samples = painted(3, people=4)
    pairs = list(pairs_of(samples, ReidRecipe(), 2, np.random.default_rng(0)))
    assert sum(same for *_, same in pairs) == 8
    assert sum(not same for *_, same in pairs) == 16
    for (frame, row), (later, other), same in pairs:
        assert later == frame + 1
        assert same == (samples[frame].id[row] == samples[later].id[other])


def test_a_reid_run_learns_painted_people() -> None:
    recipe = ReidRecipe(steps=2, identities=3, instances=2)
    trained = train_reid(painted(4), recipe)
    assert trained.identities == 5
    assert trained.steps == 2
    auc, positives, negatives = held_out_auc(trained.model, painted(3), recipe)
    assert 0.5 < auc <= 1.0
    assert (positives, negatives) == (10, 40)
    with pytest.raises(InputError, match="held-out frames hold no pairs"):
        held_out_auc(OSNet(), painted(1), recipe)


def test_saved_weights_are_half_precision_and_carry_metadata(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, {"a": torch.ones(3), "n": torch.tensor(2)}, {"seed": "0"})
    with safe_open(path, "pt") as file:
        assert file.metadata() == {"seed": "0"}
        assert file.get_tensor("a").dtype == torch.float16
        assert file.get_tensor("n").dtype == torch.int64
    assert sorted(tmp_path.iterdir()) == [tmp_path / "SHA256SUMS", path]


def test_cards_state_what_was_measured(tmp_path: Path) -> None:
    path = tmp_path / "w.md"
    recipes = detector_training.recipe_lines(DetectorRecipe()) | reid_training.recipe_lines(ReidRecipe())
    write_card(
        path, "w", "What it is.", {"AP@0.5": "0.9"}, {"worlds": "4"}, recipes, "python scripts/make_weights.py backbone"
    )
    text = path.read_text()
    for line in (
        "| AP@0.5 | 0.9 |",
        "| seed | 0 |",
        "| crop scales | (0.5, 1.5) |",
        "    python scripts/make_weights.py backbone",
        "AGPL-3.0",
    ):
        assert line in text

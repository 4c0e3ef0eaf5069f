"""The plain definitions of the notebooks equal what every run uses."""

import sys
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

import msfp
from msfp.config import FusionSettings, TrainingSettings
from msfp.experiment.clip import as_detections
from msfp.experiment.thresholds import plateau_middle
from msfp.features.pooling import align_with_torchvision, axis_weights
from msfp.heads.training import fit_fusion
from msfp.heads.triplets import Labels, triplet_loss
from msfp.metrics.oracle import oracle_tracks
from msfp.tracking.thresholds import smooth
from msfp.types import Detections, GroundTruth

sys.path.insert(0, str(Path(__file__).parent))  # tests are no package
import plain as cells

SEEDS = st.integers(0, 2**32 - 1)


@cache
def notebook(number: str, *constants: str) -> SimpleNamespace:
    return cells.plain(number, *constants)


def walkers(seed: int, people: int, frames: int) -> pd.DataFrame:
    """Labels of people who come, walk, and are missed now and then; frame, id, x, y, w, h."""
    rng = np.random.default_rng(seed)
    rows = []
    for identity in range(1, people + 1):
        first, last = sorted(rng.integers(1, frames + 1, 2))
        place, pace, size = rng.uniform(0, 200, 2), rng.normal(0, 4, 2), rng.uniform((20, 50), (50, 110))
        for frame in range(first, last + 1):
            if rng.random() < 0.85:
                rows.append((frame, identity, *(place + frame * pace + rng.normal(0, 1.5, 2)), *size))
    found = pd.DataFrame(rows, columns=["frame", "id", "x", "y", "w", "h"])
    return found.sort_values(["frame", "id"], kind="stable").reset_index(drop=True)


def detected(labels: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Boxes of a detector: of most people, with noise, and some of nobody."""
    rng = np.random.default_rng(seed)
    boxes = labels[["frame", "x", "y", "w", "h"]].to_numpy(float)
    boxes = boxes[rng.random(len(boxes)) < 0.9]
    boxes[:, 1:] += rng.normal(0, 1.5, boxes[:, 1:].shape)
    boxes[:, 3:] = np.maximum(boxes[:, 3:], 5)
    ghosts = np.column_stack([rng.integers(1, 20, 12), rng.uniform(0, 200, (12, 2)), rng.uniform(10, 60, (12, 2))])
    boxes = np.concatenate([boxes, ghosts])
    boxes = boxes[np.argsort(boxes[:, 0], kind="stable")]
    x, y, w, h = boxes[:, 1:].T
    score = rng.choice([0.05, 0.3, 0.55, 0.65, 0.72, 0.95], len(boxes)) + rng.uniform(0, 0.01, len(boxes))
    columns = {"frame": boxes[:, 0].astype(int), "x1": x, "y1": y, "x2": x + w, "y2": y + h}
    return pd.DataFrame({**columns, "score": score.astype(np.float32)})


@given(SEEDS, st.integers(2, 9), st.integers(2, 40), st.integers(1, 30))
def test_pairs(seed: int, people: int, frames: int, gap: int) -> None:
    boxes = walkers(seed, people, frames)
    found = notebook("02").pairs_of(boxes, max_gap=gap)
    try:
        fast = msfp.pairs(boxes.frame.to_numpy(), boxes.id.to_numpy(), max_gap=gap)
    except msfp.NotComputable:
        assert not found.same.any() or boxes.id.nunique() == 1
        return
    positives = found[found.same]
    assert set(zip(positives.i, positives.j, strict=True)) == set(
        zip(fast.i[fast.same], fast.j[fast.same], strict=True)
    )
    others = found[~found.same]
    assert (boxes.id.to_numpy()[others.i] != boxes.id.to_numpy()[others.j]).all()
    rows = np.random.default_rng(seed).normal(size=(len(boxes), 8))
    sim = notebook("02").cosine(rows, fast)
    assert msfp.reid(rows, boxes, max_gap=gap)["auc"] == pytest.approx(roc_auc_score(fast.same, sim), abs=1e-6)


@given(SEEDS, st.integers(2, 6), st.integers(2, 5), st.floats(0, 1))
def test_triplet_loss(seed: int, persons: int, instances: int, margin: float) -> None:
    rng = np.random.default_rng(seed)
    rows = torch.nn.functional.normalize(torch.from_numpy(rng.normal(size=(persons, instances, 6))), dim=-1)
    count = torch.from_numpy(rng.integers(2, instances + 1, persons))
    slot = torch.arange(instances).expand(persons, instances)
    rows = rows.gather(1, (slot % count[:, None])[..., None].expand_as(rows))  # the others repeat these
    kept = slot < count[:, None]
    mine = notebook("03").triplet(rows[kept], kept.nonzero()[:, 0], margin)
    theirs = triplet_loss(rows, count, margin, "all")
    assert torch.allclose(mine[0], theirs[0], atol=1e-12)
    assert torch.allclose(mine[1].double(), theirs[1].double(), atol=1e-9)


@pytest.mark.parametrize("own_loss", [False, True])
def test_training_loop(own_loss: bool) -> None:
    """The loop of the notebook, the package's, and the package's with the notebook's loss."""
    rng = np.random.default_rng(0)
    identity = np.repeat(np.arange(12), 6)
    labels = Labels(np.zeros(72, np.int64), np.tile(np.arange(6), 12).astype(np.int64), identity)
    layers = {4: rng.normal(size=(72, 8)).astype(np.float16), 9: rng.normal(size=(72, 12)).astype(np.float16)}
    config, fusion = TrainingSettings(epochs=4, learning_rate=1e-3), FusionSettings(width=16)
    loop = notebook("03")
    torch.manual_seed(3)
    head = msfp.make_head("attention-instance", {4: 8, 9: 12}, fusion)
    curve = loop.train(head, layers, labels, config, seed=3)
    loss = loop.triplet if own_loss else None
    (fast,) = fit_fusion("attention-instance", layers, labels, fusion, config, (3,), loss=loss)
    assert np.allclose(curve.loss, fast.loss, atol=1e-5)
    assert np.allclose(curve["inside the margin"], fast.active, atol=1e-5)
    for name, value in head.state_dict().items():
        assert np.allclose(value.numpy(), fast.state[name], atol=1e-4), name


@given(SEEDS, st.integers(1, 9), st.integers(2, 40), st.sampled_from([0.6, 0.5]), st.sampled_from([5, 30]))
def test_two_stage_tracker(seed: int, people: int, frames: int, high: float, buffer: int) -> None:
    found = detected(walkers(seed, people, frames), seed)
    mine = notebook("05", "P", "V", "F", "H").track(found, high=high, low=0.1, buffer=buffer)
    fast = msfp.track("bytetrack", found, thresholds=(high, 0.1), buffer=buffer, fps=30)
    assert mine[["frame", "id"]].to_numpy().tolist() == fast[["frame", "id"]].to_numpy().tolist()
    assert np.allclose(mine.drop(columns="score"), fast.drop(columns="score"), atol=1e-6)


@given(SEEDS, st.floats(-20, 60), st.floats(-20, 60), st.floats(0.5, 80), st.floats(0.5, 80))
def test_roi_align(seed: int, x: float, y: float, w: float, h: float) -> None:
    grid = np.random.default_rng(seed).normal(size=(3, 7, 9))
    corners, definition = np.array([x, y, x + w, y + h]), notebook("01")
    for low, high, length in ((x, x + w, 9), (y, y + h, 7)):  # at the very edge rounding decides what is beyond it
        places = definition.places(low / 8, high / 8)
        assume(min(np.abs(places + 1).min(), np.abs(places - length).min()) > 1e-4)
    mine = definition.roi_align_mean(grid, corners, 8)
    part = SimpleNamespace(map=torch.from_numpy(grid).float()[None], upsample=1)
    theirs = align_with_torchvision(part, corners[None], 8).mean(dim=(2, 3))[0].numpy()
    assert np.allclose(mine, theirs, atol=1e-4)
    first, count, weight = axis_weights(corners[None, 0] / 8, corners[None, 2] / 8, 9, 1, "roi_align")
    across = np.zeros(9)
    across[first[0] : first[0] + count[0]] = weight[0, : count[0]]
    assert np.allclose(definition.weights_of(x / 8, (x + w) / 8, 9), across, atol=1e-6)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30))
def test_middle_of_the_first_plateau(heights: list[int]) -> None:
    curve = pd.Series(np.float64(heights), index=np.arange(len(heights)) / 100)
    grid = curve.index.to_numpy(np.float32)[:, None]
    assert notebook("04").middle_of_plateau(curve) == pytest.approx(plateau_middle(grid, curve.to_numpy())[0])


@given(st.lists(st.floats(0.01, 0.5), min_size=1, max_size=60), st.floats(0, 1))
def test_smoothing(raw: list[float], beta: float) -> None:
    assert np.allclose(notebook("04").ema(np.array(raw), beta), smooth(raw, "ema", beta), atol=1e-5)


@given(SEEDS, st.integers(1, 9), st.integers(2, 25))
def test_recall_ceiling(seed: int, people: int, frames: int) -> None:
    labels = walkers(seed, people, frames)
    found = detected(labels, seed)
    clip = SimpleNamespace(detections=lambda _: found, labels=lambda: labels)
    if labels.empty:
        return
    mine = notebook("00").oracle(clip, "SDP")
    ones = np.ones(len(labels), np.float32)
    truth = GroundTruth(
        labels.frame.to_numpy(np.int32), labels.id.to_numpy(np.int32), labels[["x", "y", "w", "h"]].to_numpy(float),
        ones, ones.astype(np.int32), ones,
    )  # fmt: skip
    boxes: Detections = as_detections(found)
    theirs = oracle_tracks(truth, boxes)
    assert sorted(zip(mine.frame, mine.id, mine.x1, strict=True)) == pytest.approx(
        sorted(zip(theirs.frame, theirs.id, theirs.tlwh[:, 0], strict=True))
    )

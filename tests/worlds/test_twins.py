"""Statistical twins: invariants on made-up labels, nearness to the real detectors on real ones."""

from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from scipy.optimize import linear_sum_assignment

from msfp.data.motchallenge import read_detections, read_ground_truth, read_sequence
from msfp.errors import InputError
from msfp.types import DETECTORS, Detections, GroundTruth, frame_bounds
from msfp.worlds import public_detections

RANGES = {"DPM": (-0.5, 4.8), "FRCNN": (0.05, 1.0), "SDP": (0.4, 1.0)}


def truth_of(frame: Any, identity: Any, tlwh: Any, visibility: Any = 1.0, category: int = 1) -> GroundTruth:
    """Labels of one class; flag 1 for pedestrians only, as MOT17 has it."""
    n = len(frame)
    return GroundTruth(
        np.asarray(frame, np.int32),
        np.asarray(identity, np.int32),
        np.asarray(tlwh, float).reshape(n, 4),
        np.full(n, float(category == 1), np.float32),
        np.full(n, category, np.int32),
        np.full(n, visibility, np.float32),
    )


def standing(
    people: int, frames: int, tall: float, visibility: float, category: int = 1, strangers: bool = False
) -> GroundTruth:
    """People who stand side by side in all frames of a 6400 x 360 world; `tall` is in image heights.

    With `strangers` every frame shows other people, so that each row is an independent draw.
    """
    frame = np.repeat(np.arange(1, frames + 1), people)
    place = np.tile(np.arange(people), frames)
    high = 360 * tall
    left = 100 + 6000 * place / people
    boxes = np.stack([left, np.full(len(frame), 20.0), np.full(len(frame), 0.4 * high), np.full(len(frame), high)], 1)
    return truth_of(frame, place + 1 + people * frame * strangers, boxes, visibility, category)


def found_people(gt: GroundTruth, found: Detections, step: int = 1) -> np.ndarray:
    """(N,) labels of every step-th frame that have a detection with IoU >= 0.5, as many as possible per frame."""
    hit = np.zeros(len(gt), bool)
    length = int(max(gt.frame.max(initial=0), found.frame.max(initial=0)))
    rows, dets = frame_bounds(gt.frame, length), frame_bounds(found.frame, length)
    for t in range(0, length, step):
        a = np.arange(rows[t], rows[t + 1])[gt.pedestrian[rows[t] : rows[t + 1]]]
        b = np.arange(dets[t], dets[t + 1])
        truth, box = gt.tlwh[a][:, None], found.tlwh[b][None]
        meet = np.minimum(truth[..., :2] + truth[..., 2:], box[..., :2] + box[..., 2:])
        shared = np.prod(np.maximum(meet - np.maximum(truth[..., :2], box[..., :2]), 0), -1)
        overlap = shared / (truth[..., 2] * truth[..., 3] + box[..., 2] * box[..., 3] - shared)
        i, j = linear_sum_assignment((overlap >= 0.5) + overlap / 1000, maximize=True)
        hit[a[i[overlap[i, j] >= 0.5]]] = True
    return hit


def recall(detector: str, tall: float, visibility: float, blur: float = 0.0) -> float:
    """Share of 1 200 independent people found by a twin."""
    gt = standing(30, 40, tall, visibility, strangers=True)
    return float(
        found_people(gt, public_detections.detect(gt, 6400, 360, blur, detector, np.random.default_rng(5))).mean()
    )


@pytest.mark.parametrize("detector", DETECTORS)
def test_same_generator_gives_same_detections(detector: str) -> None:
    gt = standing(12, 40, 0.3, 0.8)
    first, again, other = (
        public_detections.detect(gt, 640, 360, 0.1, detector, np.random.default_rng(s)) for s in (1, 1, 2)
    )
    for name in ("frame", "tlwh", "score"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert len(first) != len(other) or not np.array_equal(first.tlwh, other.tlwh)


@pytest.mark.parametrize("detector", DETECTORS)
def test_without_labels_there_are_no_detections(detector: str) -> None:
    found = public_detections.detect(truth_of([], [], []), 640, 360, 0.0, detector, np.random.default_rng(0))
    assert len(found) == 0
    assert found.tlwh.shape == (0, 4)


@pytest.mark.parametrize("detector", DETECTORS)
def test_frames_without_people_get_background_only(detector: str) -> None:
    gt = truth_of([400], [1], [[300, 100, 40, 100]])
    found = public_detections.detect(gt, 640, 360, 0.0, detector, np.random.default_rng(3))
    assert found.frame.max(initial=0) <= 400
    assert np.count_nonzero(found.frame < 400) < 400


@pytest.mark.parametrize("detector", DETECTORS)
def test_rows_of_other_classes_are_not_seen(detector: str) -> None:
    seen = []
    for category in (3, 7, 1):  # car, person standing still, pedestrian
        gt = standing(30, 40, 0.2, 0.6, category, strangers=True)
        seen.append(len(public_detections.detect(gt, 6400, 360, 0.0, detector, np.random.default_rng(0))))
    assert seen[0] < 20  # some background, no box per car
    assert seen[1] < seen[2]


@pytest.mark.parametrize("detector", DETECTORS)
def test_larger_and_more_visible_people_are_found_more_often_and_blur_hides_them(detector: str) -> None:
    by_height = [recall(detector, tall, 0.55) for tall in (0.06, 0.12, 0.25)]
    assert by_height[0] < by_height[1] < by_height[2]
    by_visibility = [recall(detector, 0.25, visible) for visible in (0.0, 0.4, 0.9)]
    assert by_visibility[0] + 0.1 < by_visibility[1] < by_visibility[2] - 0.2
    assert (
        recall(detector, 0.2, 0.5, blur=1.0) < recall(detector, 0.2, 0.5, blur=0.5) < recall(detector, 0.2, 0.5) - 0.04
    )


@pytest.mark.parametrize("detector", DETECTORS)
def test_people_who_stand_out_less_are_found_less_often_and_with_lower_scores(detector: str) -> None:
    gt = standing(60, 40, 0.12, 0.6, strangers=True)
    usual, rng = public_detections.fitted()["picture"]["usual"], np.random.default_rng
    recall, score, empty = [], [], []
    for clear in (usual + 0.5, usual, usual - 1.3):
        found = public_detections.detect(gt, 6400, 360, 0.0, detector, rng(5), np.full(len(gt), clear))
        recall.append(found_people(gt, found).mean())
        score.append(np.mean(found.score))
        nobody = truth_of(gt.frame, gt.id, gt.tlwh, category=8)  # counted as look-alikes: most boxes are background
        empty.append(len(public_detections.detect(nobody, 6400, 360, 0.0, detector, rng(5), np.full(len(gt), clear))))
    assert recall[0] > recall[1] > recall[2] + 0.03
    assert score[0] > score[1] > score[2]
    assert empty[1] > empty[2]
    same = public_detections.detect(gt, 6400, 360, 0.0, detector, rng(5))
    known = public_detections.detect(gt, 6400, 360, 0.0, detector, rng(5), np.full(len(gt), usual))
    assert np.array_equal(same.score, known.score)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(-3, 3)), min_size=1, max_size=8))
def test_moved_scores_keep_to_their_range_and_order(given: list[tuple[float, float]]) -> None:
    value, shift = (np.array(column) for column in zip(*given, strict=True))
    out = public_detections.moved(value, shift)
    assert ((out >= 0) & (out <= 1)).all()
    assert (np.sign(out - value) * np.sign(shift) >= 0).all()
    assert public_detections.moved(np.array([-0.4, 2.5]), np.zeros(2)).tolist() == [-0.4, 2.5]
    assert public_detections.moved(np.array([0.5]), np.array([np.log(3)])) == pytest.approx([0.75])


@pytest.mark.parametrize("detector", DETECTORS)
def test_misses_come_in_runs(detector: str) -> None:
    gt = standing(60, 150, 0.2, 0.5)
    missed = ~found_people(
        gt, public_detections.detect(gt, 6400, 360, 0.0, detector, np.random.default_rng(2))
    ).reshape(150, 60)
    assert missed[1:][missed[:-1]].mean() > missed.mean() + 0.2


def test_latents_are_unit_normals_with_the_stated_correlation() -> None:
    time = {"fixed": 0.3, "slow": 0.4, "rho_slow": 0.95, "fast": 0.2, "rho_fast": 0.5}
    gt = standing(2500, 12, 0.1, 1.0)
    targets = public_detections.Targets(gt.frame, gt.id, gt.tlwh, gt.tlwh, np.zeros((len(gt), 3)), np.zeros(len(gt)))
    z = public_detections.latent(time, targets, 2, np.random.default_rng(0)).reshape(12, 2500, 2)
    assert abs(z.mean()) < 0.05
    for lag in (0, 1, 5, 10):
        expected = 1.0 if lag == 0 else 0.3 + 0.4 * 0.95**lag + 0.2 * 0.5**lag
        assert np.mean(z[: 12 - lag] * z[lag:]) == pytest.approx(expected, abs=0.04)
    assert abs(np.mean(z[..., 0] * z[..., 1])) < 0.04


def test_a_gap_in_the_labels_ages_the_latent() -> None:
    time = {"fixed": 0.0, "slow": 1.0, "rho_slow": 0.95, "fast": 0.0, "rho_fast": 0.5}
    frame, identity = np.repeat([3, 4, 24], 4000), np.tile(np.arange(4000), 3)
    blank = np.ones((12000, 4))
    targets = public_detections.Targets(
        frame.astype(np.int32), identity.astype(np.int32), blank, blank, np.zeros((12000, 3)), np.zeros(12000)
    )
    z = public_detections.latent(time, targets, 1, np.random.default_rng(0)).reshape(3, 4000)
    assert np.mean(z[0] * z[1]) == pytest.approx(0.95, abs=0.05)
    assert np.mean(z[1] * z[2]) == pytest.approx(0.95**20, abs=0.05)


@pytest.mark.parametrize("detector", DETECTORS)
@given(data=st.data())
def test_any_labels_give_proper_detections(detector: str, data: st.DataObject) -> None:
    n = data.draw(st.integers(0, 30))
    number = st.floats(-3000, 3000, allow_nan=False)
    side = st.floats(0.01, 4000)
    frame = sorted(data.draw(st.lists(st.integers(1, 60), min_size=n, max_size=n)))
    boxes = data.draw(st.lists(st.tuples(number, number, side, side), min_size=n, max_size=n))
    gt = truth_of(frame, np.arange(n) % 7, boxes, data.draw(st.floats(0, 1)))
    width, height = data.draw(st.integers(1, 2000)), data.draw(st.integers(1, 2000))
    found = public_detections.detect(gt, width, height, data.draw(st.floats(0, 1)), detector, np.random.default_rng(0))
    low, high = np.float32(RANGES[detector])
    assert np.isfinite(found.tlwh).all()
    assert (found.tlwh[:, 2:] > 0).all()
    assert ((found.score >= low) & (found.score <= high)).all()
    assert ((found.frame >= 1) & (found.frame <= max(frame, default=0))).all()
    right = found.tlwh[:, :2] + found.tlwh[:, 2:]
    assert (found.tlwh[:, :2] < (width + 1, height + 1)).all()
    assert (right > 1).all()
    if detector == "FRCNN":
        assert (found.tlwh[:, :2] >= 1).all()
        assert (right <= np.array([width + 1, height + 1]) + 1e-6).all()


def test_a_clearness_for_each_label() -> None:
    with pytest.raises(InputError, match="clear: 1 values beside 12 labels; give one for each"):
        public_detections.detect(standing(3, 4, 0.3, 1.0), 640, 360, 0.0, "SDP", np.random.default_rng(0), np.ones(1))


def test_values_have_the_digits_of_the_real_files() -> None:
    gt = standing(20, 30, 0.3, 0.9)
    dpm, frcnn, sdp = (
        public_detections.detect(gt, 640, 360, 0.0, name, np.random.default_rng(0)) for name in DETECTORS
    )
    assert all(float(f"{v:.5g}") == pytest.approx(v, abs=1e-9) for v in dpm.tlwh.ravel())
    np.testing.assert_allclose(frcnn.tlwh, np.round(frcnn.tlwh, 1), atol=1e-9)
    np.testing.assert_array_equal(sdp.tlwh[:, :2], np.round(sdp.tlwh[:, :2]))
    np.testing.assert_allclose(sdp.score, np.round(sdp.score, 3), atol=1e-6)
    assert np.mean(frcnn.score == 1) > 0.3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((640, 360, 0.0, "YOLO"), "detector 'YOLO' has no statistical twin: use one of DPM, FRCNN, SDP"),
        ((0, 360, 0.0, "SDP"), "image size 0 x 360 has no area: give width and height in pixels, at least 1"),
        ((640, 360, 1.5, "SDP"), r"blur 1.5 is outside \[0, 1\]: 0 is sharp, 1 strongly blurred"),
    ],
)
def test_wrong_arguments_are_refused(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        public_detections.detect(truth_of([], [], []), *arguments, np.random.default_rng(0))


@pytest.mark.real
@pytest.mark.parametrize("detector", DETECTORS)
def test_twins_are_near_the_real_detectors(detector: str, shared: Path) -> None:
    """Recall within 5 points, score quantiles within 0.1 of the score range, four sequences together."""
    rows: list[tuple[Any, ...]] = []
    for folder in sorted((shared / "mot17-dev" / "train").glob(f"*-{detector}")):
        sequence = read_sequence(folder, "mot17", "train")
        gt = read_ground_truth(folder / "gt" / "gt.txt", sequence)
        real = read_detections(folder / "det" / "det.txt", sequence)
        rng = np.random.default_rng(17)
        twin = public_detections.detect(gt, sequence.width, sequence.height, 0.0, detector, rng)
        rows.append(
            (folder.name, found_people(gt, real)[gt.pedestrian], found_people(gt, twin)[gt.pedestrian], real, twin)
        )
    assert len(rows) == 4
    report = "\n".join(
        f"{name}: recall {a.mean():.3f} real, {b.mean():.3f} twin; boxes {len(real)} real, {len(twin)} twin"
        for name, a, b, real, twin in rows
    )
    recalls = [np.concatenate([row[k] for row in rows]).mean() for k in (1, 2)]
    assert abs(recalls[0] - recalls[1]) <= 0.05, f"{recalls}\n{report}"
    levels = (0.1, 0.25, 0.5, 0.75, 0.9)
    quantiles = [np.quantile(np.concatenate([row[k].score for row in rows]), levels) for k in (3, 4)]
    low, high = RANGES[detector]
    assert np.abs(quantiles[0] - quantiles[1]).max() <= 0.1 * (high - low), f"{quantiles}\n{report}"

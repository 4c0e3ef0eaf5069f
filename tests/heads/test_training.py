"""Loss, batches and training against definitions."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from msfp.config import AtlSettings, FusionSettings, TrainingSettings
from msfp.errors import NotComputable
from msfp.heads.apply import embed, predict, restore_head
from msfp.heads.fusion import make_head
from msfp.heads.loss import batch_hard_triplet
from msfp.heads.sampling import Batches, Labels, groups
from msfp.heads.tasks import FusionSteps, ThresholdSteps
from msfp.heads.threshold import SceneEncoder
from msfp.heads.training import fit_fusion, fit_jointly, fit_threshold

CHANNELS = {4: 8, 9: 16, 14: 12}
FUSION = FusionSettings(width=16, concat_width=16, se_reduction=4)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def people(count: int = 12, frames: int = 20, seed: int = 0) -> tuple[dict[int, np.ndarray], Labels]:
    """Boxes whose features are their identity's mean plus noise."""
    rng = np.random.default_rng(seed)
    identity = np.repeat(np.arange(count), frames)
    frame = np.tile(np.arange(1, frames + 1), count)
    means = {k: rng.random((count, c)) for k, c in CHANNELS.items()}
    layers = {
        k: (m[identity] + 0.3 * rng.random((len(identity), m.shape[1]))).astype(np.float16) for k, m in means.items()
    }
    return layers, Labels(identity % 2, frame, identity)


@settings(max_examples=30, deadline=None)
@given(persons=st.integers(2, 5), instances=st.integers(2, 4), seed=st.integers(0, 999), margin=st.floats(0, 1))
def test_triplet_loss_is_the_naive_loop(persons: int, instances: int, seed: int, margin: float) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(persons * instances, 6))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    person = np.repeat(np.arange(persons), instances)
    terms = []
    for a in range(len(rows)):
        distance = 1 - rows @ rows[a]
        positive = max(distance[p] for p in range(len(rows)) if person[p] == person[a] and p != a)
        negative = min(distance[n] for n in range(len(rows)) if person[n] != person[a])
        terms.append(max(0.0, positive - negative + margin))
    loss, active = batch_hard_triplet(torch.from_numpy(rows), torch.from_numpy(person), margin)
    assert loss.item() == pytest.approx(np.mean(terms))
    assert active.item() == pytest.approx(np.mean(np.array(terms) > 0))


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 80), st.integers(0, 6)), max_size=120, unique=True),
    seed=st.integers(0, 99),
    scope=st.sampled_from(["scene", "any"]),
)
def test_batches_keep_their_promises(rows: list[tuple[int, int, int]], seed: int, scope: str) -> None:
    scene, frame, identity = (np.array(c, np.int64) for c in (zip(*rows, strict=True) if rows else ([], [], [])))
    labels = Labels(scene, frame, identity)
    config = TrainingSettings(identities=3, instances=2, window=30, scope=scope)
    seen: set[tuple[int, int]] = set()
    for index, person in Batches(labels, config).epoch(np.random.default_rng(seed)):
        assert len(index) == len(person)
        for one in np.unique(person):
            mine = index[person == one]
            assert len(mine) == config.instances
            assert len(set(zip(scene[mine], identity[mine], strict=True))) == 1
            assert len(set((frame[mine] - 1) // 30)) == 1
            assert len(set(mine)) == len(mine), "two boxes suffice for two instances"
            seen.add((int(one), int((frame[mine[0]] - 1) // 30)))
        assert 2 <= len(np.unique(person)) <= config.identities
        if scope == "scene":
            assert len(set(scene[index])) == 1
    wanted = groups(labels, 30)
    persons = [person for person, _ in wanted]
    of_scene = {p: scene[rows[0]] if scope == "scene" else 0 for p, rows in wanted}
    lonely = [p for p in persons if sum(o == of_scene[p] for o in of_scene.values()) < 2]
    assert len(seen) == len(wanted) - len(lonely), "an epoch shows every person in every window"


@pytest.mark.parametrize("strategy", ["single", "concat", "attention-instance", "se-two-stage"])
def test_training_separates_people_and_repeats_exactly(strategy: str) -> None:
    layers, labels = people()
    config = TrainingSettings(epochs=15, learning_rate=3e-3)
    first, other = fit_fusion(strategy, layers, labels, FUSION, config, (1, 2))
    again, _ = fit_fusion(strategy, layers, labels, FUSION, config, (1, 2))
    assert all(np.array_equal(v, again.state[k]) for k, v in first.state.items())
    assert not np.array_equal(first.loss, other.loss)
    assert first.loss[-1] < 0.8 * first.loss[0]
    embedded = embed(restore_head(strategy, CHANNELS, first.state, FUSION), layers)
    assert embedded.shape[0] == len(labels.frame)


def test_training_free_heads_come_back_as_they_are() -> None:
    layers, labels = people()
    (result,) = fit_fusion("native", layers, labels, FUSION, TrainingSettings(), (0,))
    assert result.state == {}
    assert len(result.loss) == 0


def test_nobody_to_learn_from() -> None:
    layers, labels = people(count=1)
    with pytest.raises(NotComputable, match="two people seen twice"):
        fit_fusion("single", layers, labels, FUSION, TrainingSettings(), (0,))


@pytest.mark.parametrize("mode", ["single", "dual", "offset"])
def test_threshold_stays_in_bounds_and_learns(mode: str) -> None:
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 2, 200)
    scene = (kind[:, None] + 0.1 * rng.random((200, 12))).astype(np.float16)
    target = np.where(kind, 0.4, 0.1)[:, None].astype(np.float32)
    if mode == "dual":
        target = np.concatenate([target, target / 2], axis=1)
    atl = AtlSettings(weight_decay=0.0)
    (result,) = fit_threshold(mode, scene, target, atl, TrainingSettings(epochs=60, learning_rate=5e-3), (0,))
    tau = predict(mode, scene, result.state, atl)
    assert tau.shape == target.shape
    assert tau.min() >= atl.tau_min
    assert tau.max() <= atl.tau_max
    assert np.abs(tau - target).mean() < 0.05
    if mode == "dual":
        assert (tau[:, 1] <= tau[:, 0]).all()


def test_standardised_inputs_learn_what_raw_ones_are_too_small_for() -> None:
    """GAP vectors of two kinds of scene, 0.02 apart as a real detector's are: 60 epochs at the paper's rate."""
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 2, 200)
    scene = (0.05 + 0.02 * kind[:, None] + 0.001 * rng.random((200, 12))).astype(np.float16)
    scene[:, 3] = 0.25  # a channel that never changes
    target = np.where(kind, 0.4, 0.1)[:, None].astype(np.float32)
    training = TrainingSettings(epochs=60, learning_rate=1e-3)
    error = {}
    for way in ("raw", "standardised"):
        atl = AtlSettings(input=way)
        state = fit_threshold("single", scene, target, atl, training, (0,))[0].state
        error[way] = float(np.abs(predict("single", scene, state, atl) - target).mean())
        expected = scene.astype(np.float32).mean(0) if way == "standardised" else np.zeros(12)
        np.testing.assert_allclose(state["shift"], expected, atol=1e-6)
        assert state["scale"][3] == 1
    assert error["standardised"] < 0.5 * error["raw"]


def test_scene_encoder_has_the_papers_parameters() -> None:
    def count(mode: str) -> int:
        return sum(p.numel() for p in SceneEncoder(192, mode, AtlSettings()).parameters())

    assert count("single") == 12417
    assert count("dual") - count("single") == 65


def test_joint_training_decouples() -> None:
    """The gradient of the summed loss is each loss's own: nothing is shared, so joint training is only more epochs."""
    layers, labels = people()
    rng = np.random.default_rng(0)
    scene, target = rng.random((40, 12)).astype(np.float16), rng.random((40, 1)).astype(np.float32) / 2
    atl, training = AtlSettings(dropout=0.0), TrainingSettings(joint_epochs=3)

    def build() -> tuple[FusionSteps, dict[str, ThresholdSteps]]:
        heads, encoders = [], []
        for seed in (5, 6):
            torch.manual_seed(seed)
            heads.append(make_head("attention-instance", CHANNELS, FUSION))
            encoders.append(SceneEncoder(12, "single", atl))
        steps = FusionSteps(heads, layers, labels, training, (5, 6))
        return steps, {"SDP": ThresholdSteps(encoders, scene, target, (5, 6))}

    found = fit_jointly(*build())
    steps, _ = build()
    optimiser = torch.optim.Adam(steps.heads.parameters(), lr=training.learning_rate, fused=True)
    for _ in range(3):
        steps.epoch(optimiser)
    for (joint, thresholds), alone in zip(found, steps.heads.states(), strict=True):
        assert len(thresholds["SDP"].loss) == len(joint.loss) == 3
        for name, value in alone.items():
            np.testing.assert_allclose(joint.state[name], value, rtol=1e-6, atol=1e-7)

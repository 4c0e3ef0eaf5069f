"""Loss, batches and training against definitions."""

from collections.abc import Iterator
from itertools import combinations, pairwise, zip_longest

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import mse_loss

from msfp.config import AtlSettings, FusionSettings, TrainingSettings
from msfp.errors import NotComputable
from msfp.heads.fusion import make_head
from msfp.heads.threshold import SceneEncoder
from msfp.heads.training import embed, fit_fusion, fit_threshold, predict, restore_head
from msfp.heads.triplets import Batches, FusionSteps, Labels, as_arrays, take_step, triplet_loss
from msfp.heads.triplets import people as people_of

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


@given(
    counts=st.lists(st.integers(2, 4), min_size=2, max_size=5),
    batches=st.integers(1, 3),
    seed=st.integers(0, 999),
    margin=st.floats(0, 1),
    positives=st.sampled_from(["all", "hardest"]),
)
def test_triplet_loss_is_the_naive_loop(
    counts: list[int], batches: int, seed: int, margin: float, positives: str
) -> None:
    """Rows that repeat a detection are no anchors and no positives; as negatives they change nothing."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(batches, len(counts), 4, 6))
    rows /= np.linalg.norm(rows, axis=-1, keepdims=True)
    for person, count in enumerate(counts):
        rows[:, person, count:] = rows[:, person, : 4 - count]
    count = torch.tensor(counts).expand(batches, -1)
    found, active = triplet_loss(torch.from_numpy(rows), count, margin, positives)
    for batch, loss, share in zip(rows, found, active, strict=True):
        boxes = [(person, batch[person, k]) for person, n in enumerate(counts) for k in range(n)]
        terms, inside = [], []
        for a, (who, anchor) in enumerate(boxes):
            nearest = min(1 - anchor @ other for person, other in boxes if person != who)
            own = [1 - anchor @ other for p, (person, other) in enumerate(boxes) if person == who and p != a]
            each = [max(0.0, d - nearest + margin) for d in ([max(own)] if positives == "hardest" else own)]
            terms.append(np.mean(each))
            inside.append(np.mean(np.array(each) > 0))
        assert loss.item() == pytest.approx(np.mean(terms))
        assert share.item() == pytest.approx(np.mean(inside), abs=1e-6)


def test_triplets_of_the_farthest_positive_weigh_more() -> None:
    rows = torch.nn.functional.normalize(torch.randn(4, 4, 8, generator=torch.Generator().manual_seed(0)), dim=-1)
    mean, hardest = (triplet_loss(rows, torch.full((4,), 4), 0.3, way)[0].item() for way in ("all", "hardest"))
    assert mean < hardest


boxes_of_people = st.lists(
    st.tuples(st.integers(0, 2), st.integers(1, 80), st.integers(0, 6)), max_size=120, unique=True
)


def labels_of(rows: list[tuple[int, int, int]]) -> Labels:
    return Labels(*(np.array(column, np.int64) for column in (zip(*rows, strict=True) if rows else ([], [], []))))


@given(rows=boxes_of_people, seed=st.integers(0, 99), scope=st.sampled_from(["scene", "any"]), k=st.integers(2, 5))
def test_batches_keep_their_promises(rows: list[tuple[int, int, int]], seed: int, scope: str, k: int) -> None:
    labels = labels_of(rows)
    config = TrainingSettings(identities=3, instances=k, window=30, scope=scope)
    shown: dict[tuple[int, int], int] = {}
    for index, count in Batches(labels, config).epoch(np.random.default_rng(seed)):
        assert index.shape == (len(count), k)
        assert 2 <= len(index) <= config.identities
        owners = []
        for mine, n in zip(index, count, strict=True):
            assert 2 <= n == len(set(mine.tolist())) == len(set(mine[:n].tolist())), "a positive is another detection"
            assert len(set(zip(labels.scene[mine], labels.identity[mine], strict=True))) == 1
            assert np.ptp(labels.frame[mine]) < 30
            owners.append((int(labels.scene[mine[0]]), int(labels.identity[mine[0]])))
        assert len(set(owners)) == len(owners), "nobody is his own negative"
        assert scope == "any" or len({scene for scene, _ in owners}) == 1
        for owner in owners:
            shown[owner] = shown.get(owner, 0) + 1
    frames: dict[tuple[int, int], list[int]] = {}
    for scene, frame, identity in sorted(rows):
        frames.setdefault((scene, identity), []).append(frame)
    paired = {who: n for who, n in frames.items() if any(b - a < 30 for a, b in pairwise(sorted(n)))}
    company = [who for who in paired if sum(scope == "any" or other[0] == who[0] for other in paired) > 1]
    assert shown.keys() == set(company), "an epoch shows everybody who has a positive and a negative"
    windows = {
        (int(labels.scene[p.rows[0]]), int(labels.identity[p.rows[0]])): len(p.first) for p in people_of(labels, 30)
    }
    assert all(shown[who] >= min(-(-len(frames[who]) // 30), windows[who]) for who in company)


@given(rows=boxes_of_people, window=st.integers(2, 40))
def test_windows_slide(rows: list[tuple[int, int, int]], window: int) -> None:
    """Exactly the pairs of one person's boxes less than a window apart share a window, wherever it begins."""
    labels = labels_of(rows)
    found = {
        frozenset((int(a), int(b)))
        for person in people_of(labels, window)
        for first, end in zip(person.first, person.end, strict=True)
        for a, b in combinations(person.rows[first:end], 2)
    }
    wanted = {
        frozenset((a, b))
        for a, b in combinations(range(len(rows)), 2)
        if rows[a][0::2] == rows[b][0::2] and abs(rows[a][1] - rows[b][1]) < window
    }
    assert found == wanted


def test_every_pair_within_a_window_is_drawn() -> None:
    """Pairs across what would be the edge of a tile meet as others do."""
    frame = np.tile(np.arange(1, 13), 2)
    labels = Labels(np.zeros(24, np.int64), frame, np.repeat([0, 1], 12))
    batches, rng = Batches(labels, TrainingSettings(identities=2, instances=2, window=4)), np.random.default_rng(0)
    met = {
        tuple(sorted(labels.frame[mine].tolist()))
        for _ in range(200)
        for index, _ in batches.epoch(rng)
        for mine in index
    }
    assert met == {(a, b) for a, b in combinations(range(1, 13), 2) if b - a < 4}


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


@pytest.mark.parametrize("way", ["free", "fraction"])
def test_two_thresholds_are_free_or_ordered(way: str) -> None:
    """Targets out of order: two free outputs reach them, a fraction of the first cannot."""
    scene = np.random.default_rng(0).random((60, 12)).astype(np.float16)
    target = np.tile(np.float32([0.1, 0.4]), (60, 1))
    atl = AtlSettings(weight_decay=0.0, dropout=0.0, dual=way)
    (result,) = fit_threshold("dual", scene, target, atl, TrainingSettings(epochs=200, learning_rate=1e-2), (0,))
    high, low = predict("dual", scene, result.state, atl).T
    assert (low <= high).all() == (way == "fraction")
    assert (np.abs(low - 0.4).mean() < 0.05) == (way == "free")


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


class Masked(nn.Module):
    """Dropout whose masks come from a generator of its own."""

    def __init__(self, p: float, seed: int) -> None:
        super().__init__()
        self.p, self.generator = p, torch.Generator().manual_seed(seed)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kept = torch.rand(x.shape, generator=self.generator) >= self.p
        return x * kept / (1 - self.p) if self.p else x


class ByAutograd:
    """The threshold task by automatic differentiation: (S,) losses, one a seed."""

    def __init__(
        self,
        encoders: list[SceneEncoder],
        scene: NDArray[np.float16],
        target: NDArray[np.float32],
        seeds: tuple[int, ...],
    ) -> None:
        self.config = encoders[0].config
        self.scene = torch.from_numpy(scene.astype(np.float32))
        self.target = torch.from_numpy(target.astype(np.float32))
        self.rngs = [np.random.default_rng([seed, 2]) for seed in seeds]
        self.encoders = nn.ModuleList(encoders).train()
        for encoder, seed in zip(encoders, seeds, strict=True):
            encoder.mlp[2] = Masked(self.config.dropout, seed)

    def losses(self) -> Iterator[torch.Tensor]:
        """Loss of each batch of one epoch."""
        order = torch.from_numpy(np.stack([rng.permutation(len(self.scene)) for rng in self.rngs]))
        for rows in order.split(self.config.batch, dim=1):
            pairs = zip(self.encoders, rows, strict=True)
            yield torch.stack([mse_loss(encoder(self.scene[r]), self.target[r]) for encoder, r in pairs])

    def states(self) -> list[dict[str, NDArray[np.float32]]]:
        return [as_arrays(encoder.state_dict()) for encoder in self.encoders]


@pytest.mark.parametrize("mode", ["single", "dual", "offset"])
@pytest.mark.parametrize("changes", [{}, {"dropout": 0.0}, {"dual": "fraction", "input": "standardised"}, {"batch": 7}])
def test_steps_by_hand_are_those_of_autograd(mode: str, changes: dict[str, object]) -> None:
    rng = np.random.default_rng(1)
    scene = rng.random((50, 12)).astype(np.float16)
    target = np.sort(rng.random((50, 2 if mode == "dual" else 1)).astype(np.float32) / 2)[:, ::-1]
    atl, seeds, rate = AtlSettings(**{"dropout": 0.4, **changes}), (3, 9), 1e-2
    training = TrainingSettings(epochs=6, learning_rate=rate)
    encoders = []
    for seed in seeds:
        torch.manual_seed(seed)
        encoders.append(SceneEncoder(12, mode, atl))
        encoders[-1].learn_scale(torch.from_numpy(scene.astype(np.float32)))
    plain = ByAutograd(encoders, scene, target, seeds)
    optimiser = torch.optim.Adam(plain.encoders.parameters(), lr=rate, weight_decay=atl.weight_decay)
    losses = []
    for _ in range(training.epochs):
        losses.append([])
        for loss in plain.losses():
            take_step(optimiser, loss.sum())
            losses[-1].append(loss.detach().numpy())
    found = fit_threshold(mode, scene, target, atl, training, seeds)
    for number, (one, expected) in enumerate(zip(found, plain.states(), strict=True)):
        np.testing.assert_allclose(one.loss, [np.mean(e, axis=0)[number] for e in losses], rtol=2e-4)
        for name, value in expected.items():
            np.testing.assert_allclose(one.state[name], value, rtol=2e-3, atol=2e-5, err_msg=name)


def test_joint_training_decouples() -> None:
    """One loop down the sum of both losses ends where each module ends that is trained on by itself."""
    layers, labels = people()
    rng = np.random.default_rng(0)
    scene, target = rng.random((200, 12)).astype(np.float16), rng.random((200, 1)).astype(np.float32) / 2
    atl, seeds = AtlSettings(), (5, 6)
    training = TrainingSettings(epochs=2, joint_epochs=3, learning_rate=1e-3)
    alone = (
        fit_fusion("attention-instance", layers, labels, FUSION, training, seeds, joint=True),
        fit_threshold("offset", scene, target, atl, training, seeds, joint=True),
    )

    heads, encoders = [], []
    for seed in seeds:
        torch.manual_seed(seed)
        heads.append(make_head("attention-instance", CHANNELS, FUSION))
        torch.manual_seed(seed)
        encoders.append(SceneEncoder(12, "offset", atl))
    fusion = FusionSteps(heads, layers, labels, training, seeds)
    threshold = ByAutograd(encoders, scene, target, seeds)
    groups = [
        {"params": list(fusion.heads.parameters())},
        {"params": list(threshold.encoders.parameters()), "weight_decay": atl.weight_decay},
    ]
    for epochs in (training.epochs, training.joint_epochs):
        optimiser = torch.optim.Adam(groups, lr=training.learning_rate, fused=True)
        for _ in range(epochs):
            for one, other in zip_longest(fusion.losses(), threshold.losses()):
                parts = [one[0].sum()] if one is not None else []
                parts += [other.sum()] if other is not None else []
                take_step(optimiser, torch.stack(parts).sum())
    for found, together in zip(alone, (fusion.heads.states(), threshold.states()), strict=True):
        for one, expected in zip(found, together, strict=True):
            assert one.joint is not None
            assert (len(one.loss), len(one.joint.loss)) == (2, 3)
            for name, value in expected.items():
                np.testing.assert_allclose(one.joint.state[name], value, rtol=1e-5, atol=1e-6)
                assert name in ("shift", "scale") or not np.array_equal(value, one.state[name])

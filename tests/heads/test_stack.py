"""Seeds trained together learn what each learns alone, whatever the strategy is built of."""

import copy
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from msfp.config import AtlSettings, FusionSettings, TrainingSettings
from msfp.heads.fusion import SIZE, FusionHead, make_head, strategies
from msfp.heads.training import Fitted, fit_fusion, fit_threshold
from msfp.heads.triplets import Batches, FusionSteps, Labels, Linears, Stack, triplet_loss

CHANNELS = {4: 8, 9: 16, 14: 12}
FUSION = FusionSettings(width=16, single_width=8, concat_width=16, se_reduction=4)
ALONE = {"lite", "native", "native-concat", "parts", "parts-linear"}  # that the triplet loss does not train
TRAINED = sorted({*strategies()} - ALONE)


class Crossed(FusionHead):
    """A strategy that counts axes from the first, as someone may write it."""

    def __init__(self, channels: dict[int, int], config: FusionSettings) -> None:
        super().__init__(channels, config)
        self.gate = nn.Linear(sum(channels.values()), 4)
        self.drop = nn.Dropout(0.3)

    def embed(self, layers: dict[int, Tensor]) -> Tensor:
        every = torch.cat([layers[layer] for layer in self.channels], dim=1)
        return self.drop(every[:, :4] * self.gate(every).softmax(dim=1))


class Normed(Crossed):
    """One with a layer of PyTorch that is not known to `Stack`."""

    def __init__(self, channels: dict[int, int], config: FusionSettings) -> None:
        super().__init__(channels, config)
        self.norm = nn.LayerNorm(12)

    def embed(self, layers: dict[int, Tensor]) -> Tensor:
        return self.norm(layers[14])


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    for cls in (Crossed, Normed):
        monkeypatch.setitem(strategies(), cls.__name__, cls)


def people(strategy: str = "concat") -> tuple[dict[int, np.ndarray], Labels]:
    """What a strategy sees, with the identity's mean; one of the two scenes has fewer people than a batch."""
    rng, kind = np.random.default_rng(0), strategies()[strategy]
    scene, identity, frame = (a.ravel() for a in np.meshgrid(np.arange(2), np.arange(12), np.arange(1, 41)))
    keep = (scene == 0) | (identity < 5)
    scene, identity, frame = scene[keep], identity[keep], frame[keep]
    cells = (49,) if kind.sees_cells else ()
    layers = {
        k: (rng.random((24, *cells, c))[scene * 12 + identity] + 0.3 * rng.random((len(scene), *cells, c))).astype("f2")
        for k, c in CHANNELS.items()
    }
    if kind.sees_size:
        layers[SIZE] = rng.normal(size=(len(scene), 1)).astype("f2")
    return layers, Labels(scene, frame, identity)


def sample_of(sample: dict[int, Tensor], member: int) -> dict[int, Tensor]:
    return {k: v[member] for k, v in sample.items()}


def seeded(strategy: str, seed: int) -> FusionHead:
    """A fresh head in double precision.

    In single precision a bias that batch normalisation undoes has a gradient of rounding, which Adam blows up.
    """
    torch.manual_seed(seed)
    return make_head(strategy, CHANNELS, FUSION).double()


def trained_plainly(strategy: str, config: TrainingSettings, seed: int) -> tuple[dict[str, Tensor], list[float]]:
    """The same training in the fewest words: one seed, PyTorch's own modules."""
    layers, labels = people(strategy)
    head, batches, rng = seeded(strategy, seed).train(), Batches(labels, config), np.random.default_rng([seed, 1])
    optimiser = torch.optim.Adam(head.parameters(), lr=config.learning_rate)
    tensors = {k: torch.from_numpy(v.astype(np.float64)) for k, v in layers.items()}
    losses = []
    for _ in range(config.epochs):
        for rows, count in batches.epoch(rng):
            embedded = head({k: v[rows.ravel()] for k, v in tensors.items()}).unflatten(0, rows.shape)
            loss, _ = triplet_loss(embedded, torch.from_numpy(count), config.margin, config.positives)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
    return head.state_dict(), np.reshape(losses, (config.epochs, -1)).mean(axis=1).tolist()


def trained_together(
    strategy: str, config: TrainingSettings, seeds: tuple[int, ...]
) -> tuple[list[dict[str, np.ndarray]], np.ndarray]:
    """State and (S, E) loss of each seed, in double precision."""
    layers, labels = people(strategy)
    steps = FusionSteps([seeded(strategy, s) for s in seeds], layers, labels, config, seeds, torch.float64)
    steps.start()
    loss = [steps.epoch()[0] for _ in range(config.epochs)]
    return steps.states(), np.stack(loss, axis=1)


def same(first: Mapping[str, object], second: Mapping[str, object]) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        np.testing.assert_allclose(np.asarray(second[name]), np.asarray(value), rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("strategy", TRAINED)
def test_seeds_trained_together_are_each_trained_alone(strategy: str) -> None:
    config = TrainingSettings(epochs=3, learning_rate=1e-3)
    states, losses = trained_together(strategy, config, (3, 0, 7))
    for seed, state, loss in zip((3, 0, 7), states, losses, strict=True):
        wanted, wanted_loss = trained_plainly(strategy, config, seed)
        same(state, wanted)
        np.testing.assert_allclose(loss, wanted_loss, rtol=1e-6)


@pytest.mark.parametrize("strategy", ["attention-instance", "se-two-stage"])
def test_neighbours_do_not_matter(strategy: str) -> None:
    config = TrainingSettings(epochs=2, learning_rate=1e-3)
    first, _ = trained_together(strategy, config, (0, 1, 2))
    other, _ = trained_together(strategy, config, (5, 1, 0))
    same(first[1], other[1])
    same(first[0], other[2])


@pytest.mark.parametrize("strategy", ["attention-instance", "se-two-stage"])
def test_threads_do_not_matter(strategy: str) -> None:
    layers, labels = people()
    config = TrainingSettings(epochs=2, learning_rate=1e-3)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found.append(fit_fusion(strategy, layers, labels, FUSION, config, (0, 1, 2)))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    for one, two in zip(*found, strict=True):
        assert all(np.array_equal(value, two.state[name]) for name, value in one.state.items())
        assert np.array_equal(one.loss, two.loss)


@pytest.mark.parametrize("strategy", TRAINED)
def test_one_step_has_each_members_gradient(strategy: str) -> None:
    torch.manual_seed(0)
    heads = [make_head(strategy, CHANNELS, FUSION).double() for _ in range(3)]
    rows = torch.randperm(len(people()[1].frame))[:21].reshape(3, 7)
    sample = {k: torch.from_numpy(v).double()[rows] for k, v in people(strategy)[0].items()}
    stack = Stack([copy.deepcopy(head) for head in heads], (0, 1, 2), sample).train()
    assert stack.merged, "no strategy falls back to one seed after another"
    weight = torch.rand(heads[0](sample_of(sample, 0)).shape[-1], dtype=torch.float64)
    (stack(sample) * weight).sum().backward()
    merged = {name: p.grad for name, p in stack.members[0].named_parameters()}
    for name, module in stack.members[0].named_modules():
        if isinstance(module, Linears):
            merged[f"{name}.weight"] = module.weight.grad.mT
    for s, head in enumerate(heads):
        head.train().zero_grad()
        (head(sample_of(sample, s)) * weight).sum().backward()
        for name, parameter in head.named_parameters():
            mine = merged[name].reshape(3, *parameter.shape)[s]
            torch.testing.assert_close(mine, parameter.grad, rtol=1e-9, atol=1e-12)


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("strategy", ["Crossed", "Normed"])
def test_a_strategy_of_any_make_trains(strategy: str) -> None:
    config = TrainingSettings(epochs=2, learning_rate=1e-3)
    sample = {k: torch.rand(2, 6, c) for k, c in CHANNELS.items()}
    assert not Stack([make_head(strategy, CHANNELS, FUSION) for _ in range(2)], (0, 1), sample).merged
    both, _ = trained_together(strategy, config, (0, 1))
    for seed, state in enumerate(both):
        same(state, trained_together(strategy, config, (seed,))[0][0])
        if strategy == "Normed":  # the other drops out
            same(state, trained_plainly(strategy, config, seed)[0])
    layers, labels = people()
    assert len(fit_fusion(strategy, layers, labels, FUSION, config, (0, 1))) == 2


@pytest.mark.parametrize("mode", ["single", "dual"])
def test_thresholds_trained_together_are_each_trained_alone(mode: str) -> None:
    """Dropout too: each seed draws its own masks."""
    rng = np.random.default_rng(0)
    scene = rng.random((50, 12)).astype(np.float16)
    target = np.sort(rng.random((50, 2 if mode == "dual" else 1)).astype(np.float32) / 2)[:, ::-1]
    training = TrainingSettings(epochs=3, learning_rate=1e-3)

    def fit(*seeds: int) -> list[Fitted]:
        return fit_threshold(mode, scene, target, AtlSettings(dropout=0.5), training, seeds)

    for seed, fitted in zip((4, 2), fit(4, 2), strict=True):
        for name, value in fit(seed)[0].state.items():
            np.testing.assert_allclose(fitted.state[name], value, rtol=1e-4, atol=1e-6)
    assert not np.array_equal(fit(4)[0].loss, fit(2)[0].loss)


def test_sizes_come_in_one_sequence_whatever_the_seed() -> None:
    batches = Batches(people()[1], TrainingSettings())
    sequences = {tuple(len(rows) for rows, _ in batches.epoch(np.random.default_rng(seed))) for seed in range(5)}
    assert len(sequences) == 1
    assert set(sequences.pop()) == {5, 8}

"""What fusion heads learn: telling people apart by triplets; batches, loss, and all seeds in one step."""

import copy
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Sequence as ListLike
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from msfp.config import Positives, TrainingSettings
from msfp.errors import NotComputable


def triplet_loss(embeddings: Tensor, count: Tensor, margin: float, positives: Positives) -> tuple[Tensor, Tensor]:
    """Mean over anchors of max(0, d(a, p) - d(a, n) + m), d the cosine distance, n the nearest other person's row.

    The paper mines negatives only: an anchor's term is the mean over all its positives, or that of its farthest one.

    `embeddings`: (..., P, K, D) unit rows of P persons. `count`: (..., P) how many of a person's K rows are detections
    of their own, at least two; those after them repeat one, and are neither anchor nor positive.
    Returns the loss, and the share of triplets inside the margin, weighted as the loss weighs them, (...) each.
    """
    persons, instances = embeddings.shape[-3:-1]
    flat = embeddings.flatten(-3, -2)
    similarity = (flat @ flat.mT).unflatten(-1, (persons, instances)).unflatten(-3, (persons, instances))
    own = similarity.diagonal(dim1=-4, dim2=-2).movedim(-1, -3)  # (..., P, K, K): each person's rows among themselves
    same = torch.eye(persons, dtype=torch.bool, device=flat.device)[:, None, :, None]
    nearest = similarity.masked_fill(same, -torch.inf).amax(dim=(-2, -1))[..., None]
    slot = torch.arange(instances, device=count.device)
    real = slot < count[..., None]
    paired = real[..., :, None] & real[..., None, :] & (slot[:, None] != slot)  # different detections of a person
    anchors = count.sum(dim=-1)[..., None, None, None]
    if positives == "hardest":
        own = own.masked_fill(~paired, torch.inf).amin(dim=-1, keepdim=True)
        weight = paired.any(dim=-1, keepdim=True) / anchors
    else:
        weight = paired / (anchors * (count - 1)[..., None, None])
    terms = (nearest - own + margin).clamp(min=0)
    inside = ((terms.detach() > 0) * weight).sum(dim=(-3, -2, -1))
    return (terms * weight).sum(dim=(-3, -2, -1)), inside


Ints = NDArray[np.int64]
Batch = tuple[Ints, Ints]


@dataclass(frozen=True)
class Labels:
    """Scene, frame and identity of each feature row, (N,) each."""

    scene: Ints
    frame: Ints
    identity: Ints  # unique within its scene only


@dataclass(frozen=True)
class Person:
    """One person's boxes and the windows of frames that hold at least two of them."""

    rows: Ints  # (B,) feature rows in the order of their frames
    # first, end: (V,) each window's boxes are rows[first:end]; one window for each frame it may begin at
    first: Ints
    end: Ints


def people(labels: Labels, window: int) -> list[Person]:
    """Everyone with two boxes in some window, unique over scenes; windows slide by single frames."""
    keys = np.stack([labels.scene, labels.identity], axis=1)
    person = np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1)
    order = np.lexsort((labels.frame, person))
    found = []
    for rows in np.split(order, np.flatnonzero(np.diff(person[order])) + 1):
        if len(rows) < 2:
            continue
        frame = labels.frame[rows]
        begins = np.arange(frame[0] - window + 1, frame[-1] + 1)
        first, end = np.searchsorted(frame, begins), np.searchsorted(frame, begins + window)
        kept = end - first >= 2
        if kept.any():
            found.append(Person(rows, first[kept], end[kept]))
    return found


class Batches:
    """Draws the batches of one epoch after another.

    An epoch shows everyone once for each `window` of boxes begun, in windows drawn anew and spread over the time in
    sight; a batch has P different persons, the last ones of a scope filled up with others of it, fewer where the scope
    has fewer. Sizes and their order depend on the labels alone, so that the steps of several seeds have equal shapes.

    Example:
        >>> vectors, labels = run.training_set()
        >>> batches = msfp.Batches(labels, run.settings.training).epoch(np.random.default_rng(0))
        >>> len(batches) > 0
        True
    """

    def __init__(self, labels: Labels, config: TrainingSettings) -> None:
        found = people(labels, config.window)
        self.instances = config.instances
        windows = np.array([len(p.first) for p in found], np.int64)
        turns = np.minimum(np.array([-(-len(p.rows) // config.window) for p in found], np.int64), windows)
        # A turn is one showing of one person; its window is drawn from its share of the person's windows.
        self.person = np.repeat(np.arange(len(found)), turns)
        turn = np.arange(len(self.person)) - np.repeat(np.cumsum(turns) - turns, turns)
        self.low, self.high = (
            (np.cumsum(windows) - windows)[self.person] + i * windows[self.person] // turns[self.person]
            for i in (turn, turn + 1)
        )
        boxes = np.array([len(p.rows) for p in found], np.int64)
        none = np.zeros(0, np.int64)
        self.rows = np.concatenate([none, *(p.rows for p in found)])
        self.first = np.concatenate([none, *(p.first for p in found)]) + np.repeat(np.cumsum(boxes) - boxes, windows)
        self.count = np.concatenate([none, *(p.end - p.first for p in found)])
        where = labels.scene[[p.rows[0] for p in found]] if config.scope == "scene" and found else np.zeros(len(found))
        scope = where[self.person]
        each = [np.flatnonzero(scope == one) for one in np.unique(scope)]
        sizes = [min(config.identities, len(np.unique(self.person[mine]))) for mine in each]
        self.scopes = [(mine, size) for mine, size in zip(each, sizes, strict=True) if size >= 2]

    def epoch(self, rng: np.random.Generator) -> list[Batch]:
        """Batches as (rows, count): (P, K) feature rows of P persons, and (P,) how many of the K are different.

        Where a person's window has fewer than K boxes, the last ones repeat the first.
        """
        plan = [batch for mine, size in self.scopes for batch in self._deal(mine, size, rng)]
        if not plan:
            return []
        plan = [plan[i] for i in _interleaved(np.array([len(batch) for batch in plan]), rng)]
        rows, count = self._instances(np.concatenate(plan), rng)
        cuts = np.cumsum([len(batch) for batch in plan])[:-1]
        return list(zip(np.split(rows, cuts), np.split(count, cuts), strict=True))

    def _deal(self, mine: Ints, size: int, rng: np.random.Generator) -> list[Ints]:
        """Turns in batches: in order, a person's turns one after another, so that no batch gets two of them."""
        persons, who, turns = np.unique(self.person[mine], return_inverse=True, return_counts=True)
        order = mine[np.lexsort((rng.random(len(mine)), rng.permutation(len(persons))[who]))]
        batches = max(-(-len(mine) // size), int(turns.max()))
        return [self._filled(order[b::batches], mine, size, rng) for b in range(batches)]

    def _filled(self, batch: Ints, mine: Ints, size: int, rng: np.random.Generator) -> Ints:
        if len(batch) == size:
            return batch
        chosen, held = list(batch), set(self.person[batch].tolist())
        for turn in rng.permutation(mine):
            if len(chosen) == size:
                break
            if self.person[turn] not in held:
                chosen.append(turn)
                held.add(int(self.person[turn]))
        return np.array(chosen, np.int64)

    def _instances(self, turns: Ints, rng: np.random.Generator) -> tuple[Ints, Ints]:
        """(T, K) rows of a window of each turn, and (T,) how many of them are different."""
        window = rng.integers(self.low[turns], self.high[turns])
        boxes = self.count[window]
        key = rng.random((len(turns), int(boxes.max())))
        key[np.arange(key.shape[1]) >= boxes[:, None]] = 2
        count = np.minimum(boxes, self.instances)
        pick = np.argsort(key, axis=1)
        chosen = np.take_along_axis(pick, np.arange(self.instances) % count[:, None], axis=1)
        return self.rows[self.first[window][:, None] + chosen], count


def _interleaved(sizes: Ints, rng: np.random.Generator) -> Ints:
    """A random order in which the sizes, each spread evenly, always come in the same sequence."""
    shuffled = rng.permutation(len(sizes))
    place = np.empty(len(sizes))
    for size in np.unique(sizes):
        mine = shuffled[sizes[shuffled] == size]
        place[mine] = (np.arange(len(mine)) + 0.5) / len(mine)
    return np.lexsort((sizes, place))


class Stack(nn.Module):
    """S modules of one shape; the s-th sees the s-th slice of the input and none of the others.

    Modules of `Linear`, `BatchNorm1d`, bare parameters and what has no parameters and draws no random numbers, whose
    forward pass counts axes from the last, are `merged` to one on inputs with one more axis in front; this is tried on
    a `sample`, (S, N, ...) or a dict of such. Others run one after the other, each with random numbers of its own.
    """

    def __init__(self, members: ListLike[nn.Module], seeds: ListLike[int], sample: Any) -> None:
        super().__init__()
        self.shapes = {name: value.shape for name, value in members[0].state_dict().items()}
        self.merged = _can_merge(members, sample)
        self.members = nn.ModuleList([_merge(members)] if self.merged else members)
        self.random = [torch.Generator().manual_seed(seed).get_state() for seed in seeds]

    def forward(self, inputs: Any) -> Tensor:
        """(S, N, ...) or a dict of such -> (S, N, ...)."""
        if self.merged:
            merged: Tensor = self.members[0](inputs)
            return merged
        found = []
        for s, member in enumerate(self.members):
            with torch.random.fork_rng(devices=[]):
                torch.set_rng_state(self.random[s])
                found.append(member(_slice(inputs, s)))
                self.random[s] = torch.get_rng_state()
        return torch.stack(found)

    def states(self) -> list[dict[str, NDArray[np.float32]]]:
        """Each member's own state: name -> array."""
        if not self.merged:
            return [as_arrays(member.state_dict()) for member in self.members]
        count, whole = len(self.random), as_arrays(self.members[0].state_dict())
        for name, module in self.members[0].named_modules():
            if isinstance(module, Linears):
                weight = f"{name}.weight" if name else "weight"
                whole[weight] = whole[weight].swapaxes(1, 2)
        for name, shape in self.shapes.items():
            own = whole[name].size == count * shape.numel()  # what counts steps is shared
            whole[name] = whole[name].reshape(count if own else 1, *shape).repeat(1 if own else count, axis=0)
        return [{name: whole[name][s].copy() for name in self.shapes} for s in range(count)]


class Linears(nn.Module):
    """Linear layers, one a member: (S, ..., I) -> (S, ..., O); weights (S, I, O), as their gradient is computed."""

    def __init__(self, parts: ListLike[nn.Linear]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.stack([p.weight.detach().mT for p in parts]))
        biases = [p.bias.detach() for p in parts if p.bias is not None]
        self.bias = nn.Parameter(torch.stack(biases)[:, None]) if biases else None

    def forward(self, x: Tensor) -> Tensor:
        """Each member's slice through its own weights."""
        rows = x.reshape(len(x), -1, x.shape[-1])
        if self.weight.shape[-1] == 1:  # MKL takes ten times as long for a matrix of one column as for one of one row
            out = torch.bmm(self.weight.mT, rows.mT).mT
            out = out if self.bias is None else out + self.bias
        else:
            out = torch.bmm(rows, self.weight) if self.bias is None else torch.baddbmm(self.bias, rows, self.weight)
        return out.reshape(*x.shape[:-1], -1)


class BatchNorms(nn.BatchNorm1d):
    """Batch normalisations, one a member, as one over the members' channels side by side: (S, N, C) -> (S, N, C)."""

    def __init__(self, parts: ListLike[nn.BatchNorm1d]) -> None:
        first, states = parts[0], [part.state_dict() for part in parts]
        super().__init__(
            len(parts) * first.num_features, first.eps, first.momentum, first.affine, first.track_running_stats
        )
        self.to(next((value.dtype for value in states[0].values()), torch.float32))
        self.load_state_dict(
            {name: torch.cat([s[name] for s in states]) if value.dim() else value for name, value in states[0].items()}
        )

    def forward(self, x: Tensor) -> Tensor:
        """Each member's slice by its own statistics."""
        members, rows, channels = x.shape
        side_by_side = super().forward(x.transpose(0, 1).reshape(rows, members * channels))
        return side_by_side.reshape(rows, members, channels).transpose(0, 1)


MERGED = {nn.Linear: Linears, nn.BatchNorm1d: BatchNorms}
DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.AlphaDropout, nn.FeatureAlphaDropout)


def _merge(parts: ListLike[Any]) -> nn.Module:
    """One module that does on each slice what its part does; TypeError for parts of PyTorch not known here."""
    first = parts[0]
    if type(first) in MERGED:
        return MERGED[type(first)](parts)
    own = [*first.named_parameters(recurse=False), *first.named_buffers(recurse=False)]
    if isinstance(first, DROPOUTS) or (own and type(first).__module__.startswith("torch.")):
        raise TypeError(type(first).__name__)
    whole: nn.Module = copy.deepcopy(first)
    for name, value in own:
        # One row for all N of a member's rows, so that it broadcasts as the bare tensor does.
        joined = torch.stack([getattr(part, name).detach() for part in parts])[:, None]
        setattr(whole, name, nn.Parameter(joined) if isinstance(value, nn.Parameter) else joined)
    for name, _ in first.named_children():
        setattr(whole, name, _merge([getattr(part, name) for part in parts]))
    return whole


@torch.no_grad()
def _can_merge(members: ListLike[nn.Module], sample: Any) -> bool:
    """Whether copies that are merged give in training what each member gives."""
    alone = [copy.deepcopy(member).train() for member in members]
    wanted = torch.stack([member(_slice(sample, s)) for s, member in enumerate(alone)])
    try:
        got = _merge(members).train()(sample)
    except Exception:  # a forward pass that counts axes from the first can fail anywhere
        return False
    return got.shape == wanted.shape and torch.allclose(got, wanted, rtol=1e-3, atol=1e-4)


def _slice(inputs: Any, member: int) -> Any:
    return {k: v[member] for k, v in inputs.items()} if isinstance(inputs, dict) else inputs[member]


def as_arrays(state: Mapping[str, Tensor]) -> dict[str, NDArray[np.float32]]:
    """A state of tensors as arrays of its own."""
    return {name: value.detach().numpy().astype(np.float32) for name, value in state.items()}


Loss = Callable[[Tensor, Tensor, float], tuple[Tensor, Tensor]]
"""A loss of one's own: (B, D) unit rows of different detections, (B,) number of the person each shows, the margin ->
the loss and the share of it that is active, scalars. Each person has at least two rows."""
TRIED = 8  # rows on which it is tried whether the seeds' modules can run as one


class FusionSteps:
    """Epochs of the triplet task for several heads, one a seed."""

    def __init__(
        self, heads: ListLike[nn.Module], layers: Mapping[int, NDArray[np.float16]], labels: Labels,
        training: TrainingSettings, seeds: ListLike[int], dtype: torch.dtype = torch.float32, loss: Loss | None = None,
    ) -> None:  # fmt: skip
        """Take over the heads; NotComputable where the labels make no batch."""
        self.layers = {k: torch.from_numpy(v) for k, v in layers.items()}
        self.dtype, self.training, self.loss = dtype, training, loss
        self.batches = Batches(labels, training)
        self.rngs = [np.random.default_rng([seed, 1]) for seed in seeds]
        if not self.batches.scopes:
            raise NotComputable("training needs two people seen twice within the window; the labels have none")
        self.heads = Stack(
            heads, seeds, self._vectors(torch.arange(TRIED).expand(len(seeds), TRIED) % len(labels.frame))
        )
        self.states = self.heads.states

    def start(self) -> None:
        """Begin with a fresh optimiser."""
        self.optimiser = torch.optim.Adam(self.heads.parameters(), lr=self.training.learning_rate, fused=True)

    def losses(self) -> Iterator[tuple[Tensor, Tensor]]:
        """(S,) loss and active share of each batch of one epoch."""
        self.heads.train()
        margin = self.training.margin
        for drawn in zip(*(self.batches.epoch(rng) for rng in self.rngs), strict=True):
            rows, count = (torch.from_numpy(np.stack(each)) for each in zip(*drawn, strict=True))
            embeddings = self.heads(self._vectors(rows.flatten(1))).unflatten(1, rows.shape[1:])
            if self.loss is None:
                yield triplet_loss(embeddings, count, margin, self.training.positives)
                continue
            kept = torch.arange(rows.shape[2]) < count[..., None]  # those that repeat another are left out
            found = [self.loss(e[k], k.nonzero()[:, 0], margin) for e, k in zip(embeddings, kept, strict=True)]
            loss, active = (torch.stack([torch.as_tensor(v) for v in each]) for each in zip(*found, strict=True))
            yield loss, active.detach()

    def epoch(self) -> NDArray[np.float64]:
        """Train one epoch; (2, S) mean over batches of loss and active share."""
        pairs = []
        for loss, active in self.losses():
            take_step(self.optimiser, loss.sum())
            pairs.append(torch.stack([loss.detach(), active]))
        return torch.stack(pairs).double().mean(dim=0).numpy()

    def _vectors(self, rows: Tensor) -> dict[int, Tensor]:
        """layer -> (S, B, C) of (S, B) rows."""
        flat = rows.reshape(-1)
        return {
            k: v.index_select(0, flat).to(self.dtype).reshape(*rows.shape, *v.shape[1:]) for k, v in self.layers.items()
        }


def take_step(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    """One step down the loss."""
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()

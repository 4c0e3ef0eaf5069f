"""Modules of one shape trained as one: their parameters lie along a leading axis, so a step costs as much as for one.

Training is many tiny steps, most of whose time is PyTorch's own; the seeds of a configuration share it.
"""

import copy
from collections.abc import Mapping
from collections.abc import Sequence as ListLike
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class Unstackable(Exception):
    """A module whose parameters this file does not know how to lay along an axis."""


class Stack(nn.Module):
    """S modules of one shape; the s-th sees the s-th slice of the input and none of the others.

    A module that is built of `Linear`, `BatchNorm1d`, `Dropout`, bare parameters and whatever has no parameters, and
    whose forward pass counts axes from the last, becomes a single module on inputs with one more axis in front.
    Whether it does is tried on a sample. Any other kind works as well, one member after the other.

    Attributes:
        merged: whether the members run as one.
    """

    def __init__(self, members: ListLike[nn.Module], seeds: ListLike[int], sample: Any) -> None:
        """Join modules.

        Args:
            members: modules of one class and shape, with their initial weights; they are taken over.
            seeds: of the members' dropout.
            sample: an input of the whole, (S, N, ...) or a dict of such, with two rows or more.
        """
        super().__init__()
        self.shapes = {name: value.shape for name, value in members[0].state_dict().items()}
        self.count = len(members)
        dropout = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.merged = _agree(members, sample)
        if self.merged:
            self.members = nn.ModuleList([_merge(members, dropout)])
        else:
            self.members = nn.ModuleList(_seeded(m, g) for m, g in zip(members, dropout, strict=True))

    def forward(self, inputs: Any) -> Tensor:
        """(S, N, ...) or a dict of such -> (S, N, ...)."""
        return _call(self.members, self.merged, inputs)

    def states(self) -> list[dict[str, NDArray[np.float32]]]:
        """Each member's own state: name -> array."""
        if not self.merged:
            return [as_arrays(member.state_dict()) for member in self.members]
        whole = as_arrays(self.members[0].state_dict())
        for name, module in self.members[0].named_modules():
            if isinstance(module, Linears):
                weight = f"{name}.weight" if name else "weight"
                whole[weight] = whole[weight].swapaxes(1, 2)
        return [
            {name: _member(whole[name], self.count, shape)[s].copy() for name, shape in self.shapes.items()}
            for s in range(self.count)
        ]


class Linears(nn.Module):
    """Linear layers, one a member: (S, ..., I) -> (S, ..., O).

    The weights lie as (S, I, O): so their gradient comes out of its product as it is kept, and is not transposed.
    """

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
        first = parts[0]
        super().__init__(
            len(parts) * first.num_features, first.eps, first.momentum, first.affine, first.track_running_stats
        )
        states = [part.state_dict() for part in parts]
        self.to(next((value.dtype for value in states[0].values()), torch.float32))
        self.load_state_dict(
            {name: torch.cat([s[name] for s in states]) if value.dim() else value for name, value in states[0].items()}
        )

    def forward(self, x: Tensor) -> Tensor:
        """Each member's slice by its own statistics."""
        members, rows, channels = x.shape
        side_by_side = super().forward(x.transpose(0, 1).reshape(rows, members * channels))
        return side_by_side.reshape(rows, members, channels).transpose(0, 1)


class Dropouts(nn.Module):
    """Dropout whose masks come from each member's own generator: (S, ...) -> (S, ...)."""

    def __init__(self, p: float, generators: ListLike[torch.Generator]) -> None:
        super().__init__()
        self.p = p
        self.generators = list(generators)

    def forward(self, x: Tensor) -> Tensor:
        """Zero a share of p and scale the rest up, while training."""
        if not self.training or self.p == 0:
            return x
        shape = x.shape if len(self.generators) == 1 else x.shape[1:]
        kept = torch.stack([torch.rand(shape, generator=g) >= self.p for g in self.generators])
        return x * kept.reshape(x.shape) / (1 - self.p)


def _merge(parts: ListLike[Any], dropout: ListLike[torch.Generator]) -> nn.Module:
    """One module that computes what each of the parts does on its slice."""
    first = parts[0]
    if type(first) is nn.Linear:
        return Linears(parts)
    if type(first) is nn.BatchNorm1d:
        return BatchNorms(parts)
    if type(first) is nn.Dropout:
        return Dropouts(first.p, dropout)
    own = [*first.named_parameters(recurse=False), *first.named_buffers(recurse=False)]
    if own and type(first).__module__.startswith("torch."):
        raise Unstackable(type(first).__name__)
    whole = copy.deepcopy(first)
    for name, value in own:
        # One row for all N of a member's rows, so that it broadcasts as the bare tensor does.
        joined = torch.stack([getattr(part, name).detach() for part in parts])[:, None]
        setattr(whole, name, nn.Parameter(joined) if isinstance(value, nn.Parameter) else joined)
    for name, _ in first.named_children():
        setattr(whole, name, _merge([getattr(part, name) for part in parts], dropout))
    return whole


def _seeded(module: nn.Module, generator: torch.Generator) -> nn.Module:
    """The module with dropout of its own random source, so that members stay independent."""
    if type(module) is nn.Dropout:
        return Dropouts(module.p, [generator])
    for name, child in module.named_children():
        setattr(module, name, _seeded(child, generator))
    return module


@torch.no_grad()
def _agree(members: ListLike[nn.Module], sample: Any) -> bool:
    """Whether merged copies give what each member gives, in training mode but for dropout."""
    alone = nn.ModuleList(copy.deepcopy(member) for member in members)
    try:
        merged = nn.ModuleList([_merge(list(alone), [torch.Generator() for _ in members])])
        for module in (*alone.train().modules(), *merged.train().modules()):
            if isinstance(module, nn.Dropout | Dropouts):
                module.eval()
        got, wanted = _call(merged, True, sample), _call(alone, False, sample)
    except (Unstackable, RuntimeError, ValueError, IndexError, TypeError, AttributeError, LookupError):
        return False
    return got.shape == wanted.shape and torch.allclose(got, wanted, rtol=1e-3, atol=1e-4)


def _call(members: nn.ModuleList, merged: bool, inputs: Any) -> Tensor:
    if merged:
        return members[0](inputs)
    return torch.stack([member(_slice(inputs, s)) for s, member in enumerate(members)])


def _slice(inputs: Any, member: int) -> Any:
    return {k: v[member] for k, v in inputs.items()} if isinstance(inputs, dict) else inputs[member]


def _member(value: NDArray[np.float32], count: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """(S, *shape) of a merged state's entry; what counts steps is shared."""
    if value.size == count * int(np.prod(shape)):
        return value.reshape(count, *shape)
    return np.repeat(value.reshape(1, *shape), count, axis=0)


def as_arrays(state: Mapping[str, Tensor]) -> dict[str, NDArray[np.float32]]:
    """A state of tensors as arrays of its own."""
    return {name: value.detach().numpy().astype(np.float32) for name, value in state.items()}

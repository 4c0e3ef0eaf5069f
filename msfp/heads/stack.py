"""Modules of one shape trained as one: of such small ones a step of many costs hardly more than one of one."""

import copy
from collections.abc import Mapping
from collections.abc import Sequence as ListLike
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class Stack(nn.Module):
    """S modules of one shape; the s-th sees the s-th slice of the input and none of the others.

    A module that is built of `Linear`, `BatchNorm1d`, bare parameters and whatever has no parameters and draws no
    random numbers, and whose forward pass counts axes from the last, becomes a single module on inputs with one more
    axis in front. Whether it does is tried on a sample. Any other kind runs one member after the other, each with
    random numbers of its own.

    Attributes:
        merged: whether the members run as one.
    """

    def __init__(self, members: ListLike[nn.Module], seeds: ListLike[int], sample: Any) -> None:
        """Join modules.

        `members`: modules of one class and shape, with their initial weights; they are taken over. `sample`: an input
        of the whole, (S, N, ...) or a dict of such, with two rows or more.
        """
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

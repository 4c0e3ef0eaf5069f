"""Where a training run stands: budget in steps or minutes, learning rate, averaged weights, checkpoints."""

import copy
import math
import os
import time
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import nn

from msfp.errors import InputError

Model = TypeVar("Model", bound=nn.Module)


class Budget:
    """Steps or minutes, whichever is used up first; counts on where an interrupted run stopped.

    Attributes:
        steps: most steps, None for no limit.
        minutes: most wall minutes, None for no limit.
        done: steps taken.
    """

    def __init__(self, steps: int | None, minutes: float | None) -> None:
        if not steps and not minutes:
            raise InputError("training needs a budget: a number of steps or of minutes")
        self.steps, self.minutes, self.done = steps, minutes, 0
        self._before, self._start = 0.0, time.monotonic()

    @property
    def seconds(self) -> float:
        """Wall seconds used, earlier runs included."""
        return self._before + time.monotonic() - self._start

    @property
    def share(self) -> float:
        """Used share of the budget in 0..1."""
        shares = [self.done / self.steps] if self.steps else []
        if self.minutes:
            shares.append(self.seconds / (60.0 * self.minutes))
        return min(1.0, max(shares))

    def resume(self, done: int, seconds: float) -> None:
        """Start counting from an earlier run's end."""
        self.done, self._before, self._start = done, seconds, time.monotonic()


def learning_rate(share: float, peak: float, warm: float = 0.03, last: float = 0.02) -> float:
    """Linear warm-up over the first `warm` of the budget, then half a cosine down to `last` of the peak."""
    if share < warm:
        return peak * max(share / warm, 0.02)
    return peak * (last + (1 - last) * 0.5 * (1 + math.cos(math.pi * (share - warm) / (1 - warm))))


class Average(Generic[Model]):
    """Exponential moving average of a model's weights, quick at first so that early noise is forgotten."""

    def __init__(self, model: Model, decay: float = 0.998, warm: float = 200.0) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay, self.warm, self.updates = decay, warm, 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move towards the current weights; integer buffers are copied."""
        self.updates += 1
        decay = self.decay * (1 - math.exp(-self.updates / self.warm))
        theirs = model.state_dict()
        for key, value in self.model.state_dict().items():
            if value.is_floating_point():
                value.lerp_(theirs[key], 1 - decay)
            else:
                value.copy_(theirs[key])


def parameter_groups(model: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Weights of convolutions and linear layers decay; biases and batch normalisation do not."""
    decayed = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    plain = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    return [{"params": decayed, "weight_decay": decay}, {"params": plain, "weight_decay": 0.0}]


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every parameter group this rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write a training state whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(path.suffix + f".{os.getpid()}")
    torch.save(content, partial)
    partial.replace(path)


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """A training state written by `save_checkpoint`, None where there is none; only tensors and plain values are read.

    Raises:
        InputError: a damaged file.
    """
    if not path.is_file():
        return None
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can fail anywhere inside torch.load
        reason = type(error).__name__
        raise InputError(f"{path}: training checkpoint unreadable ({reason}); delete it to start over") from None
    return content


def resume(
    path: Path | None, model: nn.Module, average: Average[Any], optimizer: torch.optim.Optimizer, budget: Budget
) -> None:
    """Continue from a checkpoint where there is one.

    Raises:
        InputError: a damaged file, or the checkpoint of another recipe.
    """
    state = load_checkpoint(path) if path else None
    if state is None:
        return
    try:
        model.load_state_dict(state["model"])
        average.model.load_state_dict(state["average"])
        average.updates = state["updates"]
        optimizer.load_state_dict(state["optimizer"])
        budget.resume(state["done"], state["seconds"])
    except (KeyError, RuntimeError, ValueError):
        raise InputError(f"{path}: checkpoint of another model; delete it to start over") from None


def training_state(
    model: nn.Module, average: Average[Any], optimizer: torch.optim.Optimizer, budget: Budget
) -> dict[str, Any]:
    """What `resume` needs."""
    return {
        "model": model.state_dict(),
        "average": average.model.state_dict(),
        "updates": average.updates,
        "optimizer": optimizer.state_dict(),
        "done": budget.done,
        "seconds": budget.seconds,
    }

"""Heads that a notebook trains: a registered one by name, or a class and a loss that were typed into a cell."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from msfp.engine.code import typed_digest
from msfp.engine.parallel import Bar
from msfp.errors import InputError
from msfp.experiment import data
from msfp.experiment.data import Part
from msfp.experiment.heads import (
    ATTENTION,
    HEAD_CODE,
    Appearance,
    Vectors,
    appearance,
    embed_part,
    head_code,
    head_inputs,
    learned_from,
    part_vectors,
    restored,
    train_head,
    training_set,
)
from msfp.experiment.run import Run, stage
from msfp.heads.fusion import FusionHead, make_head
from msfp.heads.training import Fitted, embed, fit_fusion
from msfp.heads.triplets import Loss

Learn = tuple[Part, ...]


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained head: how it came to be, and what it makes of boxes.

    Example:
        >>> head = run.train("attention-instance", seed=0)
        >>> list(head.curve)
        ['loss', 'inside the margin']
    """

    name: str  # for tables and legends
    head: str | type[FusionHead]  # name of a registered strategy, or a class of one's own
    learn: Learn = field(repr=False)  # parts whose labels trained it
    seed: int
    loss: Loss | None  # in place of the paper's
    fitted: Fitted = field(repr=False)  # parameters and history
    run: Run = field(repr=False)

    @cached_property
    def curve(self) -> pd.DataFrame:
        """Mean loss and share of active triplets of each epoch."""
        found = pd.DataFrame({"loss": self.fitted.loss, "inside the margin": self.fitted.active})
        return found.rename_axis("epoch")

    @property
    def look(self) -> Appearance:
        """Which vectors of a box it sees."""
        return _look(self.head, self.learn, self.seed)

    def embed(self, part: Part, boxes: str) -> NDArray[np.float32]:
        """(N, D) unit embeddings of a part's boxes (`gt` or a public detector), rows as in the file."""
        if isinstance(self.head, str):
            return embed_part(self.run, part, boxes, self.look, self.fitted.state)
        data.need_pixels((part,))
        vectors = part_vectors(self.run, part, boxes, self.look, self.head)
        return embed(restored(self.run, self.head, vectors, self.fitted.state), vectors)

    def inputs(self, run: Run) -> Mapping[str, object]:
        """All that it depends on, for the key of what is computed from it."""
        if isinstance(self.head, str) and self.loss is None:
            return head_inputs(run, self.look)
        return {"own head": _fit.key(run, self.head, self.learn, self.seed, self.loss)}


def train(
    run: Run, head: str | type[FusionHead], learn: Learn, seed: int = 0, loss: Loss | None = None, name: str = ""
) -> Trained:
    """Train a head, or read it from the store: what was typed into cells is kept under its own source.

    Args:
        run: settings and store.
        head: name of a registered strategy, or a subclass of `FusionHead`.
        learn: parts to learn from.
        seed: of weights and batches.
        loss: `loss(rows, person, margin) -> (loss, active share)` in place of the paper's triplet loss.
        name: for tables; empty: the head's.

    Raises:
        InputError: the head is neither; it or the loss gives something of another shape than is needed.
        NotComputable: frames of a learning part are missing, or nobody is seen twice.
        MsfpError: the source of a cell cannot be read.
    """
    if isinstance(head, str) and loss is None:
        return Trained(name or head, head, learn, seed, None, train_head(run, appearance(head, learn, seed)), run)
    if not isinstance(head, str):
        if not (isinstance(head, type) and issubclass(head, FusionHead)):
            raise InputError(f"head {head!r}: give the name of a strategy, or a class derived from msfp.FusionHead")
        if head.sees_cells or head.sees_size:
            raise InputError(f"head {_name(head)}: one of your own sees pooled vectors or strips, not cells or sizes")
    data.need_pixels(learn)
    return Trained(name or _name(head), head, learn, seed, loss, _fit(run, head, learn, seed, loss), run)


def _look(head: str | type[FusionHead], learn: Learn, seed: int) -> Appearance:
    return appearance(head if isinstance(head, str) else ATTENTION, learn, seed)


def _inputs(run: Run, head: str | type[FusionHead], learn: Learn, seed: int, loss: Loss | None) -> dict[str, object]:
    own = [thing for thing in (head, loss) if thing is not None and not isinstance(thing, str)]
    return {
        "strategy": (head, head_code(head)) if isinstance(head, str) else "",
        "typed": typed_digest(*own),
        "seed": seed,
        "fusion": run.settings.fusion,
        "training": run.settings.training,
        "learn": learned_from(run, learn),
    }


@stage("own-head", _inputs, HEAD_CODE)
def _fit(run: Run, head: str | type[FusionHead], learn: Learn, seed: int, loss: Loss | None) -> Fitted:
    own = None if isinstance(head, str) else head
    vectors, labels = training_set(run, learn, _look(head, learn, seed), own)
    fusion, training = run.settings.fusion, run.settings.training
    _try(make_head(head, {k: v.shape[-1] for k, v in vectors.items()}, fusion), vectors, loss, training.margin)
    with Bar(training.epochs, f"training {_name(head)}") as progress:
        return fit_fusion(head, vectors, labels, fusion, training, (seed,), progress.update, loss=loss)[0]


def _try(head: FusionHead, vectors: Vectors, loss: Loss | None, margin: float) -> None:
    """Hold a head and a loss to their shapes on a handful of rows, before minutes are spent."""
    import torch

    rows = {k: torch.from_numpy(v[:8].astype(np.float32)) for k, v in vectors.items()}
    count = len(next(iter(rows.values())))
    name = type(head).__name__
    try:
        out = head.train()(rows)
    except (RuntimeError, KeyError, TypeError, AttributeError, NotImplementedError) as error:
        raise InputError(f"{name}.embed fails on {count} boxes: {type(error).__name__}: {error}") from error
    if out.shape[:1] != (count,) or out.dim() != 2:
        raise InputError(f"{name}.embed gives {tuple(out.shape)} for {count} boxes; needed is (N, D)")
    if loss is None:
        return
    found = loss(out, torch.arange(count) // 2, margin)
    if not isinstance(found, tuple) or len(found) != 2 or any(torch.as_tensor(v).dim() for v in found):
        raise InputError(
            f"{_name(loss)}: gives {found!r:.80}; needed are two numbers, the loss and the share it acts on"
        )
    if not torch.as_tensor(found[0]).requires_grad:
        raise InputError(f"{_name(loss)}: nothing can be learned from it, as it does not depend on the embeddings")


def _name(thing: object) -> str:
    return thing if isinstance(thing, str) else str(getattr(thing, "__name__", thing))

"""Training the separate ReID network on crops of labelled frames by supervised contrast.

Other people of a batch come from the same frame, so scene and light do not give an identity away. Classification with
batch-hard triplets, the usual recipe, fell to a single point within the minutes that a CPU has.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from msfp.errors import InputError
from msfp.features.reid import OSNet, embed, normalise
from shipped_weights.gallery import cut_gallery, draw_rows, vary
from shipped_weights.progress import (
    Average,
    Budget,
    learning_rate,
    parameter_groups,
    resume,
    save_checkpoint,
    set_learning_rate,
    training_state,
)
from shipped_weights.samples import Sample

Report = Callable[[float, str], None]


@dataclass(frozen=True)
class ReidRecipe:
    """How the ReID network is trained; written to the model card.

    Attributes:
        steps: most steps, None for no limit.
        minutes: most wall minutes, None for no limit.
        identities: people a batch, taken from one or a few frames so that negatives share scene and light.
        instances: crops a person.
        rate: peak learning rate of AdamW.
        decay: weight decay.
        temperature: of the contrastive loss.
        coarse: share of the budget that trains on crops of half the size, at a quarter of the cost.
        visible: people less visible than this do not train.
        smallest: height in pixels from which people train.
        seed: of weights and batches.
        threads: CPU threads.
    """

    steps: int | None = 2_000
    minutes: float | None = None
    identities: int = 12
    instances: int = 3
    rate: float = 1.5e-3
    decay: float = 5e-4
    temperature: float = 0.1
    coarse: float = 0.75
    visible: float = 0.3
    smallest: float = 24.0
    seed: int = 0
    threads: int = 1


@dataclass(frozen=True)
class TrainedReid:
    """A finished run: the network and what its card says about how it was made."""

    model: OSNet
    identities: int
    steps: int
    seconds: float


def train_reid(
    samples: Sequence[Sample],
    recipe: ReidRecipe,
    checkpoint: Path | None = None,
    report: Report | None = None,
    every: int = 50,
) -> TrainedReid:
    """Train OSNet x0.25 from random weights.

    Args:
        samples: frames from `gather`, identities unique over all of them.
        recipe: settings.
        checkpoint: file for the training state; a run that finds one continues it.
        report: called with the used share of the budget and a line of text.
        every: steps between checkpoints and reports.

    Raises:
        InputError: too few people in the frames.
    """
    torch.set_num_threads(recipe.threads)
    gallery = cut_gallery(samples, recipe.visible, recipe.smallest, recipe.identities)
    people = int(gallery.label.max()) + 1
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = OSNet().train()
    model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(parameter_groups(model, recipe.decay), lr=recipe.rate)
    average = Average(model)
    budget = Budget(recipe.steps, recipe.minutes)
    resume(checkpoint, model, average, optimizer, budget)
    smooth = 0.0
    while budget.share < 1.0:
        rng = np.random.default_rng([recipe.seed, budget.done])
        rows = draw_rows(gallery, recipe.identities, recipe.instances, rng)
        label = torch.from_numpy(gallery.label[rows])
        set_learning_rate(optimizer, learning_rate(budget.share, recipe.rate))
        size = (64, 128) if budget.share < recipe.coarse else (128, 256)
        feature = model(normalise(vary(gallery.crops[rows], rng, size)))
        loss = contrast(feature, label, recipe.temperature)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        average.update(model)
        budget.done += 1
        smooth = 0.95 * smooth + 0.05 * loss.item() if budget.done > 1 else loss.item()
        if budget.done % every == 0:
            if checkpoint:
                save_checkpoint(checkpoint, training_state(model, average, optimizer, budget))
            if report:
                report(budget.share, f"{budget.done} steps, {budget.seconds:.0f} s, loss {smooth:.3f}")
    return TrainedReid(average.model, people, budget.done, budget.seconds)


def contrast(feature: torch.Tensor, label: torch.Tensor, temperature: float) -> torch.Tensor:
    """Supervised contrastive loss (Khosla et al., 2020, eq. 2) over a batch.

    Mean over anchors i and their positives p of -log(exp(s_ip / t) / sum over a != i of exp(s_ia / t)), s the cosine.

    Args:
        feature: (B, D).
        label: (B,) identities; anchors without a positive are left out.
        temperature: t; small values look at the nearest negatives only.
    """
    unit = nn.functional.normalize(feature)
    itself = torch.eye(len(label), dtype=torch.bool)
    logits = (unit @ unit.T / temperature).masked_fill(itself, -torch.inf)
    log_share = (logits - logits.logsumexp(1, keepdim=True)).masked_fill(itself, 0.0)
    positive = (label[:, None] == label[None]) & ~itself
    count = positive.sum(1)
    return -((log_share * positive).sum(1)[count > 0] / count[count > 0]).mean()


def pairs_of(
    samples: Sequence[Sample], recipe: ReidRecipe, negatives: int, rng: np.random.Generator
) -> Iterator[tuple[tuple[int, int], tuple[int, int], bool]]:
    """((frame, row), (frame, row), same person?) after section 4.2: every re-appearance, and others beside it.

    A positive is a person in one frame and in the next given frame that shows them; its negatives are up to
    `negatives` other people of that second frame, so they share scene and light.
    """
    latest: dict[int, tuple[int, int]] = {}
    for number, sample in enumerate(samples):
        tall = sample.xyxy[:, 3] - sample.xyxy[:, 1] >= recipe.smallest
        rows = np.flatnonzero(tall & (sample.visibility > recipe.visible))
        for row in rows:
            person = int(sample.id[row])
            if person in latest:
                yield latest[person], (number, int(row)), True
                others = rows[sample.id[rows] != person]
                for other in rng.permutation(others)[:negatives]:
                    yield latest[person], (number, int(other)), False
        latest |= {int(sample.id[row]): (number, int(row)) for row in rows}


def held_out_auc(
    model: OSNet, samples: Sequence[Sample], recipe: ReidRecipe, negatives: int = 10
) -> tuple[float, int, int]:
    """Area under the ROC curve of cosine similarity on frames that did not train.

    Args:
        model: in evaluation mode.
        samples: held-out frames, in order within a scene.
        recipe: whose limits of size and visibility hold.
        negatives: other people a positive is held against.

    Returns:
        AUC, number of positive pairs, number of negative pairs.
    """
    return auc_of([embed(model, s.pixels(), s.tlwh) for s in samples], samples, recipe, negatives)


def auc_of(
    vectors: Sequence[NDArray[np.float32]], samples: Sequence[Sample], recipe: ReidRecipe, negatives: int = 10
) -> tuple[float, int, int]:
    """`held_out_auc` of any unit vectors: the pairs depend on the frames and the recipe's seed alone.

    Args:
        vectors: per frame (N, D), a row a person of the sample.
        samples: held-out frames, in order within a scene.
        recipe: whose limits of size and visibility hold.
        negatives: other people a positive is held against.

    Raises:
        InputError: nobody is seen twice, or only one person is.
    """
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(recipe.seed)
    pairs = list(pairs_of(samples, recipe, negatives, rng))
    same = np.array([pair[2] for pair in pairs], np.bool_)
    if not same.any() or same.all():
        raise InputError("held-out frames hold no pairs to compare; give several frames of people seen together")
    similarity = [float(vectors[a[0]][a[1]] @ vectors[b[0]][b[1]]) for a, b, _ in pairs]
    return float(roc_auc_score(same, similarity)), int(same.sum()), int((~same).sum())


def recipe_lines(recipe: ReidRecipe) -> dict[str, str]:
    """The recipe, flat, for a model card."""
    return {key: str(value) for key, value in asdict(recipe).items()}

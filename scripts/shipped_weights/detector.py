"""Training the embedded person detector: ultralytics' YOLOv8n and its loss, in a loop that fits on a laptop's CPU."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from msfp.features.backbone import Geometry, fit, to_batch
from msfp.features.detector import Boxes, chosen, predicted
from msfp.features.weights import build
from shipped_weights.average_precision import Found, Labels, mean_average_precision
from shipped_weights.crops import CropSettings, draw_crop
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

# ultralytics' own gains of box, class and distribution loss.
GAINS = {"box": 7.5, "cls": 0.5, "dfl": 1.5}
Report = Callable[[float, str], None]


@dataclass(frozen=True)
class DetectorRecipe:
    """How the detector is trained; written to the model card.

    Attributes:
        architecture: an ultralytics YOLO.
        crops: most crops drawn, None for no limit.
        minutes: most wall minutes, None for no limit.
        batch: crops a step.
        rate: peak learning rate of AdamW.
        decay: weight decay.
        seed: of weights and crops.
        threads: CPU threads; on a busy machine a second one waits more than it works.
        crop: how crops vary.
    """

    architecture: str = "yolov8n"
    crops: int | None = 30_000
    minutes: float | None = None
    batch: int = 16
    rate: float = 2e-3
    decay: float = 5e-4
    seed: int = 0
    threads: int = 1
    crop: CropSettings = field(default_factory=CropSettings)


@dataclass(frozen=True)
class Trained:
    """A finished run: the model and what its card says about how it was made."""

    model: nn.Module
    crops: int
    seconds: float


def train_detector(
    samples: Sequence[Sample],
    recipe: DetectorRecipe,
    checkpoint: Path | None = None,
    report: Report | None = None,
    every: int = 100,
) -> Trained:
    """Train a one-class detector from random weights on labelled frames.

    Args:
        samples: frames from `gather`.
        recipe: settings.
        checkpoint: file for the training state; a run that finds one continues it.
        report: called with the used share of the budget and a line of text.
        every: steps between checkpoints and reports.

    Returns:
        The averaged weights in a fused model.
    """
    torch.set_num_threads(recipe.threads)
    model = build(recipe.architecture, classes=1, seed=recipe.seed, fused=False).train()
    model.to(memory_format=torch.channels_last)
    model.args = SimpleNamespace(**GAINS, overlap_mask=False)
    criterion = model.init_criterion()
    optimizer = torch.optim.AdamW(parameter_groups(model, recipe.decay), lr=recipe.rate, betas=(0.9, 0.99))
    average = Average(model)
    budget = Budget(recipe.crops and -(-recipe.crops // recipe.batch), recipe.minutes)
    resume(checkpoint, model, average, optimizer, budget)
    smooth = 0.0
    while budget.share < 1.0:
        # A generator per step: a continued run draws the crops that an unbroken one would have drawn.
        rng = np.random.default_rng([recipe.seed, budget.done])
        batch = draw_batch(samples, recipe, rng)
        set_learning_rate(optimizer, learning_rate(budget.share, recipe.rate))
        losses, _ = criterion(model(batch["img"]), batch)
        loss = losses.sum() / recipe.batch
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        average.update(model)
        budget.done += 1
        smooth = 0.95 * smooth + 0.05 * loss.item() if budget.done > 1 else loss.item()
        if budget.done % every == 0:
            if checkpoint:
                save_checkpoint(checkpoint, training_state(model, average, optimizer, budget))
            if report:
                report(budget.share, f"{budget.done * recipe.batch} crops, {budget.seconds:.0f} s, loss {smooth:.3f}")
    fused = average.model.eval().fuse(verbose=False).requires_grad_(False)
    return Trained(fused, budget.done * recipe.batch, budget.seconds)


def draw_batch(samples: Sequence[Sample], recipe: DetectorRecipe, rng: np.random.Generator) -> dict[str, torch.Tensor]:
    """Random crops for ultralytics' loss: img (B, 3, H, W), batch_idx (T,), cls (T, 1), bboxes (T, 4) xywh in 0..1."""
    images, boxes, rows = [], [], []
    for row in range(recipe.batch):
        crop, targets = draw_crop(samples[int(rng.integers(len(samples)))], recipe.crop, rng)
        images.append(crop)
        boxes.append(targets)
        rows.append(np.full(len(targets), row))
    return {
        "img": to_batch(np.stack(images)),
        "batch_idx": torch.from_numpy(np.concatenate(rows)).float(),
        "cls": torch.zeros(sum(map(len, boxes)), 1),
        "bboxes": torch.from_numpy(relative_boxes(np.concatenate(boxes), recipe.crop.size)).float(),
    }


def held_out_precision(
    model: nn.Module, samples: Sequence[Sample], size: tuple[int, int], visible: float = 0.2
) -> tuple[float, float]:
    """Person AP@0.5 and AP@0.5:0.95 on frames that did not train; people less visible than `visible` are ignored.

    Args:
        model: a fused detector.
        samples: held-out frames.
        size: (width, height) of the network's input.
        visible: smallest visible share of a person that has to be found.
    """
    labels, found = [], []
    for sample in samples:
        tlwh, score = detect(model, sample.pixels(), size, confidence=0.01)
        truth = np.concatenate([sample.xyxy[:, :2] + 1.0, sample.xyxy[:, 2:] - sample.xyxy[:, :2]], 1)
        labels.append(Labels(truth, sample.visibility <= visible))
        found.append(Found(tlwh, score))
    return mean_average_precision(labels, found)


def recipe_lines(recipe: DetectorRecipe) -> dict[str, str]:
    """The recipe, flat, for a model card."""
    plain = asdict(recipe)
    plain |= {f"crop {key}": value for key, value in plain.pop("crop").items()}
    return {key: str(value) for key, value in plain.items()}


def relative_boxes(xyxy: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """(N, 4) xyxy in crop pixels -> centre and sides as shares of the crop, as ultralytics' loss takes them."""
    centre, sides = (xyxy[:, :2] + xyxy[:, 2:]) / 2, xyxy[:, 2:] - xyxy[:, :2]
    return np.concatenate([centre, sides], 1) / np.tile(size, 2)


@torch.inference_mode()
def detect(
    model: nn.Module, frame: NDArray[np.uint8], size: tuple[int, int] = (640, 384), confidence: float = 0.25,
    overlap: float = 0.7, limit: int = 300, geometry: Geometry = "letterbox",
) -> Boxes:  # fmt: skip
    """People in a (H, W, 3) frame, best first, as a whole ultralytics model in evaluation mode finds them."""
    box = fit((frame.shape[1], frame.shape[0]), size, geometry)
    output = model(to_batch(box.apply(frame)[None], next(model.parameters()).device))
    return chosen(*predicted(output, box.size, type(model).__name__), box, confidence, overlap, limit)

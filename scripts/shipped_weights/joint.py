"""Training a detector and its embedding branch together, from labelled frames with identities.

One loss for boxes, ultralytics', and one for identities, supervised contrast over the people of a batch; they are
weighed by two learned uncertainties as in JDE and FairMOT (Kendall et al., 2018). Contrast stands where those classify
thousands of training people: within the minutes that a CPU has, it is what learns.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from msfp.features.backbone import Geometry, fit, load_backbone, to_batch
from msfp.features.joint import STRIDE, JointNetwork, mean_under
from msfp.features.pooling import CELLS, SAMPLES, extract_modes
from msfp.features.weights import load_detector
from shipped_weights.detector import GAINS
from shipped_weights.people import Batch, JointRecipe, appearances, draw_batch
from shipped_weights.progress import (
    Average,
    Budget,
    learning_rate,
    parameter_groups,
    resume,
    save_checkpoint,
    training_state,
)
from shipped_weights.reid import ReidRecipe, auc_of, contrast
from shipped_weights.samples import Sample

Report = Callable[[float, str], None]
SUMMARY = (
    "What frozen features are compared with: boxes and appearance from one pass, as in JDE and FairMOT. It departs "
    "from both: YOLOv8n without anchors (JDE: DarkNet-53 and anchors; FairMOT: DLA-34 and object centres), identities "
    "told apart by contrast within a batch (both: classification of the training people), a person's vector is the "
    "mean under the box (both: read at one place), and it starts from the plain detector of the same worlds."
)


@dataclass(frozen=True)
class TrainedJoint:
    """A finished run.

    Attributes:
        network: the averaged weights, frozen.
        people: training people seen often enough to be told apart.
        steps: steps taken.
        seconds: wall seconds, earlier runs included.
        curve: (steps, detection loss, identity loss), smoothed, of this run's reports.
    """

    network: JointNetwork
    people: int
    steps: int
    seconds: float
    curve: tuple[tuple[int, float, float], ...]


class Balanced(nn.Module):
    """A network in training with the learned logarithms of its two losses' variances."""

    def __init__(self, network: JointNetwork) -> None:
        """Begin with FairMOT's variances."""
        super().__init__()
        self.network = network
        self.spread = nn.Parameter(torch.tensor([-1.85, -1.05]))

    def forward(self, detection: torch.Tensor, identity: torch.Tensor) -> torch.Tensor:
        """One loss: half of exp(-s) L + s, summed over both (FairMOT, eq. 4)."""
        losses = torch.stack([detection, identity])
        return 0.5 * (torch.exp(-self.spread) * losses + self.spread).sum()


def train_joint(
    samples: Sequence[Sample],
    recipe: JointRecipe,
    checkpoint: Path | None = None,
    report: Report | None = None,
    every: int = 50,
    start: str | Path = "embedded",
) -> TrainedJoint:
    """Train detector and branch together, none of them frozen.

    Args:
        samples: frames from `gather`, identities unique over all of them.
        recipe: settings.
        checkpoint: file for the training state; a run that finds one continues it.
        report: called with the used share of the budget and a line of text.
        every: steps between checkpoints and reports.
        start: weights of the detector that training starts from.

    Raises:
        InputError: too few people in the frames, or weights that do not fit.
    """
    torch.set_num_threads(recipe.threads)
    found = appearances(samples, recipe)
    model = Balanced(untrained_joint(start, recipe.seed)).train().requires_grad_(True)
    detector: Any = model.network.detector
    detector.model[-1].dfl.requires_grad_(False)  # a fixed sum, not a layer
    detector.args = SimpleNamespace(**GAINS, overlap_mask=False)
    criterion = detector.init_criterion()
    optimizer = torch.optim.AdamW(_groups(model, recipe), lr=recipe.rate, betas=(0.9, 0.99))
    average = Average(model)
    budget = Budget(recipe.steps, recipe.minutes)
    resume(checkpoint, model, average, optimizer, budget)
    smooth: NDArray[np.float64] | None = None
    curve: list[tuple[int, float, float]] = []
    while budget.share < 1.0:
        batch = draw_batch(samples, found, recipe, np.random.default_rng([recipe.seed, budget.done]))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(budget.share, group["peak"])
        losses = step_losses(model.network, criterion, batch, recipe)
        optimizer.zero_grad(set_to_none=True)
        model(*losses).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        average.update(model)
        budget.done += 1
        now = np.array([loss.item() for loss in losses])
        smooth = now if smooth is None else 0.95 * smooth + 0.05 * now
        if budget.done % every == 0:
            curve.append((budget.done, float(smooth[0]), float(smooth[1])))
            if checkpoint:
                save_checkpoint(checkpoint, training_state(model, average, optimizer, budget))
            if report:
                told = f"detection {smooth[0]:.3f}, identity {smooth[1]:.3f}"
                report(budget.share, f"{budget.done} steps, {budget.seconds:.0f} s, {told}")
    network = average.model.network.eval().requires_grad_(False)
    return TrainedJoint(network, len(found), budget.done, budget.seconds, tuple(curve))


def step_losses(
    network: JointNetwork, criterion: Any, batch: Batch, recipe: JointRecipe
) -> tuple[torch.Tensor, torch.Tensor]:
    """Detection loss a crop, and contrast over the people of the batch."""
    predictions, appearance = network(batch.detection["img"])
    detection = criterion(predictions, batch.detection)[0].sum() / recipe.batch
    from torchvision.ops import roi_align  # loads all of torch.compile

    vectors = roi_align(appearance, batch.boxes, CELLS, 1.0 / STRIDE, SAMPLES, aligned=True).mean((2, 3))
    if len(batch.identity.unique()) == len(batch.identity):  # nobody twice, nothing to contrast
        return detection, 0.0 * vectors.sum()
    return detection, contrast(vectors, batch.identity, recipe.temperature)


def held_out_auc(network: JointNetwork, samples: Sequence[Sample], size: tuple[int, int]) -> tuple[float, int, int]:
    """AUC of the embedding at labelled boxes, over the very pairs on which the separate ReID network is judged.

    Args:
        network: frozen.
        samples: held-out frames, in order within a scene.
        size: (width, height) of the network's input.

    Returns:
        AUC, number of positive pairs, number of negative pairs.
    """
    vectors = [describe(network, sample.pixels(), sample.tlwh, size) for sample in samples]
    return auc_of(vectors, samples, ReidRecipe())


def frozen_aucs(samples: Sequence[Sample], size: tuple[int, int]) -> dict[str, float]:
    """The same measure of the frozen detector's tapped layers, each and all together as they are.

    Args:
        samples: held-out frames, in order within a scene.
        size: (width, height) of the network's input.
    """
    backbone = load_backbone("yolov8n-paper")
    frames = ((number, sample.pixels()) for number, sample in enumerate(samples, 1))
    rows = np.concatenate([np.full(len(s.xyxy), number, np.int32) for number, s in enumerate(samples, 1)])
    boxes = {"gt": (rows, np.concatenate([s.tlwh for s in samples]))}
    pooled = extract_modes(frames, boxes, backbone, {"roi_align": backbone.layers}, size)["roi_align"]["gt"]
    layers = {k: v.astype(np.float32) for k, v in pooled.layers.items()}
    taken: dict[str, tuple[int, ...]] = {f"AUC of frozen layer {layer}": (layer,) for layer in layers}
    taken["AUC of frozen layers together"] = tuple(layers)
    found = {}
    for name, chosen in taken.items():
        joined = np.concatenate([layers[k] / np.linalg.norm(layers[k], axis=1, keepdims=True) for k in chosen], 1)
        unit = joined / np.linalg.norm(joined, axis=1, keepdims=True)
        found[name] = auc_of(np.split(unit, np.cumsum([len(s.xyxy) for s in samples])[:-1]), samples, ReidRecipe())[0]
    return found


def _groups(model: Balanced, recipe: JointRecipe) -> list[dict[str, Any]]:
    """Parameters with their peak learning rates."""
    groups = []
    for module, peak in ((model.network.detector, recipe.detector_rate), (model.network.branch, recipe.rate)):
        groups += [{**group, "peak": peak} for group in parameter_groups(module, recipe.decay)]
    return [*groups, {"params": [model.spread], "weight_decay": 0.0, "peak": recipe.rate}]


def untrained_joint(weights: str | Path = "embedded", seed: int = 0) -> JointNetwork:
    """The one-class detector as it is, with a branch of seeded random weights: where joint training starts.

    Raises InputError: weights that are missing or do not fit.
    """
    detector = load_detector("yolov8n", weights, "yolov8n-synth.safetensors")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return JointNetwork(detector).eval().requires_grad_(False).to(memory_format=torch.channels_last)


@torch.inference_mode()
def describe(
    network: JointNetwork, frame: NDArray[np.uint8], tlwh: NDArray[np.float64], size: tuple[int, int] = (640, 384),
    geometry: Geometry = "letterbox",
) -> NDArray[np.float32]:  # fmt: skip
    """(N, WIDTH) unit vectors of (N, 4) tlwh boxes in file coordinates of a (H, W, 3) frame."""
    box = fit((frame.shape[1], frame.shape[0]), size, geometry)
    appearance = network(to_batch(box.apply(frame)[None], next(network.parameters()).device))[1]
    return mean_under(appearance, box.to_network(tlwh))

"""What joint training is fed: crops around a few people, each seen from several frames, with targets and identities."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from msfp.errors import InputError
from msfp.features.backbone import to_batch
from shipped_weights.crops import CropSettings, Pixels, draw_people
from shipped_weights.detector import relative_boxes
from shipped_weights.samples import Sample


@dataclass(frozen=True)
class JointRecipe:
    """How detector and branch are trained; written to the model card.

    Attributes:
        steps: most steps, None for no limit.
        minutes: most wall minutes, None for no limit.
        people: people a batch is built around.
        views: crops of each of them, from as many frames where there are.
        free: crops of a batch that are drawn anywhere, so that empty ground stays in the lesson.
        rate: peak learning rate of the branch (AdamW).
        detector_rate: of the detector, which is trained already and has its normalisation folded away.
        decay: weight decay.
        temperature: of the contrastive loss.
        visible: people less visible than this are detected but not told apart.
        smallest: height in frame pixels from which a batch is built around a person.
        wobble: standard deviation of a box's corners, as a share of its sides; detected boxes are not exact either.
        seed: of the branch and the crops.
        threads: CPU threads.
        crop: how crops vary; colours less than for a detector alone, as they tell people apart.
    """

    steps: int | None = 1_600
    minutes: float | None = None
    people: int = 4
    views: int = 3
    free: int = 4
    rate: float = 2e-3
    detector_rate: float = 5e-4
    decay: float = 5e-4
    temperature: float = 0.1
    visible: float = 0.3
    smallest: float = 24.0
    wobble: float = 0.04
    seed: int = 0
    threads: int = 1
    crop: CropSettings = field(
        default_factory=lambda: CropSettings(scales=(0.6, 1.5), hue=0.015, saturation=0.3, value=0.25)
    )

    @property
    def batch(self) -> int:
        """Crops a step."""
        return self.people * self.views + self.free


def recipe_lines(recipe: JointRecipe) -> dict[str, str]:
    """The recipe, flat, for a model card."""
    plain = asdict(recipe)
    plain |= {f"crop {key}": value for key, value in plain.pop("crop").items()}
    return {key: str(value) for key, value in plain.items()}


@dataclass(frozen=True)
class Batch:
    """Crops, their targets, and whose they are.

    Attributes:
        detection: what ultralytics' loss takes: img, batch_idx, cls, bboxes.
        boxes: per crop (N, 4) xyxy in crop pixels of people to be told apart.
        identity: (M,) of all those boxes in order.
    """

    detection: dict[str, torch.Tensor]
    boxes: list[torch.Tensor]
    identity: torch.Tensor


def appearances(samples: Sequence[Sample], recipe: JointRecipe) -> list[NDArray[np.int64]]:
    """Per person seen in at least two frames well enough: (K, 2) frame and row of each time.

    Raises:
        InputError: fewer people than a batch needs.
    """
    times: dict[int, list[tuple[int, int]]] = {}
    for number, sample in enumerate(samples):
        tall = sample.xyxy[:, 3] - sample.xyxy[:, 1] >= recipe.smallest
        for row in np.flatnonzero(tall & (sample.visibility > recipe.visible)):
            times.setdefault(int(sample.id[row]), []).append((number, int(row)))
    found = [np.array(places, np.int64) for _, places in sorted(times.items()) if len(places) > 1]
    if len(found) < recipe.people:
        raise InputError(
            f"joint training: {len(found)} people seen often enough, {recipe.people} are needed; give more frames"
        )
    return found


def draw_batch(
    samples: Sequence[Sample], found: Sequence[NDArray[np.int64]], recipe: JointRecipe, rng: np.random.Generator
) -> Batch:
    """Crops around a few people, each from several frames, and some crops from anywhere."""
    drawn: list[tuple[Sample, Pixels, NDArray[np.float64], NDArray[np.int64]]] = []
    for person in rng.choice(len(found), recipe.people, replace=False):
        places = found[person]
        chosen = rng.choice(len(places), recipe.views, replace=len(places) < recipe.views)
        for frame, row in places[chosen]:
            drawn.append((samples[frame], *draw_people(samples[frame], recipe.crop, rng, int(row))))
    for number in rng.integers(len(samples), size=recipe.free):
        drawn.append((samples[number], *draw_people(samples[number], recipe.crop, rng)))
    boxes, identities, targets, places_in_batch = [], [], [], []
    for number, (sample, _, xyxy, rows) in enumerate(drawn):
        clear = sample.visibility[rows] > recipe.visible
        sides = np.tile(xyxy[clear, 2:] - xyxy[clear, :2], 2)
        boxes.append(torch.from_numpy(xyxy[clear] + sides * recipe.wobble * rng.standard_normal(sides.shape)).float())
        identities.append(sample.id[rows[clear]])
        targets.append(xyxy)
        places_in_batch.append(np.full(len(xyxy), number))
    detection = {
        "img": to_batch(np.stack([crop for _, crop, _, _ in drawn])),
        "batch_idx": torch.from_numpy(np.concatenate(places_in_batch)).float(),
        "cls": torch.zeros(sum(map(len, targets)), 1),
        "bboxes": torch.from_numpy(relative_boxes(np.concatenate(targets), recipe.crop.size)).float(),
    }
    return Batch(detection, boxes, torch.from_numpy(np.concatenate(identities)))

"""Training of the shipped networks on embedded worlds that are never evaluated (section 3.1's detector; A.9's ReID)."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from msfp.engine import parallel
from msfp.engine.parallel import Bar
from msfp.errors import InputError

if TYPE_CHECKING:
    from msfp.worlds import World
    from shipped_weights.samples import Labelled, Sample

TRAIN_SEED, HELD_OUT_SEED = 1000, 2000
# Worlds of each embedded data set that the shipped weights saw, and those they were judged on.
WORLDS = {"synth17": 64, "synth20": 44, "synthdance": 36, "synthpp22": 40}
HELD_OUT = {"synth17": 12, "synth20": 8, "synthdance": 8, "synthpp22": 8}
IDENTITIES = 10_000  # room for the people of one world
INPUT = (640, 384)
LICENCE = "AGPL-3.0-only"


@dataclass(frozen=True)
class Pool:
    """Which worlds are rendered for training.

    Attributes:
        worlds: data set -> number of training worlds.
        frames: length of each.
        every: each so-many-th frame is kept, as neighbours look alike.
        size: width and height of a frame, pixels.
        seed: of the series of worlds: from 1000 for training, from 2000 for judging.
    """

    worlds: Mapping[str, int]
    frames: int = 64
    every: int = 8
    size: tuple[int, int] = (640, 360)
    seed: int = TRAIN_SEED


@dataclass(frozen=True)
class Made:
    """Trained weights: the file, its card, and what was measured on held-out worlds."""

    weights: Path
    card: Path
    measured: Mapping[str, float]


def pools(scale: float = 1.0, seed: int = TRAIN_SEED) -> tuple[Pool, Pool]:
    """The worlds that the shipped weights saw and those they were judged on, or a share of both.

    Raises:
        InputError: a seed outside the training worlds' range.
    """
    if not TRAIN_SEED <= seed < HELD_OUT_SEED:
        raise InputError(f"--seed {seed}: training worlds have seeds {TRAIN_SEED} to {HELD_OUT_SEED - 1}; choose one")
    seen, judged = ({name: max(1, round(scale * n)) for name, n in counts.items()} for counts in (WORLDS, HELD_OUT))
    return Pool(seen, seed=seed), Pool(judged, every=16, seed=seed + HELD_OUT_SEED - TRAIN_SEED)


def train_backbone(
    out: Path,
    *,
    minutes: float | None = None,
    crops: int | None = None,
    scale: float = 1.0,
    seed: int = TRAIN_SEED,
    workers: int = 0,
    fresh: bool = False,
) -> Made:
    """Train the embedded YOLOv8n person detector; an interrupted run goes on from its checkpoint.

    Args:
        out: folder for weights, card and checkpoint.
        minutes: most wall minutes; None with `crops` None: the recipe's number of crops.
        crops: most training crops.
        scale: share of the shipped weights' worlds to render.
        seed: of the training worlds.
        workers: processes that render.
        fresh: replace weights that are there.

    Raises:
        InputError: weights are there already, or `out` cannot be written.
    """
    pool, judged = pools(scale, seed)
    path = _target(out, "yolov8n-synth.safetensors", fresh)
    from shipped_weights.detector import DetectorRecipe, held_out_precision, recipe_lines, train_detector

    recipe = DetectorRecipe(crops=crops, minutes=minutes) if crops or minutes else DetectorRecipe()
    samples = render_samples(pool, workers)
    checkpoint = path.with_suffix(".checkpoint")
    with Bar(100, "training the detector") as progress:
        done = train_detector(samples, recipe, checkpoint, _reporter(progress))
    held = render_samples(judged, workers)
    half, mean = held_out_precision(done.model, held, INPUT)
    measured = {"person AP@0.5": half, "person AP@0.5:0.95": mean}
    size = f"{INPUT[0]}x{INPUT[1]}"
    made = _write(
        path,
        done.model.state_dict(),
        {"architecture": recipe.architecture, "classes": "person"},
        title="YOLOv8n, one class (person), trained on the embedded worlds",
        summary="Frozen feature extractor and person detector of the embedded profiles; random initialisation.",
        measured={f"{k} at {size}, {len(held)} frames": f"{v:.4f}" for k, v in measured.items()},
        data=_data_lines(pool, samples),
        recipe=recipe_lines(recipe) | {"crops drawn": str(done.crops), "seconds": f"{done.seconds:.0f}"},
        command=_command("backbone", minutes=minutes, crops=crops, scale=scale, seed=seed),
    )
    checkpoint.unlink(missing_ok=True)
    return Made(*made, measured)


def train_reid(
    out: Path,
    *,
    minutes: float | None = None,
    steps: int | None = None,
    scale: float = 1.0,
    seed: int = TRAIN_SEED,
    workers: int = 0,
    fresh: bool = False,
) -> Made:
    """Train the embedded OSNet x0.25; arguments and errors as of `train_backbone`, `steps` in place of crops."""
    pool, judged = pools(scale, seed)
    path = _target(out, "osnet_x0_25-synth.safetensors", fresh)
    from shipped_weights.reid import ReidRecipe, held_out_auc, recipe_lines
    from shipped_weights.reid import train_reid as train

    recipe = ReidRecipe(steps=steps, minutes=minutes) if steps or minutes else ReidRecipe()
    samples = render_samples(pool, workers)
    checkpoint = path.with_suffix(".checkpoint")
    with Bar(100, "training the ReID network") as progress:
        done = train(samples, recipe, checkpoint, _reporter(progress))
    held = render_samples(judged, workers)
    auc, same, other = held_out_auc(done.model, held, recipe)
    made = _write(
        path,
        # Training identities say nothing about other people: the classifier stays behind.
        {k: v for k, v in done.model.state_dict().items() if not k.startswith("classifier.")},
        {"architecture": "osnet_x0_25"},
        title="OSNet x0.25, trained on the embedded worlds",
        summary="The separate re-identification network of the baselines; random initialisation.",
        measured={f"AUC, {same} positive and {other} negative pairs": f"{auc:.4f}"},
        data=_data_lines(pool, samples) | {"people": str(done.identities)},
        recipe=recipe_lines(recipe) | {"steps done": str(done.steps), "seconds": f"{done.seconds:.0f}"},
        command=_command("reid", minutes=minutes, steps=steps, scale=scale, seed=seed),
    )
    checkpoint.unlink(missing_ok=True)
    return Made(*made, {"AUC": auc})


def train_joint(
    out: Path,
    *,
    minutes: float | None = None,
    steps: int | None = None,
    scale: float = 1.0,
    seed: int = TRAIN_SEED,
    workers: int = 0,
    fresh: bool = False,
) -> Made:
    """Train detector and embedding together from the embedded detector; arguments and errors as of `train_reid`."""
    pool, judged = pools(scale, seed)
    path = _target(out, "joint-synth.safetensors", fresh)
    from shipped_weights import joint
    from shipped_weights.detector import held_out_precision
    from shipped_weights.people import JointRecipe, recipe_lines

    recipe = JointRecipe(steps=steps, minutes=minutes) if steps or minutes else JointRecipe()
    samples = render_samples(pool, workers)
    checkpoint = path.with_suffix(".checkpoint")
    with Bar(100, "training detector and embedding together") as progress:
        done = joint.train_joint(samples, recipe, checkpoint, _reporter(progress))
    held = render_samples(judged, workers)
    half, mean = held_out_precision(done.network, held, INPUT)
    auc, same, other = joint.held_out_auc(done.network, held, INPUT)
    before = held_out_precision(joint.untrained_joint().detector, held, INPUT)
    size = f"{INPUT[0]}x{INPUT[1]}, {len(held)} frames"
    made = _write(
        path,
        done.network.state_dict(),
        {"architecture": "yolov8n with an embedding branch", "classes": "person"},
        title="YOLOv8n with an embedding branch, trained together on the embedded worlds",
        summary=joint.SUMMARY,
        measured={
            f"person AP@0.5 at {size}": f"{half:.4f}; of the detector that it started from {before[0]:.4f}",
            f"person AP@0.5:0.95 at {size}": f"{mean:.4f}; of the detector that it started from {before[1]:.4f}",
            f"AUC, {same} positive and {other} negative pairs": f"{auc:.4f}",
        }
        | {f"{name}, same pairs": f"{value:.4f}" for name, value in joint.frozen_aucs(held, INPUT).items()},
        data=_data_lines(pool, samples) | {"people": str(done.people)},
        recipe=recipe_lines(recipe)
        | {"steps done": str(done.steps), "seconds": f"{done.seconds:.0f}"}
        | {f"losses after {n} steps": f"detection {box:.3f}, identity {who:.3f}" for n, box, who in done.curve[::4]},
        command=_command("joint", minutes=minutes, steps=steps, scale=scale, seed=seed),
    )
    checkpoint.unlink(missing_ok=True)
    return Made(*made, {"person AP@0.5": half, "person AP@0.5:0.95": mean, "AUC": auc})


def render_samples(pool: Pool, workers: int = 0) -> "list[Sample]":
    """Labelled frames of a pool's worlds, people numbered uniquely over all of them."""
    from shipped_weights.samples import worlds

    drawn = [
        world
        for name, count in pool.worlds.items()
        for world in worlds(name, pool.seed, count, size=pool.size, length=pool.frames)
    ]
    found = parallel.map(
        partial(_render, every=pool.every), enumerate(drawn), workers=workers, label="rendering worlds"
    )
    return [sample for world in found for sample in world]


def _render(item: "tuple[int, World]", every: int) -> "list[Sample]":
    from msfp.worlds import render
    from shipped_weights.samples import Labelled, gather

    number, world = item

    def frames() -> "Iterator[Labelled]":
        for image, rows in render(world, every=every):
            people = rows[rows[:, 6] == 1]
            identity = people[:, 1].astype(np.int64) + number * IDENTITIES
            yield Labelled(image, people[:, 2:6], identity, people[:, 8])

    return gather(frames())


def _target(out: Path, name: str, fresh: bool) -> Path:
    """The weights' path, known to be writable before hours are spent."""
    from msfp.engine.files import atomic_write

    path = Path(out) / name
    if path.exists() and not fresh:
        raise InputError(f"{path} is there already; give another --out, or --fresh to replace it")
    trial = path.with_suffix(".trial")
    atomic_write(trial, b"")
    trial.unlink(missing_ok=True)
    return path


def _write(path: Path, state: Mapping[str, object], metadata: Mapping[str, str], **card: object) -> tuple[Path, Path]:
    from shipped_weights.card import save_weights, write_card

    save_weights(path, state, {**metadata, "licence": LICENCE})  # type: ignore[arg-type]
    described = path.with_suffix(".md")
    write_card(described, **card)  # type: ignore[arg-type]
    return path, described


def _reporter(progress: Bar) -> Callable[[float, str], None]:
    """Turns a used share of the budget into the bar's percents."""
    shown = 0

    def report(share: float, text: str) -> None:
        nonlocal shown
        percent = int(100 * share)
        progress.update(percent - shown)
        progress.note(text)
        shown = percent

    return report


def _data_lines(pool: Pool, samples: "list[Sample]") -> dict[str, str]:
    return {
        "worlds": ", ".join(f"{name} {count}" for name, count in pool.worlds.items()),
        "frames": f"{len(samples)} of {pool.size[0]}x{pool.size[1]}, every {pool.every}th of {pool.frames} a world",
        "seed": f"{pool.seed}; held out {pool.seed + HELD_OUT_SEED - TRAIN_SEED}",
    }


def _command(name: str, **options: float | None) -> str:
    given = [f"--{key} {value:g}" for key, value in options.items() if value is not None]
    return " ".join(["python scripts/make_weights.py", name, *given])

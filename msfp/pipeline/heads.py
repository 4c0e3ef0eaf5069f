"""Stage 2: fusion heads trained on a fold's learning parts (section 3.4), and what they make of a part's boxes."""

import contextlib
from collections.abc import Iterable, Mapping
from collections.abc import Sequence as ListLike
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from msfp.engine.code import code_digest
from msfp.engine.progress import Bar
from msfp.errors import NotComputable
from msfp.heads.apply import embed, restore_head
from msfp.heads.sampling import Labels
from msfp.heads.training import Fitted, fit_fusion
from msfp.pipeline import data
from msfp.pipeline.data import Part
from msfp.pipeline.features import TRUTH, feature_inputs, features, layers, rows, truth_features
from msfp.pipeline.reid_features import REID, network_inputs, part_reid_features, reid_inputs, reid_truth_features
from msfp.pipeline.run import Run
from msfp.types import Scene

TRAINING_FREE = ("native", "native-concat", REID)
HEAD_CODE = (
    code_digest(__name__, follow=False),
    "msfp.heads.fusion",
    "msfp.heads.loss",
    "msfp.heads.sampling",
    "msfp.heads.training",
)


@dataclass(frozen=True)
class Appearance:
    """Which embedding: a fusion strategy, what it learned from, and its seed.

    Attributes:
        strategy: registered fusion strategy, or `reid`: the separate network on crops.
        learn: parts whose labels trained it; empty for training-free ones.
        seed: of weights and batches.
        joint: fine-tuned together with ATL afterwards.
        layers: tapped layers it sees; empty: all.
        weights: detector weights (of `reid`: ReID weights) other than the run's (`random-init`); empty: the run's.
    """

    strategy: str
    learn: tuple[Part, ...] = ()
    seed: int = 0
    joint: bool = False
    layers: tuple[int, ...] = ()
    weights: str = ""


def appearance(strategy: str, learn: ListLike[Part], seed: int, **options: object) -> Appearance:
    """An embedding by name; a training-free one forgets learning and seed, so that its results are shared."""
    if strategy in TRAINING_FREE:
        return Appearance(strategy, **options)  # type: ignore[arg-type]
    return Appearance(strategy, tuple(learn), seed, **options)  # type: ignore[arg-type]


def head_inputs(run: Run, look: Appearance) -> dict[str, object]:
    """What a trained head depends on."""
    if look.strategy == REID:
        return {"strategy": REID, **network_inputs(run, look.weights)}
    return {
        "strategy": look.strategy,
        "seed": look.seed,
        "layers": look.layers,
        "fusion": run.settings.fusion,
        "training": run.settings.training,
        "learn": [(feature_inputs(run, p.scene, look.weights), p.first, p.last) for p in look.learn],
    }


def box_inputs(run: Run, scene: Scene, look: Appearance) -> dict[str, object]:
    """What the vectors of a scene's boxes depend on before any head."""
    inputs = reid_inputs if look.strategy == REID else feature_inputs
    return inputs(run, scene, look.weights)


def train_head(run: Run, look: Appearance) -> Fitted:
    """A head's trained state and history, before any joint fine-tuning.

    Raises:
        NotComputable: frames of a learning part are missing, or nobody is seen twice.
    """
    if look.strategy in TRAINING_FREE:
        return Fitted({}, np.zeros(0, np.float32), np.zeros(0, np.float32))
    data.need_pixels(look.learn)
    return run.store.get_or_compute("head", head_inputs(run, look), lambda: _train(run, look), code=HEAD_CODE)


def train_heads(run: Run, looks: Iterable[Appearance]) -> None:
    """Train many heads, fanned out over workers; they are then in the store."""
    run.map(partial(_train_one, run=run), dict.fromkeys(looks), "training heads")


def _train_one(look: Appearance, run: Run) -> None:
    with contextlib.suppress(NotComputable):  # whoever needs it says so in its cells
        train_head(run, look)


def _train(run: Run, look: Appearance) -> Fitted:
    vectors, labels = training_set(run, look.learn, look)
    training = run.settings.training
    with Bar(training.epochs, f"training {look.strategy}, seed {look.seed}") as progress:
        return fit_fusion(
            look.strategy, vectors, labels, run.settings.fusion, training, look.seed, tick=progress.update
        )


def training_set(
    run: Run, learn: ListLike[Part], look: Appearance | None = None
) -> tuple[dict[int, NDArray[np.float16]], Labels]:
    """Features and identities of the pedestrians of the learning parts that are visible enough."""
    vectors: list[dict[int, NDArray[np.float16]]] = []
    scene, frame, identity = [], [], []
    for number, part in enumerate(learn):
        found = features(run, part.scene, look.weights if look else "")[TRUTH]
        truth = data.labels(part.scene)
        window = rows(found, part)
        keep = (truth.pedestrian & (truth.visibility >= run.settings.training.min_visibility))[window]
        taps = look.layers if look else ()
        vectors.append({layer: v[keep] for layer, v in select(layers(found, part), taps).items()})
        frame.append(truth.frame[window][keep].astype(np.int64))
        identity.append(truth.id[window][keep].astype(np.int64))
        scene.append(np.full(len(frame[-1]), number, np.int64))
    joined = {layer: np.concatenate([v[layer] for v in vectors]) for layer in vectors[0]} if vectors else {}
    return joined, Labels(np.concatenate(scene), np.concatenate(frame), np.concatenate(identity))


def select(vectors: dict[int, NDArray[np.float16]], taps: tuple[int, ...]) -> dict[int, NDArray[np.float16]]:
    """The chosen layers, or all."""
    return {layer: vectors[layer] for layer in taps} if taps else vectors


def embed_part(
    run: Run, part: Part, boxes: str, look: Appearance, state: Mapping[str, NDArray[np.float32]]
) -> NDArray[np.float32]:
    """(N, D) unit embeddings of a part's boxes by a head in the given state.

    Raises:
        NotComputable: frames of the part are missing.
    """
    data.need_pixels((part,))
    scene, weights = part.scene, look.weights
    if look.strategy == REID:
        if boxes == TRUTH:
            return reid_truth_features(run, part, weights).astype(np.float32)
        return part_reid_features(run, part, boxes, weights).astype(np.float32)
    found = truth_features(run, part, weights) if boxes == TRUTH else features(run, scene, weights)[boxes]
    vectors = select(layers(found, part), look.layers)
    channels = {layer: v.shape[1] for layer, v in vectors.items()}
    return embed(restore_head(look.strategy, channels, state, run.settings.fusion), vectors)

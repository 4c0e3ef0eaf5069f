"""Stage 2: fusion heads trained on a fold's learning parts (section 3.4), and what they make of a part's boxes."""

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Sequence as ListLike
from dataclasses import dataclass, replace
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from msfp.engine.code import code_digest
from msfp.engine.parallel import Bar
from msfp.experiment import data
from msfp.experiment.data import Part
from msfp.experiment.features import (
    REID,
    ROI_ALIGN,
    TRUTH,
    BoxSet,
    Pooling,
    box_sets,
    box_vectors,
    extract_all,
    feature_inputs,
    network_inputs,
    of_part,
    public_boxes,
    reid_features,
    reid_inputs,
    reid_truth_features,
    strips,
    truth_boxes,
)
from msfp.experiment.run import Job, Run, frames_of, looked_once, stage
from msfp.heads.fusion import SIZE, FusionHead, strategy_named
from msfp.heads.parts import centred
from msfp.heads.training import Fitted, embed, fit_fusion, restore_head
from msfp.heads.triplets import Labels
from msfp.metrics.oracle import true_identities
from msfp.types import Scene, Strips

NOTHING, PERFECT = "nothing", "perfect"
BOUNDS = (NOTHING, PERFECT)
STRANGERS = 64
"""Dimensions in which boxes without a person lie, in directions of their own."""


def bound_inputs(run: Run, scene: Scene, strategy: str) -> dict[str, object]:
    """Inputs that a bounding embedding of a scene's boxes depends on."""
    boxes = {s.detector: run.file_digest(s.det_path) for s in scene.sequences}
    own: dict[str, object] = {"strategy": strategy, "boxes": boxes, "code": code_digest(__name__, follow=False)}
    return own | ({"truth": run.file_digest(data.truth_path(scene))} if strategy == PERFECT else {})


def bound_embeddings(part: Part, boxes: str, strategy: str) -> NDArray[np.float32]:
    """(N, D) embeddings of a part's boxes (`gt` or a public detector), rows as in the file.

    Of `nothing` all are zero, which trackers take for unknown. `perfect` opens the labels of the very frames that are
    tracked: what it scores is an upper bound of what any embedding can do for an association, not a result.
    """
    if boxes == TRUTH:
        truth = data.window(data.truth(part.scene), part)
        return identity_vectors(truth.id) if strategy == PERFECT else np.zeros((len(truth), 1), np.float32)
    (sequence,) = (s for s in part.scene.sequences if s.detector == boxes)
    found = data.window(data.detections(sequence), part)
    if strategy == PERFECT:
        return identity_vectors(true_identities(data.window(data.truth(part.scene), part), found))
    return np.zeros((len(found), 1), np.float32)


def identity_vectors(identity: NDArray[np.integer]) -> NDArray[np.float32]:
    """(N, people + STRANGERS) unit vectors of (N,) identities: one axis a person, a random direction for each negative.

    A box without a person is at right angles to every person and nearly so to the others of its kind: with 64
    dimensions two of them are more alike than 0.8 once in some 10^15 pairs. An axis for each would take gigabytes.
    """
    people, number = np.unique(identity[identity >= 0], return_inverse=True)
    out = np.zeros((len(identity), len(people) + STRANGERS), np.float32)
    out[np.flatnonzero(identity >= 0), number] = 1.0
    nobody = np.flatnonzero(identity < 0)
    drawn = np.random.default_rng(0).standard_normal((len(nobody), STRANGERS))
    out[nobody, len(people) :] = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return out


MOST = 12_000  # boxes whose cells are held for training: 0.6 GB of YOLOv8n's taps
Cells = dict[int, NDArray[np.float16]]


def thinned(frames: ListLike[NDArray[np.int32]], most: int = MOST) -> list[NDArray[np.bool_]]:
    """Which rows of each learning part are kept: all, or those of every n-th frame where there are more than `most`.

    `frames` holds the (n,) frame of each row, per part.
    """
    step = max(1, -(-sum(map(len, frames)) // most))
    return [(frame - 1) % step == 0 for frame in frames]


def labelled_cells(run: Run, part: Part, rows: NDArray[np.int64], weights: str) -> Cells:
    """layer -> (n, 49, C) cells of these rows of a learning part's labels, which are in order."""
    truth = data.labels(part.scene)
    found = [cells for _, _, cells in _passes(run, part, {TRUTH: (truth.frame[rows], truth.tlwh[rows])}, weights)]
    return {layer: np.concatenate([cells[layer] for cells in found]) for layer in found[0]} if found else {}


def embed_cells(
    run: Run, part: Part, boxes: str, heads: Mapping[int, FusionHead], weights: str
) -> dict[int, dict[str, NDArray[np.float16]]]:
    """Seed -> box set -> (N, D) embeddings by the heads of several seeds, in one pass over a part's frames.

    Beside the box set that is wanted, those that are open come along.
    """
    sets = of_part(part, wanted_sets(part, boxes))
    out: dict[int, dict[str, NDArray[np.float16]]] = {
        seed: {name: np.zeros((len(frame), head.config.width), np.float16) for name, (frame, _) in sets.items()}
        for seed, head in heads.items()
    }
    for name, rows, cells in _passes(run, part, sets, weights):
        for seed, head in heads.items():
            out[seed][name][rows] = embed(head, cells)
    return out


def wanted_sets(part: Part, boxes: str) -> dict[str, BoxSet]:
    """The scene's open box sets; a closed truth, which only evaluation may see, comes alone."""
    sets = box_sets(part.scene)
    return sets if boxes in sets else truth_boxes(part.scene)


def _passes(run: Run, part: Part, sets: Mapping[str, BoxSet], weights: str) -> Iterator[tuple[str, slice, Cells]]:
    from msfp.features.pooling import extract_cells

    config, backbone = run.settings.input, run.backbone(weights)
    boxed = {int(t) for frame, _ in sets.values() for t in np.unique(frame)}
    with frames_of(part.scene.pixels, "cells", [t for t in part.present if t in boxed]) as (frames, progress):
        yield from extract_cells(frames, sets, backbone, config.size, config.geometry, progress=progress)


TRAINING_FREE = ("native", "native-concat", "lite", REID, *BOUNDS)
ATTENTION = "attention-instance"  # MSFP-Track's strategy, whose heads are fine-tuned jointly with ATL
HEAD_CODE = (
    code_digest(__name__, follow=False),
    "msfp.heads.fusion",
    "msfp.heads.triplets",
    "msfp.heads.training",
)


@dataclass(frozen=True)
class Appearance:
    """Which embedding: a fusion strategy, what it learned from, and its seed.

    Attributes:
        strategy: registered fusion strategy, `reid` (the separate network on crops), or a bound: `nothing`, `perfect`.
        learn: parts whose labels trained it; empty for training-free ones.
        seed: of weights and batches.
        joint: after joint fine-tuning with ATL.
        layers: tapped layers it sees, a preset's further ones too; empty: all that the preset taps.
        pooling: how a box is pooled, where the strategy has no way of its own.
        weights: detector weights (of `reid`: ReID weights) other than the run's (`random-init`); empty: the run's.

    Example:
        >>> msfp.Appearance("native", layers=(4,)).strategy
        'native'
    """

    strategy: str
    learn: tuple[Part, ...] = ()
    seed: int = 0
    joint: bool = False
    layers: tuple[int, ...] = ()
    weights: str = ""
    pooling: Pooling = ROI_ALIGN


def appearance(strategy: str, learn: ListLike[Part], seed: int, **options: object) -> Appearance:
    """An embedding by name; a training-free one forgets learning and seed, so that its results are shared."""
    if strategy in TRAINING_FREE:
        return Appearance(strategy, **options)  # type: ignore[arg-type]
    return Appearance(strategy, tuple(learn), seed if seeded(strategy) else 0, **options)  # type: ignore[arg-type]


def seeded(strategy: str) -> bool:
    """True where an embedding differs from seed to seed."""
    return strategy not in TRAINING_FREE and strategy_named(strategy).seeded


@cache
def head_code(strategy: str) -> str:
    """Digest of the code that trains and applies a strategy's heads."""
    return code_digest(*HEAD_CODE, strategy_named(strategy).__module__)


def together(run: Run, seed: int) -> tuple[int, ...]:
    """The seeds that train in one go with this one: the run's, or it alone."""
    return run.settings.seeds if seed in run.settings.seeds else (seed,)


def _seeds(run: Run, look: Appearance) -> tuple[int, ...]:
    """The seeds that train in one go with an embedding's."""
    return together(run, look.seed) if seeded(look.strategy) else (look.seed,)


@looked_once
def head_inputs(run: Run, look: Appearance) -> dict[str, object]:
    """What a trained head depends on."""
    if look.strategy == REID:
        return {"strategy": REID, **network_inputs(run, look.weights)}
    if look.strategy in BOUNDS:
        return {"strategy": look.strategy}
    return {"heads": _train_seeds.key(run, look), "seed": look.seed}


def learned_from(run: Run, learn: Iterable[Part], weights: str = "") -> list[object]:
    """The features and frames of learning parts, by content."""
    return [(feature_inputs(run, p.scene, weights), p.first, p.last) for p in learn]


def _training_inputs(run: Run, look: Appearance) -> dict[str, object]:
    return {
        "strategy": look.strategy,
        "seeds": _seeds(run, look),  # which train together counts, as sums may round otherwise
        "layers": look.layers,
        "pooling": look.pooling,
        "code": head_code(look.strategy),
        "fusion": run.settings.fusion,
        "training": run.settings.training,
        "learn": learned_from(run, look.learn, look.weights),
    }


def box_inputs(run: Run, scene: Scene, look: Appearance) -> dict[str, object]:
    """What the vectors of a scene's boxes depend on before any head."""
    if look.strategy in BOUNDS:
        return bound_inputs(run, scene, look.strategy)
    inputs = reid_inputs if look.strategy == REID else feature_inputs
    return inputs(run, scene, look.weights)


def train_head(run: Run, look: Appearance) -> Fitted:
    """A head's trained state and history; `look.joint`: after joint fine-tuning."""
    if look.strategy in TRAINING_FREE:
        return Fitted({}, np.zeros(0, np.float32), np.zeros(0, np.float32))
    seeds = _seeds(run, look)
    found = _train_seeds(run, replace(look, seed=seeds[0], joint=False))[seeds.index(look.seed)]
    if not look.joint:
        return found
    if found.joint is None:
        raise ValueError(f"{look.strategy} on other layers, pooling or weights than the run's has no joint fine-tuning")
    return found.joint


@stage("head", _training_inputs, HEAD_CODE, memory=64)
def _train_seeds(run: Run, look: Appearance) -> list[Fitted]:
    data.need_pixels(look.learn)
    vectors, labels = training_set(run, look.learn, look)
    training, seeds, fusion = run.settings.training, _seeds(run, look), run.settings.fusion
    # The head of MSFP-Track is fine-tuned jointly right after it was trained.
    joint = look.strategy == ATTENTION and (look.layers, look.pooling, look.weights) == ((), ROI_ALIGN, "")
    with Bar(training.epochs + joint * training.joint_epochs, f"training {look.strategy}") as progress:
        return fit_fusion(look.strategy, vectors, labels, fusion, training, seeds, progress.update, joint)


def train_heads(run: Run, looks: Iterable[Appearance]) -> None:
    """Train many heads into the store, fanned out over workers."""
    run.do(head_jobs(run, looks), "training heads")


def head_jobs(run: Run, looks: Iterable[Appearance]) -> list[Job]:
    """To train many heads, all seeds of one at once; what they learn from is extracted before this returns."""
    wanted = [look for look in looks if look.strategy not in TRAINING_FREE]
    groups = dict.fromkeys(replace(look, seed=_seeds(run, look)[0], joint=False) for look in wanted)
    missing = [look for look in groups if not _train_seeds.is_stored(run, look)]
    extract_all(run, dict.fromkeys(part.scene for look in missing if not look.weights for part in look.learn))
    # The longest first, so that no worker is left with it at the end.
    missing.sort(key=lambda look: (strategy_named(look.strategy).sees_cells, len(look.learn)), reverse=True)
    return _train_seeds.jobs(run, [(look,) for look in missing])


Vectors = dict[int, NDArray[np.floating]]
Kind = type[FusionHead]


def training_set(
    run: Run, learn: ListLike[Part], look: Appearance | None = None, kind: Kind | None = None
) -> tuple[Vectors, Labels]:
    """Features and identities of the pedestrians of the learning parts that are visible enough.

    `kind`: of a head of one's own, which says what it wants to see.
    """
    chosen = look or Appearance(ATTENTION, tuple(learn))
    cells = (kind or strategy_named(chosen.strategy)).sees_cells
    truths = [data.labels(part.scene) for part in learn]
    seen = []
    for part, truth in zip(learn, truths, strict=True):
        visible = truth.pedestrian & (truth.visibility >= run.settings.training.min_visibility)
        seen.append(np.flatnonzero(visible & (truth.frame >= part.first) & (truth.frame <= part.last)))
    if cells:
        kept = thinned([truth.frame[rows] for truth, rows in zip(truths, seen, strict=True)])
        seen = [rows[keep] for rows, keep in zip(seen, kept, strict=True)]
    vectors: list[Mapping[int, NDArray[np.floating]]] = []
    for part, truth, rows in zip(learn, truths, seen, strict=True):
        if cells:
            vectors.append(labelled_cells(run, part, rows, chosen.weights))
        else:
            mine = rows - part.rows(truth.frame).start
            vectors.append({k: v[mine] for k, v in part_vectors(run, part, TRUTH, chosen, kind).items()})
    joined = {layer: np.concatenate([v[layer] for v in vectors]) for layer in vectors[0]} if vectors else {}
    scene = np.repeat(np.arange(len(learn)), [len(rows) for rows in seen])
    frame, identity = (
        np.concatenate([getattr(truth, name)[rows].astype(np.int64) for truth, rows in zip(truths, seen, strict=True)])
        for name in ("frame", "id")
    )
    return joined, Labels(scene, frame, identity)


def part_vectors(run: Run, part: Part, boxes: str, look: Appearance, kind: Kind | None = None) -> Vectors:
    """layer -> (N, C) of a part's boxes, as the embedding sees them; with their sizes where it wants these.

    `kind`: of a head of one's own in place of the embedding's.
    """
    wants = kind or strategy_named(look.strategy)
    way = way_to_pool(run, wants, look.pooling)
    vectors: Vectors = dict(box_vectors(run, part, boxes, look.layers, way, look.weights))
    if wants.centred:
        assert isinstance(way, Strips)
        vectors = dict(centred(vectors, *_people(part, boxes), way.number))
    if wants.sees_size:
        vectors[SIZE] = octaves(run, part, boxes, look.learn)
    return vectors


def way_to_pool(run: Run, kind: Kind, chosen: Pooling = ROI_ALIGN) -> Pooling:
    """How a kind of head has its boxes pooled: as chosen, unless it has a way of its own."""
    if kind.pooling == "strips":
        return chosen if isinstance(chosen, Strips) else strips(run)
    return chosen if kind.pooling == ROI_ALIGN else kind.pooling


def _people(part: Part, boxes: str) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """(N,) frame of a part's boxes, and (N,) which of them count as people: labelled ones, or all detected."""
    if boxes == TRUTH:
        truth = data.truth(part.scene) if part.scene.pixels.gt_path is None else data.labels(part.scene)
        seen = data.window(truth, part)
        return seen.frame, seen.pedestrian
    (sequence,) = (s for s in part.scene.sequences if s.detector == boxes)
    frame = data.window(data.detections(sequence), part).frame
    return frame, np.ones(len(frame), np.bool_)


def network_sides(run: Run, part: Part, boxes: str) -> NDArray[np.float64]:
    """(N,) square root of the area of a part's boxes (`gt` or a public detector), in pixels of the network's input."""
    from msfp.features.backbone import fit

    pixels, config = part.scene.pixels, run.settings.input
    _, tlwh = of_part(part, truth_boxes(part.scene) if boxes == TRUTH else public_boxes(part.scene))[boxes]
    scale = fit((pixels.width, pixels.height), config.size, config.geometry).scale
    return np.sqrt(np.maximum(tlwh[:, 2] * scale[0] * tlwh[:, 3] * scale[1], 1.0))


@lru_cache(maxsize=16)
def _mean_size(run: Run, learn: tuple[Part, ...]) -> float:
    """Geometric mean of `network_sides` over the pedestrians labelled in the learning parts."""
    sides = [network_sides(run, part, TRUTH)[data.window(data.labels(part.scene), part).pedestrian] for part in learn]
    return float(np.exp(np.mean(np.log(np.concatenate(sides)))))


def octaves(run: Run, part: Part, boxes: str, learn: tuple[Part, ...]) -> NDArray[np.float16]:
    """(N, 1) size of a part's boxes in octaves above the mean of the learning parts (Table 16)."""
    return np.log2(network_sides(run, part, boxes) / _mean_size(run, learn)).astype(np.float16)[:, None]


def restored(
    run: Run,
    head: str | Kind,
    vectors: Mapping[int, NDArray[np.floating]],
    state: Mapping[str, NDArray[np.float32]],
) -> FusionHead:
    """A trained head, for vectors of these layers and channels."""
    return restore_head(head, {layer: v.shape[-1] for layer, v in vectors.items()}, state, run.settings.fusion)


def embed_part(
    run: Run, part: Part, boxes: str, look: Appearance, state: Mapping[str, NDArray[np.float32]]
) -> NDArray[np.float32]:
    """(N, D) unit embeddings of a part's boxes by a head in the given state."""
    if look.strategy in BOUNDS:
        return bound_embeddings(part, boxes, look.strategy)
    data.need_pixels((part,))
    if look.strategy == REID:
        if boxes == TRUTH:
            return reid_truth_features(run, part, look.weights).astype(np.float32)
        return reid_features(run, part, look.weights)[boxes].astype(np.float32)
    if strategy_named(look.strategy).sees_cells:
        return _cell_embeddings(run, part, boxes, look)[look.seed][boxes].astype(np.float32)
    vectors = part_vectors(run, part, boxes, look)
    return embed(restored(run, look.strategy, vectors, state), vectors)


def _cell_inputs(run: Run, part: Part, boxes: str, look: Appearance) -> dict[str, object]:
    return {
        "heads": {str(seed): head_inputs(run, replace(look, seed=seed)) for seed in _seeds(run, look)},
        "features": feature_inputs(run, part.scene, look.weights),
        "part": (part.first, part.last),
        "boxes": wanted_sets(part, boxes),
    }


@stage("cell-embeddings", _cell_inputs, (code_digest("msfp.experiment.heads", follow=False),))
def _cell_embeddings(run: Run, part: Part, boxes: str, look: Appearance) -> dict[int, dict[str, NDArray[np.float16]]]:
    """Seed -> box set -> embeddings by heads that see cells: one pass over the frames serves all seeds of the run."""
    channels, fusion = run.backbone(look.weights).channels, run.settings.fusion
    states = {seed: train_head(run, replace(look, seed=seed)).state for seed in _seeds(run, look)}
    heads = {seed: restore_head(look.strategy, channels, state, fusion) for seed, state in states.items()}
    return embed_cells(run, part, boxes, heads, look.weights)


@lru_cache(maxsize=64)
def embeddings(run: Run, part: Part, boxes: str, look: Appearance) -> NDArray[np.float32]:
    """(N, D) unit embeddings of a part's boxes (`gt` or a public detector), rows as in the file."""
    return embed_part(run, part, boxes, look, train_head(run, look).state)

"""Stage 2: fusion heads trained on a fold's learning parts (3.4), those of a cell too, and what they make of boxes."""

from collections.abc import Iterable, Mapping
from collections.abc import Sequence as ListLike
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from msfp.engine.code import code_digest, typed_digest
from msfp.engine.parallel import Bar
from msfp.errors import InputError
from msfp.experiment import data
from msfp.experiment.data import Part
from msfp.experiment.features import (
    REID,
    ROI_ALIGN,
    TRUTH,
    Pooling,
    box_vectors,
    cell_passes,
    extract_all,
    feature_inputs,
    labelled_cells,
    network_inputs,
    of_part,
    public_boxes,
    reid_features,
    reid_inputs,
    reid_truth_features,
    strips,
    thinned,
    truth_boxes,
    wanted_sets,
)
from msfp.experiment.run import Job, Run, looked_once, stage
from msfp.heads.fusion import SIZE, FusionHead, make_head, strategy_named
from msfp.heads.parts import centred
from msfp.heads.training import Fitted, embed, fit_fusion, restore_head
from msfp.heads.triplets import Labels, Loss
from msfp.metrics.oracle import true_identities
from msfp.types import Scene, Strips

Learn = tuple[Part, ...]
Vectors = dict[int, NDArray[np.floating]]
Kind = type[FusionHead]
NOTHING, PERFECT = "nothing", "perfect"
BOUNDS = (NOTHING, PERFECT)
STRANGERS = 64
"""Dimensions in which boxes without a person lie, in directions of their own."""


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


TRAINING_FREE = ("native", "native-concat", "lite", REID, *BOUNDS)
ATTENTION = "attention-instance"  # MSFP-Track's strategy, whose heads are fine-tuned jointly with ATL
HEAD_CODE = (code_digest(__name__, follow=False), "msfp.heads.fusion", "msfp.heads.triplets", "msfp.heads.training")


@dataclass(frozen=True)
class Appearance:
    """Which embedding: a fusion strategy, what it learned from, and its seed.

    Example:
        >>> msfp.Appearance("native", layers=(4,)).strategy
        'native'
    """

    strategy: str  # registered, `reid` (the separate network on crops), or a bound: `nothing`, `perfect`
    learn: Learn = ()  # parts whose labels trained it
    seed: int = 0
    joint: bool = False  # after joint fine-tuning with ATL
    layers: tuple[int, ...] = ()  # that it sees, a preset's further ones too; empty: all that the preset taps
    weights: str = ""  # of the detector (of `reid`: of its network) in place of the run's, `random-init`
    pooling: Pooling = ROI_ALIGN  # how a box is pooled, where the strategy has no way of its own


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
        boxes = {s.detector: run.file_digest(s.det_path) for s in scene.sequences}
        truth = run.file_digest(data.truth_path(scene)) if look.strategy == PERFECT else ""
        return {"strategy": look.strategy, "boxes": boxes, "truth": truth, "code": HEAD_CODE[0]}
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
    run: Run, head: str | Kind, vectors: Mapping[int, NDArray[np.floating]], state: Mapping[str, NDArray[np.float32]]
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


@stage("cell-embeddings", _cell_inputs, HEAD_CODE[:1])
def _cell_embeddings(run: Run, part: Part, boxes: str, look: Appearance) -> dict[int, dict[str, NDArray[np.float16]]]:
    """Seed -> box set -> embeddings by heads that see cells: one pass over the frames serves all seeds of the run."""
    channels, fusion = run.backbone(look.weights).channels, run.settings.fusion
    states = {seed: train_head(run, replace(look, seed=seed)).state for seed in _seeds(run, look)}
    heads = {seed: restore_head(look.strategy, channels, state, fusion) for seed, state in states.items()}
    sets = of_part(part, wanted_sets(part, boxes))
    found = {
        seed: {name: np.zeros((len(frame), head.config.width), np.float16) for name, (frame, _) in sets.items()}
        for seed, head in heads.items()
    }
    for name, rows, cells in cell_passes(run, part, sets, look.weights):
        for seed, head in heads.items():
            found[seed][name][rows] = embed(head, cells)
    return found


@lru_cache(maxsize=64)
def embeddings(run: Run, part: Part, boxes: str, look: Appearance) -> NDArray[np.float32]:
    """(N, D) unit embeddings of a part's boxes (`gt` or a public detector), rows as in the file."""
    return embed_part(run, part, boxes, look, train_head(run, look).state)


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained head: how it came to be, and what it makes of boxes.

    Example:
        >>> head = run.train("attention-instance", seed=0)
        >>> list(head.curve)
        ['loss', 'inside the margin']
    """

    name: str  # for tables and legends
    head: str | Kind  # name of a registered strategy, or a class of one's own
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


def train(run: Run, head: str | Kind, learn: Learn, seed: int = 0, loss: Loss | None = None, name: str = "") -> Trained:
    """Train a head, or read it from the store: what was typed into cells is kept under its own source.

    `head`: a registered strategy, or a subclass of `FusionHead`. `loss(rows, person, margin) -> (loss, active share)`
    takes the place of the paper's triplet loss. `name`: for tables; empty: the head's.

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
            raise InputError(f"head {_called(head)}: one of your own sees pooled vectors or strips, not cells or sizes")
    data.need_pixels(learn)
    return Trained(name or _called(head), head, learn, seed, loss, _fit(run, head, learn, seed, loss), run)


def _look(head: str | Kind, learn: Learn, seed: int) -> Appearance:
    return appearance(head if isinstance(head, str) else ATTENTION, learn, seed)


def _fit_inputs(run: Run, head: str | Kind, learn: Learn, seed: int, loss: Loss | None) -> dict[str, object]:
    own = [thing for thing in (head, loss) if thing is not None and not isinstance(thing, str)]
    return {
        "strategy": (head, head_code(head)) if isinstance(head, str) else "",
        "typed": typed_digest(*own),
        "seed": seed,
        "fusion": run.settings.fusion,
        "training": run.settings.training,
        "learn": learned_from(run, learn),
    }


@stage("own-head", _fit_inputs, HEAD_CODE)
def _fit(run: Run, head: str | Kind, learn: Learn, seed: int, loss: Loss | None) -> Fitted:
    own = None if isinstance(head, str) else head
    vectors, labels = training_set(run, learn, _look(head, learn, seed), own)
    fusion, training = run.settings.fusion, run.settings.training
    _check(make_head(head, {k: v.shape[-1] for k, v in vectors.items()}, fusion), vectors, loss, training.margin)
    with Bar(training.epochs, f"training {_called(head)}") as progress:
        return fit_fusion(head, vectors, labels, fusion, training, (seed,), progress.update, loss=loss)[0]


def _check(head: FusionHead, vectors: Vectors, loss: Loss | None, margin: float) -> None:
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
            f"{_called(loss)}: gives {found!r:.80}; needed are two numbers, the loss and the share it acts on"
        )
    if not torch.as_tensor(found[0]).requires_grad:
        raise InputError(f"{_called(loss)}: nothing can be learned from it, as it does not depend on the embeddings")


def _called(thing: object) -> str:
    return thing if isinstance(thing, str) else str(getattr(thing, "__name__", thing))

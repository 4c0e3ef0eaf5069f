"""Stage 1: pooled features of every box set of a scene (eq. 1; A.4), and vectors of the separate ReID network."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Sequence as ListLike
from dataclasses import replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from msfp.engine.code import code_digest
from msfp.errors import InputError, NotComputable
from msfp.experiment import data
from msfp.experiment.data import Part
from msfp.experiment.run import Job, Run, frames_of, looked_once, stage
from msfp.types import Features, Scene, Sequence, Strips

if TYPE_CHECKING:
    from msfp.features.presets import Preset
    from msfp.features.reid import OSNet


TRUTH = "gt"
Pooling = Literal["roi_align", "nearest", "bilinear", "average", "lite"] | Strips
ROI_ALIGN: Pooling = "roi_align"
LITE: Pooling = "lite"
BoxSet = tuple[NDArray[np.int32], NDArray[np.float64]]
"""(N,) frames in ascending order and (N, 4) tlwh boxes."""
Pooled = dict[Pooling, dict[str, Features]]
"""Way to pool -> box set -> features: RoIAlign of all taps, LITE's whole cells of the last one, strips of the first."""
FEATURE_CODE = ("msfp.features.backbone", "msfp.features.presets", "msfp.features.pooling")


def features(run: Run, scene: Scene, weights: str = "") -> dict[str, Features]:
    """RoIAligned features of a scene's box sets: `gt` where its labels are open, and each public detector."""
    return pooled(run, scene, weights)[ROI_ALIGN]


@looked_once
def feature_inputs(run: Run, scene: Scene, weights: str = "") -> dict[str, object]:
    """Inputs of the features of a scene: of boxes their places, not their scores."""
    config = run.settings.input
    boxes = {TRUTH: run.labels_digest(scene)}
    for sequence in scene.sequences:
        digest = run.detections_digest(sequence)
        boxes[sequence.detector] = _geometry(sequence, digest) if digest else ""
    # On a GPU numbers have half precision.
    gpu = {"gpu": code_digest("msfp.features.gpu")} if run.settings.device.startswith("cuda") else {}
    return {
        **gpu,
        "pixels": run.pixels_digest(scene),
        "boxes": boxes,
        "weights": run.weights_digest(weights),
        "preset": config.preset,
        "size": config.size,
        "geometry": config.geometry,
        "strips": (strips(run), strip_layers(run)),
        "code": pooled.code,
    }


@lru_cache(maxsize=640)
def _geometry(sequence: Sequence, digest: str) -> str:
    """Digest of the frames and boxes of detections whose file has this digest."""
    found = data.detections(sequence)
    return hashlib.sha256(found.frame.tobytes() + found.tlwh.tobytes()).hexdigest()


@stage("features", feature_inputs, FEATURE_CODE, memory=24, network=True)
def pooled(run: Run, scene: Scene, weights: str = "") -> Pooled:
    """Features of a scene's box sets; boxes of frames that are absent get `present` False.

    `weights` are other ones than the run's, such as the control `random-init`.
    """
    need_frames(scene)
    return compute(run, data.whole(scene), weights, box_sets(scene))


def need_frames(scene: Scene) -> None:
    if not scene.pixels.frames:
        raise NotComputable(f"{scene.name}: 0 of {scene.pixels.length} frames present")


def extract_all(run: Run, scenes: Iterable[Scene], weights: str = "") -> None:
    """Extract the features of many scenes into the store, fanned out over workers."""
    # The longest first, so that no worker ends with it.
    longest_first = sorted(scenes, key=lambda scene: len(scene.pixels.frames), reverse=True)
    run.do(pooled.jobs(run, [(scene, weights) for scene in longest_first]), "features")


@lru_cache(maxsize=48)
def truth_features(run: Run, part: Part, weights: str = "") -> dict[Pooling, Features]:
    """Features of a part's labelled boxes, for measuring re-identification; rows of the part only.

    A test split's labels are opened here for evaluation only: a pass of its own, so that nothing which trains or
    tracks ever holds them. So is a pass with other weights, which need not see the rest of the scene.
    """
    if part.scene.pixels.gt_path is not None and not weights:
        return {way: found[TRUTH] for way, found in pooled(run, part.scene, weights).items()}
    return _closed_truth_features(run, part, weights)


def _truth_inputs(run: Run, part: Part, weights: str) -> dict[str, object]:
    scene = feature_inputs(run, part.scene, weights)
    return {**scene, "truth": data.truth_digest(run, part.scene), "part": (part.first, part.last)}


@stage("truth-features", _truth_inputs, FEATURE_CODE)
def _closed_truth_features(run: Run, part: Part, weights: str) -> dict[Pooling, Features]:
    found = compute(run, part, weights, of_part(part, truth_boxes(part.scene)))
    return {way: sets[TRUTH] for way, sets in found.items()}


def truth_boxes(scene: Scene) -> dict[str, BoxSet]:
    """All labelled boxes, also of a test split: for evaluation only."""
    truth = data.truth(scene)
    return {TRUTH: (truth.frame, truth.tlwh)}


def box_sets(scene: Scene) -> dict[str, BoxSet]:
    """Every box set whose features are wanted; labels only where they are open."""
    if scene.pixels.gt_path is None:
        return public_boxes(scene)
    truth = data.labels(scene)
    return {TRUTH: (truth.frame, truth.tlwh), **public_boxes(scene)}


def public_boxes(scene: Scene) -> dict[str, BoxSet]:
    """The boxes of each public detector."""
    found = {s.detector: data.detections(s) for s in data.sequences(data.whole(scene))}
    return {name: (boxes.frame, boxes.tlwh) for name, boxes in found.items()}


def of_part(part: Part, sets: Mapping[str, BoxSet]) -> dict[str, BoxSet]:
    """The part's boxes; frames keep their numbers."""
    return {name: (frame[part.rows(frame)], tlwh[part.rows(frame)]) for name, (frame, tlwh) in sets.items()}


def compute(
    run: Run,
    part: Part,
    weights: str,
    boxes: Mapping[str, BoxSet],
    further: Mapping[Pooling, tuple[int, ...]] | None = None,
) -> Pooled:
    """Run the frozen detector over the part's frames that are present, once for all box sets and ways to pool.

    `further`: layers of each way to pool in place of the usual ones; any that lie before the deepest usual or further
    layer.
    """
    from msfp.features.gpu.extract import extract_modes_batched, hands
    from msfp.features.pooling import extract_modes

    config = run.settings.input
    others = {layer for layers in (further or {}).values() for layer in layers}
    backbone = run.backbone(weights, further is not None, tuple(sorted(others - set(preset(run).extended().layers))))
    batched = backbone.device.type == "cuda" and further is None
    wanted = usual_layers(run) if further is None else further
    label = ("features" if further is None else "layers and ways to pool") + (f" ({weights})" if weights else "")
    hands_used = hands(backbone.device) if batched else 1
    with frames_of(part.scene.pixels, label, part.present, hands_used) as (frames, progress):
        given = (frames, boxes, backbone, wanted, config.size, config.geometry, progress)
        return extract_modes_batched(*given) if batched else extract_modes(*given)


def layers_of(features: Features, part: Part) -> dict[int, NDArray[np.float16]]:
    """layer -> (N, C) vectors of the part's boxes."""
    window = part.rows(features.frame)
    return {layer: vectors[window] for layer, vectors in features.layers.items()}


def scene_vectors(run: Run, part: Part) -> NDArray[np.float16]:
    """(T, C) scene vectors of the part's frames, all of which must be present."""
    data.need_pixels((part,))
    found = next(iter(features(run, part.scene).values()))
    return found.scene[(found.scene_frame >= part.first) & (found.scene_frame <= part.last)]


PLAIN: tuple[Pooling, ...] = ("nearest", "bilinear", "average")


def preset(run: Run) -> "Preset":
    from msfp.features.presets import preset_named

    return preset_named(run.settings.input.preset)


def strips(run: Run) -> Strips:
    """How the run cuts boxes into strips."""
    return Strips(run.settings.fusion.strips, run.settings.fusion.strip_width)


def strip_layers(run: Run) -> tuple[int, ...]:
    """Tapped layers of which strips are pooled; InputError for one that the preset does not tap."""
    taps, chosen = preset(run).layers, run.settings.fusion.strip_layers
    if wrong := [layer for layer in chosen if layer not in taps]:
        there = ", ".join(map(str, taps))
        raise InputError(f"setting fusion.strip_layers: preset {preset(run).name} taps {there}, and not {wrong[0]}")
    return chosen or taps[:1]


def usual_layers(run: Run) -> dict[Pooling, tuple[int, ...]]:
    """Way to pool -> the layers that `pooled` has of it."""
    taps = preset(run).layers
    return {ROI_ALIGN: taps, LITE: taps[-1:], strips(run): strip_layers(run)}


def box_vectors(
    run: Run, part: Part, boxes: str, layers: tuple[int, ...] = (), pooling: Pooling = ROI_ALIGN, weights: str = ""
) -> dict[int, NDArray[np.float16]]:
    """layer -> (N, C) vectors of a part's boxes (`gt` or a public detector).

    `layers` empty: the preset's taps; `weights` empty: the run's.

    Raises:
        NotComputable: no frame has pixels, or the preset names no such layer.
    """
    usual = usual_layers(run).get(pooling, ())
    wanted = layers or usual or preset(run).layers
    found: dict[int, NDArray[np.float16]] = {}
    if set(wanted) & set(usual):
        if boxes == TRUTH:
            given = truth_features(run, part, weights)[pooling]
        else:
            given = pooled(run, part.scene, weights)[pooling][boxes]
        found |= layers_of(given, part)
    if isinstance(pooling, Strips) and set(wanted) != set(usual):
        wanted = layers or strip_layers(run)
        found = layers_of(_open(cut_otherwise(run, part.scene, pooling, wanted, weights), part, boxes), part)
    elif not set(wanted) <= set(found) and pooling in beyond(run):
        found |= layers_of(variants(run, part.scene, weights)[pooling][boxes], part)
    if missing := [str(k) for k in wanted if k not in found]:
        of = "" if pooling in beyond(run) else f" pooled as {pooling}"
        raise NotComputable(f"preset {preset(run).name} names no layer {' and '.join(missing)}{of}")
    return {layer: found[layer] for layer in wanted}


def _open(found: Mapping[str, Features], part: Part, boxes: str) -> Features:
    if boxes not in found:
        raise NotComputable(f"{part.scene.name}: labels that are kept from learning are not pooled in other ways")
    return found[boxes]


@stage(
    "strips",
    lambda run, scene, way, layers, weights="": {**feature_inputs(run, scene, weights), "way": way, "layers": layers},
    FEATURE_CODE,
    memory=24,
    network=True,
)
def cut_otherwise(
    run: Run, scene: Scene, way: Strips, layers: tuple[int, ...], weights: str = ""
) -> dict[str, Features]:
    """Box set -> features of strips that are cut otherwise than the run's, or pooled from other layers."""
    need_frames(scene)
    return compute(run, data.whole(scene), weights, box_sets(scene), {way: layers})[way]


def cut_all(run: Run, scenes: Iterable[Scene], ways: Iterable[tuple[Strips, tuple[int, ...]]]) -> None:
    """Fill `cut_otherwise` for many ways, one pass over a scene's frames for all of them."""
    run.map(partial(_cut_scene, run=run, ways=tuple(ways)), dict.fromkeys(scenes), "strips", network=True)


def _cut_scene(scene: Scene, run: Run, ways: tuple[tuple[Strips, tuple[int, ...]], ...]) -> None:
    missing = [one for one in ways if scene.pixels.frames and not cut_otherwise.is_stored(run, scene, *one)]
    layers: dict[Pooling, tuple[int, ...]] = {}
    for way, some in missing:
        layers[way] = tuple(dict.fromkeys((*layers.get(way, ()), *some)))
    if not missing:
        return
    made = compute(run, data.whole(scene), "", box_sets(scene), layers)
    for way, some in missing:
        kept = {n: replace(f, layers={k: f.layers[k] for k in some}) for n, f in made[way].items()}
        cut_otherwise.keep(run, partial(dict, kept), scene, way, some)


@stage(
    "variants",
    lambda run, scene, weights="": {**feature_inputs(run, scene, weights), "further": preset(run).further},
    FEATURE_CODE,
    memory=24,
    network=True,
)
def variants(run: Run, scene: Scene, weights: str = "") -> Pooled:
    """Way to pool -> box set -> features: of `roi_align` the preset's further layers, of the others the usual ones."""
    need_frames(scene)
    return compute(run, data.whole(scene), weights, box_sets(scene), beyond(run))


def beyond(run: Run) -> dict[Pooling, tuple[int, ...]]:
    """Way to pool -> the layers that `variants` has of it."""
    return {ROI_ALIGN: preset(run).further, **dict.fromkeys(PLAIN, preset(run).layers)}


REID = "reid"
REID_FEATURE_CODE = ("msfp.features.reid",)


def reid_inputs(run: Run, place: Scene | Part, weights: str = "") -> dict[str, object]:
    """Inputs of the ReID vectors of a scene or part, all by content."""
    scene, window = (place.scene, (place.first, place.last)) if isinstance(place, Part) else (place, ())
    boxes = {s.detector: run.detections_digest(s) for s in scene.sequences}
    return {**network_inputs(run, weights), "pixels": run.pixels_digest(scene), "boxes": boxes, "part": window}


def network_inputs(run: Run, weights: str = "") -> dict[str, object]:
    """The network's weights by content, and its code.

    Raises:
        NotComputable: its embedded weights are not shipped.
        InputError: its weights' file is not there.
    """
    from msfp.features.reid import EMBEDDED

    digest = embedded_digest(run, weights or run.settings.input.reid_weights, EMBEDDED, "separate ReID network")
    return {"network": digest, "crops": run.settings.input.reid_size, "code": code_digest(*REID_FEATURE_CODE)}


def embedded_digest(run: Run, weights: str, embedded: str, what: str) -> str:
    """Weights of a network of its own, by content.

    Raises:
        NotComputable: its embedded weights are not shipped.
        InputError: its weights' file is not there.
    """
    from msfp.features.weights import find

    if weights == "random-init":
        return weights
    try:
        return run.store.file_digest(find(weights, embedded))
    except InputError as error:
        if weights != "embedded":
            raise
        raise NotComputable(f"{what}: {error}") from None


@stage(
    "reid-features",
    lambda run, part, weights="": reid_inputs(run, part, weights),
    REID_FEATURE_CODE,
    memory=24,
    network=True,
)
def reid_features(run: Run, part: Part, weights: str = "") -> dict[str, NDArray[np.float16]]:
    """Public detector -> (N, 512) unit ReID vectors of a part's detections, zeros where the frame is absent.

    `weights` are other ones than the run's, such as the control `random-init`.

    Raises:
        NotComputable: not one frame has its pixels, or the network's weights are not shipped.
    """
    need_frames(part.scene)
    return _compute(run, part, weights, public_boxes(part.scene))


def reid_jobs(run: Run, parts: Iterable[Part], weights: str = "") -> list[Job]:
    """To extract the ReID vectors of many parts, the longest first."""
    longest_first = sorted(parts, key=lambda part: part.length, reverse=True)
    return reid_features.jobs(run, [(part, weights) for part in longest_first])


@stage(
    "reid-truth-features",
    lambda run, part, weights="": {**reid_inputs(run, part, weights), "truth": data.truth_digest(run, part.scene)},
    REID_FEATURE_CODE,
    memory=24,
)
def reid_truth_features(run: Run, part: Part, weights: str = "") -> NDArray[np.float16]:
    """(N, 512) unit ReID vectors of a part's labelled boxes, for measuring re-identification; a pass of its own."""
    return _compute(run, part, weights, truth_boxes(part.scene))[TRUTH]


@lru_cache(maxsize=4)
def _network(run: Run, weights: str) -> "OSNet":
    from msfp.features.reid import load_reid

    return load_reid(weights or run.settings.input.reid_weights, run.settings.device)


def _compute(run: Run, part: Part, weights: str, boxes: Mapping[str, BoxSet]) -> dict[str, NDArray[np.float16]]:
    from msfp.features.reid import extract_reid

    network, sets = _network(run, weights), of_part(part, boxes)
    with frames_of(part.scene.pixels, "separate ReID", part.present) as (frames, progress):
        found = extract_reid(frames, sets, network, progress, run.settings.input.reid_size)
    return {name: vectors for name, (_, vectors) in found.items()}


MOST = 12_000  # boxes whose cells are held for training: 0.6 GB of YOLOv8n's taps
Cells = dict[int, NDArray[np.float16]]
"""Layer -> (n, 49, C) cells of boxes."""


def thinned(frames: ListLike[NDArray[np.int32]], most: int = MOST) -> list[NDArray[np.bool_]]:
    """Which rows of each learning part, of these frames, are kept: all, or of every n-th frame to be at most `most`."""
    step = max(1, -(-sum(map(len, frames)) // most))
    return [(frame - 1) % step == 0 for frame in frames]


def labelled_cells(run: Run, part: Part, rows: NDArray[np.int64], weights: str) -> Cells:
    """Cells of these rows of a learning part's labels, which are in order."""
    truth = data.labels(part.scene)
    found = [cells for _, _, cells in cell_passes(run, part, {TRUTH: (truth.frame[rows], truth.tlwh[rows])}, weights)]
    return {layer: np.concatenate([cells[layer] for cells in found]) for layer in found[0]} if found else {}


def wanted_sets(part: Part, boxes: str) -> dict[str, BoxSet]:
    """The scene's open box sets; a closed truth, which only evaluation may see, comes alone."""
    sets = box_sets(part.scene)
    return sets if boxes in sets else truth_boxes(part.scene)


def cell_passes(run: Run, part: Part, sets: Mapping[str, BoxSet], weights: str) -> Iterator[tuple[str, slice, Cells]]:
    """Frame by frame: box set, its rows, and their cells."""
    from msfp.features.pooling import extract_cells

    config, backbone = run.settings.input, run.backbone(weights)
    boxed = {int(t) for frame, _ in sets.values() for t in np.unique(frame)}
    with frames_of(part.scene.pixels, "cells", [t for t in part.present if t in boxed]) as (frames, progress):
        yield from extract_cells(frames, sets, backbone, config.size, config.geometry, progress=progress)

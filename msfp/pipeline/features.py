"""Stage 1: pooled features of every box set of a scene, one forward pass a frame (eq. 1; A.4, A.6)."""

import hashlib
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from msfp.engine.code import code_digest
from msfp.engine.progress import Bar
from msfp.errors import NotComputable
from msfp.pipeline import data
from msfp.pipeline.data import Part
from msfp.pipeline.one_look import looked_once
from msfp.pipeline.run import Run
from msfp.pipeline.stage import stage
from msfp.threads import one_thread
from msfp.types import Features, Scene, Sequence, frame_bounds

TRUTH = "gt"
Pooling = Literal["roi_align", "nearest", "bilinear", "average", "lite"]
ROI_ALIGN: Pooling = "roi_align"
LITE: Pooling = "lite"
BoxSet = tuple[NDArray[np.int32], NDArray[np.float64]]
Pooled = dict[Pooling, dict[str, Features]]
"""Way to pool -> box set -> features: RoIAlign of all taps, and LITE's whole cells of the last one."""


def features(run: Run, scene: Scene, weights: str = "") -> dict[str, Features]:
    """RoIAligned features of a scene's box sets: `gt` where its labels are open, and each public detector.

    Args:
        run, scene, weights: as of `pooled`.

    Raises:
        NotComputable: not one frame has its pixels.
    """
    return pooled(run, scene, weights)[ROI_ALIGN]


FEATURE_CODE = ("msfp.features.backbone", "msfp.features.presets", "msfp.features.extract")


@cache
def feature_code() -> str:
    """Digest of the code that makes features: what is computed from them depends on it too."""
    return code_digest(*FEATURE_CODE)


@looked_once
def feature_inputs(run: Run, scene: Scene, weights: str = "") -> dict[str, object]:
    """What the features of a scene depend on: pixels, boxes, weights, input settings and code, all by content."""
    config = run.settings.input
    batched = {"gpu": code_digest("msfp.features.gpu")} if run.settings.device.startswith("cuda") else {}
    return {
        **batched,  # half precision: other numbers than a CPU's
        "pixels": run.pixels_digest(scene),
        "boxes": _where(run, scene),
        "weights": run.weights_digest(weights),
        "preset": config.preset,
        "size": config.size,
        "geometry": config.geometry,
        "code": feature_code(),
    }


def _where(run: Run, scene: Scene) -> dict[str, str]:
    """Labels, and where the boxes of each detector are, by content: scores do not bear on features."""
    found = {"gt": run.labels_digest(scene)}
    for sequence in scene.sequences:
        digest = run.detections_digest(sequence)
        found[sequence.detector] = _geometry(sequence, digest) if digest else ""
    return found


@lru_cache(maxsize=640)
def _geometry(sequence: Sequence, digest: str) -> str:
    """Digest of the frames and boxes of detections whose file has this digest."""
    found = data.detections(sequence)
    return hashlib.sha256(found.frame.tobytes() + found.tlwh.tobytes()).hexdigest()


@stage("features", feature_inputs, FEATURE_CODE, memory=24, network=True)
def pooled(run: Run, scene: Scene, weights: str = "") -> Pooled:
    """Features of a scene's box sets, in both ways that trackers use.

    Args:
        run: whose settings say backbone, input size and geometry.
        scene: frames that are absent get `present` False.
        weights: other weights than the run's, such as the control `random-init`.

    Raises:
        NotComputable: not one frame has its pixels.
    """
    need_frames(scene)
    return compute(run, data.whole(scene), weights, box_sets(scene))


def need_frames(scene: Scene) -> None:
    """Raise unless some frame of a scene has its pixels.

    Raises:
        NotComputable: none has.
    """
    if not scene.pixels.frames:
        raise NotComputable(f"{scene.name}: 0 of {scene.pixels.length} frames present")


def extract_all(run: Run, scenes: Iterable[Scene], weights: str = "") -> None:
    """Extract the features of many scenes, fanned out over workers; they are then in the store."""
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
    truth = data.truth(part.scene)
    keep = slice(*np.searchsorted(truth.frame, [part.first, part.last + 1]))
    found = compute(run, part, weights, {TRUTH: (truth.frame[keep], truth.tlwh[keep])})
    return {way: sets[TRUTH] for way, sets in found.items()}


def box_sets(scene: Scene) -> dict[str, BoxSet]:
    """Name -> (frame, tlwh) of every box set whose features are wanted; labels only where they are open."""
    sets = {}
    if scene.pixels.gt_path is not None:
        truth = data.labels(scene)
        sets[TRUTH] = (truth.frame, truth.tlwh)
    return sets | public_boxes(scene)


def public_boxes(scene: Scene) -> dict[str, BoxSet]:
    """Public detector -> (frame, tlwh) of its boxes."""
    sets = {}
    for sequence in scene.sequences:
        if sequence.det_path is not None:
            found = data.detections(sequence)
            sets[sequence.detector] = (found.frame, found.tlwh)
    return sets


def compute(run: Run, part: Part, weights: str, boxes: Mapping[str, BoxSet]) -> Pooled:
    """Run the frozen detector over the part's frames that are present, once for all box sets and both ways to pool."""
    from msfp.datasets.frames import FrameReader
    from msfp.features.extract import extract_modes
    from msfp.features.gpu.extract import extract_modes_batched, hands

    config = run.settings.input
    backbone = run.backbone(weights)
    layers = {ROI_ALIGN: backbone.layers, LITE: backbone.layers[-1:]}
    pixels = part.scene.pixels
    wanted = [t for t in pixels.frames if part.first <= t <= part.last]
    label = f"features of {part.scene.name}" + (f" ({weights})" if weights else "")
    with (
        one_thread(),
        FrameReader(pixels, wanted, hands(backbone.device)) as frames,
        Bar(len(wanted), label) as progress,
    ):
        if backbone.device.type == "cuda":
            return extract_modes_batched(frames, boxes, backbone, layers, config.size, config.geometry, progress.update)
        return extract_modes(frames, boxes, backbone, layers, config.size, config.geometry, progress.update)


def rows(features: Features, part: Part) -> slice:
    """Rows of the part's frames."""
    bounds = frame_bounds(features.frame, part.last)
    return slice(int(bounds[part.first - 1]), int(bounds[part.last]))


def layers(features: Features, part: Part) -> dict[int, NDArray[np.float16]]:
    """layer -> (N, C) vectors of the part's boxes."""
    window = rows(features, part)
    return {layer: vectors[window] for layer, vectors in features.layers.items()}


def scene_vectors(run: Run, part: Part) -> NDArray[np.float16]:
    """(T, C) scene vectors of the part's frames, all of which must be present.

    Raises:
        NotComputable: frames are missing.
    """
    data.need_pixels((part,))
    found = next(iter(features(run, part.scene).values()))
    wanted = (found.scene_frame >= part.first) & (found.scene_frame <= part.last)
    return found.scene[wanted]

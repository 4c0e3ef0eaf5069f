"""More asked of frames: all features in one pass, vectors at tracked boxes, camera motion, the joint network."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from msfp.data.frames import FrameReader
from msfp.engine.code import code_digest
from msfp.experiment import data, features
from msfp.experiment.data import Part
from msfp.experiment.detections import CONFIDENCE, OWN, Boxes, as_written, gathered, own_scene
from msfp.experiment.features import Pooled, Pooling
from msfp.experiment.heads import Appearance, head_inputs, train_head, way_to_pool
from msfp.experiment.run import Run, frames_of, stage
from msfp.features.backbone import Letterbox, fit, to_batch
from msfp.features.backbone import Part as MapPart
from msfp.features.camera_motion import camera_motions
from msfp.features.pooling import extract_modes, half, pool_levels
from msfp.heads.fusion import strategy_named
from msfp.heads.parts import centred
from msfp.heads.training import embed, restore_head
from msfp.tracking import tracker_class
from msfp.types import Detections, Features, Scene, xyxy_to_tlwh

if TYPE_CHECKING:
    import torch

    from msfp.features.joint import JointNetwork


def extract_once(run: Run, scenes: Iterable[Scene]) -> None:
    """Fill these stages for many scenes, fanned out over workers; a scene without all its frames has no own boxes.

    On a GPU frames go through the network in batches; there each stage is a pass of its own.
    """
    wanted = list(dict.fromkeys(scenes))
    if run.settings.device.startswith("cuda"):
        features.extract_all(run, wanted)
        return
    missing = [scene for scene in wanted if scene.pixels.frames and not features.pooled.is_stored(run, scene)]
    run.map(partial(_all_stages, run=run), missing, "features, ways to pool, own boxes", network=True)


def _all_stages(scene: Scene, run: Run) -> None:
    from msfp.features.detector import load_whole

    config, chosen, further = run.settings.input, features.preset(run), features.beyond(run)
    usual = features.usual_layers(run)
    detector = load_whole(chosen.extended(), config.weights, run.settings.device)
    people: list[Boxes] = []  # of each frame
    counts: list[int] = []  # people of each frame that have a pixel of the image
    vectors: dict[tuple[Pooling, int], list[NDArray[np.float16]]] = {}

    def through(batch: "torch.Tensor", box: Letterbox) -> dict[int, tuple[MapPart, ...]]:
        """A batch through the whole detector; the people found and their vectors are kept."""
        parts, found = detector.detect(batch, box, CONFIDENCE)
        people.append(found)
        kept = as_written(found[0], scene.pixels)
        counts.append(len(kept))
        for mode, layers in usual.items():
            levels = {layer: parts[layer] for layer in layers}
            for layer, rows in pool_levels(levels, box.to_network(kept), detector.strides, mode).items():
                vectors.setdefault((mode, layer), []).append(half(rows))
        return parts

    wanted = {**further, **usual, features.ROI_ALIGN: (*chosen.layers, *chosen.further)}
    with frames_of(scene.pixels, "all") as (frames, progress):
        boxes = features.box_sets(scene)
        made = extract_modes(frames, boxes, detector, wanted, config.size, config.geometry, progress, through)
    features.pooled.keep(run, lambda: _taken(made, usual), scene)
    features.variants.keep(run, lambda: _taken(made, further), scene)
    pixels = scene.pixels
    if len(pixels.frames) < pixels.length or run.settings.detections != "public":
        return
    own = run.variant(detections="detector")
    seen = own_scene(own, scene, lambda: gathered(pixels.frames, people))
    frame = np.repeat(np.array(pixels.frames, np.int32), counts)
    found: Pooled = {}
    for way, sets in _taken(made, usual).items():
        like = next(iter(sets.values()))  # frames and scene vectors are the same for all box sets
        layers = {layer: np.concatenate(vectors[way, layer]) for layer in usual[way]}
        mine = replace(like, frame=frame, present=np.ones(len(frame), np.bool_), layers=layers)
        found[way] = {name: f for name, f in sets.items() if name == features.TRUTH} | {OWN: mine}
    features.pooled.keep(own, lambda: found, seen)


def _taken(made: Pooled, ways: dict[Pooling, tuple[int, ...]]) -> Pooled:
    """Those that one stage keeps, of features in many ways and layers."""
    return {
        way: {name: replace(f, layers={k: f.layers[k] for k in kept}) for name, f in made[way].items()}
        for way, kept in ways.items()
    }


class OnDemandPooler:
    """Pooled vectors at any boxes of a part's frames, asked for in ascending order; holds one frame's maps."""

    def __init__(self, run: Run, frames: Iterator[tuple[int, NDArray[np.uint8]]], first: int) -> None:
        self._backbone, self._input = run.backbone(), run.settings.input
        self._frames, self._first, self._at = frames, first, 0
        self._known: dict[bytes, NDArray[np.float32]] = {}

    def __call__(self, frame: int, xyxy: NDArray[np.float64]) -> NDArray[np.float32]:
        """(N, C) vectors of all tapped layers in a row, of (N, 4) file coordinates in a frame of the part, from 1."""
        if self._at < frame:
            while self._at < frame:
                number, pixels = next(self._frames)
                self._at = number - self._first + 1
            self._known.clear()
            self._box = fit((pixels.shape[1], pixels.shape[0]), self._input.size, self._input.geometry)
            self._maps = self._backbone.parts(to_batch(self._box.apply(pixels)[None]))
        boxes = np.asarray(xyxy, np.float64).reshape(-1, 4)
        asked = boxes.tobytes()  # every method that tracks a detector's boxes asks for the same
        if asked not in self._known:
            levels = pool_levels(self._maps, self._box.to_network(xyxy_to_tlwh(boxes)), self._backbone.strides)
            vectors = np.concatenate([half(levels[k]) for k in self._backbone.layers], axis=1).astype(np.float32)
            vectors.setflags(write=False)
            self._known[asked] = vectors
        return self._known[asked]


@contextmanager
def pooler_of(run: Run, part: Part) -> Iterator[OnDemandPooler]:
    """A pooler over a part, all of whose frames must be there."""
    data.need_pixels((part,))
    with FrameReader(part.scene.pixels, part.present) as frames:
        yield OnDemandPooler(run, iter(frames), part.first)


CAMERA_CODE = (code_digest(__name__, follow=False), "msfp.features.camera_motion")
# What the authors released each tracker with; a tracker's own attribute `camera` goes before.
AS_RELEASED = {
    **dict.fromkeys(("botsort", "deep-ocsort", "lite-botsort", "lite-deep-ocsort"), "sparse-flow"),
    **dict.fromkeys(("strongsort", "boosttrack", "boosttrack-motion"), "ecc"),
}


def default_camera(tracker: str) -> str:
    """Camera motion a tracker is run with unless told otherwise: `none`, `ecc` or `sparse-flow`."""
    return str(getattr(tracker_class(tracker), "camera", None) or AS_RELEASED.get(tracker, "none"))


def part_warps(run: Run, part: Part, method: str) -> NDArray[np.float64]:
    """(T, 2, 3) maps of the previous frame's file coordinates to each frame's; the identity for the part's first.

    The sequences of a scene share one estimate; what any public detector reports is masked, as it may walk. Frames
    outside the part may be missing. `method` is `ecc`, `sparse-flow`, or `none`, which looks at no pixels.
    """
    if method == "none":
        return np.tile(np.eye(2, 3), (part.length, 1, 1))
    data.need_pixels((part,))
    found = scene_warps(run, part.scene, method)[part.first - 1 : part.last].copy()
    found[0] = np.eye(2, 3)
    return found


def _inputs(run: Run, scene: Scene, method: str) -> dict[str, object]:
    boxes = {s.detector: run.detections_digest(s) for s in scene.sequences}
    return {"pixels": run.pixels_digest(scene), "boxes": boxes, "method": method}


@stage("camera", _inputs, CAMERA_CODE, memory=64)
def scene_warps(run: Run, scene: Scene, method: str) -> NDArray[np.float64]:
    """(T, 2, 3) over the frames that are present."""
    features.need_frames(scene)
    sets = list(features.public_boxes(scene).values())

    def boxes(t: int) -> NDArray[np.float64]:
        here = [tlwh[slice(*np.searchsorted(frame, (t, t + 1)))] for frame, tlwh in sets]
        return np.concatenate([np.zeros((0, 4)), *here])

    with frames_of(scene.pixels, "camera motion") as (frames, progress):
        return camera_motions(frames, scene.pixels.length, method, boxes, progress)


JOINT: Literal["joint"] = "joint"
JOINT_CODE = ("msfp.features.joint",)
JOINT_CONFIDENCE = 0.1
LOOK = Appearance(JOINT)  # the network's own vectors as an embedding; only for its own boxes


@dataclass(frozen=True)
class Seen:
    """People found in a part, frames numbered from the part's first, and their (N, D) float16 unit vectors."""

    detections: Detections
    vectors: NDArray[np.float16]


def seen_inputs(run: Run, part: Part) -> dict[str, object]:
    from msfp.features.joint import EMBEDDED

    config = run.settings.input
    return {
        "weights": features.embedded_digest(run, config.joint_weights, EMBEDDED, "joint network"),
        "code": code_digest(*JOINT_CODE),
        "pixels": run.pixels_digest(part.scene),
        "part": (part.first, part.last),
        "input": (config.size, config.geometry, JOINT_CONFIDENCE),
    }


@stage("joint-seen", seen_inputs, JOINT_CODE, memory=48, network=True)
def seen(run: Run, part: Part) -> Seen:
    """The jointly trained network over a part's frames."""
    from msfp.features.joint import see_all

    data.need_pixels((part,))
    network, config = _network(run), run.settings.input
    with frames_of(part.scene.pixels, "joint detector", part.present) as (frames, progress):
        found = see_all(frames, network, config.size, JOINT_CONFIDENCE, config.geometry, progress)
    frame = (found.frame - (part.first - 1)).astype(np.int32)
    return Seen(Detections(frame, found.tlwh, found.score), found.vectors)


def joint_inputs(run: Run, part: Part, look: Appearance) -> dict[str, object]:
    """What `joint_embeddings` depends on."""
    if look.strategy == JOINT:
        return {"strategy": JOINT}
    return {**head_inputs(run, look), "frozen": frozen_features.key(run, part, look.weights)}


def joint_embeddings(run: Run, part: Part, look: Appearance) -> NDArray[np.float32]:
    """(N, D) unit embeddings of the network's boxes: its own vectors, or a head's on the frozen detector's."""
    if look.strategy == JOINT:
        return seen(run, part).vectors.astype(np.float32)
    kind = strategy_named(look.strategy)
    found = frozen_features(run, part, look.weights)[way_to_pool(run, kind)]
    vectors: Mapping[int, NDArray[np.floating]] = found.layers
    if kind.centred:
        vectors = centred(vectors, found.frame, np.ones(len(found.frame), np.bool_), run.settings.fusion.strips)
    taken = {layer: vectors[layer] for layer in look.layers} if look.layers else vectors
    channels = {layer: v.shape[1] for layer, v in taken.items()}
    return embed(restore_head(look.strategy, channels, train_head(run, look).state, run.settings.fusion), taken)


@stage(
    "joint-features",
    lambda run, part, weights="": {**features.feature_inputs(run, part.scene, weights), "seen": seen.key(run, part)},
    features.FEATURE_CODE,
    memory=24,
    network=True,
)
def frozen_features(run: Run, part: Part, weights: str = "") -> dict[Pooling, Features]:
    """The frozen detector's features of the network's boxes: a pass of their own."""
    found = seen(run, part).detections
    boxes = (found.frame + np.int32(part.first - 1), found.tlwh)
    return {way: sets[JOINT] for way, sets in features.compute(run, part, weights, {JOINT: boxes}).items()}


@lru_cache(maxsize=2)
def _network(run: Run) -> "JointNetwork":
    from msfp.features.joint import load_joint

    return load_joint(run.settings.input.joint_weights, run.settings.device)

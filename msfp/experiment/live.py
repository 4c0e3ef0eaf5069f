"""A method frame by frame, batch size 1: its parts, the networks' pass, and a stopwatch."""

import copy
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from msfp.config import InputSettings
from msfp.data.video import Image
from msfp.errors import InputError
from msfp.experiment.detections import CONFIDENCE
from msfp.experiment.features import Pooling, strip_layers, strips
from msfp.experiment.heads import Appearance, train_head
from msfp.experiment.run import Run
from msfp.experiment.thresholds import Threshold, atl_rule, atl_settings, per_frame
from msfp.features.backbone import STRIDE, Letterbox, fit
from msfp.features.camera_motion import METHODS, View, between, see
from msfp.features.detector import Boxes, Detector, load_whole, suppressed
from msfp.features.gpu.extract import check_finite
from msfp.features.gpu.frame import DeviceFrame
from msfp.heads.fusion import FusionHead, strategy_named
from msfp.heads.parts import FrameCentring
from msfp.heads.threshold import Mode
from msfp.heads.training import ScenePredictor, embed, restore_head
from msfp.types import Strips


@lru_cache(maxsize=32)
def head_of(run: Run, look: Appearance) -> FusionHead:
    """A look's head, trained where the store has none yet."""
    wanted = strategy_named(look.strategy)
    if wanted.sees_cells or wanted.sees_size:
        raise InputError(f"appearance {look.strategy} is an ablation and not made for live use; choose another")
    return restore_head(look.strategy, channels_of(run, look), train_head(run, look).state, run.settings.fusion)


def channels_of(run: Run, look: Appearance) -> dict[int, int]:
    """Layer -> numbers that an embedding's head sees of a box."""
    channels = run.backbone(look.weights).channels
    if strategy_named(look.strategy).pooling == "strips":
        if isinstance(look.pooling, Strips) or look.layers:
            raise InputError(f"appearance {look.strategy}: strips cut for a study are not made for live use")
        return {layer: channels[layer] * strips(run).number for layer in strip_layers(run)}
    return {layer: channels[layer] for layer in look.layers or channels}


def pooled_as(head: FusionHead | None) -> Pooling:
    """How a head has its boxes pooled."""
    if head is not None and head.pooling == "strips":
        return Strips(head.config.strips, head.config.strip_width)
    return "roi_align" if head is None or head.pooling == "strips" else head.pooling


def pooled_layers(head: FusionHead) -> tuple[int, ...]:
    """The layers whose vectors a head reads: one for the single-layer heads, else all it was made for."""
    return (list(head.channels)[-1],) if head.sees_last else tuple(head.channels)


def embed_boxes(
    head: FusionHead, vectors: Mapping[int, NDArray[np.floating]], centring: FrameCentring | None = None
) -> NDArray[np.float32]:
    """(N, D) unit embeddings of a frame's boxes; vectors of layers that the head does not read may be absent.

    `centring`: of the frames so far, for a head that wants it; None: this frame alone.
    """
    if head.centred:
        centring = centring or FrameCentring(head.config.strips)
        return embed(head, centring.step({layer: vectors[layer] for layer in head.channels}))
    some = next(iter(vectors.values()))
    # A single-layer head is told of every layer it was made for, and reads one.
    given = {k: vectors.get(k, np.broadcast_to(np.float32(0), (len(some), c))) for k, c in head.channels.items()}
    return embed(head, given)


@dataclass
class LiveThresholds:
    """ATL frame by frame: scene vector in, this frame's (tau_high, tau_low) out (eqs. 6-8)."""

    run: Run  # whose base thresholds the offset mode has
    predictor: ScenePredictor  # of raw thresholds
    mode: Mode  # how they are read
    beta: float  # memory of eq. 7; 0 smooths nothing
    center: float = 0.0  # what a signed offset is relative to
    smoothed: NDArray[np.float64] | None = None  # (k,) tau_(t-1), None before the first frame

    @property
    def outputs(self) -> int:
        """k, how many numbers ATL predicts of a frame."""
        return 2 if self.mode == "dual" else 1

    def step(self, scene: NDArray[np.floating]) -> NDArray[np.float32]:
        """(C,) scene vector -> (2,)."""
        return self.smooth(self.predictor(scene))

    def smooth(self, prediction: NDArray[np.floating]) -> NDArray[np.float32]:
        """(k,) raw prediction of a frame -> (2,)."""
        raw = prediction.astype(np.float64)
        self.smoothed = raw if self.smoothed is None else self.beta * self.smoothed + (1 - self.beta) * raw
        return per_frame(self.run, self.mode, self.smoothed.astype(np.float32)[None], self.center, warn=False)[0]


def live_thresholds(run: Run, rule: Threshold, detector: str) -> LiveThresholds:
    """ATL for a detector's boxes, trained where the store has none."""
    atl, backbone = atl_settings(run, rule.changes), run.backbone()
    mode, center, state = atl_rule(run, rule, detector)
    predictor = ScenePredictor(mode, backbone.channels[backbone.preset.scene], state, atl)
    smooth = (rule.temporal or atl.temporal) == "ema"
    return LiveThresholds(run, predictor, rule.mode, atl.beta if smooth else 0.0, center)


@dataclass
class LiveCamera:
    """The camera's motion by `ecc` or `sparse-flow` from the frame before, `last`; the first frame has none."""

    method: str
    last: View | None = None

    def step(self, image: Image, tlwh: NDArray[np.float64]) -> NDArray[np.float64]:
        """(2, 3) map of the frame before to this one, file coordinates; the (N, 4) boxes may move themselves."""
        before = self.last
        view = self.remember(image, tlwh)
        if before is None:
            return np.eye(2, 3)
        if before.grey.shape != view.grey.shape or not np.array_equal(before.to_view, view.to_view):
            raise InputError(
                f"a frame of {image.shape[1]}x{image.shape[0]} after frames of another size; camera motion needs one "
                "size: scale the frames, or call reset() where another video begins"
            )
        return between(before, view, self.method)

    def remember(self, image: Image, tlwh: NDArray[np.float64]) -> View:
        """Take a frame as the one before the next."""
        self.last = see(image, tlwh, METHODS[self.method][1])
        return self.last


OVERLAP, LIMIT = 0.7, 300  # of the suppression, as in `Detector.look`
CANDIDATES = 1024  # the most certain ones are pooled before suppression: some fifteen a person for seventy people


@dataclass(frozen=True)
class Seen:
    """What the networks make of a frame."""

    tlwh: NDArray[np.float64]  # (N, 4), file coordinates
    score: NDArray[np.float32]  # (N,)
    vectors: NDArray[np.float32]  # (N, D) unit embeddings; (N, 0) without a head
    prediction: NDArray[np.float32]  # (k,) ATL's raw thresholds; (0,) without ATL


def input_for(longest: int, width: int, height: int) -> tuple[int, int]:
    """Network input, width and height, in which the longer side of an image takes `longest` pixels and none is lost."""
    scale = longest / max(width, height)
    across, down = (max(STRIDE, math.ceil(round(side * scale, 3) / STRIDE) * STRIDE) for side in (width, height))
    return across, down


def frame_predictor(
    run: Run,
    head: FusionHead | None,
    predictor: ScenePredictor | None,
    size: tuple[int, int] | None = None,
    confidence: float = CONFIDENCE,
) -> "CpuPredictor | CudaGraphPredictor":
    """The predictor for a run's device; RT-DETR's decoder has not been made part of a graph.

    `size`: of the network's input, None: the settings'. `confidence`: of the least certain people.
    """
    config, device = run.settings.input, run.settings.device
    config = config if size is None else config.model_copy(update={"size": size})
    if device.startswith("cuda"):
        detector = load_whole(config.preset, config.weights, device)
        if detector.family != "RTDETRDetectionModel":
            return CudaGraphPredictor(detector, config, head, predictor, confidence=confidence)
    return CpuPredictor(_detector_of(run), config, head, predictor, confidence)


@lru_cache(maxsize=4)
def _detector_of(run: Run) -> Detector:
    """Loaded once: it keeps nothing of the frames it saw."""
    return load_whole(run.settings.input.preset, run.settings.input.weights, run.settings.device)


class Predictor:
    """The networks over the frames of one video, one after the other; a head's centring remembers those so far."""

    def __init__(self, head: FusionHead | None) -> None:
        self.centring = None if head is None or not head.centred else FrameCentring(head.config.strips)
        self.widths = {} if head is None else head.channels  # layer -> numbers that the head sees of a box

    def see(self, pixels: Image, boxes: Boxes | None = None) -> Seen:
        """The next frame, (H, W, 3) uint8 RGB.

        `boxes`: (N, 4) tlwh in file coordinates and (N,) scores to look at in place of the detector's own.
        """
        raise NotImplementedError

    def reset(self) -> None:
        """Another video begins."""
        if self.centring is not None:
            self.centring.mean.clear()


class CpuPredictor(Predictor):
    """Detector, fusion head and ATL's encoder one after the other: people are known before their vectors are pooled."""

    def __init__(
        self,
        detector: Detector,
        config: InputSettings,
        head: FusionHead | None = None,
        predictor: ScenePredictor | None = None,
        confidence: float = CONFIDENCE,
    ) -> None:
        super().__init__(head)
        self.detector, self.config, self.head, self.predictor = detector, config, head, predictor
        self.confidence = confidence

    def see(self, pixels: Image, boxes: Boxes | None = None) -> Seen:
        """As of `Predictor`."""
        if boxes is not None and self.head is None and self.predictor is None:  # by motion alone: no pixel is looked at
            return Seen(*boxes, np.zeros((len(boxes[0]), 0), np.float32), np.zeros(0, np.float32))
        config, head = self.config, self.head
        sight = self.detector.look(
            pixels, config.size, confidence=self.confidence, geometry=config.geometry, boxes=boxes,
            pooling=pooled_as(head), layers=() if head is None else pooled_layers(head),
        )  # fmt: skip
        nobody = np.zeros((len(sight.tlwh), 0), np.float32)
        vectors = nobody if head is None else embed_boxes(head, sight.layers, self.centring)
        prediction = np.zeros(0, np.float32) if self.predictor is None else self.predictor(sight.scene)
        return Seen(sight.tlwh, sight.score, vectors, prediction)


class CudaGraphPredictor(Predictor):
    """All of the networks as one recorded piece: candidates are embedded first and suppressed after, on the host."""

    def __init__(
        self,
        detector: Detector,
        config: InputSettings,
        head: FusionHead | None = None,
        predictor: ScenePredictor | None = None,
        most: int = CANDIDATES,
        confidence: float = CONFIDENCE,
    ) -> None:
        """Record the networks with room for `most` boxes; converts the detector, not a sparse one, in place."""
        super().__init__(head)
        # Who makes up a frame's mean is known only when those that overlap are suppressed, on the host.
        self._host_head = head if head is not None and head.centred else None
        layers = () if self._host_head is None else tuple(self._host_head.channels)
        device_head = AsPooled(layers) if layers else copy.deepcopy(head)  # theirs stay where they are
        encoder, mode = None if predictor is None else copy.deepcopy(predictor.encoder), pooled_as(head)
        self.frame = DeviceFrame(detector, device_head, encoder, config.size, most, confidence, None, mode, layers)
        self._config, self._confidence = config, confidence
        self._box: Letterbox | None = None

    def see(self, pixels: Image, boxes: Boxes | None = None) -> Seen:
        """As of `CpuPredictor`; InputError where boxes outnumber the room, or numbers the detector's precision."""
        image = (pixels.shape[1], pixels.shape[0])
        if self._box is None or self._box.image != image:
            self._box = fit(image, self._config.size, self._config.geometry)
        if boxes is not None and len(boxes[0]) > self.frame.most:
            raise InputError(
                f"{len(boxes[0])} boxes in a frame, and room for {self.frame.most} on a GPU; keep the most certain"
            )
        self._box.apply(pixels, self.frame.room())
        self.frame.submit(None if boxes is None else self._box.to_network(boxes[0]))
        found = self.frame.collect()
        check_finite("a frame", *map(torch.from_numpy, (found.regions, found.embeddings, found.thresholds)))
        if boxes is not None:
            return Seen(*boxes, self._embedded(found.embeddings), found.thresholds)
        passing = int((found.scores >= self._confidence).sum())  # the most certain come first
        xyxy, score = torch.from_numpy(found.regions[:passing]), torch.from_numpy(found.scores[:passing])
        order = suppressed(xyxy, score, OVERLAP, LIMIT).numpy()
        tlwh = self._box.to_file(found.regions[order])
        return Seen(tlwh, found.scores[order], self._embedded(found.embeddings[order]), found.thresholds)

    def _embedded(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Apply a head that has to wait for the host to what came from the device."""
        if self._host_head is None:
            return vectors
        ends = np.cumsum(list(self._host_head.channels.values()))[:-1]
        layers = dict(zip(self._host_head.channels, np.split(vectors, ends, axis=1), strict=True))
        return embed_boxes(self._host_head, layers, self.centring)


class AsPooled(torch.nn.Module):
    """In a head's place: vectors as they were pooled, layers side by side."""

    def __init__(self, layers: Iterable[int]) -> None:
        super().__init__()
        self._layers = tuple(layers)

    def forward(self, vectors: dict[int, torch.Tensor]) -> torch.Tensor:
        """{layer: (N, C_l)} -> (N, sum C_l)."""
        return torch.cat([vectors[layer] for layer in self._layers], 1)


MILLI = 1e3
Item = TypeVar("Item")


class Stopwatch:
    """Times stages of frames; on a GPU a stage marked `device` by two events on its stream, without synchronisation."""

    def __init__(self, device: str = "cpu") -> None:
        self.on_gpu = device.startswith("cuda")
        self._frames: list[dict[str, float]] = []
        self._pending: list[tuple[str, Any, Any]] = []

    def begin(self) -> None:
        self._frames.append({})

    @contextmanager
    def stage(self, name: str, *, device: bool = False) -> Iterator[None]:
        """Time the block as a stage of the current frame; a stage timed twice counts both times."""
        if device and self.on_gpu:
            first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            first.record()
            yield
            last.record()
            self._pending.append((name, first, last))
            return
        began = time.perf_counter()
        yield
        self.add(name, MILLI * (time.perf_counter() - began))

    def finish(self) -> None:
        """End the frame: wait for its last event and read all of them."""
        if self._pending:
            self._pending[-1][2].synchronize()
        for name, first, last in self._pending:
            self.add(name, first.elapsed_time(last))
        self._pending.clear()

    def times(self, skip: int = 0) -> dict[str, NDArray[np.float64]]:
        """Stage -> (T,) milliseconds of the frames after the first `skip`; 0 in frames that lacked the stage."""
        kept = self._frames[skip:]
        names = dict.fromkeys(name for frame in kept for name in frame)
        return {name: np.array([frame.get(name, 0.0) for frame in kept]) for name in names}

    def add(self, name: str, milliseconds: float) -> None:
        """Count milliseconds, timed elsewhere, to a stage of the current frame."""
        frame = self._frames[-1]
        frame[name] = frame.get(name, 0.0) + milliseconds


def in_turn(items: Iterable[Item], turn: int) -> list[Item]:
    """The items, another one first with every frame: who comes first finds the caches cold, and pays for all."""
    some = list(items)
    first = turn % max(len(some), 1)
    return some[first:] + some[:first]

"""Speed: every part of a frame timed at batch size 1 on the run's own frames, for all methods in turn (4.5, A.1, A.7).

A slow moment of the machine so slows all methods alike. Nothing is cached: a stored time would be another day's.
"""

import datetime
import gc
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from msfp.data.frames import decode_in_turn
from msfp.data.video import Image
from msfp.engine.files import atomic_write
from msfp.engine.parallel import Bar
from msfp.engine.provenance import hardware
from msfp.errors import InputError, NotComputable
from msfp.experiment import data, live
from msfp.experiment.data import Part
from msfp.experiment.features import REID, network_inputs
from msfp.experiment.heads import Appearance
from msfp.experiment.live import Stopwatch, in_turn
from msfp.experiment.run import Run
from msfp.experiment.tracks import Method, settled
from msfp.features.backbone import fit, to_batch
from msfp.features.detector import load_whole
from msfp.features.pooling import Mode as Pooling
from msfp.features.pooling import global_average, pool_levels
from msfp.heads.fusion import FusionHead, make_head
from msfp.heads.parts import FrameCentring
from msfp.heads.threshold import Mode, SceneEncoder
from msfp.heads.training import ScenePredictor
from msfp.tracking import make
from msfp.tracking.base import FrameContext
from msfp.types import Sequence as Video
from msfp.types import tlwh_to_xyxy

if TYPE_CHECKING:
    from msfp.features.reid import OSNet


DECODE, PREPARE, DETECTOR, CUT, SCENE = "decode", "preprocess", "detector", "network to its last tap", "scene vector"
RESNET, OF_RESNET = "embedding by a network of ResNet-50's size", ", ReID of ResNet-50's size"
RESNET_FRAMES = 8  # the last ones: on a CPU it takes as long as everything else together
FRAMES, WARM_UP = 24, 8  # timed, and before them
LEAST = 3  # frames with pixels in a row, below which nothing that looks at pixels is timed
PREFERRED = ("SDP", "FRCNN", "public", "DPM")
Times = NDArray[np.float64]
Boxes = NDArray[np.float64]
Scores = NDArray[np.float32]
Vectors = NDArray[np.float32]
UNTRAINED = "Times: untrained heads stand in where frames to learn from are missing; they take as long as trained ones."


@dataclass(frozen=True)
class Stretch:
    """Consecutive frames of one part, and the sequence whose public detections are tracked on them."""

    part: Part
    sequence: Video
    first: int  # number of the first frame
    length: int  # number of frames, of which the first `warm_up` are not counted
    warm_up: int
    pixels: bool  # whether the frames are there

    @property
    def last(self) -> int:
        """Number of the last frame."""
        return self.first + self.length - 1


@dataclass(frozen=True)
class Course:
    """What a method's frame consists of, as names of stages."""

    pooling: tuple[str, ...] = ()  # from feature maps to vectors of boxes
    embedding: tuple[str, ...] = ()  # from these, or from crops, to embeddings
    atl: tuple[str, ...] = ()  # from the scene layer to thresholds
    camera: tuple[str, ...] = ()  # the camera's motion
    assoc: tuple[str, ...] = ()  # the tracker
    taps: bool = False  # it needs the detector's feature maps
    network: str = ""  # the separate ReID network and the size of its crops; empty where there is none

    @property
    def reid(self) -> tuple[str, ...]:
        """From feature maps or pixels to embeddings: the paper's "ReID"."""
        return self.pooling + self.embedding

    @property
    def after(self) -> tuple[str, ...]:
        """Thresholds, camera motion and tracker: the paper's "Assoc"."""
        return self.atl + self.camera + self.assoc


@dataclass(frozen=True)
class Speeds:
    """What was measured."""

    stages: Mapping[str, Times]  # stage -> (T,) milliseconds; of what is timed on some frames only, the last of them
    courses: Mapping[str, Course]  # method's label -> its stages
    missing: Mapping[str, str]  # method's label -> why it was not timed
    about: Mapping[str, str | float | int]  # hardware, detector, input, frames, boxes a frame

    def total(self, *names: str) -> Times:
        """(T,) sum of stages on the frames that all of them have; zeros where none is named."""
        lacking = [name for name in names if name not in self.stages]
        if lacking:
            raise NotComputable(f"{', '.join(lacking)}: {self.about['pixels']}")
        length = min((len(self.stages[name]) for name in names or self.stages), default=0)
        return np.sum([np.zeros(length), *(self.stages[name][-length:] for name in names)], axis=0)

    def course(self, label: str) -> Course:
        """A method's stages, or why it was not timed."""
        if label not in self.courses:
            raise NotComputable(self.missing.get(label.removesuffix(OF_RESNET), f"{label} was not timed"))
        return self.courses[label]


def stretch(parts: Sequence[Part]) -> Stretch:
    """The longest stretch of frames that are present in any of the parts, or labels only where there is none."""
    usable = [p for p in parts if data.sequences(p)]
    if not usable:
        raise NotComputable("no sequence with detections is present")
    runs = []
    for part in usable:
        present = np.array([t for t in part.scene.pixels.frames if part.first <= t <= part.last], int)
        longest = max(np.split(present, np.flatnonzero(np.diff(present) > 1) + 1), key=len)
        runs.append((len(longest), int(longest[0]) if len(longest) else part.first, part))
    length, first, part = max(runs, key=lambda r: min(r[0], FRAMES + WARM_UP))
    pixels = length >= LEAST
    if not pixels:
        part = max(usable, key=lambda p: p.length)
        first, length = part.first, part.length
    length = min(length, FRAMES + WARM_UP)
    named = {s.detector: s for s in data.sequences(part)}
    chosen = next((named[d] for d in PREFERRED if d in named), next(iter(named.values())))
    return Stretch(part, chosen, first, length, min(WARM_UP, length // 4), pixels)


def timed_frames(place: Stretch, watch: Stopwatch) -> Iterator[tuple[Iterator[tuple[int, Image]], Boxes, Scores]]:
    """(images, (N, 4) public boxes, (N,) scores) of each frame, each one's stages summed up after it.

    The next of `images` is the frame's, read by whoever times its decoding; there is none without pixels.
    """
    found = data.window(data.detections(place.sequence), Part(place.part.scene, place.first, place.last))
    images = decode_in_turn(place.part.scene.pixels, tuple(range(place.first, place.last + 1)) if place.pixels else ())
    gc.collect()
    with closing(images), Bar(place.length, "timing") as progress:
        for t in range(place.length):
            rows = slice(*np.searchsorted(found.frame, (t + 1, t + 2)))
            watch.begin()
            yield images, found.tlwh[rows], found.score[rows]
            watch.finish()
            progress.update()


class TimedFrame:
    """Networks, heads and trackers of all methods, and how a frame goes through them.

    Attributes:
        courses: method's label -> its stages.
        missing: method's label -> why it is not timed.
    """

    def __init__(self, run: Run, place: Stretch, methods: Sequence[Method], watch: Stopwatch) -> None:
        """Load and train what the methods need, before any clock starts."""
        self._run, self._watch, self._turn = run, watch, 0
        self.missing: dict[str, str] = {}
        self._heads: dict[Appearance, FusionHead] = {}
        self._centring: dict[Appearance, FrameCentring] = {}
        self._reid: dict[Appearance, OSNet] = {}
        settings = run.settings
        self._methods: list[Method] = []
        for method in methods:
            try:
                self._methods.append(self._load(method, place))
            except NotComputable as error:
                self.missing[method.label] = str(error)
        self._atl = {
            m.label: thresholds_of(run, m, place.sequence.detector)
            for m in self._methods
            if m.threshold.kind == "atl" and place.pixels
        }
        self._camera = {name: live.LiveCamera(name) for name in sorted({m.camera for m in self._methods} - {"none"})}
        self._trackers = {m.label: make(m.tracker, fps=place.sequence.fps, **dict(m.options)) for m in self._methods}
        self._detector = (
            load_whole(settings.input.preset, settings.input.weights, settings.device) if place.pixels else None
        )
        self.courses = {m.label: self._course(m) for m in self._methods}
        self._resnet: torch.nn.Module | None = None
        self._resnet_from = place.length - RESNET_FRAMES - 1  # the frame before the timed ones warms up
        for method in (m for m in self._methods if m.tracker == "deepsort" and m.look in self._reid):
            from msfp.features.reid import resnet50

            self._resnet = resnet50(settings.device)
            width, height = settings.input.reid_size
            said = f"ReID: ResNet-50 (random weights, which take as long as trained ones) on crops of {width}x{height}"
            larger = replace(self.courses[method.label], embedding=(RESNET,), network=said)
            self.courses[method.label + OF_RESNET] = larger

    def _load(self, method: Method, place: Stretch) -> Method:
        """Load what a method looks through, and settle it; NotComputable where it cannot be timed."""
        look = method.look
        if not place.pixels and (look is not None or method.camera != "none" or method.threshold.kind == "atl"):
            raise NotComputable(data.missing_pixels(place.part))
        chosen = settled(self._run, method)
        if look is not None and look.strategy == REID:
            network_inputs(self._run, look.weights)
            from msfp.features.reid import load_reid

            weights = look.weights or self._run.settings.input.reid_weights
            self._reid[look] = load_reid(weights, self._run.settings.device)
        elif look is not None:
            self._heads[look] = head = head_of(self._run, look)
            if head.centred:
                self._centring[look] = FrameCentring(head.config.strips)
        return chosen

    def _course(self, method: Method) -> Course:
        look = method.look
        head = self._heads.get(look) if look is not None else None
        atl = method.label in self._atl
        return Course(
            pooling=() if head is None else (pooling_stage(*pooled_by(head)),),
            embedding=() if look is None else (embedding_stage(look),),
            atl=(SCENE, f"ATL of {method.label}") if atl else (),
            camera=(f"camera motion ({method.camera})",) if method.camera != "none" else (),
            assoc=(f"association of {method.label}",),
            taps=atl or head is not None,
            network=f"ReID: OSNet x0.25 on crops of {'x'.join(map(str, self._run.settings.input.reid_size))}"
            * (look in self._reid),
        )

    def run(self, images: Iterator[tuple[int, Image]], tlwh: Boxes, scores: Scores) -> None:
        """Take one frame through every method.

        Args:
            images: gives the frame; empty where there are no pixels.
            tlwh: (N, 4) public detections in file coordinates.
            scores: (N,) of them.
        """
        embeddings: dict[Appearance, Vectors] = {}
        warps: dict[str, Boxes] = {}
        scene: Vectors | None = None
        if self._detector is not None:
            with self._watch.stage(DECODE):
                image = next(images)[1]
            embeddings, scene = self._look(image, tlwh)
            for name, camera in self._camera.items():
                with self._watch.stage(f"camera motion ({name})"):
                    warps[name] = camera.step(image, tlwh)
        xyxy = tlwh_to_xyxy(tlwh)
        self._turn += 1
        for method in in_turn(self._methods, self._turn):
            rule = method.threshold
            high, low = (None, None) if rule.kind == "default" else (rule.high, rule.low)
            if method.label in self._atl:
                assert scene is not None
                with self._watch.stage(f"ATL of {method.label}"):
                    high, low = map(float, self._atl[method.label].step(scene))
            context = FrameContext(tau_high=high, tau_low=low, warp=warps.get(method.camera))
            with self._watch.stage(f"association of {method.label}"):
                look = None if method.look is None else embeddings[method.look]
                self._trackers[method.label].update(xyxy, scores, look, context)

    def _look(self, image: Image, tlwh: Boxes) -> tuple[dict[Appearance, Vectors], Vectors]:
        """Everything that the networks see in a frame: embeddings by look, and the scene vector."""
        from msfp.features.reid import RESNET_WIDTH, embed

        assert self._detector is not None
        watch, settings, backbone = self._watch, self._run.settings.input, self._run.backbone()
        with watch.stage(PREPARE):
            box = fit((image.shape[1], image.shape[0]), settings.size, settings.geometry)
            batch = to_batch(box.apply(image)[None], backbone.device)
        with watch.stage(DETECTOR):  # ends on the host, as its boxes are needed there
            self._detector.detect(batch, box)
        with watch.stage(CUT, device=True):
            parts = backbone.parts(batch)
        regions = box.to_network(tlwh)
        vectors = {}
        for layers, way in in_turn(dict.fromkeys(map(pooled_by, self._heads.values())), self._turn):
            with watch.stage(pooling_stage(layers, way)):
                vectors[layers, way] = pool_levels({k: parts[k] for k in layers}, regions, backbone.strides, way)
        with watch.stage(SCENE):
            scene = global_average(parts[backbone.preset.scene])[0]
        embeddings = {}
        for look, head in in_turn(self._heads.items(), self._turn):
            with watch.stage(embedding_stage(look)):
                embeddings[look] = live.embed_boxes(head, vectors[pooled_by(head)], self._centring.get(look))
        for look, network in self._reid.items():
            with watch.stage(embedding_stage(look)):
                embeddings[look] = embed(network, image, tlwh, size=settings.reid_size)
        if self._resnet is not None and self._turn >= self._resnet_from:
            with watch.stage(RESNET):
                embed(self._resnet, image, tlwh, size=settings.reid_size, width=RESNET_WIDTH)
        return embeddings, scene


def head_of(run: Run, look: Appearance) -> FusionHead:
    """A look's head as trained; an untrained one, with a remark, where it cannot be trained."""
    try:
        return live.head_of(run, look)
    except NotComputable:
        run.note(UNTRAINED)
        return untrained(run, look)


def untrained(run: Run, look: Appearance) -> FusionHead:
    """A look's head as training begins with it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(look.seed)
        return make_head(look.strategy, live.channels_of(run, look), run.settings.fusion).eval()


def thresholds_of(run: Run, method: Method, detector: str) -> live.LiveThresholds:
    """A method's ATL as trained; an untrained one, with a remark, where it cannot be trained."""
    try:
        found = live.live_thresholds(run, method, detector)
        assert found is not None
        return found
    except NotComputable:
        run.note(UNTRAINED)
        return untrained_thresholds(run, method.threshold.mode, method.threshold.seed)


def untrained_thresholds(run: Run, mode: Mode = "single", seed: int = 0) -> live.LiveThresholds:
    """ATL as training begins with it."""
    atl, backbone = run.settings.atl, run.backbone()
    channels = backbone.channels[backbone.preset.scene]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        state = {k: v.numpy() for k, v in SceneEncoder(channels, mode, atl).state_dict().items()}
    return live.LiveThresholds(run, ScenePredictor(mode, channels, state, atl), mode, atl.beta)


def pooled_by(head: FusionHead) -> tuple[tuple[int, ...], Pooling]:
    """The layers whose vectors a head reads, and how they are pooled."""
    return live.pooled_layers(head), live.pooled_as(head)


def pooling_stage(layers: tuple[int, ...], way: Pooling = "roi_align") -> str:
    """Name of the stage that pools these layers this way."""
    return f"pooling of {', '.join(map(str, layers))}" + ("" if way == "roi_align" else f" ({way})")


def embedding_stage(look: Appearance) -> str:
    """Name of the stage that makes this look's embeddings."""
    joint = ", fine-tuned" if look.joint else ""
    return f"embedding by {look.strategy}{joint}" + f" ({look.weights})" * bool(look.weights)


def measure(run: Run, methods: Sequence[Method], parts: Sequence[Part]) -> Speeds:
    """Time every method on the same frames, taken from any of the parts; also writes `runs/<profile>/speed.json`.

    Raises:
        NotComputable: no part has detections.
        InputError: a label comes twice.
    """
    labels = [m.label for m in methods]
    if len(set(labels)) < len(labels):
        raise InputError(f"methods to time: {', '.join(labels)} are not distinct; give each row its own label")
    place, watch = stretch(parts), Stopwatch(run.settings.device)
    frame = TimedFrame(run, place, methods, watch)
    boxes = 0
    for images, tlwh, scores in timed_frames(place, watch):
        frame.run(images, tlwh, scores)
        boxes += len(tlwh)
    stages = watch.times(place.warm_up)
    if RESNET in stages:
        stages[RESNET] = stages[RESNET][-RESNET_FRAMES:]
    speeds = Speeds(stages, frame.courses, frame.missing, _about(run, place, boxes))
    record: dict[str, Any] = {
        "about": dict(speeds.about),
        "missing": dict(speeds.missing),
        "courses": {label: asdict(course) for label, course in speeds.courses.items()},
        "milliseconds": {name: [round(float(v), 4) for v in times] for name, times in speeds.stages.items()},
    }
    atomic_write(run.out / "speed.json", (json.dumps(record, indent=1, ensure_ascii=False) + "\n").encode())
    return speeds


def _about(run: Run, place: Stretch, boxes: int) -> dict[str, str | float | int]:
    machine = hardware()
    width, height = run.settings.input.size
    return {
        "measured": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cpu": f"{machine['cpu']}, {machine['cores']} cores",
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if run.settings.device.startswith("cuda") else "none used",
        "detector": run.settings.input.preset,
        "input": f"{width}x{height}",
        "ReID": f"OSNet x0.25 on crops of {'x'.join(map(str, run.settings.input.reid_size))}",
        "sequence": place.sequence.name,
        "frames": place.length - place.warm_up,
        "warm-up frames": place.warm_up,
        "boxes a frame": round(boxes / place.length, 1),
        "load at the end": round(os.getloadavg()[0], 1),
        "pixels": "" if place.pixels else data.missing_pixels(place.part),
    }


def in_words(about: Mapping[str, str | float | int]) -> str:
    """Where and on what was measured, for a note under a table."""
    machine = about["cpu"] if about["gpu"] == "none used" else f"{about['gpu']} and {about['cpu']}"
    return (
        f"measured on {machine} ({about['threads']} threads), {about['detector']} at {about['input']}, "
        f"separate ReID by {about['ReID']}, "
        f"{about['sequence']} with {about['boxes a frame']} boxes a frame: median of {about['frames']} frames after "
        f"{about['warm-up frames']} to warm up, ± half the distance of the quartiles; differs from run to run"
    )

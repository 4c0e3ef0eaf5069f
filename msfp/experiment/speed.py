"""Speed: every part of a frame timed at batch size 1 on the run's own frames, for all methods in turn (4.5, A.1, A.7).

A slow moment of the machine so slows all methods alike. Nothing is cached: a stored time would be another day's.
"""

import datetime
import gc
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

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
from msfp.experiment.live import Item, Stopwatch, in_turn
from msfp.experiment.run import Run
from msfp.experiment.tracks import Method, material, settled
from msfp.features.backbone import Backbone, Letterbox, fit, to_batch
from msfp.features.backbone import Part as MapPart
from msfp.features.detector import load_whole
from msfp.features.pooling import Mode, global_average, pool_cells, pool_levels
from msfp.heads.fusion import SIZE, FusionHead, make_head
from msfp.heads.parts import FrameCentring
from msfp.heads.threshold import Mode as Predicted
from msfp.heads.threshold import SceneEncoder
from msfp.heads.training import ScenePredictor, embed
from msfp.tracking import gather, make
from msfp.tracking.base import FrameContext
from msfp.types import Sequence as Video
from msfp.types import frame_bounds, tlwh_to_xyxy

DECODE, PREPARE, DETECTOR, CUT, SCENE = "decode", "preprocess", "detector", "network to its last tap", "scene vector"
RESNET, OF_RESNET = "embedding by a network of ResNet-50's size", ", ReID of ResNet-50's size"
OSNET = "OSNet x0.25"
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
    """Consecutive frames, and the sequence whose public detections are tracked on them."""

    part: Part
    sequence: Video
    warm_up: int  # of these frames the first, which are not counted
    pixels: bool  # whether the frames are there


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


def usable(parts: Sequence[Part]) -> list[Part]:
    """The parts that have detections; NotComputable where none has."""
    if found := [p for p in parts if data.sequences(p)]:
        return found
    raise NotComputable("no sequence with detections is present")


def preferred(part: Part) -> Video:
    """The sequence of a part whose detections are tracked where times are taken."""
    named = {s.detector: s for s in data.sequences(part)}
    return next((named[d] for d in PREFERRED if d in named), next(iter(named.values())))


def stretch(parts: Sequence[Part]) -> Stretch:
    """The longest stretch of frames that are present in any of the parts, or labels only where there is none."""
    given, runs = usable(parts), []
    for part in given:
        present = np.array(part.present, int)
        longest = max(np.split(present, np.flatnonzero(np.diff(present) > 1) + 1), key=len)
        runs.append((len(longest), int(longest[0]) if len(longest) else part.first, part))
    length, first, part = max(runs, key=lambda r: min(r[0], FRAMES + WARM_UP))
    pixels = length >= LEAST
    if not pixels:
        part = max(given, key=lambda p: p.length)
        first, length = part.first, part.length
    length = min(length, FRAMES + WARM_UP)
    taken = replace(part, first=first, last=first + length - 1)
    return Stretch(taken, preferred(part), min(WARM_UP, length // 4), pixels)


@dataclass
class Frame:
    """A frame on its way through all that is timed."""

    number: int  # from 0
    images: Iterator[tuple[int, Image]]  # the next is this frame's; there is none without pixels
    tlwh: Boxes  # (N, 4) public detections
    xyxy: NDArray[np.floating]
    scores: Scores
    made: dict[str, Any] = field(default_factory=dict)  # stage -> what it left for the next


def frames(place: Stretch) -> Iterator[Frame]:
    """The stretch's frames in order, each read by whoever times its decoding."""
    part, found = place.part, data.window(data.detections(place.sequence), place.part)
    images = decode_in_turn(part.scene.pixels, tuple(range(part.first, part.last + 1)) if place.pixels else ())
    gc.collect()
    with closing(images), Bar(part.length, "timing") as progress:
        for t, (begin, end) in enumerate(pairwise(frame_bounds(found.frame, part.length))):
            tlwh = found.tlwh[begin:end]
            yield Frame(t, images, tlwh, tlwh_to_xyxy(tlwh), found.score[begin:end])
            progress.update()


def timed(
    frames: Iterable[Item], groups: Iterable[Mapping[str, Callable[[Item], object]]], warm_up: int, device: str = "cpu"
) -> dict[str, Times]:
    """Stage -> (T,) milliseconds of the frames after `warm_up`; in each group another work comes first every frame."""
    watch, groups = Stopwatch(device), list(groups)
    for t, frame in enumerate(frames):
        watch.begin()
        for group in groups:
            for name, work in in_turn(group.items(), t):
                with watch.stage(name, device=name == CUT):
                    work(frame)
        watch.finish()
    return watch.times(warm_up)


Works = dict[str, Callable[[Frame], None]]


def work(name: str, function: Callable[[Frame], Any]) -> Works:
    """A stage that keeps what a function makes of a frame."""

    def keep(frame: Frame) -> None:
        frame.made[name] = function(frame)

    return {name: keep}


class Timing:
    """What is timed for all methods: networks, heads and trackers, in groups of which each needs the ones before."""

    def __init__(self, run: Run, place: Stretch, methods: Sequence[Method]) -> None:
        """Load and train what the methods need, before any clock starts."""
        self._run, self._place = run, place
        self._pooling: Works = {}
        self._embedding: Works = {}
        self._cameras: Works = {}
        self._atl: Works = {}
        self._trackers: Works = {}
        self.courses: dict[str, Course] = {}  # method's label -> its stages
        self.missing: dict[str, str] = {}  # method's label -> why it is not timed
        for method in methods:
            try:
                self._load(method)
            except NotComputable as error:
                self.missing[method.label] = str(error)
        networks = self._networks() if place.pixels else []
        self.groups = [*networks, self._embedding, self._cameras, self._atl, self._trackers]

    def _load(self, method: Method) -> None:
        run, place, label, look = self._run, self._place, method.label, method.look
        if not place.pixels and (look is not None or method.camera != "none" or method.threshold.kind == "atl"):
            raise NotComputable(data.missing_pixels(place.part))
        method = settled(run, method)
        config, device, rule = run.settings.input, run.settings.device, method.threshold
        embedding = "" if look is None else embedding_stage(look)
        atl, camera, assoc = f"ATL of {label}", f"camera motion ({method.camera})", f"association of {label}"
        course = Course(embedding=(embedding,) if embedding else (), assoc=(assoc,))
        if look is not None and look.strategy == REID:
            network_inputs(run, look.weights)
            from msfp.features.reid import RESNET_WIDTH, embed, load_reid, resnet50

            network = load_reid(look.weights or config.reid_weights, device)
            self._embedding |= work(embedding, lambda f: embed(network, f.made[DECODE], f.tlwh, size=config.reid_size))
            course = replace(course, network="ReID: {} on crops of {}x{}".format(OSNET, *config.reid_size))
            if method.tracker == "deepsort":
                large, first = resnet50(device), place.part.length - RESNET_FRAMES - 1  # one before the timed warms up

                def cut(f: Frame) -> None:
                    if f.number >= first:
                        embed(large, f.made[DECODE], f.tlwh, size=config.reid_size, width=RESNET_WIDTH)

                self._embedding[RESNET] = cut
        elif look is not None:
            head = trained(run, lambda: live.head_of(run, look), lambda: untrained(run, look))
            layers, way, strides = live.pooled_layers(head), live.pooled_as(head), run.backbone().strides
            centring = FrameCentring(head.config.strips) if head.centred else None
            pooling = f"pooling of {', '.join(map(str, layers))}" + ("" if way == "roi_align" else f" ({way})")

            def pool(f: Frame) -> Mapping[int, Vectors]:
                return pool_levels({k: f.made[CUT][k] for k in layers}, f.made[PREPARE][2], strides, way)

            self._pooling |= work(pooling, pool)
            self._embedding |= work(embedding, lambda f: live.embed_boxes(head, f.made[pooling], centring))
            course = replace(course, pooling=(pooling,), taps=True)
        if rule.kind == "atl":
            thresholds = trained(
                run,
                lambda: live.live_thresholds(run, rule, place.sequence.detector),
                lambda: untrained_thresholds(run, rule.mode, rule.seed),
            )
            self._atl |= work(atl, lambda f: thresholds.step(f.made[SCENE]).tolist())
            course = replace(course, atl=(SCENE, atl), taps=True)
        if method.camera != "none":
            motion = live.LiveCamera(method.camera)
            self._cameras |= work(camera, lambda f: motion.step(f.made[DECODE], f.tlwh))
            course = replace(course, camera=(camera,))
        tracker = make(method.tracker, fps=place.sequence.fps, **dict(method.options))
        own = (None, None) if rule.kind == "default" else (rule.high, rule.low)

        def associate(f: Frame) -> None:
            high, low = f.made.get(atl, own)
            context = FrameContext(tau_high=high, tau_low=low, warp=f.made.get(camera))
            tracker.update(f.xyxy, f.scores, f.made.get(embedding), context)

        self._trackers[assoc] = associate
        self.courses[label] = course
        if course.network and method.tracker == "deepsort":
            said = course.network.replace(OSNET, "ResNet-50 (random weights, which take as long as trained ones)")
            self.courses[label + OF_RESNET] = replace(course, embedding=(RESNET,), network=said)

    def _networks(self) -> list[Works]:
        """From a frame to its feature maps, their vectors, and the scene's; the detector itself is on the way."""
        config, backbone = self._run.settings.input, self._run.backbone()
        detector = load_whole(config.preset, config.weights, self._run.settings.device)

        def prepare(f: Frame) -> tuple[Letterbox, torch.Tensor, Boxes]:
            image = f.made[DECODE]
            box = fit((image.shape[1], image.shape[0]), config.size, config.geometry)
            return box, to_batch(box.apply(image)[None], backbone.device), box.to_network(f.tlwh)

        return [
            work(DECODE, lambda f: next(f.images)[1]),
            work(PREPARE, prepare),
            # ends on the host, as its boxes are needed there
            work(DETECTOR, lambda f: detector.detect(f.made[PREPARE][1], f.made[PREPARE][0])),
            work(CUT, lambda f: backbone.parts(f.made[PREPARE][1])),
            self._pooling,
            work(SCENE, lambda f: global_average(f.made[CUT][backbone.preset.scene])[0]),
        ]


def trained(run: Run, learn: Callable[[], Item], untrained: Callable[[], Item]) -> Item:
    """What is learned; the same untrained, with a remark, where it cannot be."""
    try:
        return learn()
    except NotComputable:
        run.note(UNTRAINED)
        return untrained()


def untrained(run: Run, look: Appearance) -> FusionHead:
    """A look's head as training begins with it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(look.seed)
        return make_head(look.strategy, live.channels_of(run, look), run.settings.fusion).eval()


def untrained_thresholds(run: Run, mode: Predicted = "single", seed: int = 0) -> live.LiveThresholds:
    """ATL as training begins with it."""
    atl, backbone = run.settings.atl, run.backbone()
    channels = backbone.channels[backbone.preset.scene]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        state = {k: v.numpy() for k, v in SceneEncoder(channels, mode, atl).state_dict().items()}
    return live.LiveThresholds(run, ScenePredictor(mode, channels, state, atl), mode, atl.beta)


def embedding_stage(look: Appearance) -> str:
    joint = ", fine-tuned" if look.joint else ""
    return f"embedding by {look.strategy}{joint}" + f" ({look.weights})" * bool(look.weights)


def measure(run: Run, methods: Sequence[Method], parts: Sequence[Part]) -> Speeds:
    """Time every method on the same frames, taken from any of the parts; also writes `runs/<profile>/speed.json`."""
    labels = [m.label for m in methods]
    if len(set(labels)) < len(labels):
        raise InputError(f"methods to time: {', '.join(labels)} are not distinct; give each row its own label")
    place = stretch(parts)
    timing = Timing(run, place, methods)
    stages = timed(frames(place), timing.groups, place.warm_up, run.settings.device)
    if RESNET in stages:
        stages[RESNET] = stages[RESNET][-RESNET_FRAMES:]
    speeds = Speeds(stages, timing.courses, timing.missing, _about(run, place))
    record = {
        "about": dict(speeds.about),
        "missing": dict(speeds.missing),
        "courses": {label: asdict(course) for label, course in speeds.courses.items()},
        "milliseconds": {name: [round(float(v), 4) for v in times] for name, times in speeds.stages.items()},
    }
    atomic_write(run.out / "speed.json", (json.dumps(record, indent=1, ensure_ascii=False) + "\n").encode())
    return speeds


def _about(run: Run, place: Stretch) -> dict[str, str | float | int]:
    machine, boxes = hardware(), len(data.window(data.detections(place.sequence), place.part))
    width, height = run.settings.input.size
    return {
        "measured": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cpu": f"{machine['cpu']}, {machine['cores']} cores",
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if run.settings.device.startswith("cuda") else "none used",
        "detector": run.settings.input.preset,
        "input": f"{width}x{height}",
        "ReID": "{} on crops of {}x{}".format(OSNET, *run.settings.input.reid_size),
        "sequence": place.sequence.name,
        "frames": place.part.length - place.warm_up,
        "warm-up frames": place.warm_up,
        "boxes a frame": round(boxes / place.part.length, 1),
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


class Given(NamedTuple):
    """A frame as the ablations' choices find it."""

    maps: Mapping[int, tuple[MapPart, ...]]  # layer -> the tapped map's parts
    regions: Boxes  # (N, 4) boxes, xyxy in network pixels
    scores: Scores  # (N,) of the detections


Choice = Callable[[Given], object]


def embedder(backbone: Backbone, head: FusionHead, mode: Mode = "roi_align") -> Choice:
    """From maps to (N, D) embeddings by a head, which is given what it looks at and no more."""

    def work(frame: Given) -> Vectors:
        if head.sees_cells:
            cells = {k: pool_cells(parts, frame.regions, backbone.strides[k]) for k, parts in frame.maps.items()}
            return embed(head, cells)
        maps = {k: frame.maps[k] for k in live.pooled_layers(head)}
        found = pool_levels(maps, frame.regions, backbone.strides, mode)
        if not head.sees_size:
            return live.embed_boxes(head, found)
        octaves = np.log2(np.sqrt(np.prod(frame.regions[:, 2:] - frame.regions[:, :2], axis=1)).clip(1e-3))
        octaves -= octaves.sum() / max(len(octaves), 1)  # above the boxes' geometric mean
        return embed(head, {**found, SIZE: octaves[:, None].astype(np.float32)})

    return work


def measure_choices(run: Run, parts: Sequence[Part], works: Mapping[str, Choice]) -> dict[str, Times]:
    """Time every work on the same frames of one of the parts, by the run's detector: name -> (T,) milliseconds."""
    place = stretch(parts)
    if not place.pixels:
        raise NotComputable(data.missing_pixels(place.part))
    backbone, config = run.backbone(), run.settings.input

    def seen(frame: Frame) -> Given:
        image = next(frame.images)[1]
        box = fit((image.shape[1], image.shape[0]), config.size, config.geometry)
        maps = backbone.parts(to_batch(box.apply(image)[None], backbone.device))
        if backbone.device.type == "cuda":
            torch.cuda.synchronize()
        return Given(maps, box.to_network(frame.tlwh), frame.scores)

    return timed(map(seen, frames(place)), [works], place.warm_up)  # every work ends on the host


ALONE = 108  # frames of association alone; the first are not counted: kernels compile there and trackers fill


def association_times(run: Run, methods: Sequence[Method], parts: Sequence[Part]) -> dict[str, Times | str]:
    """Label -> (T,) milliseconds of each frame of one sequence of the longest part, or why there are none.

    All methods, which have thresholds of the tracker's own, take a frame before any takes the next, another one first
    with every frame, so that a slow moment of the machine slows all alike.
    """
    part = max(usable(parts), key=lambda p: p.length)
    sequence = preferred(part)
    length = min(part.length, ALONE)
    missing: dict[str, str] = {}
    ready: dict[str, Callable[[int], object]] = {}
    for method in methods:
        try:
            boxes, vectors, warps = material(run, part, sequence, method)
        except NotComputable as error:
            missing[method.label] = str(error)
            continue
        tracker = make(method.tracker, fps=sequence.fps, **dict(method.options))
        seen = gather(tracker, boxes, part.length, vectors, warps=warps)
        steps = [partial(tracker.update, *seen.frame(t, t + 1)) for t in range(length)]
        ready[method.label] = lambda t, steps=steps: steps[t]()  # type: ignore[misc]
    return {**missing, **timed(range(length), [ready], min(WARM_UP, length // 4))}

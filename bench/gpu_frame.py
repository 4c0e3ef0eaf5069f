"""Parts of MSFP-Track's frame on a device, batch size 1, YOLOv8 n to x: `python bench/bench_pipeline.py --device cuda`.

A pass of its own, as in A.4: the detector (network and suppression), then the ReID part, recorded (network to the
deepest tapped layer, pooling, head, ATL), with its copies, then association on the host. In one piece, what
`msfp track` does: one recorded pass of the whole detector with pooling, head and ATL, suppression and association on
the host. Device work is timed by CUDA events, those of the ReID part within the graph; the rest by the clock, which is
also what a whole frame takes, from a decoded image that fits the input to its people. Medians after a warm-up. Frame
and weights are random, and in half precision as trained ones: neither changes how long a pass takes, but random weights
find no people, so 50 boxes are given; once, as many as there is room for.

Offline extraction: frames a second by frames a batch, decoded frames of 1920x1080 in, vectors of 50 boxes a frame out.

On a GPU the results are kept in `bench/results/gpu/<date>-<card>.json`.
"""

import datetime
import json
import re
import time
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from harness import host
from numpy.typing import NDArray

from msfp.config import settings
from msfp.engine.files import atomic_write
from msfp.engine.provenance import git_state, hardware
from msfp.experiment.live import CANDIDATES, CudaGraphPredictor, Stopwatch
from msfp.features.backbone import Backbone, fit, load_backbone, to_batch
from msfp.features.detector import load_whole
from msfp.features.gpu.extract import extract_modes_batched
from msfp.features.gpu.frame import DeviceFrame
from msfp.features.pooling import Mode
from msfp.heads.fusion import make_head
from msfp.heads.threshold import SceneEncoder
from msfp.heads.training import ScenePredictor
from msfp.tracking import make
from msfp.tracking.base import FrameContext
from msfp.types import tlwh_to_xyxy

PRESETS = tuple(f"yolov8{size}-paper" for size in "nsmlx")
OWN_PASS = ("detector", "ReID, a pass of its own", "association")
ONE_PIECE = "in one piece"
GRAPH, WITHIN, CROWD = (f"{ONE_PIECE}: {part}" for part in ("device", "ReID", f"ReID, {CANDIDATES} boxes"))
SHRUNK = 0.7
IMAGE, SIZE = (1920, 1080), (1280, 736)
Network = TypeVar("Network", bound=Backbone)
RESULTS = Path(__file__).resolve().parent / "results" / "gpu"


def report(device: str, as_json: bool = False) -> None:
    """Measure all sizes and print a line for each."""
    found = {preset: measure(preset, device) for preset in PRESETS}
    offline = {preset: measure_offline(preset, device) for preset in PRESETS}
    name = torch.cuda.get_device_name() if device.startswith("cuda") else hardware()["cpu"]
    told = {"bench": "pipeline", "device": name, "milliseconds": found, "frames_per_second": offline}
    if device.startswith("cuda"):
        keep(RESULTS, told, datetime.datetime.now(datetime.UTC))
    if as_json:
        print(json.dumps(told, indent=1))
        return
    print(f"pipeline on {name}: ms a frame, median (quartiles)")
    for preset, times in found.items():
        line = ", ".join(f"{k} {v['median']:.3f} ({v['low']:.3f}-{v['high']:.3f})" for k, v in times.items())
        print(f"  {preset}: {line}")
    print("offline extraction: frames a second, by frames a batch")
    for preset, rates in offline.items():
        print(f"  {preset}: " + ", ".join(f"{batch}: {rate:.1f}" for batch, rate in rates.items()))


def keep(folder: Path, told: dict[str, Any], today: datetime.datetime) -> Path:
    """Write what was measured, with date, hardware and versions; a later run of the day on that card replaces it."""
    card = re.sub(r"[^a-z0-9]+", "-", told["device"].lower()).strip("-")
    path = folder / f"{today.date().isoformat()}-{card}.json"
    about = {"written": today.isoformat(timespec="seconds"), "code": git_state()["commit"], "host": host()}
    atomic_write(path, (json.dumps({**told, **about}, indent=1) + "\n").encode())
    return path


def measure(
    preset: str, device: str, size: tuple[int, int] = SIZE, frames: int = 60, warm_up: int = 20, boxes: int = 50
) -> dict[str, dict[str, float]]:
    """Stage -> median and quartiles in ms, and the total frame by frame of a pass of its own."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    own, piece = OwnPass(preset, device, size), OnePiece(preset, device, size)
    watch = Stopwatch(device)
    few, crowd = some_boxes(rng, boxes, size), some_boxes(rng, CANDIDATES, size)
    for _ in range(warm_up + frames):
        watch.begin()
        own.frame(watch, image, few)
        with watch.stage(ONE_PIECE):
            piece.frame(image, few)
        if watch.on_gpu:
            watch.add(WITHIN, piece.reid())
        with watch.stage(GRAPH, device=True):
            piece.submit(few)
        watch.finish()
        if watch.on_gpu:
            piece.submit(crowd)
            watch.add(CROWD, piece.reid())
    times = watch.times(warm_up)
    times["total"] = sum((times[k] for k in OWN_PASS), np.zeros(frames))
    told = {name: np.quantile(values, (0.5, 0.25, 0.75)).tolist() for name, values in times.items()}
    return {name: dict(zip(("median", "low", "high"), found, strict=True)) for name, found in told.items()}


def some_boxes(rng: np.random.Generator, count: int, size: tuple[int, int]) -> NDArray[np.float64]:
    """(N, 4) xyxy in network pixels, people's shapes."""
    corner = rng.uniform(0, np.array(size) / 2, (count, 2))
    return np.concatenate([corner, corner + rng.uniform(20, 160, (count, 2)) * (0.3, 0.6)], 1)


def tame(network: Network) -> Network:
    """Random weights made smaller, so that maps do not grow from layer to layer and half precision holds them."""
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.weight *= SHRUNK
    network.precision = torch.float16
    return network


def untrained(channels: dict[int, int], scene: int) -> tuple[Any, SceneEncoder]:
    """A head and a scene encoder; training would not change what they cost."""
    chosen = settings("demo")
    return make_head("attention-instance", channels, chosen.fusion), SceneEncoder(channels[scene], "offset", chosen.atl)


class OwnPass:
    """Detector, then the ReID part in a pass of its own, then association."""

    def __init__(self, preset: str, device: str, size: tuple[int, int]) -> None:
        cut, self.whole = (tame(load(preset, "random-init", device)) for load in (load_backbone, load_whole))
        self.dtype = torch.float16 if device.startswith("cuda") else torch.float32
        self.whole.to_dtype(self.dtype)
        self.device_frame = DeviceFrame(cut, *untrained(cut.channels, cut.preset.scene), size)
        self.box, self.tracker = fit(size, size), make("msfp-track")

    def frame(self, watch: Stopwatch, image: NDArray[np.uint8], regions: NDArray[np.float64]) -> None:
        """Time its stages."""
        with watch.stage(OWN_PASS[0], device=True):
            self.whole.detect(to_batch(image[None], self.whole.device).to(self.dtype), self.box)
        with watch.stage(OWN_PASS[1], device=True):
            self.box.apply(image, self.device_frame.room())
            self.device_frame.submit(regions)
            seen = self.device_frame.collect()
        boxes, scores = tlwh_to_xyxy(self.box.to_file(regions)), np.full(len(regions), 0.9, np.float32)
        with watch.stage(OWN_PASS[2]):
            self.tracker.update(boxes, scores, seen.embeddings, FrameContext())


class OnePiece:
    """What `msfp track` does with a frame."""

    def __init__(self, preset: str, device: str, size: tuple[int, int]) -> None:
        detector = tame(load_whole(preset, "random-init", device, sparse=False))
        head, encoder = untrained(detector.channels, detector.preset.scene)
        state = {name: value.numpy() for name, value in encoder.state_dict().items()}
        chosen = settings("demo")
        predictor = ScenePredictor("offset", detector.channels[detector.preset.scene], state, chosen.atl)
        config = chosen.input.model_copy(update={"size": size})
        self.eyes = CudaGraphPredictor(detector, config, head, predictor)
        self.box, self.tracker = fit(size, size), make("msfp-track")

    def frame(self, image: NDArray[np.uint8], regions: NDArray[np.float64]) -> None:
        """From image to people."""
        given = self.box.to_file(regions), np.full(len(regions), 0.9, np.float32)
        seen = self.eyes.see(image, given)
        self.tracker.update(tlwh_to_xyxy(seen.tlwh), seen.score, seen.vectors, FrameContext())

    def submit(self, regions: NDArray[np.float64]) -> None:
        """The device part of a frame already laid in its place, copies included."""
        self.eyes.frame.submit(regions)
        self.eyes.frame.collect()

    def reid(self) -> float:
        """Milliseconds of the ReID part of the last frame, by events in the graph."""
        return self.eyes.frame.reid_milliseconds()


def measure_offline(
    preset: str,
    device: str,
    size: tuple[int, int] = SIZE,
    batches: tuple[int, ...] = (1, 4, 16, 32),
    frames: int = 512,
    boxes: int = 50,
) -> dict[int, float]:
    """Frames a batch -> frames a second; the second of two runs counts."""
    rng = np.random.default_rng(0)
    backbone = tame(load_backbone(preset, "random-init", device))
    image = rng.integers(0, 256, (IMAGE[1], IMAGE[0], 3), dtype=np.uint8)
    tlwh = fit(IMAGE, size).to_file(some_boxes(rng, frames * boxes, size))
    found = {"boxes": (np.repeat(np.arange(1, frames + 1, dtype=np.int32), boxes), tlwh)}
    rates = {}
    wanted: dict[Mode, tuple[int, ...]] = {"roi_align": backbone.layers}
    for batch in batches:
        for _ in range(2):
            began = time.perf_counter()
            shown = ((t, image) for t in range(1, frames + 1))
            extract_modes_batched(shown, found, backbone, wanted, size, batch=batch)
            rates[batch] = frames / (time.perf_counter() - began)
    return rates

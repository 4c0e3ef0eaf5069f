"""Parts of MSFP-Track's frame on a device, batch size 1, YOLOv8 n to x: `python bench/bench_pipeline.py --device cuda`.

Detector: network and suppression. ReID: a pass of its own as in A.4, recorded (network to the deepest tapped layer,
pooling, head, ATL), with its copies. Association: the tracker on the host. Device work is timed by CUDA events, the
rest by the clock; medians after a warm-up. In one piece: what `msfp track` does, one recorded pass of the whole
detector with pooling, head and ATL, and suppression on the host; by the clock, a frame that fits the input in, people
out. Frame and weights are random: neither changes how long a pass takes, but random weights find few people.

Offline extraction: frames a second by frames a batch, decoded frames in, vectors of 50 boxes a frame out.

On a GPU the results are kept in `bench/results/gpu/<date>-<card>.json`.
"""

import datetime
import json
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness import host

from msfp.config import settings
from msfp.engine.files import atomic_write
from msfp.engine.provenance import git_state, hardware
from msfp.features.backbone import load_backbone, to_batch
from msfp.features.detector import load_whole
from msfp.features.gpu.extract import extract_batched
from msfp.features.gpu.frame import DeviceFrame
from msfp.features.letterbox import fit
from msfp.heads.apply import ScenePredictor
from msfp.heads.fusion import make_head
from msfp.heads.threshold import SceneEncoder
from msfp.pipeline.eyes import DeviceEyes
from msfp.pipeline.stopwatch import Stopwatch, spread
from msfp.tracking import make
from msfp.tracking.base import FrameContext
from msfp.types import tlwh_to_xyxy

PRESETS = tuple(f"yolov8{size}-paper" for size in "nsmlx")
STAGES = ("detector", "ReID", "association")
ONE_PIECE = "in one piece"
SIZE = (1280, 736)
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
    """Stage -> median and quartiles in ms, and their total frame by frame."""
    rng = np.random.default_rng(0)
    cut = load_backbone(preset, "random-init", device)
    whole = load_whole(preset, "random-init", device)
    chosen = settings("demo")
    head = make_head("attention-instance", cut.channels, chosen.fusion)
    encoder = SceneEncoder(cut.channels[cut.preset.scene], "offset", chosen.atl)
    state = {name: value.numpy() for name, value in encoder.state_dict().items()}
    frame = DeviceFrame(cut, head, encoder, size)
    predictor = ScenePredictor("offset", cut.channels[cut.preset.scene], state, chosen.atl)
    config = chosen.input.model_copy(update={"size": size})
    eyes = DeviceEyes(load_whole(preset, "random-init", device, sparse=False), config, head, predictor)
    dtype = torch.float16 if device.startswith("cuda") else torch.float32
    whole.to_dtype(dtype)
    image = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    corner = rng.uniform(0, np.array(size) / 2, (boxes, 2))
    regions = np.concatenate([corner, corner + rng.uniform(20, 160, (boxes, 2)) * (0.3, 0.6)], 1)
    box, watch = fit(size, size), Stopwatch(device)
    tracker, other = make("msfp-track"), make("msfp-track")
    tlwh, scores = box.to_file(regions), np.full(boxes, 0.9, np.float32)
    for _ in range(warm_up + frames):
        watch.begin()
        with watch.stage("detector", device=True):
            whole.detect(to_batch(image[None], whole.device).to(dtype), box)
        with watch.stage("ReID", device=True):
            frame.submit(image, regions)
            seen = frame.collect()
        with watch.stage("association"):
            tracker.update(tlwh_to_xyxy(tlwh), scores, seen.embeddings, FrameContext())
        with watch.stage(ONE_PIECE):
            here = eyes.see(image)
            other.update(tlwh_to_xyxy(here.tlwh), here.score, here.vectors, FrameContext())
        watch.finish()
    times = watch.times(warm_up)
    times["total"] = sum((times[k] for k in STAGES), np.zeros(frames))
    told = {name: spread(values) for name, values in times.items()}
    return {name: {"median": s.median, "low": s.low, "high": s.high} for name, s in told.items()}


def measure_offline(
    preset: str,
    device: str,
    size: tuple[int, int] = SIZE,
    batches: tuple[int, ...] = (1, 4, 16, 32),
    frames: int = 256,
    boxes: int = 50,
) -> dict[int, float]:
    """Frames a batch -> frames a second; the second of two runs counts."""
    rng = np.random.default_rng(0)
    backbone = load_backbone(preset, "random-init", device)
    image = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    corner = rng.uniform(1, np.array(size) / 2, (frames * boxes, 2))
    tlwh = np.concatenate([corner, rng.uniform(20, 160, (frames * boxes, 2)) * (0.3, 0.6)], 1)
    found = {"boxes": (np.repeat(np.arange(1, frames + 1, dtype=np.int32), boxes), tlwh)}
    rates = {}
    for batch in batches:
        for _ in range(2):
            began = time.perf_counter()
            extract_batched(((t, image) for t in range(1, frames + 1)), found, backbone, size, batch=batch)
            rates[batch] = frames / (time.perf_counter() - began)
    return rates

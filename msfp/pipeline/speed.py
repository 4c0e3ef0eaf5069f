"""Speed: every part of a frame timed at batch size 1 on the run's own frames, for all methods in turn (4.5, A.1, A.7).

A slow moment of the machine so slows all methods alike. Nothing is cached: a stored time would be another day's.
"""

import datetime
import gc
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msfp.datasets.frames import decode_in_turn
from msfp.engine.files import atomic_write
from msfp.engine.progress import Bar
from msfp.engine.provenance import hardware
from msfp.errors import InputError, NotComputable
from msfp.pipeline import data
from msfp.pipeline.data import Part
from msfp.pipeline.run import Run
from msfp.pipeline.stopwatch import CUT as CUT
from msfp.pipeline.stopwatch import DECODE as DECODE
from msfp.pipeline.stopwatch import DETECTOR as DETECTOR
from msfp.pipeline.stopwatch import OF_RESNET as OF_RESNET
from msfp.pipeline.stopwatch import PREPARE as PREPARE
from msfp.pipeline.stopwatch import RESNET, RESNET_FRAMES, Course, Stopwatch, Stretch
from msfp.pipeline.tracks import Method
from msfp.video.pictures import Image

FRAMES, WARM_UP = 24, 8  # timed, and before them
LEAST = 3  # frames with pixels in a row, below which nothing that looks at pixels is timed
PREFERRED = ("SDP", "FRCNN", "public", "DPM")
Times = NDArray[np.float64]
Boxes = NDArray[np.float64]
Scores = NDArray[np.float32]


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


def measure(run: Run, methods: Sequence[Method], parts: Sequence[Part]) -> Speeds:
    """Time every method on the same frames, taken from any of the parts; also writes `runs/<profile>/speed.json`.

    Raises:
        NotComputable: no part has detections.
        InputError: a label comes twice.
    """
    from msfp.pipeline.timed_frame import TimedFrame

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
    import torch

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

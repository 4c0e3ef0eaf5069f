"""Frames of a world with their labels, and the embedded data sets as MOTChallenge folders, whole or not at all."""

import builtins
import functools
import json
import logging
import os
import secrets
import shutil
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import tau
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from msfp.engine.files import file_digest, locked, remove_stale
from msfp.errors import InputError
from msfp.types import DETECTORS, GroundTruth
from msfp.worlds.motion import dancers, walkers
from msfp.worlds.people import Look, Motion, crowd, figures, troupe
from msfp.worlds.public_detections import detect
from msfp.worlds.raster import SHIFT, Image, Shape, around, fixed, put, shape, texture
from msfp.worlds.scene import STATIC_PERSON, Background, Thing, place_things, sitters
from msfp.worlds.world import GENERATOR_VERSION, Camera, Floats, World, cameras, scene_worlds

VEIL = 205  # grey level of haze
HALF = 2  # shadows are painted at half the resolution: they are soft


class Lens:
    """Shadows, blur, vignetting, exposure, tint and noise of a world."""

    def __init__(self, world: World):
        self.light, self.size, self.fps = world.light, world.size, world.fps
        self.haze, self.exposure = world.haze, world.exposure
        width, height = world.size
        rng = world.rng("lens")
        self.phase = rng.uniform(0, tau)
        y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        dark = 1 - self.light.vignette * 0.5 * (x * x + y * y)
        self.vignette = (dark[..., None] * 255).astype(np.uint8).repeat(3, axis=2)
        grain = rng.normal(0, self.light.noise, (height + 64, width + 64, 3))
        self.grain = np.rint(0.6 * grain + 0.4 * grain[..., 1:2]).astype(np.int16)  # mostly luminance
        self.offsets = rng.integers(0, 64, (997, 2))
        around = np.linspace(0, tau, 8, endpoint=False)
        self.circle = np.stack([np.cos(around), np.sin(around)], -1)
        direction = np.array([-self.light.side, 0.6])
        self.cast = direction / np.linalg.norm(direction) * self.light.reach

    def shadows(self, image: Image, camera: Camera, motion: Motion, looks: list[Look], things: list[Thing]) -> Image:
        """Darken the ground where people and things stand in the light's way."""
        height, width = image.shape[:2]
        mask = np.full((height // HALF, width // HALF), 255, np.uint8)
        value = int(255 * (1 - self.light.shadow))
        spots = [(p, 0.26, look.stature) for p, look in zip(motion.position, looks, strict=True)]
        spots += [(thing.place, 0.8 * thing.radius, 1.0) for thing in things]
        if not spots:
            return image
        places, radii, tall = (np.array(column).reshape(len(spots), 1, -1) for column in zip(*spots, strict=True))
        foot = places + radii * self.circle
        tip = places + 0.9 * radii * self.circle + tall * self.cast
        ground = np.concatenate([foot, tip], axis=1)
        ground = np.concatenate([ground, np.zeros((*ground.shape[:2], 1))], axis=2)
        pixels, depth = camera.project(ground)
        for outline, near in zip(fixed(pixels / HALF), depth.min(axis=1), strict=True):
            if near > 0.6:
                cv2.fillConvexPoly(mask, around(outline), value, cv2.LINE_8, SHIFT)
        soft = cv2.resize(cv2.blur(mask, (5, 3)), (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(cv2.multiply(image, cv2.merge([soft] * 3), scale=1 / 255), np.uint8)

    def expose(self, image: Image, t: int) -> Image:
        """The frame as the sensor records it; the same frame number always gets the same grain."""
        if self.light.blur > 0:
            seen = cv2.GaussianBlur(image, (0, 0), 1.6 * self.light.blur * self.size[0] / 640)
        else:
            seen = cv2.GaussianBlur(image, (3, 3), 0.45)  # no lens is as sharp as a polygon
        drift = 1 + self.light.drift * np.sin(tau * 0.25 * t / self.fps + self.phase)
        levels = np.arange(256, dtype=np.float64)
        curve = (levels - 128) * self.light.contrast + 128
        seen_through = (1 - self.haze) * curve[:, None] * np.array(self.light.tint) + self.haze * VEIL
        table = np.clip(seen_through * drift * self.exposure, 0, 255).astype(np.uint8)
        seen = cv2.LUT(cv2.multiply(seen, self.vignette, scale=1 / 255), table[None])
        y, x = self.offsets[t % len(self.offsets)]
        height, width = image.shape[:2]
        noisy = cv2.add(seen, self.grain[y : y + height, x : x + width], dtype=cv2.CV_8U)
        return np.asarray(noisy, np.uint8)


CORE = (0.25, 0.1)  # cut from each side of a box, of its width and height: what is left is mostly person
RIM = (0.5, 0.1)  # put on at each side: what is around is mostly background


def clearness(image: Image, tlwh: Floats) -> Floats:
    """Measure how much people differ from what is around them in the picture that a detector would be given.

    (N,) ln(1 + d), d the distance in grey levels between the mean colours of a (N, 4) tlwh box's core and of its rim.
    """
    sums = cv2.integral(image).astype(np.float64)
    size = tlwh[:, 2:]
    centre = tlwh[:, :2] - 1 + size / 2

    def total(grow: tuple[float, float]) -> tuple[Floats, Floats]:
        """(N, 3) sums and (N, 1) pixels of the boxes, grown by shares of their sides and cut at the border."""
        half = size * (0.5 + np.array(grow))
        first, last = (
            np.clip(np.rint(corner), 0, image.shape[1::-1]).astype(int) for corner in (centre - half, centre + half)
        )
        (x0, y0), (x1, y1) = first.T, last.T
        inside = sums[y1, x1] - sums[y0, x1] - sums[y1, x0] + sums[y0, x0]
        return inside, np.asarray((last - first).prod(axis=1)[:, None], np.float64)

    core, core_pixels = total((-CORE[0], -CORE[1]))
    whole, whole_pixels = total((0.0, 0.0))
    grown, grown_pixels = total(RIM)
    rim = (grown - whole) / np.maximum(grown_pixels - whole_pixels, 1)
    apart = core / np.maximum(core_pixels, 1) - rim
    return np.asarray(np.log1p(np.linalg.norm(apart, axis=1) / np.sqrt(3)))


TOO_NEAR = 0.9  # metres; a person nearer than this is not drawn


class Stage:
    """All of a world that is made once: looks, paths, things, background."""

    def __init__(self, world: World):
        self.world = world
        self.cameras = cameras(world.camera, world.length, world.fps, world.size, world.rng("camera"))
        self.things = place_things(world, self.cameras)
        obstacles = np.array([[*thing.place, thing.radius] for thing in self.things]).reshape(-1, 3)
        dance = world.kind == "stage"
        self.cast = dancers(world, self.cameras) if dance else walkers(world, self.cameras, obstacles)
        looks = (world.rng("looks"), int(self.cast.identity.max(initial=-1)) + 1, world.light.side)
        self.looks = troupe(*looks) if dance else crowd(*looks, world.warm, world.alike)
        self.seated, self.seated_looks = sitters(world, self.things)
        travel = self.cameras[-1].centre - self.cameras[0].centre
        self.background = Background(world, max(0.0, float(travel[1])))
        self.lens = Lens(world)
        self.kept: tuple[Camera, Image, dict[int, tuple[float, Shape]]] | None = None

    def still(self, camera: Camera) -> tuple[Image, dict[int, tuple[float, Shape]]]:
        """Background, and depth and shape of each thing that is not behind the camera; kept for the same camera."""
        if self.kept is None or self.kept[0] is not camera:
            width, height = self.world.size
            image = np.empty((height, width, 3), np.uint8)
            self.background.paint(image, camera)
            outlines = {}
            for k, thing in enumerate(self.things):
                far = float(camera.view(np.array([*thing.place, 0.9]))[2])
                if polygons := thing.polygons(camera) if far > 0.6 else []:
                    outlines[k] = far, shape(polygons, self.world.size)
            self.kept = camera, image, outlines
        return self.kept[1].copy(), self.kept[2]

    def label(self, who: int, identity: NDArray[np.int64]) -> tuple[int, int, int]:
        """Id, flag and class of number `who` of walkers ((N,) identities from 0), people seated and things."""
        seat = who - len(identity)
        if seat < 0:
            return int(identity[who]) + 1, 1, 1
        number = len(self.looks) + 1 + seat
        thing = seat - len(self.seated_looks)
        return number, 0, STATIC_PERSON if thing < 0 else self.things[thing].category


def render(world: World, *, every: int = 1) -> Iterator[tuple[Image, Floats]]:
    """Each `every`-th frame of a world, from the first, with its labels.

    Yields (H, W, 3) uint8 RGB and (N, 9) float64 rows as in gt.txt: frame, id, left, top, width, height (file
    coordinates, whole body, integers), flag, class, visibility.
    """
    stage = Stage(world)
    for t in range(0, world.length, every):
        image, rows = draw(stage, t)
        yield stage.lens.expose(image, t), rows


def draw(stage: Stage, t: int) -> tuple[Image, Floats]:
    """Paint the t-th frame, from 0, before the lens blurs it, and label it."""
    world, camera = stage.world, stage.cameras[t]
    motion, identity = stage.cast.frame(t)
    pairs = zip(vars(motion).values(), vars(stage.seated).values(), strict=True)
    everyone = Motion(*(np.concatenate(pair) for pair in pairs))
    looks = [stage.looks[i] for i in identity] + stage.seated_looks
    depth = camera.view(np.column_stack([everyone.position, np.full(len(looks), 0.9)]))[:, 2]
    drawn = np.flatnonzero((depth > TOO_NEAR) & (depth < 2.5 * world.far))
    chosen = [looks[i] for i in drawn]
    shown = everyone.pick(drawn)
    people = figures(camera, shown, chosen) if chosen else []
    backdrop, things = stage.still(camera)
    image = stage.lens.shadows(backdrop, camera, shown, chosen, stage.things)
    buffer = np.zeros(image.shape[:2], np.uint16)
    # Numbers in the buffer: people from 1, then things.
    order = [(person.depth, 1 + k) for k, person in enumerate(people)]
    order += [(far, 1 + len(people) + k) for k, (far, _) in things.items()]
    shapes: dict[int, Shape] = {}
    for _, value in sorted(order, reverse=True):
        k = value - 1 - len(people)
        if k < 0:
            shapes[value] = shape(people[value - 1].polygons, world.size)
            put(image, buffer, shapes[value], value, chosen[value - 1].tile)
        else:
            shapes[value] = things[k][1]
            put(image, buffer, shapes[value], value)
            if (poster := stage.things[k].picture) is not None:
                texture(image, camera, *poster)
    seen = np.bincount(buffer.ravel(), minlength=1 + len(people) + len(stage.things))
    labels = [stage.label(int(i), identity) for i in drawn]
    labels += [stage.label(len(looks) + k, identity) for k in range(len(stage.things))]
    rows = []
    for value, found in sorted(shapes.items()):
        left, top, width, height = found.box
        if not (found.area and 0 <= left + width / 2 < world.size[0] and 0 <= top + height / 2 < world.size[1]):
            continue
        number, flag, category = labels[value - 1]
        share = round(float(seen[value]) / found.area, 5)
        rows.append((t + 1, number, left + 1, top + 1, width, height, flag, category, share))
    return image, np.array(rows, float).reshape(-1, 9)


PIXELS = "FRCNN"  # the member of a scene that holds the images, which all share
INI = "[Sequence]\nname={}\nimDir=img1\nframeRate={:g}\nseqLength={}\nimWidth={}\nimHeight={}\nimExt=.jpg\n"
STAMP = ".complete"
Digests = Callable[[Path], Mapping[str, str]]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """One sequence to be rendered: plain data, so that a caller may send it to a worker."""

    world: World
    split: str  # `train` or `test`
    folder: Path  # of the data set, above the split


def jobs(dataset: str, folder: Path, **settings: Any) -> list[Job]:
    """The sequences of a data set, for `render_sequence` in any order or process; settings as of `scene_worlds`."""
    return [Job(world, scene.split, folder) for scene, world in scene_worlds(dataset, **settings)]


def render_sequence(job: Job) -> None:
    """Render a scene into its three sequence folders; labels of a test scene go to `truth/<scene>/gt.txt` only."""
    world, split = job.world, job.folder / job.split
    images = split / f"{world.name}-{PIXELS}" / "img1"
    images.mkdir(parents=True, exist_ok=True)
    labels, clear = [], []
    for number, (image, rows) in enumerate(render(world), start=1):
        quality = (cv2.IMWRITE_JPEG_QUALITY, world.light.quality)
        good, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), quality)
        if not good:
            raise RuntimeError("OpenCV could not encode a JPEG")
        (images / f"{number:06d}.jpg").write_bytes(data.tobytes())
        labels.append(rows)
        clear.append(clearness(image, rows[:, 2:6]))
    rows = np.column_stack([np.concatenate(labels), np.concatenate(clear)])
    rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
    by_identity = rows[np.lexsort((rows[:, 0], rows[:, 1]))].tolist()  # as MOT17 has them
    text = "".join(",".join(f"{int(v)}" for v in row[:8]) + f",{row[8]:g}\n" for row in by_identity)
    if job.split == "test":
        write(job.folder / "truth" / world.name / "gt.txt", text)
    frame, identity, category = rows[:, (0, 1, 7)].T.astype(np.int32)
    flag, visibility = rows[:, (6, 8)].T.astype(np.float32)
    gt = GroundTruth(frame, identity, rows[:, 2:6].copy(), flag, category, visibility)
    width, height = world.size
    for detector in DETECTORS:
        folder = split / f"{world.name}-{detector}"
        write(folder / "seqinfo.ini", INI.format(folder.name, world.fps, world.length, width, height))
        if job.split == "train":
            write(folder / "gt" / "gt.txt", text)
        rng = np.random.default_rng([world.seed, zlib.crc32(detector.encode())])
        found = detect(gt, width, height, world.light.blur, detector, rng, rows[:, 9])
        columns = zip(found.frame.tolist(), np.column_stack([found.tlwh, found.score]).tolist(), strict=True)
        kept = ((t, row) for t, row in columns if t <= world.length)
        write(folder / "det" / "det.txt", "".join(f"{t},-1,{','.join(f'{v:.6g}' for v in row)}\n" for t, row in kept))


def write(path: Path, text: str) -> None:
    """Write a text file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="ascii", newline="\n")


def generate(
    dataset: str, root: Path, *, map: Callable[[Callable[[Job], None], list[Job]], Iterable[None]] = builtins.map,
    digests: Digests | None = None, **settings: Any,
) -> Path:  # fmt: skip
    """Render an embedded data set unless it is there already, by the same generator and with the same settings.

    A data set with an altered file is rendered anew. Everything is written under another name and renamed when whole:
    a killed run leaves nothing that could be taken for a data set, and of two runs at once the second waits.

    `map` spreads `render_sequence` over jobs, `digests` gives those of all files below a folder; None: all are read.
    `settings` are those of `scene_worlds`.
    Returns `root / dataset`, with `train`, `test` and `truth` in it.
    Raises InputError: an unknown data set, settings nothing can be rendered with, or a folder that cannot be written.
    """
    target, digests = Path(root) / dataset, digests or folder_digests
    usual: dict[str, Any] = {"seed": 0, "frames": 100, "train_times": 1, "size": (640, 360)}
    settings = usual | settings
    stamp = {"version": GENERATOR_VERSION, "dataset": dataset, **settings, "size": list(settings["size"])}
    if is_complete(target, stamp, digests):
        return target
    partial = target.with_name(f".{dataset}.{os.getpid()}-{secrets.token_hex(4)}.partial")
    work = jobs(dataset, partial, **settings)
    try:
        partial.mkdir(parents=True)
        waiting = functools.partial(log.warning, "%s: another run is rendering it; waiting", target)
        with locked(target.with_name(f".{dataset}.lock"), waiting):
            if is_complete(target, stamp, digests):
                return target
            remove_stale(target.parent, f".{dataset}.*.partial")
            for _ in map(render_sequence, work):
                os.utime(partial)  # still at work
            kept = {**stamp, "files": dict(sorted(folder_digests(partial).items()))}
            write(partial / STAMP, json.dumps(kept, sort_keys=True) + "\n")
            shutil.rmtree(target, ignore_errors=True)
            partial.rename(target)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise InputError(
            f"{target}: cannot write the embedded data set ({reason}); free some space or choose another folder"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def is_complete(target: Path, stamp: dict[str, Any], digests: Digests) -> bool:
    """True where a folder holds a data set made whole by this generator with these settings, byte by byte as it was."""
    try:
        found = json.loads((target / STAMP).read_text(encoding="ascii"))
        files = found.pop("files")
        if found != stamp:
            return False
        there = digests(target)
        altered = next((name for name, digest in files.items() if there.get(name) != digest), "")
    except (OSError, ValueError, KeyError, AttributeError, TypeError, InputError):
        return False
    if altered:
        log.warning("%s: is not as it was rendered; %s is rendered anew", target / altered, target.name)
    return not altered


def folder_digests(folder: Path) -> dict[str, str]:
    """Relative name of every file below a folder -> hex digest of its bytes."""
    return {path.relative_to(folder).as_posix(): file_digest(path) for path in folder.rglob("*") if path.is_file()}

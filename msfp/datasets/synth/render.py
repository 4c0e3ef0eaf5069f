"""The painter: frames of a world and the labels of what they show."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from msfp.datasets.synth.background import Background
from msfp.datasets.synth.body import figures
from msfp.datasets.synth.camera import Camera, Floats, cameras
from msfp.datasets.synth.dance import dancers
from msfp.datasets.synth.furniture import STATIC_PERSON
from msfp.datasets.synth.gait import Motion
from msfp.datasets.synth.lens import Lens
from msfp.datasets.synth.motion import walkers
from msfp.datasets.synth.painter import Shape, put, shape
from msfp.datasets.synth.people import crowd, troupe
from msfp.datasets.synth.raster import Image, texture
from msfp.datasets.synth.scenery import place_things, sitters
from msfp.datasets.synth.world import World

TOO_NEAR = 0.9  # metres; a person nearer than this is not drawn


class Stage:
    """All of a world that is made once: looks, paths, things, background."""

    def __init__(self, world: World):
        self.world = world
        self.cameras = cameras(world.camera, world.length, world.fps, world.size, world.rng("camera"))
        self.things = place_things(world, self.cameras)
        obstacles = np.array([[*thing.place, thing.radius] for thing in self.things]).reshape(-1, 3)
        if world.kind == "stage":
            self.cast = dancers(world, self.cameras)
        else:
            self.cast = walkers(world, self.cameras, obstacles)
        count = int(self.cast.identity.max(initial=-1)) + 1
        rng = world.rng("looks")
        if world.kind == "stage":
            self.looks = troupe(rng, count, world.light.side)
        else:
            self.looks = crowd(rng, count, world.light.side, world.warm, world.alike)
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
    """Frames of a world with their labels, in memory; of these each `every`-th, from the first.

    Yields:
        (H, W, 3) uint8 RGB and (N, 9) float64 rows as in gt.txt: frame, id, left, top, width, height (file
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

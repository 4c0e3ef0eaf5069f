"""The painter: frames of a world and the labels of what they show."""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from msfp.datasets.synth.background import Background
from msfp.datasets.synth.body import Figure, figures
from msfp.datasets.synth.camera import Camera, Floats, cameras
from msfp.datasets.synth.dance import dancers
from msfp.datasets.synth.furniture import REFLECTION, STATIC_PERSON, Thing
from msfp.datasets.synth.gait import Motion
from msfp.datasets.synth.lens import Lens
from msfp.datasets.synth.motion import walkers
from msfp.datasets.synth.people import Look, crowd, troupe
from msfp.datasets.synth.raster import SHIFT, Ids, Image, Polygon, paint, texture
from msfp.datasets.synth.scenery import place_things, sitters
from msfp.datasets.synth.world import World

TOO_NEAR = 0.9  # metres; a person nearer than this is not drawn
IGNORED = {STATIC_PERSON, REFLECTION}


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
        self.kept: tuple[Camera, Image] | None = None

    def backdrop(self, camera: Camera) -> Image:
        """The background of a frame; kept while the camera stays the same object."""
        if self.kept is None or self.kept[0] is not camera:
            width, height = self.world.size
            image = np.empty((height, width, 3), np.uint8)
            self.background.paint(image, camera)
            self.kept = camera, image
        return self.kept[1].copy()


def join(a: Motion, b: Motion) -> Motion:
    """The people of two casts in one."""
    return Motion(*(np.concatenate([getattr(a, name), getattr(b, name)]) for name in a.__dataclass_fields__))


def select(motion: Motion, rows: NDArray[np.int64]) -> Motion:
    """Some of the people."""
    return Motion(*(getattr(motion, name)[rows] for name in motion.__dataclass_fields__))


def render(world: World, *, every: int = 1) -> Iterator[tuple[Image, Floats]]:
    """Frames of a world with their labels, in memory.

    Args:
        world: to be rendered.
        every: yield each so-many-th frame, from the first.

    Yields:
        (H, W, 3) uint8 RGB and (N, 9) float64 rows as in gt.txt: frame, id, left, top, width, height (file
        coordinates, whole body, integers), flag, class, visibility.
    """
    stage = Stage(world)
    for t in range(0, world.length, every):
        image, rows = draw(stage, t)
        yield stage.lens.expose(image, t), rows


def truth(world: World) -> Floats:
    """Labels of all frames without the lens's work; see `render`."""
    stage = Stage(world)
    return np.concatenate([draw(stage, t)[1] for t in range(world.length)])


def draw(stage: Stage, t: int) -> tuple[Image, Floats]:
    """Paint the t-th frame, from 0, before the lens blurs it, and label it."""
    world, camera = stage.world, stage.cameras[t]
    motion, identity = stage.cast.frame(t)
    everyone = join(motion, stage.seated)
    looks = [stage.looks[i] for i in identity] + stage.seated_looks
    depth = camera.view(np.column_stack([everyone.position, np.full(len(looks), 0.9)]))[:, 2]
    drawn = np.flatnonzero((depth > TOO_NEAR) & (depth < 2.5 * world.far))
    chosen = [looks[i] for i in drawn]
    shown = select(everyone, drawn)
    people = figures(camera, shown, chosen) if chosen else []
    image = stage.backdrop(camera)
    image = stage.lens.shadows(image, camera, shown, chosen, stage.things)
    buffer = np.zeros(image.shape[:2], np.uint16)
    order: list[tuple[float, int]] = [(person.depth, k) for k, person in enumerate(people)]
    order += [(thing_depth(camera, thing), -1 - k) for k, thing in enumerate(stage.things)]
    order.sort(key=lambda item: (-item[0], item[1]))
    boxes: dict[int, tuple[int, int, int, int]] = {}
    whole: dict[int, int] = {}
    for far, k in order:
        value = k + 1 if k >= 0 else len(people) - k
        if k >= 0:
            box, area = put_person(image, buffer, people[k], chosen[k], value)
        elif far > 0.6:
            box, area = put_thing(image, buffer, camera, stage.things[-1 - k], value)
        else:
            continue
        boxes[value], whole[value] = box, area
    seen = np.bincount(buffer.ravel(), minlength=len(people) + len(stage.things) + 1)
    rows = []
    people_count = len(stage.looks)
    for value in sorted(boxes):
        left, top, width, height = boxes[value]
        if not (whole[value] and 0 <= left + width / 2 < world.size[0] and 0 <= top + height / 2 < world.size[1]):
            continue
        if value <= len(people):
            who = int(drawn[value - 1])
            seated = who >= len(identity)
            number = people_count + 1 + who - len(identity) if seated else int(identity[who]) + 1
            flag, category = (0, STATIC_PERSON) if seated else (1, 1)
        else:
            k = value - len(people) - 1
            number, flag, category = people_count + len(stage.seated_looks) + 1 + k, 0, stage.things[k].category
        share = round(min(1.0, float(seen[value]) / whole[value]), 5)
        rows.append((t + 1, number, left + 1, top + 1, width, height, flag, category, share))
    return image, np.array(rows, float).reshape(-1, 9)


def thing_depth(camera: Camera, thing: Thing) -> float:
    """Depth that orders a thing among the people, metres."""
    return float(camera.view(np.array([*thing.place, 0.9]))[2])


def silhouette(polygons: tuple[Polygon, ...] | list[Polygon], size: tuple[int, int]) -> tuple[Image, int, int]:
    """The filled outline of some polygons, also outside the image.

    Args:
        polygons: fixed-point outlines.
        size: image width and height; what lies further out than one image on any side is cut off.

    Returns:
        (h, w) uint8 mask, and the image coordinates of its first pixel.
    """
    shapes = [polygon.points for polygon in polygons]
    points = np.concatenate(shapes)
    unit = 1 << SHIFT
    (x0, y0), (x1, y1) = (points.min(0) // unit - 2).tolist(), (points.max(0) // unit + 3).tolist()
    x0, y0 = max(x0, -size[0]), max(y0, -size[1])
    x1, y1 = min(x1, 2 * size[0]), min(y1, 2 * size[1])
    mask = np.zeros((max(1, y1 - y0), max(1, x1 - x0)), np.uint8)
    points -= (x0 * unit, y0 * unit)
    start = 0
    for shape in shapes:
        cv2.fillConvexPoly(mask, points[start : start + len(shape)], 255, cv2.LINE_8, SHIFT)
        start += len(shape)
    return mask, x0, y0


def overlap(mask: Image, x0: int, y0: int, size: tuple[int, int]) -> tuple[slice, slice, slice, slice]:
    """Rows and columns of the image, then of the mask, where both are."""
    width, height = size
    left, right = max(0, x0), min(width, x0 + mask.shape[1])
    top, bottom = max(0, y0), min(height, y0 + mask.shape[0])
    right, bottom = max(left, right), max(top, bottom)
    return slice(top, bottom), slice(left, right), slice(top - y0, bottom - y0), slice(left - x0, right - x0)


def put_person(
    image: Image, buffer: Ids, figure: Figure, look: Look, value: int
) -> tuple[tuple[int, int, int, int], int]:
    """Paint a person and enter it in the instance buffer.

    Returns:
        Box of the whole silhouette (left, top, width, height, pixels) and the number of its pixels.
    """
    size = (image.shape[1], image.shape[0])
    mask, x0, y0 = silhouette(figure.polygons, size)
    left, top, width, height = cv2.boundingRect(mask)
    rows, columns, inner_rows, inner_columns = overlap(mask, x0, y0, size)
    part = mask[inner_rows, inner_columns]
    if part.size:
        for polygon in figure.polygons:
            paint(image, polygon)
        patch = image[rows, columns]
        tile = cv2.resize(look.tile, (mask.shape[1], mask.shape[0]))[inner_rows, inner_columns]
        cv2.copyTo(cv2.multiply(patch, tile, scale=1 / 128), part, patch)
        buffer[rows, columns][part > 0] = value
    return (left + x0, top + y0, width, height), cv2.countNonZero(mask)


def put_thing(
    image: Image, buffer: Ids, camera: Camera, thing: Thing, value: int
) -> tuple[tuple[int, int, int, int], int]:
    """Paint a piece of furniture and enter it in the instance buffer; returns as `put_person`."""
    polygons = thing.polygons(camera)
    if not polygons:
        return (0, 0, 0, 0), 0
    size = (image.shape[1], image.shape[0])
    mask, x0, y0 = silhouette(polygons, size)
    left, top, width, height = cv2.boundingRect(mask)
    rows, columns, inner_rows, inner_columns = overlap(mask, x0, y0, size)
    part = mask[inner_rows, inner_columns]
    if part.size:
        for polygon in polygons:
            paint(image, polygon)
        if thing.picture is not None:
            texture(image, camera, *thing.picture)
        buffer[rows, columns][part > 0] = value
    return (left + x0, top + y0, width, height), cv2.countNonZero(mask)

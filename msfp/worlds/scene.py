"""What stands about in a world: sky, ground, facades, furniture, and where it is placed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from msfp.worlds.motion import Area
from msfp.worlds.people import DARK, LIGHT, MUTED, UP, VIVID, Look, Motion, figures, pick, wardrobe
from msfp.worlds.raster import Colour, Image, Polygon, capsules, face, fixed, paint, texture
from msfp.worlds.world import NEAR, Camera, Floats, Ground, World, rotation

PERIOD = 16.0  # metres after which the ground repeats
COARSE = 4  # how much coarser the ground's picture is far away
WALL = 9.0  # metres, height of a facade
GROUNDS = {
    "asphalt": ((104, 104, 106), 10.0), "paving": ((152, 146, 136), 9.0), "cobbles": ((122, 116, 108), 14.0),
    "grass": ((92, 112, 62), 16.0), "tiles": ((188, 182, 170), 5.0), "planks": ((134, 98, 66), 9.0),
}  # fmt: skip


def fractal(rng: np.random.Generator, size: int, octaves: tuple[int, ...]) -> NDArray[np.float32]:
    """(size, size) noise of unit variance that repeats without a seam; an octave is its number of cells a side."""
    out = np.zeros((size, size), np.float32)
    for cells in octaves:
        grid = np.pad(rng.normal(0, 1, (cells, cells)).astype(np.float32), 2, mode="wrap")
        step = size // cells
        big = cv2.resize(grid, ((cells + 4) * step,) * 2, interpolation=cv2.INTER_LINEAR)
        out += big[2 * step : 2 * step + size, 2 * step : 2 * step + size] / np.sqrt(len(octaves))
    return out


def ground_picture(kind: Ground, size: int, rng: np.random.Generator) -> Image:
    """(size, size, 3) picture of a period of the ground; the size is a power of 2."""
    colour, rough = GROUNDS[kind]
    base = np.array(colour) + rng.normal(0, 8) + rng.normal(0, 4, 3)
    noise = fractal(rng, size, (8, 32, 128, size // 2))
    light = noise * rough
    cells = {"paving": int(rng.choice([16, 20, 32])), "tiles": int(rng.choice([16, 26])), "cobbles": 80}.get(kind)
    if cells:
        edges = np.linspace(0, size, cells + 1).astype(int)
        tone = rng.normal(0, {"paving": 7.0, "tiles": 3.0, "cobbles": 12.0}[kind], (cells, cells))
        light += cv2.resize(tone.astype(np.float32), (size, size), interpolation=cv2.INTER_NEAREST)
        width = max(1, size // 512) if kind != "cobbles" else max(1, size // 1024)
        for edge in edges:
            light[edge : edge + width] -= 26
            light[:, edge : edge + width] -= 26
    if kind == "planks":
        rows = np.repeat(rng.normal(0, 9, 64), size // 64)
        light += rows[:, None]
        light[:: size // 64] -= 30
    if kind == "asphalt" and rng.random() < 0.6:  # worn road paint
        at, width = int(rng.integers(size - 40)), size // 114
        light[at : at + width] += np.where(noise[at : at + width] > -0.6, 80, 0)
    return np.clip(base + light[..., None], 0, 255).astype(np.uint8)


def facade_picture(rng: np.random.Generator, indoor: bool) -> Image:
    """(288, 2048, 3) picture of a row of houses with windows and shops, or of a hall's wall."""
    height, width = 288, 2048
    out = np.empty((height, width, 3), np.uint8)
    x = 0
    while x < width:
        w = int(rng.integers(180, 480))
        wall = pick(rng, (*MUTED, *LIGHT, (150, 110, 90), (170, 150, 120), (120, 70, 56)), 10)
        out[:, x : x + w] = wall
        if indoor:
            if rng.random() < 0.6:
                cv2.rectangle(out, (x + 20, 60), (x + w - 20, height), pick(rng, (*MUTED, *LIGHT), 12), -1)
            x += w
            continue
        glass, frame = pick(rng, (*DARK, (70, 84, 98), (110, 124, 134)), 8), pick(rng, (*LIGHT, *DARK), 8)
        pitch, tall = int(rng.integers(44, 84)), int(rng.integers(44, 70))
        for top in range(12, height - 120, tall + 26):
            for left in range(x + 14, x + w - pitch // 2 - 6, pitch):
                right = left + pitch // 2
                cv2.rectangle(out, (left - 3, top - 3), (right + 3, top + tall + 3), frame, -1)
                change = rng.normal(0, 14)
                lit = tuple(int(np.clip(v + change, 0, 255)) for v in glass)
                cv2.rectangle(out, (left, top), (right, top + tall), lit, -1)
        sign = pick(rng, VIVID + MUTED, 8)
        cv2.rectangle(out, (x, height - 112), (x + w, height - 92), sign, -1)
        for left in range(x + 8, x + w - 50, int(rng.integers(70, 130))):
            cv2.rectangle(out, (left, height - 88), (left + 52, height - 6), glass, -1)
        x += w
    noise = cv2.resize(rng.normal(0, 7, (36, 256)).astype(np.float32), (width, height))
    return np.clip(out + noise[..., None], 0, 255).astype(np.uint8)


class Background:
    """Paints what no person stands behind; buildings give way to the `span` metres that the camera moves forward."""

    def __init__(self, world: World, span: float):
        rng = world.rng("background")
        self.kind = world.kind
        detail = int(np.clip(2 ** np.round(np.log2(1.6 * world.size[0])), 256, 2048))  # 1024 pixels at 640
        tile = ground_picture(world.ground, detail, rng)
        small = np.asarray(cv2.resize(tile, None, fx=1 / COARSE, fy=1 / COARSE, interpolation=cv2.INTER_AREA), np.uint8)
        # Picture, repeats a side, metres ahead of its middle, and the distance up to which it is painted.
        self.ground = ((np.tile(small, (8, 8, 1)), 8, 40.0, 1e3), (np.tile(tile, (2, 2, 1)), 2, 6.0, 11.0))
        indoor = world.kind in ("stage", "shop")
        top = np.array(pick(rng, ((150, 178, 214), (196, 202, 208), (120, 160, 214)), 8), float)
        low = np.array(pick(rng, ((214, 220, 226), (226, 222, 214)), 6), float)
        if indoor:
            top = low = np.array(pick(rng, (*MUTED, *LIGHT), 8), float)
        if world.kind == "stage":
            top = low = np.array(pick(rng, (*DARK, *MUTED, (90, 30, 40), (40, 50, 90)), 6), float)
        ramp = np.linspace(0, 1, world.size[1])[:, None]
        self.sky = np.clip(top * (1 - ramp) + low * ramp, 0, 255).astype(np.uint8)[:, None]
        self.walls = self.build(world, span, rng, indoor)

    def build(self, world: World, span: float, rng: np.random.Generator, indoor: bool) -> list[tuple[Floats, Image]]:
        """Walls as corners and pictures, farthest first."""
        if world.kind == "stage":
            y = world.far + rng.uniform(1.0, 2.5)
            return [(upright((-12, y), (12, y), 7.0), curtain(rng, tuple(int(v) for v in self.sky[0, 0])))]
        walls = []
        widest = 0.5 / world.camera.focal * (world.far + world.camera.height)
        y = world.far + span + rng.uniform(5, 14)
        tilt = rng.uniform(-0.25, 0.25) * 32
        walls.append((upright((-32, y - tilt), (32, y + tilt), WALL), facade_picture(rng, indoor)))
        for side in (-1, 1):
            if rng.random() < 0.55:
                x = side * (widest + rng.uniform(1.0, 4.0))  # nobody walks through it
                ends = ((x, -20.0), (x, 44.0)) if side < 0 else ((x, 44.0), (x, -20.0))
                walls.append((upright(*ends, WALL), facade_picture(rng, indoor)))
        return walls

    def paint(self, image: Image, camera: Camera) -> None:
        """Fill the image with all that stands still and far."""
        image[:] = self.sky
        height = image.shape[0]
        forward = camera.rotation[2, :2] / np.linalg.norm(camera.rotation[2, :2])
        for picture, repeats, ahead, upto in self.ground:
            middle = camera.centre[:2] + ahead * forward
            corner = (np.round(middle / PERIOD) - repeats / 2) * PERIOD  # whole periods, so that nothing jumps
            far = np.array([*(camera.centre[:2] + upto * forward), 0.0])
            top = max(0, int(camera.project(far)[0][1]))
            if top >= height:
                continue
            x, y = corner
            side = repeats * PERIOD
            corners = np.array([[x, y + side, 0], [x + side, y + side, 0], [x + side, y, 0], [x, y, 0]])
            below = replace(camera, principal=(camera.principal[0], camera.principal[1] - top))
            texture(image[top:], below, corners, picture)
        for corners, picture in self.walls:
            texture(image, camera, corners, picture)


def upright(a: Sequence[float] | Floats, b: Sequence[float] | Floats, high: float, low: float = 0.0) -> Floats:
    """(4, 3) corners of a wall from a (its left, seen from the front) to b, as `texture` takes them."""
    return np.array([[*a, high], [*b, high], [*b, low], [*a, low]])


def curtain(rng: np.random.Generator, colour: tuple[int, ...]) -> Image:
    """(256, 1024, 3) folds of a stage's curtain."""
    x = np.arange(1024)
    folds = 14 * np.sin(x / rng.uniform(5, 9)) + 8 * np.sin(x / rng.uniform(12, 25) + 1)
    out = np.array(colour, float) + folds[None, :, None] + np.linspace(10, -16, 256)[:, None, None]
    return np.clip(out, 0, 255).astype(np.uint8)


CAR, STATIC_PERSON, DISTRACTOR, OCCLUDER = 3, 7, 8, 9  # MOTChallenge classes


@dataclass(frozen=True)
class Thing:
    """A piece of furniture."""

    place: Floats  # (2,) on the ground, metres; says when it is painted
    radius: float  # people keep this far, metres
    category: int  # MOTChallenge class it is labelled with
    faces: tuple[tuple[Floats, Colour], ...] = ()  # (corners (4, 3), colour) planar faces, outside counter-clockwise
    # (end, end, radius, radius, colour) capsules, painted after the faces in their order
    balls: tuple[tuple[Floats, Floats, float, float, Colour], ...] = ()
    # (corners (4, 3), picture) on one of the faces, painted last; None without one
    picture: tuple[Floats, Image] | None = None
    seat: bool = False  # somebody may sit on it, with the back to its far side

    def polygons(self, camera: Camera) -> list[Polygon]:
        """What of it the camera sees, farthest first; nothing when part of it lies behind the camera."""
        out = []
        if self.faces:
            corners = np.array([corners for corners, _ in self.faces])
            normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 1])
            middle = corners.mean(axis=1)
            front = np.flatnonzero((normal * (camera.centre - middle)).sum(1) > 0)
            depth = camera.view(corners[front])[..., 2]
            whole = bool(depth.min(initial=np.inf) > NEAR)
            outlines = fixed(camera.project(corners[front])[0]) if whole else None
            # Goods lie on the face of their shelf: of equal depth the later is nearer.
            for k in np.argsort(-depth.mean(axis=1), kind="stable"):
                outline = outlines[k] if outlines is not None else face(camera, corners[front[k]])
                if outline is not None:
                    out.append(Polygon(outline, self.faces[front[k]][1]))
        if self.balls:
            ends = np.array([[ball[0], ball[1]] for ball in self.balls])
            if camera.view(ends)[..., 2].min() < 0.4:
                return out
            pixels, depth = camera.project(ends)
            radius = np.array([ball[2:4] for ball in self.balls]) * camera.focal / depth
            shapes = fixed(capsules(pixels[:, 0], pixels[:, 1], radius[:, 0], radius[:, 1]))
            out += [Polygon(shape, ball[4]) for shape, ball in zip(shapes, self.balls, strict=True)]
        return out


def shade(colour: Colour, factor: float) -> Colour:
    """A colour made lighter or darker."""
    red, green, blue = (int(np.clip(v * factor, 0, 255)) for v in colour)
    return red, green, blue


def prism(base: Floats, top: Floats, colour: Colour, side: float) -> list[tuple[Floats, Colour]]:
    """Faces of a body between two quadrilaterals, (4, 3) each, counter-clockwise from above; lit from a side."""
    out = [(top, shade(colour, 1.15))]
    for k in range(4):
        j = (k + 1) % 4
        corners = np.array([base[k], base[j], top[j], top[k]])
        normal = np.cross(corners[1] - corners[0], corners[2] - corners[1])
        facing = float(normal[0] / max(1e-9, np.linalg.norm(normal)))
        out.append((corners, shade(colour, 0.86 + 0.16 * facing * side)))
    return out


def block(
    place: Floats, size: tuple[float, float, float], yaw: float, colour: Colour, side: float, low: float = 0.0,
    taper: float = 1.0,
) -> list[tuple[Floats, Colour]]:  # fmt: skip
    """Faces of a box of (width, depth, height) that stands `low` above the ground, its top smaller by `taper`."""
    w, d, h = size
    signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) / 2
    turn = np.array([[np.cos(yaw), np.sin(yaw)], [-np.sin(yaw), np.cos(yaw)]])
    flat = (signs * (w, d)) @ turn
    base = np.column_stack([place + flat, np.full(4, low)])
    top = np.column_stack([place + taper * flat, np.full(4, low + h)])
    return prism(base, top, colour, side)


def lamp(place: Floats, rng: np.random.Generator, side: float) -> Thing:
    """A lamp post or the trunk of a traffic sign."""
    colour = pick(rng, DARK + MUTED[:3])
    foot, head = np.array([*place, 0.05]), np.array([*place, rng.uniform(2.6, 5.0)])
    balls = [(foot, head, rng.uniform(0.05, 0.11), 0.045, colour)]
    if rng.random() < 0.5:
        balls.append((head, head + 0.3 * UP, 0.16, 0.12, pick(rng, LIGHT)))
    else:
        balls.append((head - 0.3 * UP, head, 0.3, 0.3, pick(rng, VIVID)))
    return Thing(place, 0.2, OCCLUDER, balls=tuple(balls))


def tree(place: Floats, rng: np.random.Generator, side: float) -> Thing:
    """A tree: a trunk and a crown of leaves."""
    foot, fork = np.array([*place, 0.0]), np.array([*place, rng.uniform(2.0, 2.8)])
    balls = [(foot, fork + 0.6 * UP, rng.uniform(0.12, 0.22), 0.09, pick(rng, ((84, 66, 50), (70, 62, 54))))]
    leaf = pick(rng, ((58, 92, 44), (84, 112, 52), (70, 84, 40)), 8)
    for _ in range(26):
        centre = fork + 1.2 * UP + rng.normal(0, (0.6, 0.6, 0.5))
        radius = float(rng.uniform(0.3, 0.6))
        balls.append((centre, centre, radius, radius, shade(leaf, rng.uniform(0.7, 1.25))))
    return Thing(place, 0.35, OCCLUDER, balls=tuple(balls))


def bench(place: Floats, rng: np.random.Generator, side: float) -> Thing:
    """A bench, or a flower box."""
    yaw, colour = rng.uniform(-0.5, 0.5), pick(rng, ((122, 88, 58), (96, 74, 54), *MUTED))
    if rng.random() < 0.5:
        faces = block(place, (1.5, 0.5, 0.55), yaw, colour, side)
        leaf = pick(rng, ((70, 104, 52), (96, 120, 60)), 8)
        balls = []
        for _ in range(12):
            along = rng.uniform(-0.65, 0.65)
            centre = np.array([place[0] + along * np.cos(yaw), place[1] + along * np.sin(yaw), rng.uniform(0.6, 0.8)])
            balls.append((centre, centre, 0.16, 0.16, shade(leaf, rng.uniform(0.7, 1.3))))
        return Thing(place, 0.8, OCCLUDER, tuple(faces), tuple(balls))
    faces = block(place, (1.6, 0.45, 0.08), yaw, colour, side, low=0.4)
    back = place + 0.22 * np.array([-np.sin(yaw), np.cos(yaw)])
    faces += block(back, (1.6, 0.06, 0.4), yaw, colour, side, low=0.5)
    for end in (-0.65, 0.65):
        faces += block(place + end * np.array([np.cos(yaw), np.sin(yaw)]), (0.08, 0.4, 0.4), yaw, DARK[1], side)
    return Thing(place, 0.8, OCCLUDER, tuple(faces), seat=True)


def kiosk(place: Floats, rng: np.random.Generator, side: float) -> Thing:
    """A kiosk, a telephone box or a large bin."""
    yaw, colour = rng.uniform(-0.5, 0.5), pick(rng, VIVID + MUTED)
    size = ((1.9, 1.5, 2.3), (0.95, 0.95, 2.3), (0.6, 0.6, 1.0), (1.1, 0.8, 1.3))[int(rng.integers(4))]
    faces = block(place, size, yaw, colour, side)
    faces += block(place, (size[0] * 1.12, size[1] * 1.12, 0.16), yaw, shade(colour, 0.7), side, low=size[2])
    return Thing(place, 0.55 * size[0], OCCLUDER, tuple(faces))


def car(place: Floats, rng: np.random.Generator, side: float) -> Thing:
    """A parked car."""
    yaw = float(rng.choice([0.0, np.pi / 2])) + rng.normal(0, 0.1)
    colour = pick(rng, (*LIGHT, *DARK, *MUTED, *VIVID[:3]))
    faces = block(place, (4.2, 1.75, 0.6), yaw, colour, side, low=0.28)
    faces += block(place, (2.6, 1.6, 0.55), yaw, (46, 56, 66), side, low=0.88, taper=0.82)
    along, across = np.array([np.cos(yaw), np.sin(yaw)]), np.array([-np.sin(yaw), np.cos(yaw)])
    balls = []
    for front in (-1.3, 1.3):
        for flank in (-0.84, 0.84):
            hub = np.array([*(place + front * along + flank * across), 0.32])
            balls.append((hub, hub, 0.32, 0.32, (24, 24, 26)))
    return Thing(place, 2.1, CAR, tuple(faces), tuple(balls))


def shelf(place: Floats, rng: np.random.Generator, side: float) -> Thing:
    """A shelf with goods, or a display table."""
    yaw = float(rng.choice([0.0, np.pi / 2])) + rng.normal(0, 0.05)
    if rng.random() < 0.4:
        return Thing(place, 0.8, OCCLUDER, tuple(block(place, (1.4, 0.9, 0.85), yaw, pick(rng, LIGHT + MUTED), side)))
    frame = pick(rng, LIGHT + MUTED + DARK[:2])
    faces = block(place, (2.4, 0.6, 1.5), yaw, frame, side)
    along, across = np.array([np.cos(yaw), np.sin(yaw)]), np.array([-np.sin(yaw), np.cos(yaw)])
    for row in range(3):
        for column in range(9):
            goods = pick(rng, VIVID + LIGHT + MUTED, 10)
            for flank, order in ((-0.303, 1), (0.303, -1)):
                left, right = (-1.12 + 0.25 * column, -0.9 + 0.25 * column)[::order]
                low, high = 0.15 + 0.46 * row, 0.15 + 0.46 * row + rng.uniform(0.2, 0.38)
                a, b = (place + u * along + flank * across for u in (left, right))
                faces.append((upright(a, b, low, high), goods))  # counter-clockwise from outside
    return Thing(place, 1.3, OCCLUDER, tuple(faces))


def poster(place: Floats, rng: np.random.Generator, side: float, picture: Image) -> Thing:
    """A billboard with a picture of a person, which a detector may take for one."""
    yaw = rng.uniform(-0.4, 0.4)
    faces = block(place, (1.2, 0.16, 2.1), yaw, pick(rng, DARK + MUTED), side)
    along, across = np.array([np.cos(yaw), np.sin(yaw)]), np.array([np.sin(yaw), -np.cos(yaw)])
    front = place + 0.085 * across
    corners = upright(front - 0.54 * along, front + 0.54 * along, 2.04, 0.16)
    return Thing(place, 0.75, DISTRACTOR, tuple(faces), picture=(corners, picture))


MAKERS = (lamp, tree, bench, kiosk)


def portrait(look: Look, rng: np.random.Generator) -> Image:
    """(256, 148, 3) picture of a person for a poster."""
    out = np.empty((256, 148, 3), np.uint8)
    out[:] = pick(rng, LIGHT + MUTED + VIVID[:4], 10)
    out[200:] = pick(rng, MUTED, 10)
    camera = Camera(np.array([0.0, -6.0, 1.0]), rotation(0, 0, 0), 760.0, (74.0, 128.0))
    for polygon in figures(camera, still(np.zeros((1, 2)), rng, np.pi + rng.normal(0, 0.5)), [look])[0].polygons:
        paint(out, polygon)
    return out


def still(places: Floats, rng: np.random.Generator, heading: float | Floats = 0.0, crouch: float = 0.0) -> Motion:
    """Poses of people who stand or sit still at (N, 2) places."""
    n = len(places)
    zero = np.zeros(n)
    reach = rng.uniform(0, 0.7, (n, 2))
    headings = np.broadcast_to(heading, (n,)).astype(float)
    return Motion(places, headings, rng.uniform(0, 6.0, n), zero + 0.15, zero + crouch, np.zeros((n, 2)), reach, zero)


def place_things(world: World, cameras: tuple[Camera, ...]) -> list[Thing]:
    """Furniture where people walk, not in the carrier's way, and not on top of each other."""
    rng = world.rng("furniture")
    side = world.light.side
    track = np.array([camera.centre[:2] for camera in cameras[:: max(1, len(cameras) // 20)]])
    out: list[Thing] = []

    def free(place: Floats, radius: float) -> bool:
        clear = 1.2 + radius if cameras[0].centre[2] < 3 else 0.5
        moves = len(set(map(tuple, track))) > 1
        return (
            np.linalg.norm(track - place, axis=1).min() > clear + 1.5
            and (np.abs(place[0] - track[:, 0]).min() if moves else 9.0) > clear
            and all(np.linalg.norm(thing.place - place) > thing.radius + radius + 0.6 for thing in out)
        )

    def add(make: object, tries: int = 12, radius: float = 1.0, big: bool = False, beside: bool = False) -> None:
        for _ in range(tries):
            area = Area(world, cameras[int(rng.integers(len(cameras)))])
            place = area.inside(rng)
            if big:  # not so near that it hides everything
                place = area.place(rng.uniform(0.45 * (area.near + area.far), 1.1 * area.far), rng.uniform(-1, 1))
            if beside:
                place = area.place(rng.uniform(0.75, 1.3) * area.far, rng.uniform(-1, 1))
            if free(place, radius):
                out.append(make(place, rng, side))  # type: ignore[operator]
                return

    if world.kind == "shop":
        for _ in range(world.furniture):
            add(shelf, radius=1.3)
    elif world.kind != "stage":
        for _ in range(world.furniture):
            make = MAKERS[int(rng.integers(len(MAKERS)))]
            add(make, big=make in (tree, kiosk))
        for _ in range(int(rng.integers(0, 4))):
            add(car, radius=2.2, beside=True)
    if world.kind != "stage":
        for _ in range(int(rng.integers(0, 3)) + (world.kind == "street")):
            picture = portrait(wardrobe(rng, side, 0.5), rng)
            add(lambda place, r, s, picture=picture: poster(place, r, s, picture), radius=0.8, big=True)
    return out


def sitters(world: World, things: list[Thing]) -> tuple[Motion, list[Look]]:
    """People who sit on the benches: MOT17 labels them static persons, which evaluation ignores."""
    rng = world.rng("sitters")
    places, looks = [], []
    for thing in (thing for thing in things if thing.seat):
        places.append(thing.place + np.array([rng.uniform(-0.4, 0.4), -0.12]))
        looks.append(wardrobe(rng, world.light.side, world.warm))
    heading = np.pi + rng.normal(0, 0.15, len(places))
    return still(np.array(places).reshape(-1, 2), rng, heading, crouch=0.9), looks

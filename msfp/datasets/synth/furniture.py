"""Things that stand about: they hide people, or look a little like them. Built of convex faces in the world."""

from dataclasses import dataclass

import numpy as np

from msfp.datasets.synth.camera import NEAR, Camera, Floats
from msfp.datasets.synth.people import DARK, LIGHT, MUTED, VIVID, pick
from msfp.datasets.synth.raster import Colour, Image, Polygon, capsules, face, fixed

UP = np.array([0.0, 0.0, 1.0])
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
            normal = cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 1])
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


def cross(a: Floats, b: Floats) -> Floats:
    """(N, 3) cross products; np.cross costs more in bookkeeping than in arithmetic here."""
    return a[:, (1, 2, 0)] * b[:, (2, 0, 1)] - a[:, (2, 0, 1)] * b[:, (1, 2, 0)]


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
                ends = [place + u * along + flank * across for u in (left, right)]
                corners = np.array([[*ends[0], low], [*ends[1], low], [*ends[1], high], [*ends[0], high]])
                faces.append((corners, goods))
    return Thing(place, 1.3, OCCLUDER, tuple(faces))


def poster(place: Floats, rng: np.random.Generator, side: float, picture: Image) -> Thing:
    """A billboard with a picture of a person, which a detector may take for one."""
    yaw = rng.uniform(-0.4, 0.4)
    faces = block(place, (1.2, 0.16, 2.1), yaw, pick(rng, DARK + MUTED), side)
    along, across = np.array([np.cos(yaw), np.sin(yaw)]), np.array([np.sin(yaw), -np.cos(yaw)])
    front = place + 0.085 * across
    left, right = front - 0.54 * along, front + 0.54 * along
    corners = np.array([[*left, 2.04], [*right, 2.04], [*right, 0.16], [*left, 0.16]])
    return Thing(place, 0.75, DISTRACTOR, tuple(faces), picture=(corners, picture))

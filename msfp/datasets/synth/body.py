"""From posed skeletons and looks to the filled polygons of people, farthest first.

A person is 13 capsules for limbs and neck, up to 6 balls for head and hair, and the convex hulls of rings about the
spine for trunk and skirt. All people of a frame are projected together.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from msfp.datasets.synth.camera import Camera, Floats
from msfp.datasets.synth.gait import ANKLE, CROWN, ELBOW, HAND, HEAD, HIP, KNEE, NECK, SHOULDER, TOE, Motion, joints
from msfp.datasets.synth.people import Look
from msfp.datasets.synth.raster import Colour, Polygon, around, capsules, fixed

# Capsules: joints of the ends, radius at each end over stature.
LIMBS = (
    (HIP[0], KNEE[0], 0.050, 0.034), (HIP[1], KNEE[1], 0.050, 0.034),
    (KNEE[0], ANKLE[0], 0.034, 0.023), (KNEE[1], ANKLE[1], 0.034, 0.023),
    (ANKLE[0], TOE[0], 0.024, 0.019), (ANKLE[1], TOE[1], 0.024, 0.019),
    (SHOULDER[0], ELBOW[0], 0.030, 0.024), (SHOULDER[1], ELBOW[1], 0.030, 0.024),
    (ELBOW[0], HAND[0], 0.024, 0.018), (ELBOW[1], HAND[1], 0.024, 0.018),
    (HAND[0], HAND[0], 0.022, 0.022), (HAND[1], HAND[1], 0.022, 0.022),
    (NECK, HEAD, 0.030, 0.030),
)  # fmt: skip
STARTS, ENDS = [limb[0] for limb in LIMBS], [limb[1] for limb in LIMBS]
LIMB_RADII = np.array([limb[2:] for limb in LIMBS])
HANDS = (10, 11)
# Balls of the head: for each end its share of the way from HEAD to CROWN, metres forward and up over stature; radii.
# Face, back of the head, top of the head, long hair, hood, cap.
BALLS = np.array(
    [
        (0.0, -0.006, 0.0, 0.45, 0.0, 0.0, 0.043, 0.045),
        (0.0, -0.030, 0.012, 1.0, -0.014, 0.0, 0.040, 0.044),
        (1.0, -0.004, 0.004, 1.0, 0.0, 0.008, 0.044, 0.040),
        (0.0, -0.030, -0.070, 1.0, 0.0, 0.0, 0.050, 0.042),
        (0.0, -0.030, 0.0, 1.0, 0.0, 0.014, 0.056, 0.050),
        (1.0, 0.0, 0.018, 1.0, 0.07, 0.006, 0.046, 0.016),
    ]
)
# Rings of the trunk: place along the spine from pelvis (0) to neck (1), half width and half depth over stature.
TRUNK = np.array(
    [(-0.09, 0.096, 0.068), (0.38, 0.088, 0.060), (0.72, 0.108, 0.068), (0.93, 0.104, 0.055), (1.02, 0.05, 0.04)]
)
COAT = (-0.33, 0.115, 0.085)
AROUND = np.linspace(0, 2 * np.pi, 10, endpoint=False)
CIRCLE = np.stack([np.cos(AROUND), np.sin(AROUND)], -1)
CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
# Patterns as cells (left, right, top, bottom) of the part of the trunk that is seen, each side 0 to 1.
PATTERNS = {
    "stripes": [(0.0, 1.0, v, v + 0.09) for v in (0.14, 0.34, 0.54, 0.74)],
    "bars": [(u, u + 0.1, 0.05, 1.0) for u in (0.14, 0.45, 0.76)],
    "checks": [
        (u + 0.16 * (row % 2), u + 0.16 * (row % 2) + 0.16, 0.1 + 0.16 * row, 0.26 + 0.16 * row)
        for row in range(5)
        for u in (0.02, 0.34, 0.66)
    ],
    "block": [(0.0, 1.0, 0.3, 0.62)],
    "open": [(-0.12, 0.12, 0.0, 0.95)],  # about the middle of the chest
    "logo": [(-0.2, 0.2, 0.2, 0.48)],
}


class Figure(NamedTuple):
    """A person as drawn in one frame: polygons, farthest first; depth of the body in metres."""

    polygons: tuple[Polygon, ...]
    depth: float


class Frames(NamedTuple):
    """Axes of N bodies and their sizes: forward and left (N, 3), spine (N, 3), stature and width (N,) in metres."""

    body: Floats
    forward: Floats
    left: Floats
    spine: Floats
    tall: Floats
    wide: Floats


def figures(camera: Camera, motion: Motion, looks: list[Look]) -> list[Figure]:
    """One figure a person of a frame; none of them may stand behind the camera."""
    n = len(looks)
    stature, breadth = np.array([look.stature for look in looks]), np.array([look.breadth for look in looks])
    body = joints(motion, stature, breadth)
    forward = np.stack([np.sin(motion.heading), np.cos(motion.heading), np.zeros(n)], -1)
    left = np.stack([-forward[:, 1], forward[:, 0], np.zeros(n)], -1)
    frames = Frames(body, forward, left, body[:, NECK] - body[:, 0], stature, stature * breadth)
    rods, rod_depth = rod_outlines(camera, frames, looks)
    trunks = np.stack([np.vstack([TRUNK, COAT if look.coat else TRUNK[0]]) for look in looks])
    clouds = [rings(frames, trunks), skirt_points(frames), bag_points(frames, looks)]
    pixels, depth = camera.project(np.concatenate(clouds, axis=1))
    cloud, middle = fixed(pixels), depth[:, :50].mean(axis=1)
    bag_depth = depth[:, 80:].mean(axis=1)
    to_camera = camera.centre - body[:, NECK]
    facing = (forward * to_camera).sum(1) / np.linalg.norm(to_camera, axis=1)
    panels = chest(camera, frames)
    out = []
    for k, look in enumerate(looks):
        small = camera.focal * look.stature < 50 * middle[k]
        parts = rod_parts(look, rods[k], rod_depth[k].tolist(), small)
        m = float(middle[k])
        parts.append((m, Polygon(around(cloud[k, :60]), look.upper)))
        if look.pattern != "plain" and (look.pattern not in ("logo", "open") or facing[k] > 0.15):
            turn = 0.5 + 0.4 * float(forward[k] @ camera.rotation[0])
            parts += [(m - 1e-3, Polygon(cell, look.accent)) for cell in markings(panels[k], look, turn)]
        if look.bottom in ("skirt", "dress"):
            colour = look.upper if look.bottom == "dress" else look.lower
            depth_of = min(m, float(rod_depth[k, :2].min())) + 1e-3
            parts.append((depth_of, Polygon(around(cloud[k, 60:80]), colour)))
        if look.bag != "none":
            parts.append((float(bag_depth[k]), Polygon(around(cloud[k, 80:]), look.bag_colour)))
        parts.sort(key=lambda part: -part[0])
        out.append(Figure(tuple([polygon for _, polygon in parts]), m))
    return out


def rod_outlines(camera: Camera, frames: Frames, looks: list[Look]) -> tuple[NDArray[np.int32], Floats]:
    """Limbs, balls of the head and the strap of a bag: (N, 20, 12, 2) fixed-point outlines, (N, 20) depths."""
    body, tall = frames.body, frames.tall[:, None, None]
    to_crown = (body[:, CROWN] - body[:, HEAD])[:, None]
    ends = []
    for share, ahead, up in (BALLS[:, :3].T, BALLS[:, 3:6].T):
        place = body[:, HEAD][:, None] + share[None, :, None] * to_crown
        place = place + tall * ahead[None, :, None] * frames.forward[:, None]
        place[..., 2] += up * tall[..., 0]
        ends.append(place)
    strap = bag_centres(frames, ["shoulder"] * len(looks))[:, None]
    a = np.concatenate([body[:, STARTS], ends[0], body[:, SHOULDER[1]][:, None]], axis=1)
    b = np.concatenate([body[:, ENDS], ends[1], strap], axis=1)
    pixels, depth = camera.project(np.stack([a, b]))
    breadth = 0.4 + 0.6 * (frames.wide / frames.tall)[:, None, None]
    radii = np.concatenate(
        [LIMB_RADII * breadth, np.broadcast_to(BALLS[:, 6:], (len(looks), 6, 2)), np.full((len(looks), 1, 2), 0.009)],
        axis=1,
    )
    scale = camera.focal * frames.tall[:, None] / depth
    outlines = capsules(pixels[0], pixels[1], radii[..., 0] * scale[0], radii[..., 1] * scale[1])
    middle = (depth[0] + depth[1]) / 2
    middle[:, :6] += 0.06  # the trunk covers the tops of the legs, a coat all of the thighs
    middle[:, :2] += np.array([[0.3 if look.coat else 0.06] for look in looks])
    middle[:, 13:19] = depth[0][:, 13:19] - 0.02
    return fixed(outlines), middle


def rod_parts(look: Look, outlines: NDArray[np.int32], depths: list[float], small: bool) -> list[tuple[float, Polygon]]:
    """Depth and polygon of each limb and ball that this person has; hands only where they can be seen."""
    bare = look.bottom != "trousers"
    thigh = look.lower if look.bottom in ("trousers", "shorts") else look.skin
    shin = look.skin if bare else look.lower
    upper, fore = look.upper, look.upper if look.sleeves else look.skin
    skin, hair = look.skin, look.hair
    colours: list[Colour | None] = [
        thigh, thigh, shin, shin, look.shoes, look.shoes, upper, upper, fore, fore, skin, skin, skin,
        skin, hair, hair, hair if look.long_hair else None, upper if look.hood else None,
        look.accent if look.cap else None, look.bag_colour if look.bag == "shoulder" else None,
    ]  # fmt: skip
    if small:
        colours[HANDS[0]] = colours[HANDS[1]] = None
    return [(depths[k], Polygon(outlines[k], colour)) for k, colour in enumerate(colours) if colour is not None]


def rings(frames: Frames, shapes: Floats) -> Floats:
    """(N, R * 10, 3) points of ellipses about the spine; shapes (N, R, 3): place, half width, half depth."""
    centre = frames.body[:, 0][:, None] + shapes[..., :1] * frames.spine[:, None]
    wide = frames.wide[:, None, None, None]
    sideways = shapes[..., 1, None, None] * wide * CIRCLE[:, :1] * frames.left[:, None, None]
    ahead = shapes[..., 2, None, None] * wide * CIRCLE[:, 1:] * frames.forward[:, None, None]
    return (centre[:, :, None] + sideways + ahead).reshape(len(shapes), -1, 3)


def skirt_points(frames: Frames) -> Floats:
    """(N, 20, 3) a ring at the waist and one above the knees."""
    n = len(frames.tall)
    waist = rings(frames, np.broadcast_to((0.1, 0.09, 0.065), (n, 1, 3)))
    hem = frames.body[:, KNEE].mean(axis=1) + np.outer(frames.tall, (0, 0, 0.04))
    at_pelvis = rings(frames, np.broadcast_to((0.0, 0.115, 0.1), (n, 1, 3)))
    return np.concatenate([waist, at_pelvis + (hem - frames.body[:, 0])[:, None]], axis=1)


def bag_centres(frames: Frames, bags: list[str]) -> Floats:
    """(N, 3) middle of the bag on the back, at the hip or in the hand."""
    body, tall, wide = frames.body, frames.tall[:, None], frames.wide[:, None]
    up = np.array([0.0, 0.0, 1.0])
    centres = {
        "backpack": 0.36 * body[:, 0] + 0.64 * body[:, NECK] - 0.105 * wide * frames.forward,
        "shoulder": body[:, HIP[0]] + 0.075 * wide * frames.left + 0.03 * tall * up,
        "hand": body[:, HAND[1]] - 0.09 * tall * up,
        "none": body[:, 0],
    }
    return np.stack([centres[bag][k] for k, bag in enumerate(bags)])


def bag_points(frames: Frames, looks: list[Look]) -> Floats:
    """(N, 8, 3) corners of the bag."""
    sizes = {"backpack": (0.085, 0.045, 0.12), "shoulder": (0.03, 0.085, 0.06), "hand": (0.035, 0.09, 0.075)}
    half = np.array([sizes.get(look.bag, (0.01, 0.01, 0.01)) for look in looks])[:, None] * frames.tall[:, None, None]
    step = CORNERS * half
    out = step[..., :1] * frames.left[:, None] + step[..., 1:2] * frames.forward[:, None]
    out[..., 2] += step[..., 2]
    return out + bag_centres(frames, [look.bag for look in looks])[:, None]


def chest(camera: Camera, frames: Frames) -> Floats:
    """(N, 2, 2, 2) corners of the trunk as it is seen: left or right edge, top or bottom, image x and y."""
    right = camera.rotation[0]
    across, along = frames.left @ right, frames.forward @ right
    half = np.stack([np.hypot(w * across, d * along) for w, d in ((0.098, 0.058), (0.088, 0.06))], -1)
    ends = frames.body[:, :1] + np.array([0.93, 0.0])[:, None] * frames.spine[:, None]
    pixels, depth = camera.project(ends)
    reach = np.zeros_like(pixels)
    reach[..., 0] = half * 0.93 * frames.wide[:, None] * camera.focal / depth
    return np.stack([pixels - reach, pixels + reach], axis=1)


def markings(panel: Floats, look: Look, turn: float) -> NDArray[np.int32]:
    """(K, 4, 2) fixed-point cells of the pattern on a trunk, whose (2, 2, 2) panel `chest` gives.

    `turn` is where the middle of the chest is between the trunk's edges, for what is only in front.
    """
    cells = np.array(PATTERNS[look.pattern])
    if look.pattern in ("open", "logo"):
        cells[:, :2] += turn
    u, v = cells[:, (0, 1, 1, 0), None], cells[:, (2, 2, 3, 3), None]
    left = panel[0, 0] * (1 - v) + panel[0, 1] * v
    right = panel[1, 0] * (1 - v) + panel[1, 1] * v
    return fixed(left * (1 - u) + right * u)

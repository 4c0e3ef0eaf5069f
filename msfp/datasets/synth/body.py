"""From a posed skeleton and a look to the filled polygons of a person, farthest first."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msfp.datasets.synth.camera import Camera, Floats
from msfp.datasets.synth.gait import ANKLE, CROWN, ELBOW, HAND, HEAD, HIP, KNEE, NECK, SHOULDER, TOE, Motion, joints
from msfp.datasets.synth.people import Look
from msfp.datasets.synth.raster import Colour, Polygon, capsules, fixed, hull

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
# Rings of the trunk: place along the spine from pelvis (0) to neck (1), half width and half depth over stature.
TRUNK = ((-0.09, 0.096, 0.068), (0.38, 0.088, 0.060), (0.72, 0.108, 0.068), (0.93, 0.104, 0.055), (1.02, 0.05, 0.04))
AROUND = np.linspace(0, 2 * np.pi, 10, endpoint=False)


@dataclass(frozen=True)
class Figure:
    """A person as drawn in one frame.

    Attributes:
        polygons: farthest first.
        depth: of the body, metres from the image plane.
        height: of the upright body, pixels; what a part is worth drawing depends on it.
    """

    polygons: tuple[Polygon, ...]
    depth: float
    height: float


def figures(camera: Camera, motion: Motion, looks: list[Look]) -> list[Figure]:
    """Draw the people of one frame (none of them may stand behind the camera).

    Args:
        camera: that sees them.
        motion: their poses.
        looks: their appearance, in the same order.

    Returns:
        One figure a person, in the same order.
    """
    stature = np.array([look.stature for look in looks])
    breadth = np.array([look.breadth for look in looks])
    body = joints(motion, stature, breadth)
    a, b = body[:, [limb[0] for limb in LIMBS]], body[:, [limb[1] for limb in LIMBS]]
    radii = np.array([limb[2:] for limb in LIMBS])
    pixels_a, depth_a = camera.project(a)
    pixels_b, depth_b = camera.project(b)
    scale = camera.focal * stature[:, None] * (0.4 + 0.6 * breadth[:, None])
    limbs = fixed(capsules(pixels_a, pixels_b, radii[:, 0] * scale / depth_a, radii[:, 1] * scale / depth_b))
    depths = (depth_a + depth_b) / 2
    return [
        figure(camera, body[i], float(motion.heading[i]), looks[i], limbs[i], depths[i]) for i in range(len(looks))
    ]


def limb_colours(look: Look) -> list[Colour]:
    """Colours in the order of `LIMBS`; the far side of a pair is not known here, so both are alike."""
    bare = look.bottom != "trousers"
    thigh = look.lower if look.bottom in ("trousers", "shorts") else look.skin
    shin = look.skin if bare else look.lower
    upper = look.upper
    fore = look.upper if look.sleeves else look.skin
    return [thigh, thigh, shin, shin, look.shoes, look.shoes, upper, upper, fore, fore, look.skin, look.skin, look.skin]


def ring(centre: Floats, left: Floats, forward: Floats, half_width: float, half_depth: float) -> Floats:
    """(10, 3) points of a horizontal ellipse about a body's axis."""
    return centre + half_width * np.cos(AROUND)[:, None] * left + half_depth * np.sin(AROUND)[:, None] * forward


def figure(
    camera: Camera, body: Floats, heading: float, look: Look, limbs: NDArray[np.int32], depths: Floats
) -> Figure:
    """One person's polygons; see `figures`."""
    forward = np.array([np.sin(heading), np.cos(heading), 0.0])
    left = np.array([-forward[1], forward[0], 0.0])
    tall, wide = look.stature, look.stature * look.breadth
    spine = body[NECK] - body[0]
    trunk = np.concatenate(
        [ring(body[0] + t * spine, left, forward, w * wide, d * wide) for t, w, d in TRUNK]
        + ([ring(body[0] - 0.33 * spine, left, forward, 0.115 * wide, 0.085 * wide)] if look.coat else [])
    )
    colours = limb_colours(look)
    pixels, depth = camera.project(trunk)
    middle = float(depth[:40].mean())
    parts = [(float(depths[k]), Polygon(limbs[k], colours[k])) for k in range(len(LIMBS))]
    parts[:6] = [(d + 0.06, p) for d, p in parts[:6]]  # the trunk covers the tops of the legs
    parts.append((middle, Polygon(hull(pixels), look.upper)))
    facing = float(forward @ (camera.centre - body[NECK])) / max(1e-6, float(np.linalg.norm(camera.centre - body[NECK])))
    parts += [(middle - 1e-3, p) for p in markings(camera, body, forward, left, look, facing)]
    if look.bottom in ("skirt", "dress"):
        hem = (body[KNEE[0]] + body[KNEE[1]]) / 2 + [0, 0, 0.04 * tall]
        skirt = np.concatenate(
            [
                ring(body[0] + 0.1 * spine, left, forward, 0.09 * wide, 0.065 * wide),
                ring(hem, left, forward, 0.115 * wide, 0.1 * wide),
            ]
        )
        colour = look.upper if look.bottom == "dress" else look.lower
        parts.append((min(middle, parts[0][0], parts[1][0]) + 1e-3, Polygon(hull(camera.project(skirt)[0]), colour)))
    parts += luggage(camera, body, forward, left, look)
    parts += head(camera, body, forward, look)
    parts.sort(key=lambda part: -part[0])
    height = camera.focal * tall / middle
    return Figure(tuple(p for _, p in parts), middle, height)


def head(camera: Camera, body: Floats, forward: Floats, look: Look) -> list[tuple[float, Polygon]]:
    """Face and hair as balls: which of them covers the other follows from where the head looks."""
    tall = look.stature
    base, crown = body[HEAD], body[CROWN]
    balls = [
        (base - 0.006 * tall * forward, 0.55 * base + 0.45 * crown, 0.043, 0.045, look.skin),
        (base - 0.030 * tall * forward + [0, 0, 0.012 * tall], crown - 0.014 * tall * forward, 0.040, 0.044, look.hair),
        (crown + [0, 0, 0.004 * tall] - 0.004 * tall * forward, crown + [0, 0, 0.008 * tall], 0.044, 0.040, look.hair),
    ]
    if look.long_hair:
        balls.append((base - 0.03 * tall * forward - [0, 0, 0.07 * tall], crown, 0.05, 0.042, look.hair))
    if look.hood:
        balls.append((base - 0.03 * tall * forward, crown + [0, 0, 0.014 * tall], 0.056, 0.05, look.upper))
    if look.cap:
        top = crown + [0, 0, 0.018 * tall]
        balls.append((top, top, 0.046, 0.046, look.accent))
        balls.append((top + 0.03 * tall * forward, top + 0.07 * tall * forward - [0, 0, 0.012 * tall], 0.02, 0.014, look.accent))
    a, b = np.stack([ball[0] for ball in balls]), np.stack([ball[1] for ball in balls])
    (pixels_a, depth_a), (pixels_b, depth_b) = camera.project(a), camera.project(b)
    radius_a = np.array([ball[2] for ball in balls]) * camera.focal * tall / depth_a
    radius_b = np.array([ball[3] for ball in balls]) * camera.focal * tall / depth_b
    outlines = fixed(capsules(pixels_a, pixels_b, radius_a, radius_b))
    return [(float(depth_a[k]) - 0.02, Polygon(outlines[k], balls[k][4])) for k in range(len(balls))]


def luggage(
    camera: Camera, body: Floats, forward: Floats, left: Floats, look: Look
) -> list[tuple[float, Polygon]]:
    """The bag, a box on the back, at the hip or in the hand."""
    tall, wide = look.stature, look.stature * look.breadth
    if look.bag == "backpack":
        centre, half = (0.36 * body[0] + 0.64 * body[NECK]) - 0.105 * wide * forward, (0.085 * wide, 0.045 * tall, 0.12 * tall)
    elif look.bag == "shoulder":
        centre, half = body[HIP[0]] + 0.075 * wide * left + [0, 0, 0.03 * tall], (0.03 * tall, 0.085 * tall, 0.06 * tall)
    elif look.bag == "hand":
        centre, half = body[HAND[1]] - [0, 0, 0.09 * tall], (0.035 * tall, 0.09 * tall, 0.075 * tall)
    else:
        return []
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
    corners = centre + (signs[:, :1] * half[0]) * left + (signs[:, 1:2] * half[1]) * forward
    corners[:, 2] += signs[:, 2] * half[2]
    pixels, depth = camera.project(corners)
    out = [(float(depth.mean()), Polygon(hull(pixels), look.bag_colour))]
    if look.bag == "shoulder":
        strap = np.stack([body[SHOULDER[1]], centre])
        ends, _ = camera.project(strap)
        width = np.array(0.009 * tall * camera.focal / float(depth.mean()))
        out.append((out[0][0] + 1e-3, Polygon(fixed(capsules(ends[0], ends[1], width, width)), look.bag_colour)))
    return out


def markings(
    camera: Camera, body: Floats, forward: Floats, left: Floats, look: Look, facing: float
) -> list[Polygon]:
    """The pattern of the upper garment, laid on the part of the trunk that the camera sees.

    Args:
        camera: that sees it.
        body: (18, 3) joints.
        forward, left: (3,) of the chest.
        look: the identity.
        facing: 1 looks at the camera, -1 away.

    Returns:
        Polygons in `accent`, none for plain cloth.
    """
    if look.pattern == "plain" or (look.pattern in ("logo", "open") and facing < 0.15):
        return []
    right = camera.rotation[0]
    wide = look.stature * look.breadth
    half = np.array([np.hypot(w * (left @ right), d * (forward @ right)) for w, d in ((0.098, 0.058), (0.088, 0.06))])
    spine = body[NECK] - body[0]
    ends, depth = camera.project(np.stack([body[0] + 0.93 * spine, body[0] + 0.0 * spine]))
    across = (half * 0.93 * wide * camera.focal / depth)[:, None] * np.array([1.0, 0.0])
    corners = (ends - across, ends + across)  # left edge (top, bottom), right edge (top, bottom)

    def cell(u0: float, u1: float, v0: float, v1: float) -> Polygon:
        u, v = np.array([u0, u1, u1, u0])[:, None], np.array([v0, v0, v1, v1])[:, None]
        edge_left = corners[0][0] * (1 - v) + corners[0][1] * v
        edge_right = corners[1][0] * (1 - v) + corners[1][1] * v
        return Polygon(fixed(edge_left * (1 - u) + edge_right * u), look.accent)

    if look.pattern == "stripes":
        return [cell(0.0, 1.0, v, v + 0.09) for v in (0.14, 0.34, 0.54, 0.74)]
    if look.pattern == "bars":
        return [cell(u, u + 0.1, 0.05, 1.0) for u in (0.14, 0.45, 0.76)]
    if look.pattern == "checks":
        return [
            cell(u + 0.16 * (row % 2), u + 0.16 * (row % 2) + 0.16, 0.1 + 0.16 * row, 0.26 + 0.16 * row)
            for row in range(5)
            for u in (0.02, 0.34, 0.66)
        ]
    if look.pattern == "block":
        return [cell(0.0, 1.0, 0.3, 0.62)]
    turn = float(left @ right)  # how far the middle of the chest is turned out of the silhouette's middle
    shift = 0.5 + 0.4 * float(forward @ right) * (1 if abs(turn) > 0 else 0)
    if look.pattern == "open":
        return [cell(shift - 0.12, shift + 0.12, 0.0, 0.95)]
    return [cell(shift - 0.2, shift + 0.2, 0.2, 0.48)]

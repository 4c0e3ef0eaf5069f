"""People: what they look like, how they hold themselves, and the polygons that show them."""

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from msfp.worlds.raster import Colour, Polygon, around, capsules, fixed
from msfp.worlds.world import Camera, Floats

Pattern = Literal["plain", "stripes", "bars", "checks", "logo", "block", "open"]
Bottom = Literal["trousers", "shorts", "skirt", "dress"]
Bag = Literal["none", "backpack", "shoulder", "hand"]

DARK = ((24, 24, 28), (34, 34, 38), (46, 46, 50), (28, 32, 48), (38, 44, 66), (52, 48, 46), (20, 22, 30))
MUTED = ((92, 94, 98), (120, 120, 122), (150, 148, 144), (72, 82, 104), (96, 88, 76), (78, 84, 70), (132, 116, 96))
LIGHT = ((226, 226, 224), (206, 204, 198), (190, 198, 210), (214, 200, 176), (238, 236, 232))
VIVID = (
    (152, 44, 46), (52, 80, 140), (50, 104, 76), (196, 162, 72), (184, 100, 62), (104, 64, 112),
    (206, 142, 156), (86, 144, 172), (116, 38, 56), (134, 154, 88), (200, 94, 100), (50, 128, 128),
)  # fmt: skip
JEANS = ((58, 72, 104), (78, 96, 132), (44, 54, 80), (112, 130, 158), (38, 42, 58))
SKIN = ((232, 196, 170), (222, 180, 150), (204, 158, 126), (172, 124, 92), (128, 86, 62), (88, 58, 44))
HAIR = ((28, 22, 20), (44, 32, 26), (72, 50, 34), (104, 74, 46), (166, 134, 84), (140, 138, 136), (110, 48, 30))
SHOES = ((22, 22, 24), (36, 32, 30), (60, 46, 36), (214, 214, 214), (90, 90, 96), (150, 40, 40))
TILE = (48, 24)  # rows, columns of the shading tile


@dataclass(frozen=True)
class Look:
    """Appearance of one identity. Colours are red, green, blue; lengths are metres or relative to a common build."""

    stature: float  # metres
    breadth: float  # 1 for a common build
    skin: Colour
    hair: Colour
    upper: Colour
    lower: Colour
    shoes: Colour
    accent: Colour
    bag_colour: Colour
    pattern: Pattern  # of the upper garment, in `accent`
    sleeves: bool  # long sleeves
    bottom: Bottom  # garment of the legs
    coat: bool  # the upper garment reaches the thighs
    long_hair: bool
    hood: bool
    cap: bool
    bag: Bag  # what is carried
    tile: NDArray[np.uint8]  # (48, 24, 3) uint8 shading of the body's box, 128 leaves a colour as it is


def pick(rng: np.random.Generator, colours: tuple[Colour, ...], spread: float = 6.0) -> Colour:
    """One of the colours, varied a little as cloth is."""
    base = np.array(colours[rng.integers(len(colours))]) + rng.normal(0, spread, 3) + rng.normal(0, spread)
    red, green, blue = (int(v) for v in np.clip(base, 6, 250))
    return red, green, blue


def shading(rng: np.random.Generator, side: float) -> NDArray[np.uint8]:
    """(48, 24, 3) tile: brighter towards the light's side (-1 left to 1 right), darker below, with folds."""
    rows, columns = TILE
    folds = cv2.resize(rng.normal(0, 1, (12, 5)), (columns, rows), interpolation=cv2.INTER_CUBIC)
    fine = cv2.resize(rng.normal(0, 1, (24, 12)), (columns, rows), interpolation=cv2.INTER_LINEAR)
    across = np.linspace(-1, 1, columns)[None, :]
    down = np.linspace(0, 1, rows)[:, None]
    tile = 124 + 26 * side * across - 14 * down + 9 * folds + 5 * fine
    return np.repeat(np.clip(tile, 60, 200).astype(np.uint8)[..., None], 3, axis=2)


def wardrobe(rng: np.random.Generator, side: float, warm: float) -> Look:
    """A passer-by in mostly dark and muted clothes; light from `side`, -1 left to 1 right, `warm` chance of summer."""
    kind = rng.choice(4, p=(0.42, 0.22, 0.14, 0.22))
    upper = pick(rng, (DARK, MUTED, LIGHT, VIVID)[kind])
    kind = rng.choice(5, p=(0.42, 0.34, 0.12, 0.07, 0.05))
    lower = pick(rng, (DARK, JEANS, MUTED, LIGHT, VIVID)[kind])
    summer = rng.random() < warm
    bare = rng.random() < (0.45 if summer else 0.14)
    bottom = get_args(Bottom)[1 + int(rng.integers(3)) if bare else 0]
    pattern = get_args(Pattern)[rng.choice(7, p=(0.44, 0.08, 0.05, 0.09, 0.12, 0.1, 0.12))]
    long_hair = rng.random() < 0.42
    return Look(
        stature=float(np.clip(rng.normal(1.71, 0.09), 1.45, 1.95)) if rng.random() > 0.04 else rng.uniform(1.1, 1.4),
        breadth=float(np.clip(rng.normal(1.0, 0.1), 0.8, 1.35)),
        skin=pick(rng, SKIN, 4),
        hair=pick(rng, HAIR, 4),
        upper=upper,
        lower=lower,
        shoes=pick(rng, SHOES, 4),
        accent=pick(rng, (*LIGHT, *VIVID, *DARK[:3])),
        bag_colour=pick(rng, (*DARK, *MUTED, *VIVID[:6])),
        pattern=pattern,
        sleeves=not summer or rng.random() < 0.3,
        bottom=bottom,
        coat=not summer and rng.random() < 0.3,
        long_hair=long_hair,
        hood=not summer and rng.random() < 0.08,
        cap=not long_hair and rng.random() < 0.12,
        bag=get_args(Bag)[rng.choice(4, p=(0.5, 0.22, 0.18, 0.1))],
        tile=shading(rng, side),
    )


def troupe(rng: np.random.Generator, count: int, side: float) -> list[Look]:
    """Dancers in one costume: stature, hair and the cut of the cloth are all that tells them apart."""
    costume = wardrobe(rng, side, warm=0.5)
    costume = replace(costume, hood=False, cap=False, bag="none", coat=False, pattern="plain", breadth=0.92)

    def dancer() -> Look:
        other = wardrobe(rng, side, warm=0.5)
        return replace(
            costume,
            stature=float(np.clip(rng.normal(1.68, 0.05), 1.55, 1.8)),
            skin=pick(rng, (other.skin,), 2),
            hair=pick(rng, HAIR[:3], 4),
            upper=pick(rng, (costume.upper,), 2),
            lower=pick(rng, (costume.lower,), 2),
            long_hair=bool(rng.random() < 0.5),
            tile=other.tile,
        )

    return [dancer() for _ in range(count)]


def crowd(rng: np.random.Generator, count: int, side: float, warm: float, alike: float) -> list[Look]:
    """Looks of a street's people; a share `alike` repeats another's main colours with other details."""
    out: list[Look] = []
    for _ in range(count):
        look = wardrobe(rng, side, warm)
        if out and rng.random() < alike:
            twin = out[int(rng.integers(len(out)))]
            look = replace(look, upper=pick(rng, (twin.upper,), 4), lower=pick(rng, (twin.lower,), 4))
            if rng.random() < 0.5:
                look = replace(look, pattern=twin.pattern, accent=twin.accent, bottom=twin.bottom, coat=twin.coat)
        out.append(look)
    return out


PELVIS, NECK, HEAD, CROWN = 0, 1, 2, 3  # joints, in the order of the arrays below
SHOULDER, ELBOW, HAND = (4, 5), (6, 7), (8, 9)  # left, right
HIP, KNEE, ANKLE, TOE = (10, 11), (12, 13), (14, 15), (16, 17)
JOINTS = 18
UP = np.array([0.0, 0.0, 1.0])
STRIDE = 0.82  # metres walked in a gait cycle (two steps), over stature
THIGH, SHIN, FOOT = 0.245, 0.235, 0.04  # over stature
SPINE, UPPER_ARM, FOREARM = 0.31, 0.17, 0.19


@dataclass(frozen=True)
class Motion:
    """Where people are in one frame and what their bodies do; one row a person."""

    position: Floats  # (N, 2) on the ground, metres
    heading: Floats  # (N,) direction of the chest, radians from +y to the right (towards +x)
    phase: Floats  # (N,) of the gait cycle, radians
    pace: Floats  # (N,) 0 stands, 1 walks at about 1.4 m/s
    crouch: Floats  # (N,) 0 upright, 1 sits on the heels' height of a chair
    lift: Floats  # (N, 2) left and right arm: 0 hangs, 1 reaches up, by the side
    reach: Floats  # (N, 2) left and right arm: radians forward of hanging (holding a phone, playing)
    hop: Floats  # (N,) height of the feet over the ground, metres

    def pick(self, rows: int | slice | NDArray[np.int64]) -> "Motion":
        """Some of the rows of every array."""
        return Motion(*(column[rows] for column in vars(self).values()))


def joints(motion: Motion, stature: Floats, breadth: Floats) -> Floats:
    """(N, 18, 3) world places of the joints, metres; stature (N,) in metres, breadth (N,) 1 if common.

    The leg that reaches lower stands on the ground, whatever the angles are, so the body bobs and crouches by itself.
    """
    forward, left = axes(motion)
    out = np.zeros((len(stature), JOINTS, 3))
    lean = 0.05 * motion.pace + 0.35 * motion.crouch
    spine = np.sin(lean)[:, None] * forward + np.cos(lean)[:, None] * UP
    tall = stature[:, None]
    out[:, NECK] = SPINE * tall * spine
    out[:, HEAD] = out[:, NECK] + tall * (0.085 * UP + 0.015 * forward)
    out[:, CROWN] = out[:, NECK] + tall * (0.125 * UP + 0.008 * forward)
    amplitude = 0.42 * motion.pace
    for side, sign in enumerate((1.0, -1.0)):
        phase = motion.phase + np.pi * side
        thigh = amplitude * np.sin(phase) + 1.3 * motion.crouch
        knee = 0.06 + 1.7 * amplitude * np.maximum(0.0, np.cos(phase)) + 1.6 * motion.crouch
        out[:, HIP[side]] = sign * 0.052 * tall * breadth[:, None] * left
        out[:, KNEE[side]] = out[:, HIP[side]] + THIGH * tall * swing(thigh, forward)
        out[:, ANKLE[side]] = out[:, KNEE[side]] + SHIN * tall * swing(thigh - knee, forward)
        pitch = 0.5 * np.minimum(0.0, thigh - knee)[:, None] * (1 - motion.crouch[:, None])
        out[:, TOE[side]] = out[:, ANKLE[side]] + tall * (0.085 * forward + 0.085 * pitch * UP - 0.018 * UP)
        raised = 2.7 * motion.lift[:, side] + 0.12
        arm = -0.8 * amplitude * np.sin(phase) + motion.reach[:, side]
        bend = 0.25 + 0.5 * motion.pace * 0.5 + 0.9 * motion.reach[:, side]
        out[:, SHOULDER[side]] = 0.955 * out[:, NECK] + sign * 0.108 * tall * breadth[:, None] * left
        outward = np.sin(raised)[:, None] * sign * left
        upper = outward + np.cos(raised)[:, None] * swing(arm, forward)
        fore = outward + np.cos(raised)[:, None] * swing(arm + bend, forward)
        out[:, ELBOW[side]] = out[:, SHOULDER[side]] + UPPER_ARM * tall * upper
        out[:, HAND[side]] = out[:, ELBOW[side]] + FOREARM * tall * fore
    ground = out[:, ANKLE, 2].min(axis=1) - FOOT * stature
    out[..., 2] += (motion.hop - ground)[:, None]
    out[..., :2] += motion.position[:, None, :]
    return out


def axes(motion: Motion) -> tuple[Floats, Floats]:
    """(N, 3) directions of the chest, and to the left of it."""
    forward = np.stack([np.sin(motion.heading), np.cos(motion.heading), np.zeros(len(motion.heading))], -1)
    return forward, np.stack([-forward[:, 1], forward[:, 0], forward[:, 2]], -1)


def swing(angle: Floats, forward: Floats) -> Floats:
    """(N, 3) unit vectors that hang down at angle 0 and point along `forward` (N, 3) at a right angle."""
    out = np.sin(angle)[:, None] * forward
    out[:, 2] = -np.cos(angle)
    return out


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
    """A person as drawn in one frame."""

    polygons: list[Polygon]  # farthest first
    depth: float  # of the body, metres


class Frames(NamedTuple):
    """N bodies: joints, axes, and sizes in metres."""

    body: Floats  # (N, JOINTS, 3)
    forward: Floats  # (N, 3), as the next two
    left: Floats
    spine: Floats
    tall: Floats  # (N,), as the next
    wide: Floats


def figures(camera: Camera, motion: Motion, looks: list[Look]) -> list[Figure]:
    """One figure a person of a frame; none of them may stand behind the camera."""
    stature, breadth = np.array([look.stature for look in looks]), np.array([look.breadth for look in looks])
    body = joints(motion, stature, breadth)
    frames = Frames(body, *axes(motion), body[:, NECK] - body[:, 0], stature, stature * breadth)
    forward = frames.forward
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
        out.append(Figure([polygon for _, polygon in parts], m))
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
    centres = {
        "backpack": 0.36 * body[:, 0] + 0.64 * body[:, NECK] - 0.105 * wide * frames.forward,
        "shoulder": body[:, HIP[0]] + 0.075 * wide * frames.left + 0.03 * tall * UP,
        "hand": body[:, HAND[1]] - 0.09 * tall * UP,
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
    """(K, 4, 2) fixed-point cells of the pattern on a trunk's panel; `turn`: where between its edges the chest is."""
    cells = np.array(PATTERNS[look.pattern])
    if look.pattern in ("open", "logo"):
        cells[:, :2] += turn
    u, v = cells[:, (0, 1, 1, 0), None], cells[:, (2, 2, 3, 3), None]
    left = panel[0, 0] * (1 - v) + panel[0, 1] * v
    right = panel[1, 0] * (1 - v) + panel[1, 1] * v
    return fixed(left * (1 - u) + right * u)

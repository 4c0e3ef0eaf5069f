"""A `World` says everything about a scene that can be said in numbers; its camera; the embedded worlds."""

import zlib
from dataclasses import dataclass
from functools import partial
from math import tau
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from msfp.errors import InputError

NEAR = 0.25  # metres; nothing nearer than this is drawn
Mode = Literal["static", "pan", "shake", "handheld"]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Camera:
    """A camera at one instant."""

    centre: Floats  # (3,) place in the world, metres
    rotation: Floats  # (3, 3) rows are the image's right, the image's down and the view direction, in world coordinates
    focal: float  # focal length, pixels
    principal: tuple[float, float]  # (x, y) principal point, pixels

    def view(self, points: Floats) -> Floats:
        """(..., 3) world points -> (..., 3) camera coordinates: right, down, depth, metres."""
        return (points - self.centre) @ self.rotation.T

    def project(self, points: Floats) -> tuple[Floats, Floats]:
        """(..., 3) world points -> (..., 2) pixels and (...) depth in metres; depth is held to at least `NEAR`."""
        seen = self.view(points)
        depth = np.maximum(seen[..., 2], NEAR)
        return seen[..., :2] * (self.focal / depth[..., None]) + self.principal, depth

    def homography(self, origin: Floats, u: Floats, v: Floats) -> Floats:
        """(3, 3) from plane coordinates (s, t, 1), the point origin + s u + t v, to homogeneous pixels."""
        intrinsic = np.array([[self.focal, 0, self.principal[0]], [0, self.focal, self.principal[1]], [0, 0, 1]])
        return intrinsic @ self.rotation @ np.stack([u, v, origin - self.centre], axis=1)


@dataclass(frozen=True)
class CameraPath:
    """What a world's camera is and does."""

    mode: Mode  # static, panning, shaking on its mount, or carried through the scene
    height: float  # above the ground, metres
    pitch: float  # downward tilt, degrees
    focal: float  # focal length over image width
    speed: float = 0.0  # of the carrier along the view (handheld), metres a second; negative walks backwards
    drift: float = 0.0  # of the carrier to the right (handheld), metres a second
    swing: float = 0.0  # amplitude of panning or of the carrier's sway, degrees
    period: float = 6.0  # of panning, seconds
    shake: float = 0.0  # amplitude of the high-frequency shake, degrees
    roll: float = 0.0  # constant tilt of the horizon, degrees


def rotation(yaw: float, pitch: float, roll: float) -> Floats:
    """(3, 3) rows right, down, forward of a camera that looks along +y turned by yaw to the right; radians."""
    forward = np.array([np.sin(yaw) * np.cos(pitch), np.cos(yaw) * np.cos(pitch), -np.sin(pitch)])
    right = np.array([np.cos(yaw), -np.sin(yaw), 0.0])
    down = np.cross(forward, right)
    c, s = np.cos(roll), np.sin(roll)
    return np.stack([c * right + s * down, c * down - s * right, forward])


def cameras(
    path: CameraPath, length: int, fps: float, size: tuple[int, int], rng: np.random.Generator
) -> tuple[Camera, ...]:
    """The camera in every frame; a static one is the same object throughout, so that drawings of it can be kept."""
    phase = rng.uniform(0, tau, 12)
    tilt, roll = np.radians(path.pitch), np.radians(path.roll)

    def at(centre: Floats, yaw: float, pitch: float, turn: float) -> Camera:
        return Camera(centre, rotation(yaw, pitch, turn), path.focal * size[0], (size[0] / 2, size[1] / 2))

    if path.mode == "static":
        return (at(np.array([0.0, 0.0, path.height]), 0.0, tilt, roll),) * length
    t = np.arange(length) / fps
    swing, shake = np.radians(path.swing), np.radians(path.shake)
    yaw = swing * np.sin(tau * t / path.period + phase[0])
    pitch, turn = np.full(length, tilt), np.full(length, roll)
    for k, hertz in enumerate((1.7, 3.1, 6.3)):  # incommensurate, so that the shake does not repeat
        amplitude = shake / (k + 1)
        yaw += amplitude * np.sin(tau * hertz * t + phase[1 + k])
        pitch += amplitude * np.sin(tau * hertz * 1.13 * t + phase[4 + k])
        turn += 0.4 * amplitude * np.sin(tau * hertz * 0.91 * t + phase[7 + k])
    centre = np.zeros((length, 3))
    centre[:, 2] = path.height
    if path.mode == "handheld":
        centre[:, 0] = path.drift * t + 0.05 * np.sin(tau * 0.9 * t + phase[10])
        centre[:, 1] = path.speed * t
        centre[:, 2] += 0.025 * np.sin(tau * 1.8 * t + phase[11])  # two steps a stride lift the carrier twice
    return tuple(at(centre[i], yaw[i], pitch[i], turn[i]) for i in range(length))


Kind = Literal["street", "crowd", "stage", "shop"]
Ground = Literal["asphalt", "paving", "cobbles", "grass", "tiles", "planks"]
# What the worlds of a data set are like.
KINDS: dict[str, Kind] = {
    "synth17": "street", "synth20": "crowd", "synthdance": "stage", "synthpp22": "shop", "synthlong": "street",
}  # fmt: skip
DATASETS = tuple(KINDS)
GENERATOR_VERSION = 3  # raised whenever the same seed gives other bytes than before


@dataclass(frozen=True)
class Light:
    """Light and lens of a scene."""

    side: float  # where the sun stands, -1 left to 1 right
    tint: tuple[float, float, float]  # (red, green, blue) gains
    contrast: float  # gain about mid-grey
    shadow: float  # darkness of shadows on the ground, 0 to 1
    reach: float  # length of a shadow over stature
    vignette: float  # darkening of the corners, 0 to 1
    drift: float  # amplitude of the exposure's drift, relative
    blur: float  # strength of the defocus in [0, 1]; 1 is a Gaussian of 1.6 pixels at 640 wide
    noise: float  # standard deviation of the sensor's noise, grey levels
    quality: int  # of the JPEGs, 1 to 100


@dataclass(frozen=True)
class World:
    """A scene to be rendered."""

    name: str  # of the scene, `SYNTH17-02`
    kind: Kind  # street, crowd (a busy square), stage (dancers) or shop (seen from above)
    seed: int  # of everything that is not said here: looks, paths, buildings
    size: tuple[int, int]  # width and height, pixels
    length: int  # frames
    fps: float  # frames a second
    camera: CameraPath  # how it is mounted and moves
    people: int  # how many are in and about the view at any time
    # depths that people walk at, metres
    near: float
    far: float
    light: Light  # light and lens
    ground: Ground  # what they walk on
    furniture: int  # pieces of street furniture or shelves
    groups: float  # share of people who walk in groups
    standing: float  # share of people who stand
    returning: float  # chance that one who left comes back rather than another
    alike: float  # share of people whose clothes repeat another's
    warm: float  # chance of summer clothes
    away: tuple[float, float] = (0.0, 0.8)  # least and most seconds that he waits out of view before
    haze: float = 0.0  # share of veiling light (mist, a lens against the sun) in what is seen, 0 to 1
    exposure: float = 1.0  # gain of all light: below 1 at dusk or in dim rooms, where noise tells more

    def __post_init__(self) -> None:
        if min(self.size) < 16 or self.length < 1 or not self.fps > 0:
            raise InputError(
                f"world {self.name!r}: size {self.size[0]}x{self.size[1]}, {self.length} frames at {self.fps} fps; "
                "use at least 16x16 pixels, 1 frame and a positive frame rate"
            )

    def rng(self, purpose: str) -> np.random.Generator:
        """A generator of its own for each purpose, so that one draw more here changes nothing there."""
        return np.random.default_rng([self.seed & 0xFFFFFFFF, zlib.crc32(purpose.encode())])


def draw_light(rng: np.random.Generator, indoor: bool) -> Light:
    """Weather, time of day and lens."""
    warmth = rng.normal(0.02 if not indoor else 0.05, 0.05)
    soft = rng.random() < 0.4 or indoor  # overcast or under a roof
    return Light(
        side=rng.uniform(-1, 1),
        tint=(1.0 + warmth, 1.0 + 0.3 * rng.normal(0, 0.03), 1.0 - warmth),
        contrast=rng.uniform(0.85, 1.12),
        shadow=rng.uniform(0.15, 0.3) if soft else rng.uniform(0.3, 0.55),
        reach=0.12 if soft else rng.uniform(0.4, 1.3),
        vignette=rng.uniform(0.05, 0.3),
        drift=rng.uniform(0.0, 0.06),
        blur=float(rng.choice([0.0, 0.2, 0.4, 0.7])),
        noise=rng.uniform(1.5, 6.0),
        quality=int(rng.integers(72, 93)),
    )


def draw_weather(seed: int, indoor: bool) -> dict[str, float]:
    """Haze and exposure by a generator of their own: half of the worlds are bright, a quarter hazy, a quarter dim."""
    rng = np.random.default_rng([seed & 0xFFFFFFFF, zlib.crc32(b"weather")])
    kind, haze, exposure = rng.random(), rng.uniform(0.35, 0.8), rng.uniform(0.25, 0.6)
    if kind < 0.5:
        return {}
    return {"exposure": exposure} if kind < 0.75 or indoor else {"haze": haze}


def draw_street(rng: np.random.Generator) -> dict[str, object]:
    """A pedestrian street: from an elevated mount, from a tripod, panning, or carried through it."""
    view = rng.choice(["elevated", "tripod", "pan", "shake", "handheld"], p=[0.22, 0.26, 0.14, 0.12, 0.26])
    height, pitch, focal, near, far = rng.uniform(1.4, 2.0), rng.uniform(-1, 5), rng.uniform(0.8, 1.1), 3.6, 19.0
    if view == "elevated":
        height = rng.uniform(3.5, 6.5)
        pitch, near, far = float(np.degrees(np.arctan(height / 15.0))), 1.5 * height, 26.0
    path = CameraPath("static", height, pitch, focal, roll=rng.normal(0, 0.7))
    if view == "pan":
        path = CameraPath("pan", height, pitch, focal, swing=rng.uniform(5, 12), period=rng.uniform(5, 9))
    elif view == "shake":
        path = CameraPath("shake", height, pitch, focal, swing=0.5, shake=rng.uniform(0.15, 0.4))
    elif view == "handheld":
        speed, drift, swing = rng.uniform(0.4, 1.3), rng.normal(0, 0.15), rng.uniform(1, 5)
        sway = rng.uniform(3, 6), rng.uniform(0.05, 0.25)  # period, shake
        path = CameraPath("handheld", height, pitch, focal, speed, drift, swing, *sway)
    people = (16, 46) if view == "elevated" else (10, 30)
    grounds = ("asphalt", "paving", "cobbles", "grass"), (0.3, 0.4, 0.2, 0.1)
    return draw_site(rng, path, people, (near, far), grounds, (3, 8))


def draw_crowd(rng: np.random.Generator) -> dict[str, object]:
    """A crowded square or concourse from an elevated static camera."""
    height, distance = rng.uniform(4.0, 7.0), rng.uniform(12.0, 17.0)
    camera = tripod(height, float(np.degrees(np.arctan(height / distance))), rng.uniform(0.85, 1.15))
    grounds = ("asphalt", "paving", "cobbles", "tiles"), None
    return draw_site(rng, camera, (54, 80), (0.6 * distance, 1.75 * distance), grounds, (2, 5))


def draw_stage(rng: np.random.Generator) -> dict[str, object]:
    """Dancers before a still camera."""
    camera = tripod(rng.uniform(1.3, 2.6), rng.uniform(2, 9), rng.uniform(0.85, 1.05))
    return draw_site(rng, camera, (8, 13), (6.0, 9.5), (("planks", "tiles"), (0.7, 0.3)), (0, 1))


def draw_shop(rng: np.random.Generator) -> dict[str, object]:
    """A lobby or shop from its ceiling."""
    height, pitch, focal = rng.uniform(4.0, 5.5), rng.uniform(38, 52), rng.uniform(0.6, 0.75)
    top = np.radians(pitch) - np.arctan(0.28 / focal)  # the view's upper edge, at 16:9
    depths, grounds = (0.35 * height, float((height - 1.3) / np.tan(top))), (("tiles", "planks"), (0.75, 0.25))
    return draw_site(rng, tripod(height, pitch, focal), (15, 26), depths, grounds, (4, 8))


def draw_site(
    rng: np.random.Generator, camera: CameraPath, people: tuple[int, int], depths: tuple[float, float],
    grounds: tuple[tuple[str, ...], tuple[float, ...] | None], furniture: tuple[int, int],
) -> dict[str, object]:  # fmt: skip
    """Draw what kinds of worlds share; `grounds` with their chances, None: all the same."""
    many, ground, pieces = rng.integers(*people), rng.choice(grounds[0], p=grounds[1]), rng.integers(*furniture)
    chosen = {"people": int(many), "ground": str(ground), "furniture": int(pieces)}
    return chosen | {"camera": camera, "near": depths[0], "far": depths[1]}


DRAWS = {"street": draw_street, "crowd": draw_crowd, "stage": draw_stage, "shop": draw_shop}


def draw_world(
    kind: Kind, name: str, seed: int, *, size: tuple[int, int] = (640, 360), length: int = 100, **fixed: object
) -> World:
    """A world of a kind, its free numbers drawn from the seed; `fixed` are attributes not left to chance."""
    rng = np.random.default_rng([seed & 0xFFFFFFFF, zlib.crc32(kind.encode())])
    indoor = kind in ("stage", "shop")
    drawn: dict[str, object] = {
        "fps": float(rng.choice([14, 25, 30, 30] if kind == "street" else [25, 30])),
        "light": draw_light(rng, indoor),
        "groups": rng.uniform(0.2, 0.5),
        "standing": rng.uniform(0.03, 0.2),
        "returning": 0.6,
        "alike": rng.uniform(0.2, 0.45),
        "warm": float(rng.choice([0.1, 0.4, 0.7])),
    }
    drawn |= draw_weather(seed, indoor) | DRAWS[kind](rng) | fixed
    return World(name=name, kind=kind, seed=seed, size=size, length=length, **drawn)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Scene:
    """A filmed scene of a data set."""

    name: str  # of the scene
    split: str  # `train` or `test`
    fixed: dict[str, object]  # what of its world is not left to the seed
    halved: bool = False  # its second half is evaluated by models that learned from its first
    times: int = 1  # how many times as long it is as a common sequence


tripod = partial(CameraPath, "static")


def carried(height: float, pitch: float, focal: float, speed: float, swing: float, shake: float) -> CameraPath:
    """A camera carried or driven through the scene."""
    return CameraPath("handheld", height, pitch, focal, speed=speed, swing=swing, period=4.5, shake=shake)


def street(
    split: str, number: str, camera: CameraPath, people: int, fps: float, near: float, far: float, **weather: float
) -> Scene:
    """A sequence of synth17, whose mount, density and frame rate echo MOT17's of that number."""
    fixed = {"camera": camera, "people": people, "fps": fps, "near": near, "far": far, "haze": 0.0, "exposure": 1.0}
    return Scene(f"SYNTH17-{number}", split, fixed | weather, halved=split == "train")


SYNTH17 = (
    street("train", "02", tripod(1.7, 3, 0.95), 30, 30.0, 4.5, 20.0),
    street("train", "04", tripod(5.6, 20, 0.95), 48, 30.0, 8.0, 26.0),
    street("train", "05", carried(1.6, 2, 0.9, 0.7, 3.0, 0.2), 22, 14.0, 3.2, 15.0, exposure=0.35),
    street("train", "09", tripod(1.3, -1, 0.9), 15, 30.0, 3.6, 13.0),
    street("train", "10", carried(1.7, 3, 0.9, 0.7, 4.0, 0.25), 24, 30.0, 4.0, 18.0, haze=0.7),
    street("train", "11", carried(1.6, 1, 0.95, 0.9, 2.0, 0.12), 22, 30.0, 3.6, 16.0),
    street("train", "13", carried(3.4, 10, 0.85, 1.4, 5.0, 0.2), 36, 25.0, 6.0, 22.0, haze=0.5),
    street("test", "01", tripod(1.5, 1, 1.0), 16, 30.0, 4.2, 15.0),
    street("test", "03", tripod(6.2, 21, 0.9), 52, 30.0, 9.0, 27.0),
    street("test", "06", carried(1.6, 2, 0.9, 0.7, 3.0, 0.2), 22, 14.0, 3.4, 16.0, haze=0.75),
    street("test", "07", carried(1.7, 3, 0.95, 0.5, 3.5, 0.15), 26, 30.0, 4.4, 18.0, haze=0.5),
    street("test", "08", tripod(1.8, 4, 0.9), 34, 30.0, 4.5, 21.0, exposure=0.3),
    street("test", "12", carried(1.5, 1, 1.0, 0.6, 2.5, 0.2), 18, 30.0, 3.8, 16.0),
    street("test", "14", CameraPath("pan", 3.2, 9, 0.85, swing=10, period=6.0, shake=0.15), 30, 25.0, 5.5, 21.0),
)


def plain(dataset: str, train: dict[str, int], test: dict[str, int], halved: bool = False) -> tuple[Scene, ...]:
    """Sequences of these numbers of people, whose mounts are left to the seed."""
    return tuple(
        Scene(f"{dataset.upper()}-{number}", split, {"people": people}, halved and split == "train")
        for split, scenes in (("train", train), ("test", test))
        for number, people in scenes.items()
    )


def returns(number: str, camera: CameraPath, people: int, near: float, far: float) -> Scene:
    """A long sequence of people who walk out of the picture, stay away for seconds and come back as they were."""
    fixed = {"camera": camera, "people": people, "fps": 30.0, "near": near, "far": far}
    fixed |= {"groups": 0.0, "standing": 0.0, "returning": 0.9, "away": (1.0, 4.6)}
    return Scene(f"SYNTHLONG-{number}", "test", fixed, times=6)


SCENES: dict[str, tuple[Scene, ...]] = {
    "synth17": SYNTH17,
    "synth20": plain(
        "synth20",
        {"01": 54, "02": 62, "03": 74, "05": 68},
        {"04": 72, "06": 64, "07": 56, "08": 60, "09": 66, "10": 58},
        halved=True,
    ),
    "synthdance": plain("synthdance", {"01": 9, "02": 12}, {"03": 10, "04": 12, "05": 9, "06": 11, "07": 8, "08": 10}),
    "synthpp22": plain("synthpp22", {"01": 16, "02": 22}, {"03": 18, "04": 24, "05": 15, "06": 20, "07": 17, "08": 22}),
    "synthlong": (
        returns("01", tripod(1.7, 3, 1.2), 20, 3.6, 9.5),
        returns("02", tripod(3.0, 12, 1.1), 22, 4.2, 10.5),
    ),
}


def scene_worlds(
    dataset: str, *, seed: int = 0, frames: int = 100, train_times: int = 1, size: tuple[int, int] = (640, 360)
) -> tuple[tuple[Scene, World], ...]:
    """Each scene of an embedded data set with its world, training sequences first.

    `frames`: length of a common sequence. `train_times`: how many times as long training sequences are whose second
    half is evaluated.
    Raises InputError: an unknown data set, or a length or size nothing can be rendered with.
    """
    if dataset not in SCENES:
        raise InputError(f"unknown embedded data set {dataset!r}: use one of {', '.join(DATASETS)}")
    out = []
    for scene in SCENES[dataset]:
        own = zlib.crc32(f"{dataset} {scene.name} {seed}".encode()) & 0x7FFFFFFF  # training worlds lie above
        length = frames * (train_times if scene.halved else scene.times)
        out.append((scene, draw_world(KINDS[dataset], scene.name, own, size=size, length=length, **scene.fixed)))
    return tuple(out)

"""A `World` says everything about a scene that can be said in numbers; the rest follows from its seed."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from msfp.datasets.synth.camera import CameraPath
from msfp.errors import InputError

Kind = Literal["street", "crowd", "stage", "shop"]
Ground = Literal["asphalt", "paving", "cobbles", "grass", "tiles", "planks"]
# What the worlds of a data set are like.
KINDS: dict[str, Kind] = {
    "synth17": "street", "synth20": "crowd", "synthdance": "stage", "synthpp22": "shop", "synthlong": "street",
}  # fmt: skip


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
    overcast = rng.random() < 0.4
    return Light(
        side=float(rng.uniform(-1, 1)),
        tint=(1.0 + warmth, 1.0 + 0.3 * rng.normal(0, 0.03), 1.0 - warmth),
        contrast=float(rng.uniform(0.85, 1.12)),
        shadow=float(rng.uniform(0.15, 0.3) if overcast or indoor else rng.uniform(0.3, 0.55)),
        reach=float(0.12 if overcast or indoor else rng.uniform(0.4, 1.3)),
        vignette=float(rng.uniform(0.05, 0.3)),
        drift=float(rng.uniform(0.0, 0.06)),
        blur=float(rng.choice([0.0, 0.2, 0.4, 0.7])),
        noise=float(rng.uniform(1.5, 6.0)),
        quality=int(rng.integers(72, 93)),
    )


def draw_weather(seed: int, indoor: bool) -> dict[str, float]:
    """Haze and exposure of a world: half of them are clear and bright, a quarter hazy, a quarter dim.

    Drawn apart from everything else, so that a world differs from a bright one in its light only.
    """
    rng = np.random.default_rng([seed & 0xFFFFFFFF, zlib.crc32(b"weather")])
    kind, haze, exposure = rng.random(), float(rng.uniform(0.35, 0.8)), float(rng.uniform(0.25, 0.6))
    if kind < 0.5:
        return {}
    return {"exposure": exposure} if kind < 0.75 or indoor else {"haze": haze}


def draw_street(rng: np.random.Generator) -> dict[str, object]:
    """A pedestrian street: from an elevated mount, from a tripod, panning, or carried through it."""
    view = rng.choice(["elevated", "tripod", "pan", "shake", "handheld"], p=[0.22, 0.26, 0.14, 0.12, 0.26])
    height, pitch, near, far = float(rng.uniform(1.4, 2.0)), float(rng.uniform(-1, 5)), 3.6, 19.0
    focal = float(rng.uniform(0.8, 1.1))
    if view == "elevated":
        height = float(rng.uniform(3.5, 6.5))
        pitch, near, far = float(np.degrees(np.arctan(height / 15.0))), 1.5 * height, 26.0
    path = CameraPath("static", height, pitch, focal, roll=float(rng.normal(0, 0.7)))
    if view == "pan":
        path = CameraPath("pan", height, pitch, focal, swing=rng.uniform(5, 12), period=rng.uniform(5, 9))
    elif view == "shake":
        path = CameraPath("shake", height, pitch, focal, swing=0.5, shake=rng.uniform(0.15, 0.4))
    elif view == "handheld":
        path = CameraPath(
            "handheld", height, pitch, focal, speed=rng.uniform(0.4, 1.3), drift=rng.normal(0, 0.15),
            swing=rng.uniform(1, 5), period=rng.uniform(3, 6), shake=rng.uniform(0.05, 0.25),
        )  # fmt: skip
    return {
        "camera": path,
        "people": int(rng.integers(16, 46) if view == "elevated" else rng.integers(10, 30)),
        "near": near,
        "far": far,
        "ground": str(rng.choice(["asphalt", "paving", "cobbles", "grass"], p=[0.3, 0.4, 0.2, 0.1])),
        "furniture": int(rng.integers(3, 8)),
    }


def draw_crowd(rng: np.random.Generator) -> dict[str, object]:
    """A crowded square or concourse from an elevated static camera."""
    height = float(rng.uniform(4.0, 7.0))
    distance = float(rng.uniform(12.0, 17.0))
    return {
        "camera": CameraPath(
            "static", height, float(np.degrees(np.arctan(height / distance))), float(rng.uniform(0.85, 1.15))
        ),
        "people": int(rng.integers(54, 80)),
        "near": 0.6 * distance,
        "far": 1.75 * distance,
        "ground": str(rng.choice(["asphalt", "paving", "cobbles", "tiles"])),
        "furniture": int(rng.integers(2, 5)),
    }


def draw_stage(rng: np.random.Generator) -> dict[str, object]:
    """Dancers before a still camera."""
    return {
        "camera": CameraPath("static", float(rng.uniform(1.3, 2.6)), float(rng.uniform(2, 9)), rng.uniform(0.85, 1.05)),
        "people": int(rng.integers(8, 13)),
        "near": 6.0,
        "far": 9.5,
        "ground": str(rng.choice(["planks", "tiles"], p=[0.7, 0.3])),
        "furniture": 0,
    }


def draw_shop(rng: np.random.Generator) -> dict[str, object]:
    """A lobby or shop from its ceiling."""
    height = float(rng.uniform(4.0, 5.5))
    pitch = float(rng.uniform(38, 52))
    focal = float(rng.uniform(0.6, 0.75))
    top = np.radians(pitch) - np.arctan(0.28 / focal)  # the view's upper edge, at 16:9
    return {
        "camera": CameraPath("static", height, pitch, focal),
        "people": int(rng.integers(15, 26)),
        "near": 0.35 * height,
        "far": float((height - 1.3) / np.tan(top)),
        "ground": str(rng.choice(["tiles", "planks"], p=[0.75, 0.25])),
        "furniture": int(rng.integers(4, 8)),
    }


DRAWS = {"street": draw_street, "crowd": draw_crowd, "stage": draw_stage, "shop": draw_shop}


def draw_world(
    kind: Kind, name: str, seed: int, *, size: tuple[int, int] = (640, 360), length: int = 100, **fixed: object
) -> World:
    """A world of a kind, its free numbers drawn from the seed; `fixed` are attributes not left to chance."""
    rng = np.random.default_rng([seed & 0xFFFFFFFF, zlib.crc32(kind.encode())])
    indoor = kind in ("stage", "shop")
    drawn: dict[str, object] = {
        "fps": float(rng.choice([14, 25, 30, 30])) if kind == "street" else float(rng.choice([25, 30])),
        "light": draw_light(rng, indoor),
        **draw_weather(seed, indoor),
        "groups": float(rng.uniform(0.2, 0.5)),
        "standing": float(rng.uniform(0.03, 0.2)),
        "returning": 0.6,
        "alike": float(rng.uniform(0.2, 0.45)),
        "warm": float(rng.choice([0.1, 0.4, 0.7])),
    }
    drawn |= DRAWS[kind](rng) | fixed
    return World(name=name, kind=kind, seed=seed, size=size, length=length, **drawn)  # type: ignore[arg-type]


def worlds(
    kind: str, seed: int, count: int, *, size: tuple[int, int] = (640, 360), length: int = 100
) -> Iterator[World]:
    """Worlds other than the evaluated ones, for training networks: their seeds lie in a range of their own.

    Args:
        kind: a data set (`synth17`, `synth20`, `synthdance`, `synthpp22`) or what its worlds are (`street`, ...).

    Raises:
        InputError: an unknown kind.
    """
    known = {**KINDS, **{k: k for k in DRAWS}}
    if kind not in known:
        raise InputError(f"unknown kind of world {kind!r}: use one of {', '.join(sorted(known))}")
    for index in range(count):
        words = np.random.SeedSequence([seed & 0xFFFFFFFF, index, zlib.crc32(b"training")]).generate_state(1)
        own = int(words[0]) | 1 << 31  # evaluated worlds have seeds below
        yield draw_world(known[kind], f"{kind}-{seed}-{index:04d}", own, size=size, length=length)  # type: ignore[arg-type]

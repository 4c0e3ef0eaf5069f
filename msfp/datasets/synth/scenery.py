"""Placing the things of a world: street furniture, parked cars, posters, people who sit."""

import numpy as np

from msfp.datasets.synth.body import figures
from msfp.datasets.synth.camera import Camera, Floats, rotation
from msfp.datasets.synth.furniture import Thing, bench, car, kiosk, lamp, poster, shelf, tree
from msfp.datasets.synth.gait import Motion
from msfp.datasets.synth.motion import Area
from msfp.datasets.synth.people import LIGHT, MUTED, VIVID, Look, pick, wardrobe
from msfp.datasets.synth.raster import Image, paint
from msfp.datasets.synth.world import World

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
    seats = [thing for thing in things if thing.seat]
    places, looks = [], []
    for thing in seats:
        places.append(thing.place + np.array([rng.uniform(-0.4, 0.4), -0.12]))
        looks.append(wardrobe(rng, world.light.side, world.warm))
    heading = np.pi + rng.normal(0, 0.15, len(places))
    return still(np.array(places).reshape(-1, 2), rng, heading, crouch=0.9), looks

"""What stands still behind everybody: sky, ground, facades; textures drawn from the world's seed."""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from msfp.datasets.synth.camera import Camera, Floats
from msfp.datasets.synth.people import DARK, LIGHT, MUTED, VIVID, pick
from msfp.datasets.synth.raster import Image, texture
from msfp.datasets.synth.world import Ground, World

PERIOD = 16.0  # metres after which the ground repeats
COARSE = 4  # how much coarser the ground's picture is far away
WALL = (64.0, 9.0)  # metres, width and height of a facade's picture
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
            return [(wall((-12, y), (12, y), 7.0), curtain(rng, tuple(int(v) for v in self.sky[0, 0])))]
        walls = []
        widest = 0.5 / world.camera.focal * (world.far + world.camera.height)
        y = world.far + span + rng.uniform(5, 14)
        tilt = rng.uniform(-0.25, 0.25) * 32
        walls.append((wall((-32, y - tilt), (32, y + tilt), WALL[1]), facade_picture(rng, indoor)))
        for side in (-1, 1):
            if rng.random() < 0.55:
                x = side * (widest + rng.uniform(1.0, 4.0))  # nobody walks through it
                ends = ((x, -20.0), (x, 44.0)) if side < 0 else ((x, 44.0), (x, -20.0))
                walls.append((wall(*ends, WALL[1]), facade_picture(rng, indoor)))
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


def wall(a: tuple[float, float], b: tuple[float, float], height: float) -> Floats:
    """(4, 3) corners of an upright wall from a (its left, seen from the front) to b."""
    return np.array([[*a, height], [*b, height], [*b, 0.0], [*a, 0.0]])


def curtain(rng: np.random.Generator, colour: tuple[int, ...]) -> Image:
    """(256, 1024, 3) folds of a stage's curtain."""
    x = np.arange(1024)
    folds = 14 * np.sin(x / rng.uniform(5, 9)) + 8 * np.sin(x / rng.uniform(12, 25) + 1)
    out = np.array(colour, float) + folds[None, :, None] + np.linspace(10, -16, 256)[:, None, None]
    return np.clip(out, 0, 255).astype(np.uint8)

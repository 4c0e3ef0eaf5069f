"""Light on the ground, and what lens and sensor do to the picture."""

from math import tau

import cv2
import numpy as np

from msfp.datasets.synth.camera import Camera
from msfp.datasets.synth.furniture import Thing
from msfp.datasets.synth.gait import Motion
from msfp.datasets.synth.people import Look
from msfp.datasets.synth.raster import SHIFT, Image, around, fixed
from msfp.datasets.synth.world import World

VEIL = 205  # grey level of haze
HALF = 2  # shadows are painted at half the resolution: they are soft


class Lens:
    """Shadows, blur, vignetting, exposure, tint and noise of a world."""

    def __init__(self, world: World):
        self.light, self.size, self.fps = world.light, world.size, world.fps
        self.haze, self.exposure = world.haze, world.exposure
        width, height = world.size
        rng = world.rng("lens")
        self.phase = rng.uniform(0, tau)
        y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        dark = 1 - self.light.vignette * 0.5 * (x * x + y * y)
        self.vignette = (dark[..., None] * 255).astype(np.uint8).repeat(3, axis=2)
        grain = rng.normal(0, self.light.noise, (height + 64, width + 64, 3))
        grain = 0.6 * grain + 0.4 * grain[..., 1:2]  # mostly luminance
        self.grain = np.rint(grain).astype(np.int16)
        self.offsets = rng.integers(0, 64, (997, 2))
        around = np.linspace(0, tau, 8, endpoint=False)
        self.circle = np.stack([np.cos(around), np.sin(around)], -1)
        direction = np.array([-self.light.side, 0.6])
        self.cast = direction / np.linalg.norm(direction) * self.light.reach

    def shadows(self, image: Image, camera: Camera, motion: Motion, looks: list[Look], things: list[Thing]) -> Image:
        """Darken the ground where people and things stand in the light's way."""
        height, width = image.shape[:2]
        mask = np.full((height // HALF, width // HALF), 255, np.uint8)
        value = int(255 * (1 - self.light.shadow))
        spots = [(p, 0.26, look.stature) for p, look in zip(motion.position, looks, strict=True)]
        spots += [(thing.place, 0.8 * thing.radius, 1.0) for thing in things]
        if not spots:
            return image
        places = np.array([spot[0] for spot in spots])
        radii = np.array([spot[1] for spot in spots])[:, None, None]
        tall = np.array([spot[2] for spot in spots])[:, None, None]
        foot = places[:, None] + radii * self.circle
        tip = places[:, None] + 0.9 * radii * self.circle + tall * self.cast
        ground = np.concatenate([foot, tip], axis=1)
        ground = np.concatenate([ground, np.zeros((*ground.shape[:2], 1))], axis=2)
        pixels, depth = camera.project(ground)
        for outline, near in zip(fixed(pixels / HALF), depth.min(axis=1), strict=True):
            if near > 0.6:
                cv2.fillConvexPoly(mask, around(outline), value, cv2.LINE_8, SHIFT)
        soft = cv2.resize(cv2.blur(mask, (5, 3)), (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(cv2.multiply(image, cv2.merge([soft] * 3), scale=1 / 255), np.uint8)

    def expose(self, image: Image, t: int) -> Image:
        """The frame as the sensor records it; the same frame number always gets the same grain."""
        if self.light.blur > 0:
            sigma = 1.6 * self.light.blur * self.size[0] / 640
            seen = cv2.GaussianBlur(image, (0, 0), sigma)
        else:
            seen = cv2.GaussianBlur(image, (3, 3), 0.45)  # no lens is as sharp as a polygon
        drift = 1 + self.light.drift * np.sin(tau * 0.25 * t / self.fps + self.phase)
        levels = np.arange(256, dtype=np.float64)
        curve = (levels - 128) * self.light.contrast + 128
        seen_through = (1 - self.haze) * curve[:, None] * np.array(self.light.tint) + self.haze * VEIL
        table = np.clip(seen_through * drift * self.exposure, 0, 255).astype(np.uint8)
        seen = cv2.LUT(cv2.multiply(seen, self.vignette, scale=1 / 255), table[None])
        y, x = self.offsets[t % len(self.offsets)]
        height, width = image.shape[:2]
        noisy = cv2.add(seen, self.grain[y : y + height, x : x + width], dtype=cv2.CV_8U)
        return np.asarray(noisy, np.uint8)

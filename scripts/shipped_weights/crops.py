"""Random crops of labelled frames for detector training: scale, place, flip, colour."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from shipped_weights.samples import Sample

GREY = (114, 114, 114)
Pixels = NDArray[Any]  # (H, W, 3) uint8; OpenCV's annotations promise no type of element


@dataclass(frozen=True)
class CropSettings:
    """How training crops vary.

    Attributes:
        size: (width, height) of a crop, multiples of 32.
        scales: smallest and largest magnification of the frame, drawn log-uniformly.
        on_person: share of the crops that hold a randomly chosen visible person.
        visible: people less visible than this are no targets.
        inside: share of a box that has to lie in the crop for it to be a target.
        smallest: sides of a target in crop pixels.
        hue, saturation, value: half-widths of the colour jitter.
    """

    size: tuple[int, int] = (320, 192)
    scales: tuple[float, float] = (0.5, 1.5)
    on_person: float = 0.7
    visible: float = 0.2
    inside: float = 0.35
    smallest: float = 4.0
    hue: float = 0.03
    saturation: float = 0.6
    value: float = 0.4


def draw_crop(sample: Sample, settings: CropSettings, rng: np.random.Generator) -> tuple[Pixels, NDArray[np.float64]]:
    """One random crop.

    Returns:
        (height, width, 3) uint8 RGB, and (N, 4) xyxy of its targets in crop pixels, clipped to the crop.
    """
    crop, targets, _ = draw_people(sample, settings, rng)
    return crop, targets


def draw_people(
    sample: Sample, settings: CropSettings, rng: np.random.Generator, anchor: int | None = None
) -> tuple[Pixels, NDArray[np.float64], NDArray[np.int64]]:
    """One random crop that says whose its targets are.

    Args:
        sample: the frame.
        settings: how crops vary.
        rng: what they vary by.
        anchor: row of a person who has to be in the crop; None leaves it to `on_person`.

    Returns:
        (height, width, 3) uint8 RGB, (N, 4) xyxy of its targets in crop pixels, clipped to the crop, and (N,) their
        rows in the sample.
    """
    frame = sample.pixels()
    width, height = settings.size
    scale = float(np.exp(rng.uniform(*np.log(settings.scales))))
    left, top = _corner(sample, (width / scale, height / scale), frame.shape, settings, rng, anchor)
    to_crop = np.array([[scale, 0.0, -left * scale], [0.0, scale, -top * scale]])
    # warpAffine maps pixel centres, boxes are edges: half a pixel apart on both sides.
    centres = to_crop.copy()
    centres[:, 2] += 0.5 * scale - 0.5
    if scale < 0.75:  # linear sampling alone would alias
        frame = cv2.blur(frame, (2, 2))
    crop = cv2.warpAffine(frame, centres, (width, height), flags=cv2.INTER_LINEAR, borderValue=GREY)
    rows = np.flatnonzero(sample.visibility > settings.visible)
    targets, kept = _clip(sample.xyxy[rows] * scale + np.tile(to_crop[:, 2], 2), settings)
    if rng.random() < 0.5:
        crop = np.ascontiguousarray(crop[:, ::-1])
        targets = np.stack([width - targets[:, 2], targets[:, 1], width - targets[:, 0], targets[:, 3]], 1)
    return jitter(crop, settings, rng), targets, rows[kept]


def _corner(
    sample: Sample,
    window: tuple[float, float],
    shape: tuple[int, ...],
    settings: CropSettings,
    rng: np.random.Generator,
    anchor: int | None,
) -> tuple[float, float]:
    """Left and top of the crop in frame pixels; a window larger than the frame is placed so that it holds all of it."""
    spare = np.array([shape[1] - window[0], shape[0] - window[1]])
    low, high = np.minimum(spare, 0.0), np.maximum(spare, 0.0)
    people = sample.xyxy[sample.visibility > settings.visible]
    if anchor is not None or (len(people) and rng.random() < settings.on_person):
        chosen = people[rng.integers(len(people))] if anchor is None else sample.xyxy[anchor]
        centre = (chosen[:2] + chosen[2:]) / 2
        place = centre - np.array(window) * rng.uniform(0.2, 0.8, 2)
        corner = np.clip(place, low, high)
    else:
        corner = rng.uniform(low, high)
    return float(corner[0]), float(corner[1])


def clip_targets(xyxy: NDArray[np.float64], settings: CropSettings) -> NDArray[np.float64]:
    """(M, 4) boxes cut to the crop; boxes mostly outside or too small are dropped."""
    return _clip(xyxy, settings)[0]


def _clip(xyxy: NDArray[np.float64], settings: CropSettings) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(M, 4) boxes that stay, cut to the crop, and (N,) which of those given they are."""
    width, height = settings.size
    clipped = np.clip(xyxy, 0.0, np.tile((width, height), 2))
    sides, whole = clipped[:, 2:] - clipped[:, :2], xyxy[:, 2:] - xyxy[:, :2]
    share = np.prod(sides, 1) / np.maximum(np.prod(whole, 1), 1e-9)
    kept = (share >= settings.inside) & (sides.min(1, initial=np.inf) >= settings.smallest)
    return clipped[kept], kept


def jitter(crop: Pixels, settings: CropSettings, rng: np.random.Generator) -> Pixels:
    """The crop in other light: hue, saturation and value scaled, now and then grey or blurred."""
    gains = 1.0 + rng.uniform(-1, 1, 3) * (settings.hue, settings.saturation, settings.value)
    ramp = np.arange(256)
    hue = ((ramp * gains[0]) % 180).astype(np.uint8)
    rest = [np.clip(ramp * gain, 0, 255).astype(np.uint8) for gain in gains[1:]]
    planes = cv2.split(cv2.cvtColor(crop, cv2.COLOR_RGB2HSV))
    tables = (hue, *rest)
    changed = cv2.merge([cv2.LUT(plane, table) for plane, table in zip(planes, tables, strict=True)])
    crop = cv2.cvtColor(changed, cv2.COLOR_HSV2RGB)
    if rng.random() < 0.05:
        crop = cv2.cvtColor(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if rng.random() < 0.1:
        crop = cv2.GaussianBlur(crop, (3, 3), float(rng.uniform(0.3, 1.2)))
    return crop

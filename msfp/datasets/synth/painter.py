"""Putting figures and things into the image and the instance buffer, from which visibility is measured."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from msfp.datasets.synth.raster import SHIFT, Ids, Image, Polygon, paint

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Shape:
    """Everything a person or thing covers, also outside the image."""

    polygons: Sequence[Polygon]  # farthest first
    mask: Image  # (h, w) uint8, 255 where covered
    corner: tuple[int, int]  # image coordinates of the mask's first pixel
    box: Box  # left, top, width, height of what is covered, pixels of the image
    area: int  # number of pixels covered


def shape(polygons: Sequence[Polygon], size: tuple[int, int]) -> Shape:
    """Fill at least one polygon; what lies further out than one image (width, height) on any side is cut off."""
    points = np.concatenate([polygon.points for polygon in polygons])
    unit = 1 << SHIFT
    (x0, y0), (x1, y1) = (points.min(0) // unit - 2).tolist(), (points.max(0) // unit + 3).tolist()
    x0, y0 = max(x0, -size[0]), max(y0, -size[1])
    x1, y1 = min(x1, 2 * size[0]), min(y1, 2 * size[1])
    mask = np.zeros((max(1, y1 - y0), max(1, x1 - x0)), np.uint8)
    points -= (x0 * unit, y0 * unit)
    for outline in np.split(points, np.cumsum([len(polygon.points) for polygon in polygons])[:-1]):
        cv2.fillConvexPoly(mask, outline, 255, cv2.LINE_8, SHIFT)
    left, top, width, height = cv2.boundingRect(mask)
    return Shape(polygons, mask, (x0, y0), (left + x0, top + y0, width, height), cv2.countNonZero(mask))


def put(image: Image, buffer: Ids, what: Shape, value: int, tile: Image | None = None) -> None:
    """Paint a shape over the (H, W, 3) image and enter its number in the (H, W) instance buffer.

    `tile` is shading stretched over the shape, 128 leaves a colour as it is.
    """
    height, width = buffer.shape
    x0, y0 = what.corner
    h, w = what.mask.shape
    left, right, top, bottom = max(0, x0), min(width, x0 + w), max(0, y0), min(height, y0 + h)
    if right <= left or bottom <= top:
        return
    for polygon in what.polygons:
        paint(image, polygon)
    part = what.mask[top - y0 : bottom - y0, left - x0 : right - x0]
    if tile is not None:
        patch = image[top:bottom, left:right]
        gain = cv2.resize(tile, (w, h))[top - y0 : bottom - y0, left - x0 : right - x0]
        cv2.copyTo(cv2.multiply(patch, gain, scale=1 / 128), part, patch)
    buffer[top:bottom, left:right][part > 0] = value

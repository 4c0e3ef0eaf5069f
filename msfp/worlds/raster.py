"""Filling convex shapes in an image and in the instance buffer, to a sixteenth of a pixel."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from msfp.worlds.world import NEAR, Camera, Floats

Image = NDArray[np.uint8]
Ids = NDArray[np.uint16]
Colour = tuple[int, int, int]
SHIFT = 4
ARC = (np.cos(np.linspace(np.pi / 2, 3 * np.pi / 2, 6)), np.sin(np.linspace(np.pi / 2, 3 * np.pi / 2, 6)))
LIMIT = 1 << 14  # pixels; OpenCV's fixed point overflows far outside the image


@dataclass(frozen=True)
class Polygon:
    """A convex polygon in the image."""

    points: NDArray[np.int32]  # (K, 2) int32 vertices in sixteenths of a pixel, the centre of the first pixel at 0
    colour: Colour  # red, green, blue


def fixed(pixels: Floats) -> NDArray[np.int32]:
    """(..., 2) image coordinates -> OpenCV's fixed point, which counts from the centre of the first pixel."""
    return np.rint((np.clip(pixels, -LIMIT, LIMIT) - 0.5) * (1 << SHIFT)).astype(np.int32, order="C")


def paint(image: Image, polygon: Polygon) -> None:
    """Fill a polygon with its colour, its edge smoothed."""
    cv2.fillConvexPoly(image, polygon.points, polygon.colour, cv2.LINE_AA, SHIFT)


def around(points: NDArray[np.int32]) -> NDArray[np.int32]:
    """(K, 2) fixed-point places -> the vertices of their convex hull."""
    return np.asarray(cv2.convexHull(points)[:, 0], np.int32)


def clip_near(corners: Floats) -> Floats:
    """(K, 3) polygon in camera coordinates -> the part of it in front of the near plane, (L, 3), L = 0 if none is."""
    kept = []
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if a[2] >= NEAR:
            kept.append(a)
        if (a[2] >= NEAR) != (b[2] >= NEAR):
            kept.append(a + (b - a) * (NEAR - a[2]) / (b[2] - a[2]))
    return np.array(kept).reshape(-1, 3)


def face(camera: Camera, corners: Floats) -> NDArray[np.int32] | None:
    """Fixed-point outline of a planar polygon of the world, (K, 3); None where it lies behind the camera."""
    seen = camera.view(corners)
    if np.any(seen[:, 2] < NEAR):
        seen = clip_near(seen)
    if len(seen) < 3:
        return None
    return fixed(seen[:, :2] * (camera.focal / seen[:, 2:]) + camera.principal)


def texture(image: Image, camera: Camera, corners: Floats, picture: Image) -> None:
    """Paint an (h, w, 3) picture on a parallelogram: (4, 3) its top left, top right, bottom right and bottom left."""
    outline = face(camera, corners)
    if outline is None:
        return
    height, width = image.shape[:2]
    x0, y0 = np.maximum(outline.min(0) // (1 << SHIFT), 0)
    x1, y1 = np.minimum(outline.max(0) // (1 << SHIFT) + 2, (width, height))
    if x1 <= x0 or y1 <= y0:
        return
    h, w = picture.shape[:2]
    to_image = camera.homography(corners[0], (corners[1] - corners[0]) / w, (corners[3] - corners[0]) / h)
    to_image = np.array([[1, 0, -x0 - 0.5], [0, 1, -y0 - 0.5], [0, 0, 1]]) @ to_image
    to_image = to_image @ np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    warped = cv2.warpPerspective(
        picture, to_image, (int(x1 - x0), int(y1 - y0)), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    mask = np.zeros(warped.shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, outline - (int(x0) << SHIFT, int(y0) << SHIFT), 255, cv2.LINE_8, SHIFT)
    cv2.copyTo(warped, mask, image[y0:y1, x0:x1])


def capsules(a: Floats, b: Floats, ra: Floats, rb: Floats) -> Floats:
    """(..., 12, 2) outlines of capsules: half a circle of radius ra (...) about a (..., 2), then half a one about b."""
    along = b - a
    length = np.hypot(along[..., 0], along[..., 1])
    still = length < 1e-9
    unit = np.where(still[..., None], (1.0, 0.0), along / np.where(still, 1.0, length)[..., None])
    normal = np.stack([-unit[..., 1], unit[..., 0]], -1)
    cos, sin = ARC[0][:, None], ARC[1][:, None]
    # Turned half a circle the arc about the one end becomes that about the other.
    arc = unit[..., None, :] * cos + normal[..., None, :] * sin
    first = a[..., None, :] + ra[..., None, None] * arc
    last = b[..., None, :] - rb[..., None, None] * arc
    return np.concatenate([first, last], axis=-2)


@dataclass(frozen=True)
class Shape:
    """Everything a person or thing covers, also outside the image."""

    polygons: Sequence[Polygon]  # farthest first
    mask: Image  # (h, w) uint8, 255 where covered
    corner: tuple[int, int]  # image coordinates of the mask's first pixel
    box: tuple[int, int, int, int]  # left, top, width, height of what is covered, pixels of the image
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
    """Paint a shape, shaded by a stretched `tile`, and enter its number in the (H, W) instance buffer."""
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

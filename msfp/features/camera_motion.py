"""How the camera moved from one frame to the next, as trackers compensate it: an affine map of file coordinates.

OpenCV numbers pixels by their centres, the first 0; in file coordinates that centre lies at 1.5. Estimates are made on
smaller grey images and carried over exactly, half pixels included.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from msfp.errors import InputError

Floats = NDArray[np.float64]
Image = NDArray[np.uint8]
IDENTITY = np.eye(2, 3)
IDENTITY.setflags(write=False)

# StrongSORT aligns at a tenth of 1920x1080; a tenth of a small frame would leave too little to align.
ECC_WIDTH = 192
ECC_STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 100, 1e-5)
ECC_BLUR = 1  # the alignment's own Gaussian filter, off: shrinking by areas has smoothed already
# Sparse flow: BoT-SORT halves 1920x1080 and follows up to 1000 corners.
FLOW_WIDTH = 960
CORNERS: dict[str, Any] = {"maxCorners": 1000, "qualityLevel": 0.01, "minDistance": 1, "blockSize": 3}
LEAST_INLIERS = 8  # fewer corners that agree are as likely to be a person as the background
SEED = 0


@dataclass(frozen=True)
class View:
    """A frame made ready for estimation."""

    grey: Image  # (h, w) uint8, shrunk
    background: Image  # (h, w) uint8, 255 where no box lies, else 0
    to_view: Floats  # (3, 3) map of file coordinates to pixel centres of `grey`


def see(frame: Image, tlwh: Floats, width: int) -> View:
    """Shrink a (H, W, 3) frame to at most a width, and mask its (N, 4) tlwh boxes, which may move by themselves."""
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    high, wide = grey.shape
    if wide > width:
        size = (width, max(1, round(high * width / wide)))
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    scale = np.array([grey.shape[1] / wide, grey.shape[0] / high])
    to_view = np.array([[scale[0], 0, -scale[0] - 0.5], [0, scale[1], -scale[1] - 0.5], [0, 0, 1]])
    background = np.full(grey.shape, 255, np.uint8)
    places = np.asarray(tlwh, np.float64).reshape(-1, 4)
    low = np.floor((places[:, :2] - 1) * scale)
    high_edge = np.ceil((places[:, :2] - 1 + places[:, 2:]) * scale)
    edges = np.concatenate([low, high_edge], 1).clip(0, np.tile(grey.shape[::-1], 2)).astype(int)
    for left, top, right, bottom in edges:
        background[top:bottom, left:right] = 0
    return View(np.asarray(grey, np.uint8), background, to_view)


def ecc(previous: View, current: View) -> Floats | None:
    """(2, 3) rotation and translation that maximise the correlation of the backgrounds; None: it does not converge.

    Evangelidis and Psarakis, 2008.
    """
    start = np.eye(2, 3, dtype=np.float32)
    # OpenCV takes one mask, of the current frame; a person hides the background in either.
    mask = cv2.bitwise_and(previous.background, current.background)
    try:
        _, found = cv2.findTransformECC(
            previous.grey, current.grey, start, cv2.MOTION_EUCLIDEAN, ECC_STOP, mask, ECC_BLUR
        )
    except cv2.error:
        return None
    return np.asarray(found, np.float64)


def sparse_flow(previous: View, current: View) -> Floats | None:
    """(2, 3) rotation, scale and translation most background corners agree on; None where too few do."""
    corners = cv2.goodFeaturesToTrack(previous.grey, mask=previous.background, **CORNERS)
    if corners is None or len(corners) < LEAST_INLIERS:
        return None
    moved, good, _ = cv2.calcOpticalFlowPyrLK(previous.grey, current.grey, corners, None)  # type: ignore[call-overload]
    good = good.reshape(-1).astype(bool)
    if good.sum() < LEAST_INLIERS:
        return None
    cv2.setRNGSeed(SEED)
    found, inliers = cv2.estimateAffinePartial2D(corners[good], moved[good], method=cv2.RANSAC)
    if found is None or inliers.sum() < LEAST_INLIERS:
        return None
    return np.asarray(found, np.float64)


METHODS: Mapping[str, tuple[Callable[[View, View], Floats | None], int]] = {
    "ecc": (ecc, ECC_WIDTH),
    "sparse-flow": (sparse_flow, FLOW_WIDTH),
}
NAMES = ("none", *METHODS)


def between(previous: View, current: View, method: str) -> Floats:
    """(2, 3) map of the previous frame's file coordinates to the current one's; the identity where it fails."""
    found = METHODS[method][0](previous, current)
    if found is None or not np.isfinite(found).all():
        return IDENTITY.copy()
    whole = np.linalg.inv(current.to_view) @ np.vstack([found, [0, 0, 1]]) @ previous.to_view
    return whole[:2]


def camera_motions(
    frames: Iterable[tuple[int, Image]], length: int, method: str, boxes: Callable[[int], Floats] | None = None,
    progress: Callable[[int], object] | None = None,
) -> Floats:  # fmt: skip
    """(length, 2, 3) maps of the last frame's file coordinates to each frame's; the identity where either is absent.

    `frames`: (number from 1, (H, W, 3) uint8 RGB), ascending. `boxes`: gives (N, 4) tlwh of what may move by itself.
    Raises InputError: an unknown method; lists those there are.
    """
    if method not in NAMES:
        raise InputError(f"camera motion {method!r} is not known; there are: {', '.join(NAMES)}")
    out = np.tile(IDENTITY, (length, 1, 1))
    if method == "none":
        return out
    last: tuple[int, View] | None = None
    for number, pixels in frames:
        view = see(pixels, np.zeros((0, 4)) if boxes is None else boxes(number), METHODS[method][1])
        if last is not None and last[0] == number - 1:
            out[number - 1] = between(last[1], view, method)
        last = (number, view)
        if progress:
            progress(1)
    return out

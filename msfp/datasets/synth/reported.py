"""Boxes as a detector's file reports them: overlaps, clipping, digits."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from msfp.types import Detections

Params = dict[str, Any]
Floats = NDArray[np.float64]
Boxes = tuple[NDArray[np.int32], Floats, Floats]  # frame, tlwh, score


def iou(a: Floats, b: Floats) -> Floats:
    """(N,) intersection over union of paired (N, 4) tlwh boxes."""
    overlap = np.minimum(a[:, :2] + a[:, 2:], b[:, :2] + b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    shared = np.prod(np.maximum(overlap, 0), 1)
    return shared / np.maximum(np.prod(a[:, 2:], 1) + np.prod(b[:, 2:], 1) - shared, 1e-12)


def as_written(parts: list[Boxes], model: Params, detector: str, width: int, height: int) -> Detections:
    """Boxes of all kinds in one table, clipped and rounded like the detector's own files."""
    frame, tlwh, value = (np.concatenate(column) for column in zip(*parts, strict=True))
    tlwh = within(tlwh, detector, width, height)
    if detector == "DPM":
        tlwh, value = five_digits(tlwh), five_digits(value)
    else:
        tlwh, value = np.round(tlwh, 1), np.round(value, 3)
        if detector == "SDP":
            tlwh[:, :2] = np.round(tlwh[:, :2])
    value = np.clip(value, *model["range"])
    inside = (tlwh[:, :2] < (width + 1, height + 1)) & (tlwh[:, :2] + tlwh[:, 2:] > 1)
    kept = np.flatnonzero((inside & (tlwh[:, 2:] >= 1)).all(1))
    kept = kept[np.lexsort((-value[kept], frame[kept]))]
    return Detections(frame[kept].astype(np.int32), tlwh[kept], value[kept].astype(np.float32))


def within(tlwh: Floats, detector: str, width: int, height: int) -> Floats:
    """Boxes cut at the image border for FRCNN, the only detector that does so."""
    if detector != "FRCNN":
        return tlwh
    first, last = np.clip([tlwh[:, :2], tlwh[:, :2] + tlwh[:, 2:]], 1, (width + 1, height + 1))
    return np.concatenate([first, last - first], 1)


def five_digits(x: Floats) -> Floats:
    """Round to five significant digits."""
    unit = 10.0 ** (4 - np.floor(np.log10(np.maximum(np.abs(x), 1e-9))))
    return np.round(x * unit) / unit

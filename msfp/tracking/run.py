"""One sequence through one tracker."""

import numpy as np
from numpy.typing import NDArray

from msfp.errors import InputError
from msfp.tracking.base import FrameContext, Tracker
from msfp.types import Detections, Tracks, frame_bounds, tlwh_to_xyxy, xyxy_to_tlwh


def track(
    tracker: Tracker,
    detections: Detections,
    length: int,
    embeddings: NDArray[np.floating] | None = None,
    thresholds: NDArray[np.float32] | None = None,
    first: int = 1,
    *,
    has_embedding: NDArray[np.bool_] | None = None,
    warps: NDArray[np.float64] | None = None,
) -> Tracks:
    """Run a tracker over frames `first` to `first + length - 1`; it is reset before.

    Args:
        tracker: made by `make`.
        detections: of these frames.
        length: number of frames.
        embeddings: (N, D) aligned with the detections' rows.
        thresholds: (length, 2) tau_high and tau_low of each frame; None leaves the tracker's own.
        first: number of the first frame.
        has_embedding: (N,) False for rows whose embedding means nothing.
        warps: (length, 2, 3) camera motion from the previous frame.

    Returns:
        Tracks with the tracker's boxes; frames numbered as the detections'.

    Raises:
        InputError: arrays that do not fit each other, and whatever `Tracker.update` refuses.
    """
    _check(tracker, detections, length, embeddings, thresholds, first, has_embedding, warps)
    tracker.reset()
    bounds = frame_bounds(detections.frame - (first - 1), length)
    boxes = tlwh_to_xyxy(detections.tlwh)
    if thresholds is not None:
        thresholds = np.asarray(thresholds, np.float32)
    outputs = []
    for t in range(length):
        part = slice(bounds[t], bounds[t + 1])
        context = FrameContext(
            index=first + t,
            tau_high=None if thresholds is None else thresholds[t, 0],
            tau_low=None if thresholds is None else thresholds[t, 1],
            warp=None if warps is None else warps[t],
            has_embedding=None if has_embedding is None else has_embedding[part],
        )
        outputs.append(
            tracker.update(
                boxes[part], detections.score[part], None if embeddings is None else embeddings[part], context
            )
        )
    counts = [len(o) for o in outputs]
    if not sum(counts):
        return Tracks(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros((0, 4)), np.zeros(0, np.float32))
    return Tracks(
        np.repeat(np.arange(first, first + length, dtype=np.int32), counts),
        np.concatenate([o.ids for o in outputs]),
        xyxy_to_tlwh(np.concatenate([o.boxes for o in outputs])).astype(np.float64, copy=False),
        np.concatenate([o.scores for o in outputs]),
    )


def _check(
    tracker: Tracker,
    detections: Detections,
    length: int,
    embeddings: NDArray[np.floating] | None,
    thresholds: NDArray[np.float32] | None,
    first: int,
    has_embedding: NDArray[np.bool_] | None,
    warps: NDArray[np.float64] | None,
) -> None:
    frames = detections.frame
    if len(frames) and (frames[0] < first or frames[-1] >= first + length):
        raise InputError(
            f"{tracker.name}: detections lie in frames {frames[0]} to {frames[-1]}, tracked are {first} to "
            f"{first + length - 1}; cut the detections or give first and length"
        )
    for what, rows, expected in (
        ("embeddings", embeddings, len(frames)),
        ("has_embedding", has_embedding, len(frames)),
        ("thresholds", thresholds, length),
        ("warps", warps, length),
    ):
        if rows is not None and len(rows) != expected:
            per = "detection" if expected == len(frames) and what not in ("thresholds", "warps") else "frame"
            raise InputError(f"{tracker.name}: {what} has {len(rows)} rows, needed are {expected}, one a {per}")
    if thresholds is not None and np.shape(thresholds)[1:] != (2,):
        raise InputError(f"{tracker.name}: thresholds have shape {np.shape(thresholds)}; give (length, 2): high, low")

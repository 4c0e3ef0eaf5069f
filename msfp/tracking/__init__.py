"""Trackers on one shared core. A file of this folder that defines a concrete `Tracker` registers it by existing."""

from collections.abc import Iterator
from collections.abc import Sequence as ListLike
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msfp.errors import InputError
from msfp.tracking.base import FrameContext, Tracker, TrackerOutput
from msfp.tracking.recovery import Recovered
from msfp.types import Detections, Tracks, concrete, frame_bounds, tlwh_to_xyxy, xyxy_to_tlwh

STRETCH = 1 << 14  # boxes taken at once, so that a long sequence's embeddings are not copied as a whole
Updates = Tracker | Recovered


@cache
def _classes() -> dict[str, type[Tracker]]:
    """Concrete trackers by name, found in the modules of this folder."""
    return concrete(__name__, __path__, Tracker)


def names() -> tuple[str, ...]:
    """Names of all trackers, sorted.

    Example:
        >>> "bytetrack" in msfp.trackers()
        True
    """
    return tuple(_classes())


def tracker_class(name: str) -> type[Tracker]:
    """Class of a tracker, for its `label`, `needs_embeddings`, `appearance` and `Settings`.

    Raises InputError: no such tracker; lists those there are.
    """
    if name not in _classes():
        raise InputError(f"tracker {name!r} is not known; there are: {', '.join(names())}")
    return _classes()[name]


def make(name: str, **settings: Any) -> Tracker:
    """A tracker with its own state.

    Raises InputError: unknown tracker, unknown setting or a value that does not fit.
    """
    return tracker_class(name)(**settings)


@dataclass(frozen=True)
class Given:
    """The inputs that a sequence is tracked from; rows of frame t (from 0) are `bounds[t]:bounds[t + 1]`."""

    bounds: NDArray[np.int64]
    boxes: NDArray[np.floating]
    scores: NDArray[np.float32]
    embeddings: NDArray[np.floating] | None
    has_embedding: NDArray[np.bool_] | None
    thresholds: NDArray[np.float32] | None
    warps: NDArray[np.float64] | None

    def frame(self, t: int, index: int) -> tuple[NDArray, NDArray, NDArray | None, FrameContext]:
        """Return the arguments of `Tracker.update` for frame t."""
        boxes, scores, embeddings, known = self.rows(t, t + 1)
        context = FrameContext(
            index=index,
            tau_high=None if self.thresholds is None else self.thresholds[t, 0],
            tau_low=None if self.thresholds is None else self.thresholds[t, 1],
            warp=None if self.warps is None else self.warps[t],
            has_embedding=known,
        )
        return boxes, scores, embeddings, context

    def rows(self, start: int, stop: int) -> tuple[NDArray, NDArray, NDArray | None, NDArray[np.bool_] | None]:
        """Return boxes, scores, embeddings and `has_embedding` of frames `start` to `stop`, exclusive."""
        part = slice(self.bounds[start], self.bounds[stop])
        embeddings = None if self.embeddings is None else self.embeddings[part]
        known = None if self.has_embedding is None else self.has_embedding[part]
        return self.boxes[part], self.scores[part], embeddings, known


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
    """Run a tracker over frames `first` to `first + length - 1`; it is reset before and after.

    Many frames go through the tracker's compiled step in one call, which gives what `update` does frame by frame.

    `embeddings`: (N, D) aligned with the detections' rows. `thresholds`: (length, 2) tau_high and tau_low of each
    frame; None leaves the tracker's own. `first`: number of the first frame. `has_embedding`: (N,) False for rows whose
    embedding means nothing. `warps`: (length, 2, 3) camera motion from the previous frame.
    Returns tracks with the tracker's boxes; frames numbered as the detections'.
    Raises InputError: arrays that do not fit each other, and whatever `Tracker.update` refuses.
    """
    given = gather(tracker, detections, length, embeddings, thresholds, first, has_embedding=has_embedding, warps=warps)
    tracker.reset()
    parts = at_once(tracker, given, first)
    tracker.reset()
    return gathered(parts, first)


def gather(
    tracker: Updates,
    detections: Detections,
    length: int,
    embeddings: NDArray[np.floating] | None = None,
    thresholds: NDArray[np.float32] | None = None,
    first: int = 1,
    *,
    has_embedding: NDArray[np.bool_] | None = None,
    warps: NDArray[np.float64] | None = None,
) -> Given:
    """Check what `track` takes; arguments and errors as there."""
    frames = detections.frame
    if len(frames) and (frames[0] < first or frames[-1] >= first + length):
        raise InputError(
            f"{tracker.name}: detections lie in frames {frames[0]} to {frames[-1]}, tracked are {first} to "
            f"{first + length - 1}; cut the detections or give first and length"
        )
    for what, rows, expected, per in (
        ("embeddings", embeddings, len(frames), "detection"),
        ("has_embedding", has_embedding, len(frames), "detection"),
        ("thresholds", thresholds, length, "frame"),
        ("warps", warps, length, "frame"),
    ):
        if rows is not None and len(rows) != expected:
            raise InputError(f"{tracker.name}: {what} has {len(rows)} rows, needed are {expected}, one a {per}")
    if thresholds is not None:
        thresholds = np.asarray(thresholds, np.float32)
        if thresholds.shape[1:] != (2,):
            raise InputError(f"{tracker.name}: thresholds have shape {thresholds.shape}; give (length, 2): high, low")
    bounds = frame_bounds(frames - (first - 1), length)
    return Given(bounds, tlwh_to_xyxy(detections.tlwh), detections.score, embeddings, has_embedding, thresholds, warps)


def gathered(parts: ListLike[TrackerOutput], first: int = 1) -> Tracks:
    """Consecutive parts as one; their frames are numbered from `first`."""
    counts = np.concatenate([np.zeros(0, np.int64), *([len(p)] if p.counts is None else p.counts for p in parts)])
    if not counts.sum():
        return Tracks(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros((0, 4)), np.zeros(0, np.float32))
    return Tracks(
        np.repeat(np.arange(first, first + len(counts), dtype=np.int32), counts),
        np.concatenate([part.ids for part in parts]),
        xyxy_to_tlwh(np.concatenate([part.boxes for part in parts])).astype(np.float64, copy=False),
        np.concatenate([part.scores for part in parts]),
    )


def at_once(tracker: Tracker, given: Given, first: int = 1) -> list[TrackerOutput]:
    """Track a sequence, many frames in one call; `first` is the number of the first frame, for messages.

    Raises InputError: whatever `Tracker.update` refuses.
    """
    parts: list[TrackerOutput] = []
    start, length = 0, len(given.bounds) - 1
    while start < length:
        stop = int(np.searchsorted(given.bounds, given.bounds[start] + STRETCH, side="right")) - 1
        stop = min(max(stop, start + 1), length)
        try:
            found = tracker.check(*given.rows(start, stop), first + start)
        except InputError:
            for t in range(start, stop):  # names the frame at fault
                tracker.check(*given.rows(t, t + 1), first + t)
            raise
        taus = None if given.thresholds is None else np.array(given.thresholds[start:stop], np.float32)
        warps = None if given.warps is None else np.array(given.warps[start:stop], np.float64)
        parts.append(tracker.advance(given.bounds[start : stop + 1] - given.bounds[start], found, taus, warps))
        start = stop
    return parts


def frame_by_frame(tracker: Updates, given: Given, first: int) -> Iterator[TrackerOutput]:
    """Through `update`, one frame after the other, so that several trackers can go through frames together."""
    return (tracker.update(*given.frame(t, first + t)) for t in range(len(given.bounds) - 1))

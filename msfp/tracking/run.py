"""One sequence through one tracker."""

from collections.abc import Iterator
from collections.abc import Sequence as ListLike
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from msfp.errors import InputError
from msfp.tracking.base import FrameContext, Stretch, Tracker, TrackerOutput, unit_rows
from msfp.types import Detections, Tracks, frame_bounds, tlwh_to_xyxy, xyxy_to_tlwh

STRETCH = 1 << 14  # boxes taken at once, so that a long sequence's embeddings are not copied as a whole


class Updates(Protocol):
    """A tracker, or a plug-in around one."""

    @property
    def name(self) -> str:
        """For messages."""

    def reset(self) -> None:
        """Forget every track."""

    def update(
        self, boxes: ArrayLike, scores: ArrayLike, embeddings: ArrayLike | None, frame: FrameContext | None
    ) -> TrackerOutput:
        """Take one frame's detections and report the tracks in it."""


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

    Trackers that can follow a whole sequence in compiled code do so, with what `update` would give frame by frame.

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
    given = gather(tracker, detections, length, embeddings, thresholds, first, has_embedding=has_embedding, warps=warps)
    tracker.reset()
    parts = at_once(tracker, given)
    if parts is None:
        parts = list(_while_alive(tracker, given, first))
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
) -> "Given":
    """What `track` takes, checked; see there."""
    _check(tracker, detections, length, embeddings, thresholds, first, has_embedding, warps)
    bounds = frame_bounds(detections.frame - (first - 1), length)
    if thresholds is not None:
        thresholds = np.asarray(thresholds, np.float32)
    return Given(bounds, tlwh_to_xyxy(detections.tlwh), detections.score, embeddings, has_embedding, thresholds, warps)


def gathered(parts: ListLike["Part"], first: int = 1) -> Tracks:
    """Consecutive parts as one; their frames are numbered from `first`."""
    counts = np.concatenate([part.counts for part in parts]) if parts else np.zeros(0, np.int64)
    if not counts.sum():
        return Tracks(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros((0, 4)), np.zeros(0, np.float32))
    return Tracks(
        np.repeat(np.arange(first, first + len(counts), dtype=np.int32), counts),
        np.concatenate([part.ids for part in parts]),
        xyxy_to_tlwh(np.concatenate([part.boxes for part in parts])).astype(np.float64, copy=False),
        np.concatenate([part.scores for part in parts]),
    )


@dataclass(frozen=True)
class Given:
    """What a sequence is tracked from; rows of frame t (from 0) are `bounds[t]:bounds[t + 1]`."""

    bounds: NDArray[np.int64]
    boxes: NDArray[np.floating]
    scores: NDArray[np.float32]
    embeddings: NDArray[np.floating] | None
    has_embedding: NDArray[np.bool_] | None
    thresholds: NDArray[np.float32] | None
    warps: NDArray[np.float64] | None

    def frame(self, t: int, index: int) -> tuple[NDArray, NDArray, NDArray | None, FrameContext]:
        """Arguments of `Tracker.update` for frame t."""
        part = slice(self.bounds[t], self.bounds[t + 1])
        context = FrameContext(
            index=index,
            tau_high=None if self.thresholds is None else self.thresholds[t, 0],
            tau_low=None if self.thresholds is None else self.thresholds[t, 1],
            warp=None if self.warps is None else self.warps[t],
            has_embedding=None if self.has_embedding is None else self.has_embedding[part],
        )
        looks = None if self.embeddings is None else self.embeddings[part]
        return self.boxes[part], self.scores[part], looks, context

    def stretch(self, tracker: Tracker, start: int, stop: int) -> Stretch | None:
        """Frames `start` to `stop`; None where something is wrong with them, as `update` knows to say what."""
        part = slice(self.bounds[start], self.bounds[stop])
        boxes, scores = np.ascontiguousarray(self.boxes[part], np.float64), np.asarray(self.scores[part], np.float32)
        low, high = tracker.settings.score_range or (-np.inf, np.inf)
        sound = bool(np.isfinite(boxes).all() and (boxes[:, 2:] >= boxes[:, :2]).all() and np.isfinite(scores).all())
        sound = sound and bool(((scores >= low) & (scores <= high)).all())
        known = np.ones(len(boxes), np.bool_)
        if self.has_embedding is not None:
            known = np.array(self.has_embedding[part], np.bool_)
        if self.embeddings is None:
            sound = sound and not (tracker.needs_embeddings and self.has_embedding is None and len(boxes))
            vectors, known = np.zeros((len(boxes), 0), np.float32), np.zeros(len(boxes), np.bool_)
        elif np.ndim(self.embeddings) != 2 or np.shape(self.embeddings)[1] == 0:
            return None
        else:
            raw = np.asarray(self.embeddings[part], np.float32)
            sound = sound and bool(np.isfinite(raw).all())
            vectors, known = unit_rows(raw, known)
        if not sound:
            return None
        none = np.zeros((0, 2), np.float32), np.zeros((0, 2, 3))
        return Stretch(
            self.bounds[start : stop + 1] - self.bounds[start],
            boxes,
            scores,
            vectors,
            known,
            none[0] if self.thresholds is None else np.ascontiguousarray(self.thresholds[start:stop]),
            none[1] if self.warps is None else np.ascontiguousarray(self.warps[start:stop], np.float64),
        )


@dataclass(frozen=True)
class Part:
    """Tracks of some frames in a row: identity, xyxy box and score of each, and how many each frame has."""

    ids: NDArray[np.int32]
    boxes: NDArray[np.float64]
    scores: NDArray[np.float32]
    counts: NDArray[np.int64]


def at_once(tracker: Tracker, given: Given) -> list[Part] | None:
    """Stretch by stretch in compiled code; None where the tracker has none or the input is not sound."""
    follower = tracker.follow(given.bounds)
    if follower is None:
        return None
    parts = []
    start, length = 0, len(given.bounds) - 1
    while start < length:
        stop = int(np.searchsorted(given.bounds, given.bounds[start] + STRETCH, side="right")) - 1
        stop = min(max(stop, start + 1), length)
        stretch = given.stretch(tracker, start, stop)
        if stretch is None:
            return None
        parts.append(Part(*follower(stretch)))
        start = stop
    return parts


def frame_by_frame(tracker: Updates, given: Given, first: int) -> Iterator[Part]:
    """Through `update`, one frame after the other, so that several trackers can go through frames together."""
    for t in range(len(given.bounds) - 1):
        out = tracker.update(*given.frame(t, first + t))
        yield Part(out.ids, out.boxes, out.scores, np.array([len(out)]))


def _while_alive(tracker: Tracker, given: Given, first: int) -> Iterator[Part]:
    """`frame_by_frame`, less what a sequence declared far too long has behind its last box: nobody is there."""
    length, end = len(given.bounds) - 1, int(np.searchsorted(given.bounds, given.bounds[-1]))
    for t, part in enumerate(frame_by_frame(tracker, given, first)):
        yield part
        if t >= end and not len(tracker.unmatched()[0]):
            yield Part(part.ids[:0], part.boxes[:0], part.scores[:0], np.zeros(length - t - 1, np.int64))
            return


def _check(
    tracker: Updates,
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

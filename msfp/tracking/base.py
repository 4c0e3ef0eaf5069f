"""What every tracker is: settings, `update` once a frame, `reset`; one compiled step behind a frame and a sequence."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self, final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, ValidationError, create_model

from msfp.config import Frozen
from msfp.errors import InputError
from msfp.tracking.costs import with_area
from msfp.tracking.kalman import Model, state_boxes
from msfp.tracking.lifecycle import (
    Frames,
    Progress,
    Report,
    Rows,
    TrackState,
    Vectors,
    buffer_frames,
    make_progress,
    make_report,
    make_tracks,
    with_room,
)

Floats = NDArray[np.float64]
Detected = tuple[Floats, NDArray[np.float32], Vectors, NDArray[np.bool_]]
"""(N, 4) xyxy boxes, (N,) scores, (N, D) unit embeddings, (N,) whether a row has one: checked."""
MANY = 1 << 40  # frames; more is no more, and kernels' integers end somewhere
ROUNDING = 1e-6  # seconds: a frame as old as the buffer is not older for the last digit's sake


class TrackerSettings(Frozen):
    """Settings every tracker has."""

    fps: float = Field(30.0, gt=0, description="frames per second of the sequence; scales the track buffer")
    score_range: tuple[float, float] | None = Field(
        None, description="declared range of the detector's scores; scores outside are an error"
    )

    @classmethod
    def having(cls, **defaults: Any) -> type[Self]:
        """Return the same settings with other defaults."""
        fields: dict[str, Any] = {}
        for name, value in defaults.items():
            info = cls.model_fields[name]
            fields[name] = (info.annotation, info.merge_field_infos(info, default=value))
        return create_model(cls.__name__, __base__=cls, __doc__=cls.__doc__, **fields)


@dataclass(frozen=True)
class FrameContext:
    """Facts on a frame beside its boxes."""

    index: int | None = None  # number; None: one after the last
    # tau_high, tau_low: thresholds of this frame in place of the tracker's settings
    tau_high: float | None = None
    tau_low: float | None = None
    warp: Floats | None = None  # (2, 3) affine map of the previous frame's coordinates to this one's (camera)
    seconds: float | None = None  # time, where the rate is not constant; lost tracks are then kept by the clock
    has_embedding: NDArray[np.bool_] | None = None  # (N,) False where an embedding means nothing: its pixels are absent


@dataclass(frozen=True)
class TrackerOutput:
    """Tracks reported for a frame, or for several in a row. Boxes have an area once `update` returns them."""

    ids: NDArray[np.int32]  # (M,) from 1, each once in a frame
    boxes: Floats  # (M, 4) xyxy, file coordinates
    scores: NDArray[np.float32]  # (M,) of the matched detections
    detections: NDArray[np.int64]  # (M,) row of the matched detection in the input, -1 where there is none
    counts: NDArray[np.int64] | None = None  # (T,) tracks of each frame; None: all are one frame's

    def __len__(self) -> int:
        return len(self.ids)

    def with_area(self) -> "TrackerOutput":
        """Leave out tracks whose box has no area, as of a person who shrank faster than the filter could follow."""
        keep = with_area(self.boxes)
        if keep.all():
            return self
        return TrackerOutput(self.ids[keep], self.boxes[keep], self.scores[keep], self.detections[keep])


class Kernels(NamedTuple):
    """The compiled step of a family of trackers; both change the tracks in place."""

    # takes frames, the first of them to track, rules, tracks, progress, and a report to fill; returns the first frame
    # for which there was no room
    follow: Callable[[Frames, int, Any, TrackState, Progress, Report], int]
    # takes frames, rows of tracks, rules, tracks, progress; the tracks take the detections in `tracks.row`
    correct: Callable[[Frames, Rows, Any, TrackState, Progress], None]
    rules: type[tuple[Any, ...]]  # settings as a tuple of numbers, those of the same names; first the filter's `model`


class Tracker:
    """A tracker; a family of trackers gives the kernels, and rules that are not settings."""

    name: ClassVar[str] = ""
    label: ClassVar[str] = ""  # its row in the paper's tables
    needs_embeddings: ClassVar[bool] = False
    appearance: ClassVar[str | None] = None  # embeddings by default: a fusion strategy, `reid` (a network), or None
    threshold: ClassVar[str] = "default"  # thresholds unless told otherwise: its own settings, or `atl`
    Settings: ClassVar[type[TrackerSettings]] = TrackerSettings  # unknown ones are errors
    motion: ClassVar[Model]
    kernels: ClassVar[Kernels]

    def __init__(self, **settings: Any) -> None:
        """Raises InputError for an unknown setting or a value that does not fit."""
        own = self.settings = parse(self.name, self.Settings, settings)
        high = getattr(own, "track_high", getattr(own, "min_score", None))
        least = (high, getattr(own, "track_low", high))  # of frames that bring none; None takes all boxes
        self._thresholds = np.array([[-np.inf if value is None else value for value in least]], np.float32)
        fields = self.kernels.rules._fields  # type: ignore[attr-defined]
        found = {name: getattr(own, name) for name in fields if hasattr(own, name)} | self._special_rules()
        counts = {name: min(value, MANY) for name, value in found.items() if type(value) is int}
        self._rules: Any = self.kernels.rules(**{**found, **counts, "model": self.motion})
        self.reset()

    def _special_rules(self) -> dict[str, Any]:
        """Return the rules that are something else than the setting of their name."""
        return {}

    def _depth(self) -> int:
        """Return the most embeddings that are kept of a track; 0 looks at none."""
        return 0

    def _window(self) -> int:
        """Return the frames whose observations are remembered."""
        return 0

    @final
    def reset(self) -> None:
        """Forget every track; the next frame may have any number, identities start at 1 again."""
        self._frame: int | None = None
        self._width: int | None = None
        self._times: deque[tuple[int, float]] = deque()  # of the last frames, where frames have times
        self._tracks, self._progress = make_tracks(self._window()), make_progress()

    @final
    def update(
        self,
        boxes: ArrayLike,
        scores: ArrayLike,
        embeddings: ArrayLike | None = None,
        frame: FrameContext | None = None,
    ) -> TrackerOutput:
        """Take one frame's detections and report the tracks in it.

        A track whose box has no area is not reported; it lives on, and is reported again once its box has one.

        `boxes`: (N, 4) xyxy, file coordinates. `scores`: (N,) in the detector's own range. `embeddings`: (N, D)
        appearance of each box; required by trackers that need them. `frame`: number, thresholds, camera motion. Skipped
        numbers count as frames without detections.
        Raises InputError: names tracker, frame and remedy.
        """
        context = frame or FrameContext()
        index = context.index
        if index is None:
            index = 1 if self._frame is None else self._frame + 1
        if self._frame is not None and index <= self._frame:
            self._refuse(index, f"follows frame {self._frame}; give frames in ascending order, or call reset()")
        found = self.check(boxes, scores, embeddings, context.has_embedding, index)
        if self._frame is not None:
            self._skip(self._frame, index, context.seconds)
        self._tick(index, context.seconds)
        self._frame = index
        thresholds = self._thresholds.copy()
        for k, own in enumerate((context.tau_high, context.tau_low)):
            if own is not None:
                thresholds[0, k] = own
        warps = None if context.warp is None else np.array([context.warp], np.float64)
        return self.advance(np.array([0, len(found[0])]), found, thresholds, warps)

    @final
    def advance(
        self, bounds: Rows, found: Detected, thresholds: NDArray[np.float32] | None, warps: Floats | None
    ) -> TrackerOutput:
        """Track the next frames, of which all is checked; as `lifecycle.Frames` has it, None leaves the default."""
        boxes, scores, vectors, known = found
        length, depth = len(bounds) - 1, self._depth()
        # Of a track's embeddings those of the frames so far need room, in doubling steps.
        deep = min(depth, max(8, 1 << (int(self._progress.frame[0]) + length - 1).bit_length()))
        if not depth:
            vectors = np.zeros((len(boxes), 0), np.float32)
        if thresholds is None:
            thresholds = np.repeat(self._thresholds, length, axis=0)
        if warps is None:
            warps = np.zeros((0, 2, 3))
        kept = np.full(length, min(self._kept(), MANY), np.int64)
        frames = Frames(bounds, boxes, scores, vectors, known, thresholds, warps, kept)
        at, parts, counts, t = self._progress, [], np.zeros(length, np.int64), 0
        while t < length:
            alive, coming = int(at.alive[0]), int(bounds[t + 1] - bounds[t])
            self._tracks = with_room(self._tracks, alive + coming, deep, vectors.shape[1])
            out = make_report(len(boxes) + len(self._tracks.id), length)
            t = self.kernels.follow(frames, t, self._rules, self._tracks, at, out)
            count = int(at.reported[0])
            parts.append([column[:count] for column in out[:4]])
            counts += out.counts
        if not parts:
            return TrackerOutput(*make_report(0, 0))
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        return TrackerOutput(*[*columns, counts])

    @final
    def unmatched(self) -> tuple[NDArray[np.int32], Floats]:
        """Identities and predicted (M, 4) xyxy boxes of living tracks that took no detection in the last frame."""
        rows = np.flatnonzero(self._tracks.row[: self._progress.alive[0]] < 0)
        return self._tracks.id[rows], state_boxes(self._tracks.mean[rows], self._rules.model.kind)

    @final
    def claimed(self) -> NDArray[np.int64]:
        """Rows of the last frame's detections that some track has, reported or not."""
        rows = self._tracks.row[: self._progress.alive[0]]
        return rows[rows >= 0]

    @final
    def resume(self, ids: NDArray[np.int32], boxes: Floats, scores: NDArray[np.float32]) -> None:
        """Let tracks take boxes in the last frame as if detected there, without appearance (see `recovery`).

        `ids`: (K,) of `unmatched`, each once.
        """
        tracks, at, count = self._tracks, self._progress, len(ids)
        order = {identity: row for row, identity in enumerate(tracks.id[: at.alive[0]].tolist())}
        rows = np.array([order[identity] for identity in ids.tolist()], np.int64)
        found = np.array([0, count]), np.array(boxes, np.float64), np.array(scores, np.float32)
        unknown, known = np.zeros((count, 0), np.float32), np.zeros(count, np.bool_)
        frames = Frames(*found, unknown, known, self._thresholds, np.zeros((0, 2, 3)), np.zeros(1, np.int64))
        tracks.row[rows] = np.arange(count)
        at.frame[0] -= 1
        self.kernels.correct(frames, rows, self._rules, tracks, at)
        at.frame[0] += 1
        tracks.row[rows], tracks.expired[rows] = -1, False

    def _kept(self) -> int:
        """Return the frames that a track is kept without a match: thirtieths of a second, at the settings' rate or by
        the clock; at least one either way, as frames may lie farther apart than the buffer is long."""
        own: Any = self.settings
        buffer = own.buffer if hasattr(own, "buffer") else own.max_age
        if not self._times:
            return buffer_frames(buffer, self.settings.fps)
        frame, now = self._times[-1]
        while self._times[0][1] < now - buffer / 30.0 - ROUNDING:
            self._times.popleft()
        return max(frame - self._times[0][0], min(buffer, 1))

    def _tick(self, frame: int, seconds: float | None) -> None:
        """Note when a frame was, if it has a time."""
        if seconds is None:
            return
        if self._times and not seconds >= (last := self._times[-1][1]):
            order = "give times in ascending order, or call reset()"
            self._refuse(frame, f"{seconds:g} s lies before the last frame's {last:g} s; {order}")
        self._times.append((frame, seconds))

    def _skip(self, last: int, index: int, seconds: float | None) -> None:
        """Go through the frames between two as without detections, their times evenly between those of the two."""
        nothing = self.check(np.zeros((0, 4)), [], None, None, index)
        for skipped in range(last + 1, index):
            if self._times and seconds is not None:
                before, was = self._times[-1]
                self._tick(skipped, was + (seconds - was) * (skipped - before) / (index - before))
            self.advance(np.zeros(2, np.int64), nothing, None, None)

    @final
    def check(
        self,
        boxes: ArrayLike,
        scores: ArrayLike,
        embeddings: ArrayLike | None,
        has_embedding: NDArray[np.bool_] | None,
        index: int,
    ) -> Detected:
        """Return detections as kernels take them; raises InputError with the frame's number `index`."""
        places = np.array(boxes, np.float64, order="C")
        if places.size == 0:
            places = places.reshape(0, 4)
        values = np.array(scores, np.float32).reshape(-1)
        count = len(places)
        if places.ndim != 2 or places.shape[1] != 4:
            self._refuse(index, f"boxes have shape {places.shape}; give (N, 4): left, top, right, bottom")
        if len(values) != count:
            self._refuse(index, f"{len(values)} scores for {count} boxes; give one score a box")
        if not np.isfinite(places).all():
            row = int(np.argmin(np.isfinite(places).all(axis=1)))
            self._refuse(index, f"box {row} is not finite: {places[row].tolist()}; drop it before tracking")
        if not np.isfinite(values).all():
            self._refuse(index, f"score {int(np.argmin(np.isfinite(values)))} is not finite; drop its box or mend it")
        if count and (places[:, 2:] < places[:, :2]).any():
            row = int(np.argmax((places[:, 2:] < places[:, :2]).any(axis=1)))
            self._refuse(index, f"box {row} has a negative size; boxes are left, top, right, bottom")
        limits = self.settings.score_range
        if limits is not None and count and (values.min() < limits[0] or values.max() > limits[1]):
            worst = float(values.min() if values.min() < limits[0] else values.max())
            remedy = "calibrate the scores or declare the detector's own score_range"
            self._refuse(
                index, f"score {worst:g} lies outside the declared range {limits[0]:g} to {limits[1]:g}; {remedy}"
            )
        known = np.ones(count, np.bool_) if has_embedding is None else np.array(has_embedding, np.bool_).reshape(-1)
        if len(known) != count:
            self._refuse(index, f"has_embedding has {len(known)} entries for {count} boxes; give one a box")
        none = places, values, np.zeros((count, 0), np.float32), np.zeros(count, np.bool_)
        if embeddings is None:
            if self.needs_embeddings and count and has_embedding is None:
                self._refuse(index, "boxes come without embeddings; give (N, D), or take a tracker of motion only")
            return none
        vectors = np.asarray(embeddings, np.float32)
        if count == 0 and vectors.size == 0:
            return none
        if vectors.ndim != 2 or vectors.shape[1] == 0:
            self._refuse(index, f"embeddings have shape {vectors.shape}; give (N, D)")
        if len(vectors) != count:
            self._refuse(index, f"{len(vectors)} embeddings for {count} boxes; give one row a box, in the boxes' order")
        if self._width not in (None, vectors.shape[1]):
            self._refuse(index, f"embeddings are {vectors.shape[1]} wide, were {self._width}; use one head, or reset()")
        if not np.isfinite(vectors).all():
            row = int(np.argmin(np.isfinite(vectors).all(axis=1)))
            self._refuse(index, f"embedding {row} is not finite; mark boxes without pixels in has_embedding")
        self._width = vectors.shape[1]
        length = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
        known = known & (length > 0)
        unit = np.where(known[:, None], vectors / np.where(known, length, 1.0)[:, None], np.float32(0))
        return places, values, unit, known

    def _refuse(self, index: int, what: str) -> None:
        raise InputError(f"{self.name}, frame {index}: {what}")


def parse(name: str, kind: type[TrackerSettings], given: Mapping[str, Any]) -> TrackerSettings:
    """Settings of a tracker.

    Raises InputError: an unknown setting (the message lists the known ones) or a value that does not fit.
    """
    unknown = sorted(set(given) - set(kind.model_fields))
    if unknown:
        known = ", ".join(sorted(kind.model_fields))
        raise InputError(f"tracker {name!r} has no setting {unknown[0]!r}; it has: {known}")
    try:
        return kind.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "settings"
        raise InputError(f"tracker {name!r}, setting {where!r}: {first['msg']}; given {first['input']!r}") from None

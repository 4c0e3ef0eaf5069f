"""What every tracker is: settings, `update` once a frame, `reset`."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, ValidationError

from msfp.config import Frozen
from msfp.errors import InputError
from msfp.tracking.clock import Clock
from msfp.tracking.iou import with_area
from msfp.tracking.lifecycle import buffer_frames
from msfp.tracking.resumable import Resumable

Floats = NDArray[np.float64]


class TrackerSettings(Frozen):
    """Settings every tracker has."""

    fps: float = Field(30.0, gt=0, description="frames per second of the sequence; scales the track buffer")
    score_range: tuple[float, float] | None = Field(
        None, description="declared range of the detector's scores; scores outside are an error"
    )


@dataclass(frozen=True)
class FrameContext:
    """What is known of a frame beside its boxes.

    Attributes:
        index: frame number; None: one after the last.
        tau_high, tau_low: thresholds of this frame in place of the tracker's settings.
        warp: (2, 3) affine map of the previous frame's file coordinates to this frame's (camera motion).
        image: (H, W, 3) uint8 RGB, for trackers that look at pixels themselves.
        seconds: time of the frame, where frames do not come at a constant rate; lost tracks are then kept by the clock.
        has_embedding: (N,) False for boxes whose embedding row means nothing, as in frames whose pixels are absent.
    """

    index: int | None = None
    tau_high: float | None = None
    tau_low: float | None = None
    warp: Floats | None = None
    image: NDArray[np.uint8] | None = None
    seconds: float | None = None
    has_embedding: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class TrackerOutput:
    """Tracks reported for one frame. Their boxes have an area, once a tracker's `update` has handed them out.

    Attributes:
        ids: (M,) int32, from 1, each once.
        boxes: (M, 4) float64 xyxy, file coordinates.
        scores: (M,) float32 score of the matched detection.
        detections: (M,) int64 row of the matched detection in this frame's input, -1 where there is none.
    """

    ids: NDArray[np.int32]
    boxes: Floats
    scores: NDArray[np.float32]
    detections: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)

    def with_area(self) -> "TrackerOutput":
        """Leave out tracks whose box has no area, as of a person who shrank faster than the filter could follow."""
        keep = with_area(self.boxes)
        if keep.all():
            return self
        return TrackerOutput(self.ids[keep], self.boxes[keep], self.scores[keep], self.detections[keep])


@dataclass(frozen=True)
class Found:
    """A frame's checked input.

    Attributes:
        boxes: (N, 4) float64 xyxy.
        scores: (N,) float32; thresholds are compared in float32, as the original trackers do.
        embeddings: (N, D) float32 unit vectors (zero where unknown), None where the frame has none.
        known: (N,) rows that have an embedding.
        frame: number of the frame.
        context: as given.
    """

    boxes: Floats
    scores: NDArray[np.float32]
    embeddings: NDArray[np.float32] | None
    known: NDArray[np.bool_]
    frame: int
    context: FrameContext = field(default_factory=FrameContext)

    def thresholds(self, high: float, low: float) -> tuple[np.float32, np.float32]:
        """This frame's tau_high and tau_low where given, else the tracker's."""
        context = self.context
        return (
            np.float32(high if context.tau_high is None else context.tau_high),
            np.float32(low if context.tau_low is None else context.tau_low),
        )


class Stretch(NamedTuple):
    """Checked input of frames in a row; frame t (from 0) has rows `bounds[t]:bounds[t + 1]`.

    Attributes:
        bounds: (T + 1,), from 0.
        boxes: (N, 4) xyxy.
        scores: (N,).
        vectors: (N, D) unit embeddings, zero where unknown; D is 0 where there are none.
        known: (N,) rows that have an embedding.
        thresholds: (T, 2) tau_high and tau_low.
        warps: (T, 2, 3) camera motion, or (0, 2, 3).
    """

    bounds: NDArray[np.int64]
    boxes: Floats
    scores: NDArray[np.float32]
    vectors: NDArray[np.float32]
    known: NDArray[np.bool_]
    thresholds: NDArray[np.float32]
    warps: Floats


Follower = Callable[[Stretch], tuple[NDArray[np.int32], Floats, NDArray[np.float32], NDArray[np.int64]]]
"""Takes the next stretch; returns (M,) identities, (M, 4) xyxy boxes, (M,) scores, (T,) tracks a frame."""


class Tracker(Resumable, ABC):
    """A tracker: either abstract or final; concrete ones give `name`, `label` and `_step`.

    Attributes:
        name: as `make` knows it.
        label: its row in the paper's tables.
        needs_embeddings: whether boxes must come with embeddings.
        appearance: whose embeddings it takes by default: a fusion strategy, `reid` (separate network), or None.
        Settings: its settings; unknown ones are errors.
    """

    name: ClassVar[str] = ""
    label: ClassVar[str] = ""
    needs_embeddings: ClassVar[bool] = False
    appearance: ClassVar[str | None] = None
    Settings: ClassVar[type[TrackerSettings]] = TrackerSettings

    def __init__(self, **settings: Any) -> None:
        """Raises InputError for an unknown setting or a value that does not fit."""
        self.settings = parse(self.name, self.Settings, settings)
        self.reset()

    @final
    def reset(self) -> None:
        """Forget every track; the next frame may have any number, identities start at 1 again."""
        self._frame: int | None = None
        self._width: int | None = None
        self._clock = Clock(self.name)
        self._clear()

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

        Args:
            boxes: (N, 4) xyxy, file coordinates.
            scores: (N,) in the detector's own range.
            embeddings: (N, D) appearance of each box; required by trackers that need them.
            frame: number, thresholds, camera motion. Skipped numbers count as frames without detections.

        Raises:
            InputError: names tracker, frame and remedy.
        """
        context = frame or FrameContext()
        index = context.index
        if index is None:
            index = 1 if self._frame is None else self._frame + 1
        if self._frame is not None:
            if index <= self._frame:
                self._refuse(index, f"follows frame {self._frame}; give frames in ascending order, or call reset()")
            for skipped in range(self._frame + 1, index):
                self._clock.pass_over(skipped, index, context.seconds)
                self._step(empty(skipped))
        found = self._check(index, boxes, scores, embeddings, context)
        self._clock.tick(index, context.seconds)
        self._frame = index
        return self._step(found).with_area()

    def follow(self, bounds: NDArray[np.int64]) -> Follower | None:
        """Something that tracks a whole sequence in compiled code as `update` would; None: `update` it is.

        Args:
            bounds: (T + 1,) rows of every frame of the sequence.
        """
        return None

    def _kept(self, buffer: int) -> int:
        """Frames a lost track is kept: `buffer` thirtieths of a second, at the settings' rate or by the clock.

        At least one either way, as frames may lie farther apart than the buffer is long.
        """
        if self._clock:
            return max(self._clock.frames_in(buffer / 30.0), min(buffer, 1))
        return buffer_frames(buffer, self.settings.fps)

    @abstractmethod
    def _clear(self) -> None:
        """Make the empty state: `_filter` and `_table`."""

    @abstractmethod
    def _step(self, found: Found) -> TrackerOutput:
        """One frame, checked; boxes without area may be among what is returned."""

    def _check(
        self, index: int, boxes: ArrayLike, scores: ArrayLike, embeddings: ArrayLike | None, context: FrameContext
    ) -> Found:
        places = np.asarray(boxes, np.float64)
        if places.size == 0:
            places = places.reshape(0, 4)
        values = np.asarray(scores, np.float32).reshape(-1)
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
            self._refuse(
                index,
                f"score {worst:g} lies outside the declared range {limits[0]:g} to {limits[1]:g}; "
                "calibrate the scores or declare the detector's own score_range",
            )
        vectors, known = self._check_embeddings(index, count, embeddings, context)
        return Found(np.ascontiguousarray(places), values, vectors, known, index, context)

    def _check_embeddings(
        self, index: int, count: int, embeddings: ArrayLike | None, context: FrameContext
    ) -> tuple[NDArray[np.float32] | None, NDArray[np.bool_]]:
        """Unit vectors (zero where unknown) and which rows have one."""
        mask = context.has_embedding
        known = np.ones(count, np.bool_) if mask is None else np.asarray(mask, np.bool_).reshape(-1)
        if len(known) != count:
            self._refuse(index, f"has_embedding has {len(known)} entries for {count} boxes; give one a box")
        if embeddings is None:
            if self.needs_embeddings and count and mask is None:
                self._refuse(index, "boxes come without embeddings; give (N, D), or take a tracker of motion only")
            return None, np.zeros(count, np.bool_)
        vectors = np.asarray(embeddings, np.float32)
        if count == 0 and vectors.size == 0:
            return None, known
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
        return unit_rows(vectors, known)

    def _refuse(self, index: int, what: str) -> None:
        raise InputError(f"{self.name}, frame {index}: {what}")


def unit_rows(vectors: NDArray[np.float32], known: NDArray[np.bool_]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Rows scaled to unit length, zero where not known or without length; and which are known then."""
    length = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    known = known & (length > 0)
    return np.where(known[:, None], vectors / np.where(known, length, 1.0)[:, None], np.float32(0)), known


def empty(frame: int) -> Found:
    """A frame without detections."""
    return Found(np.zeros((0, 4)), np.zeros(0, np.float32), None, np.zeros(0, np.bool_), frame)


def parse(name: str, kind: type[TrackerSettings], given: Mapping[str, Any]) -> TrackerSettings:
    """Settings of a tracker.

    Raises:
        InputError: an unknown setting (the message lists the known ones) or a value that does not fit.
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

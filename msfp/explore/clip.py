"""One sequence of a run: its frames, labels and tracks, and how it is tracked with other thresholds."""

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from msfp.datasets.frames import Image, read_frame
from msfp.errors import NotComputable
from msfp.metrics import fast
from msfp.metrics.score import SequenceScore
from msfp.metrics.switches import Switches, find_switches
from msfp.pipeline import data
from msfp.pipeline.data import Part
from msfp.pipeline.run import Run
from msfp.pipeline.tracks import Method, frame_thresholds, material, settled, tracks
from msfp.tracking import make, track
from msfp.types import Detections, GroundTruth, Sequence, Tracks, tlwh_to_xyxy

FULL = "MSFP-Track"


@dataclass(frozen=True, eq=False)
class Result:
    """What a method made of a sequence."""

    tracks: Tracks  # frames from 1, the clip's first
    score: SequenceScore | None  # None where the labels are not at hand
    switches: Switches | None  # identity switches; None likewise


@dataclass(frozen=True, eq=False)
class Clip:
    """A stretch of one sequence. Frames are counted from 1, the stretch's first; `shown` gives the scene's number."""

    run: Run  # the run
    part: Part  # the stretch of the scene
    sequence: Sequence  # whose detections are tracked
    methods: dict[str, Method]  # label of a row of Table 1 -> method; MSFP-Track first

    @property
    def length(self) -> int:
        """Number of frames."""
        return self.part.length

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of a frame in pixels."""
        return self.sequence.width, self.sequence.height

    def shown(self, frame: int) -> int:
        """Number of a frame in the scene, as its files have it."""
        return self.part.first + frame - 1

    @cached_property
    def detections(self) -> Detections:
        """Public detections, sorted by frame."""
        return data.window(data.detections(self.sequence), self.part)

    @cached_property
    def truth(self) -> GroundTruth | None:
        """Labels; None where nobody here has them."""
        try:
            return data.window(data.truth(self.part.scene), self.part)
        except NotComputable:
            return None

    @cached_property
    def _prepared(self) -> fast.PreparedTruth | None:
        if self.truth is None:
            return None
        return fast.prepare(self.truth, self.length, benchmark=data.benchmark(self.part.scene))

    @cached_property
    def atl(self) -> NDArray[np.float32]:
        """(T, 2) tau_high and tau_low that ATL predicts; NotComputable where frames that it learns from are missing."""
        taus = frame_thresholds(self.run, self.part, self.sequence, self.methods[FULL])
        assert taus is not None
        return taus

    def result(self, label: str) -> Result:
        """Tracks of a method as the run has them. Raises NotComputable: says what is missing."""
        return _result(self, self.methods[label])

    def adapted(self, label: str) -> Result:
        """The method with ATL's thresholds in place of its own."""
        return _result(self, replace(self.methods[label], threshold=self.methods[FULL].threshold))

    def retrack(self, label: str, high: float, low: float) -> Result:
        """The method with fixed thresholds, tracked now; nothing is stored."""
        taus = np.tile(np.array([high, low], np.float32), (self.length, 1))
        found, vectors, warps = _material(self, label)
        method = settled(self.run, self.methods[label])
        tracker = make(method.tracker, fps=self.sequence.fps, **dict(method.options))
        return self._judged(track(tracker, found, self.length, vectors, taus, warps=warps))

    def image(self, frame: int) -> Image:
        """(H, W, 3) uint8 RGB."""
        return _image(self, frame)

    def _judged(self, found: Tracks) -> Result:
        if self._prepared is None:
            return Result(found, None, None)
        return Result(found, fast.score(self._prepared, found), find_switches(self._prepared, found))


@lru_cache(maxsize=64)
def _result(clip: Clip, method: Method) -> Result:
    return clip._judged(tracks(clip.run, clip.part, clip.sequence, method))


@lru_cache(maxsize=16)
def _material(clip: Clip, label: str) -> tuple[Detections, NDArray[np.float32] | None, NDArray[np.float64] | None]:
    return material(clip.run, clip.part, clip.sequence, clip.methods[label])


@lru_cache(maxsize=128)
def _image(clip: Clip, frame: int) -> Image:
    return read_frame(clip.part.scene.pixels, clip.shown(frame))


def rows_in(rows: Tracks | Detections, frame: int) -> slice:
    """Rows of one frame."""
    return slice(*np.searchsorted(rows.frame, [frame, frame + 1]).tolist())


def boxes_in(found: Tracks, frame: int) -> tuple[NDArray[np.int32], NDArray[np.floating]]:
    """(M,) identities and (M, 4) xyxy boxes of one frame, file coordinates."""
    rows = rows_in(found, frame)
    return found.id[rows], tlwh_to_xyxy(found.tlwh[rows])

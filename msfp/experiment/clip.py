"""A clip: a stretch of a scene as pandas frames and pictures, and the score of tracks on it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from msfp.data.frames import FrameReader
from msfp.engine.code import source_of
from msfp.errors import InputError
from msfp.experiment import data
from msfp.experiment.data import Part
from msfp.experiment.run import Run
from msfp.experiment.thresholds import member
from msfp.metrics import hota, scores
from msfp.metrics.scores import SequenceScore
from msfp.types import Detections, GroundTruth, Tracks, tlwh_to_xyxy

if TYPE_CHECKING:
    from matplotlib.figure import Figure


CORNERS = ["x1", "y1", "x2", "y2"]


@dataclass(frozen=True)
class Clip:
    """Frames `part.first` to `part.last` of a scene, numbered from 1.

    Boxes are in pixels as MOTChallenge writes them: the left edge of the image lies at 1.

    Example:
        >>> clip = run.clips()[0]
        >>> list(clip.labels())
        ['frame', 'id', 'x', 'y', 'w', 'h', 'visibility']
    """

    run: Run = field(repr=False, compare=False)
    part: Part = field(repr=False)

    def __repr__(self) -> str:
        return f"Clip({self.part.name}, {', '.join(self.detectors)})"

    @property
    def name(self) -> str:
        return self.part.scene.name

    @property
    def length(self) -> int:
        return self.part.length

    @property
    def fps(self) -> float:
        return self.part.scene.pixels.fps

    @property
    def detectors(self) -> tuple[str, ...]:
        """Whose public boxes there are."""
        return tuple(s.detector for s in data.sequences(self.part))

    @cached_property
    def _truth(self) -> GroundTruth:
        return data.window(data.truth(self.part.scene), self.part)

    def labels(self) -> pd.DataFrame:
        """The people who count in evaluation: frame, id, x, y, w, h, visibility; rows as `run.embed` has them."""
        truth = self._truth
        columns = {"frame": truth.frame, "id": truth.id, **dict(zip(["x", "y", "w", "h"], truth.tlwh.T, strict=True))}
        return pd.DataFrame({**columns, "visibility": truth.visibility})[truth.pedestrian].reset_index(drop=True)

    def detections(self, detector: str) -> pd.DataFrame:
        """A public detector's boxes: frame, x1, y1, x2, y2, score; rows as `run.embed` has them."""
        found = data.window(data.detections(member(self.part, detector)), self.part)
        return _frame(found, {"frame": found.frame})

    def image(self, frame: int) -> NDArray[np.uint8]:
        """(H, W, 3) RGB pixels of a frame; InputError where it is not there."""
        with FrameReader(self.part.scene.pixels, [frame + self.part.first - 1]) as frames:
            return next(iter(frames))[1]

    def score(self, tracks: pd.DataFrame) -> SequenceScore:
        """Score of tracks (frame, id, x1, y1, x2, y2, score) by the compiled kernels, with the benchmark's rules."""
        return hota.evaluate(self._truth, as_tracks(tracks), self.length, benchmark=data.benchmark(self.part.scene))

    def trackeval(self, tracks: pd.DataFrame) -> SequenceScore:
        """The same by TrackEval's own code, some forty times as slow."""
        return scores.evaluate(self._truth, as_tracks(tracks), self.length, benchmark=data.benchmark(self.part.scene))


def as_detections(boxes: pd.DataFrame) -> Detections:
    """Detections of a frame with columns frame, x1, y1, x2, y2, score; InputError: one lacks, or rows are unsorted."""
    tlwh = _tlwh(boxes, "detections", "score")
    return Detections(boxes["frame"].to_numpy(np.int32), tlwh, boxes["score"].to_numpy(np.float32))


def as_tracks(tracks: pd.DataFrame) -> Tracks:
    """Tracks of a frame with columns frame, id, x1, y1, x2, y2 and, where there is one, score; InputError likewise."""
    tlwh = _tlwh(tracks, "tracks", "id")
    score = tracks["score"].to_numpy(np.float32) if "score" in tracks else np.ones(len(tracks), np.float32)
    return Tracks(tracks["frame"].to_numpy(np.int32), tracks["id"].to_numpy(np.int32), tlwh, score)


def as_labels(labels: pd.DataFrame) -> GroundTruth:
    """Labels of a frame with columns frame, id and x, y, w, h or corners, all of which count; InputError likewise."""
    wanted = ["frame", "id", *([] if "x1" in labels else ["x", "y", "w", "h"])]
    if missing := [name for name in wanted if name not in labels]:
        raise InputError(f"labels: column {missing[0]!r} is missing; needed are frame, id, x, y, w, h")
    rows = labels.sort_values("frame", kind="stable")
    tlwh = _tlwh(rows, "labels", "id") if "x1" in rows else rows[wanted[2:]].to_numpy(np.float64)
    ones = np.ones(len(rows), np.float32)
    frame, identity = (rows[name].to_numpy(np.int32) for name in ("frame", "id"))
    return GroundTruth(frame, identity, tlwh, ones, ones.astype(np.int32), ones)


def tracks_frame(tracks: Tracks) -> pd.DataFrame:
    """Tracks as a frame: frame, id, x1, y1, x2, y2, score."""
    return _frame(tracks, {"frame": tracks.frame, "id": tracks.id})


def _frame(boxes: Detections | Tracks, first: dict[str, NDArray[np.int32]]) -> pd.DataFrame:
    corners = dict(zip(CORNERS, tlwh_to_xyxy(boxes.tlwh).T, strict=True))
    return pd.DataFrame({**first, **corners, "score": boxes.score})


def _tlwh(boxes: pd.DataFrame, what: str, also: str) -> NDArray[np.float64]:
    wanted = ["frame", *CORNERS, also]
    if missing := [name for name in wanted if name not in boxes]:
        raise InputError(f"{what}: column {missing[0]!r} is missing; needed are {', '.join(wanted)}")
    if not boxes["frame"].is_monotonic_increasing:
        raise InputError(f"{what}: rows are not sorted by frame; give {what}.sort_values('frame', kind='stable')")
    out = boxes[CORNERS].to_numpy(np.float64, copy=True)
    out[:, 2:] -= out[:, :2]
    return out


def draw(clip: Clip, boxes: pd.DataFrame, frames: Iterable[int], *, columns: int = 4) -> "Figure":
    """Draw frames of a clip with boxes: frame and x1, y1, x2, y2 or x, y, w, h; with `id`, a colour an identity.

    Example:
        >>> figure = msfp.draw(clip, clip.labels(), frames=[1, 2])
        >>> len(figure.axes)
        2
    """
    import matplotlib.pyplot as plt
    from matplotlib.patches import Rectangle

    chosen = list(frames)
    rows = -(-len(chosen) // columns)
    wide = min(columns, len(chosen))
    pixels = clip.part.scene.pixels
    height = 10 / wide * pixels.height / pixels.width
    fig, axes = plt.subplots(rows, wide, figsize=(10, rows * (height + 0.25)), squeeze=False)
    palette = plt.get_cmap("tab20")
    for axis, frame in zip(axes.flat, chosen, strict=False):
        axis.imshow(clip.image(frame))
        axis.set_title(f"{clip.name}, frame {frame}", fontsize=7)
        for box in boxes[boxes["frame"] == frame].to_dict("records"):
            left, top = (box["x1"], box["y1"]) if "x1" in box else (box["x"], box["y"])
            w, h = (box["x2"] - left, box["y2"] - top) if "x1" in box else (box["w"], box["h"])
            colour = palette(int(box["id"]) % 20) if "id" in box else "w"
            axis.add_patch(Rectangle((left - 1, top - 1), w, h, fill=False, ec=colour, lw=1))
    for axis in axes.flat:
        axis.set_axis_off()
    fig.tight_layout(pad=0.3)
    plt.close(fig)  # shown once, as the value of its cell
    return fig


def show(thing: Any) -> Any:
    """Show the source of a function or class, coloured where a notebook does that; MsfpError where it has none.

    Example:
        >>> "class FusionHead" in msfp.show(msfp.FusionHead).data
        True
    """
    from IPython.display import Code

    return Code(source_of(thing), language="python")

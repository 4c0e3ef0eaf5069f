"""The values that flow between the floors: frozen, checked when made, NumPy only; families that register."""

import importlib
import pkgutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

Base = TypeVar("Base")


def concrete(package: str, path: Iterable[str], base: type[Base]) -> dict[str, type[Base]]:
    """Subclasses of `base` in a folder, by their own `name`; each counts where it is defined, not where imported."""
    found: dict[str, type[Base]] = {}
    for info in pkgutil.iter_modules(list(path)):
        module = importlib.import_module(f"{package}.{info.name}")
        for value in vars(module).values():
            own = isinstance(value, type) and issubclass(value, base) and value.__module__ == module.__name__
            name = str(vars(value).get("name", "")) if own else ""
            if not name:
                continue
            if name in found:
                raise TypeError(f"two of {package} are named {name!r}: {found[name]} and {value}")
            found[name] = value
    return dict(sorted(found.items()))


Array = NDArray[np.generic]
Stamp = tuple[int, ...]
Source = Literal["measured", "paper", "published", "server", "n/a"]
DETECTORS = ("DPM", "FRCNN", "SDP")
BOXES = (*DETECTORS, "OWN", "TRUE")  # suffixes of names: a public detector's boxes, the frozen one's own, the labels'


@dataclass(frozen=True)
class Strips:
    """How a box is cut into horizontal strips before it is pooled, each strip for itself."""

    number: int = 8  # strips of equal height, from top to bottom
    width: float = 0.5  # share of the box's width that they keep, around its middle

    def __str__(self) -> str:
        return f"{self.number} strips of {self.width:g} of the width"


@dataclass(frozen=True)
class FileState:
    """State in which a sequence's files were found; see `msfp.data.frames`."""

    labels: Stamp | None
    detections: Stamp | None
    pixels: str  # digest of the images' names and stamps; empty where there are none


@dataclass(frozen=True)
class Sequence:
    """One sequence folder: what seqinfo.ini declares and which of its files are there."""

    name: str  # of the folder, `MOT17-02-FRCNN`
    dataset: str  # name in the catalog, `mot17`, `synth17`, ...
    split: str  # `train` or `test`
    path: Path  # the folder that holds `seqinfo.ini`
    fps: float
    length: int  # number of frames that seqinfo.ini declares
    width: int
    height: int
    frames: tuple[int, ...] = ()  # the frame numbers (from 1, ascending) whose pixels are present
    images: Path | None = None  # folder of the images or video file; None when there are no pixels
    image_ext: str = ".jpg"  # empty for a video
    gt_path: Path | None = None  # ground truth, None where hidden or absent
    det_path: Path | None = None  # public detections, None where absent
    trouble: str = ""  # why the pixels that lie there cannot be used, and the remedy
    # of its files when the folder was read, so that sequences are equal only while their files are; None: nobody looked
    state: FileState | None = None

    @property
    def detector(self) -> str:
        """Whose boxes, as the name's suffix says; `public` when it says nothing (MOT20)."""
        tail = self.name.rpartition("-")[2]
        return tail if tail in BOXES else "public"

    @property
    def scene(self) -> str:
        """Name of the filmed scene: the folder's name less its detector. Its pixels and truth are shared."""
        head, _, tail = self.name.rpartition("-")
        return head if tail in BOXES else self.name


@dataclass(frozen=True)
class Scene:
    """The sequences that show the same pixels with different public detections."""

    name: str  # `MOT17-02`
    pixels: Sequence  # the member with the most frames present; features are extracted from it once
    sequences: tuple[Sequence, ...]  # all members, by name


@dataclass(frozen=True)
class Rows:
    """Columns of equal length, sorted by frame (stable), one row a box."""

    frame: NDArray[np.int32]  # (N,), from 1

    def __post_init__(self) -> None:
        check_rows(**vars(self))

    def __len__(self) -> int:
        return len(self.frame)


@dataclass(frozen=True)
class Detections(Rows):
    """Detections of one sequence."""

    tlwh: NDArray[np.float64]  # (N, 4), file coordinates
    score: NDArray[np.float32]  # (N,), in the detector's own range (DPM: an SVM margin)


@dataclass(frozen=True)
class GroundTruth(Rows):
    """Labels of one scene; keeps every class, as evaluation needs them."""

    id: NDArray[np.int32]  # (N,) identity
    tlwh: NDArray[np.float64]  # (N, 4), file coordinates
    flag: NDArray[np.float32]  # (N,), 1 where the row counts in evaluation, 0 where it is ignored
    category: NDArray[np.int32]  # (N,), MOTChallenge class (1 pedestrian); 1 where the format has none (MOT15)
    visibility: NDArray[np.float32]  # (N,) in [0, 1]; 1 where the format has none

    @property
    def pedestrian(self) -> NDArray[np.bool_]:
        """(N,) rows that count: pedestrians that evaluation considers."""
        return (self.category == 1) & (self.flag > 0)


@dataclass(frozen=True)
class Tracks(Rows):
    """A tracker's output for one sequence."""

    id: NDArray[np.int32]  # (N,), from 1; at most one row per frame and id
    tlwh: NDArray[np.float64]  # (N, 4), file coordinates
    score: NDArray[np.float32]  # (N,), of the matched detection


@dataclass(frozen=True)
class Features:
    """Pooled features of one box set of one scene (`gt` or a public detector), aligned with its rows."""

    frame: NDArray[np.int32]  # (N,), of each box
    present: NDArray[np.bool_]  # (N,), False where the frame's pixels are absent (its vectors are zero)
    layers: dict[int, NDArray[np.float16]]  # tapped layer -> (N, C) mean-pooled RoIAlign vectors (eq. 1)
    scene_frame: NDArray[np.int32]  # (T,), frames whose pixels are present
    scene: NDArray[np.float16]  # (T, C), GAP of the scene layer (layer 14 in eq. 6)

    def __post_init__(self) -> None:
        check_rows(self.frame, present=self.present, **{f"layer {k}": v for k, v in self.layers.items()})


@dataclass(frozen=True)
class Cell:
    """One entry of a table, with where it came from.

    Example:
        >>> msfp.Cell("ByteTrack", "HOTA", 54.8).source
        'measured'
    """

    row: str  # labels as in the paper's table
    column: str
    value: float | str | None  # text for cells that are words; None only with source `n/a` or `server`
    std: float | None = None  # spread over seeds, None where nothing is random
    source: Source = "measured"  # or quoted from the paper, published elsewhere, kept by the server, n/a
    reason: str = ""  # why there is no value, or a remark on how the value was made
    unit: str = ""  # `%`, `ms`, ... or empty
    detail: dict[str, str | float | int] = field(default_factory=dict)  # settings and counts to be shown on hover

    def __post_init__(self) -> None:
        if self.value is None and self.source in ("measured", "paper", "published"):
            raise ValueError(f"cell {self.row!r} / {self.column!r}: source {self.source!r} needs a value")
        if self.source in ("n/a", "server") and not self.reason:
            raise ValueError(f"cell {self.row!r} / {self.column!r}: source {self.source!r} needs a reason")


def check_rows(frame: Array, **columns: Array) -> None:
    """Hold columns to the frame column's length, and frames to ascending order; else ValueError."""
    for name, column in columns.items():
        if len(column) != len(frame):
            raise ValueError(f"{name}: {len(column)} rows beside {len(frame)} frame numbers")
    if len(frame) and np.any(np.diff(frame) < 0):
        raise ValueError("rows are not sorted by frame")


def frame_bounds(frame: Array, length: int) -> NDArray[np.int64]:
    """(length + 1,) offsets so that rows of frame t (from 1) are `bounds[t - 1]:bounds[t]`."""
    return np.searchsorted(frame, np.arange(1, length + 2)).astype(np.int64)


def tlwh_to_xyxy(tlwh: NDArray[np.floating]) -> NDArray[np.floating]:
    """(N, 4) left, top, width, height -> left, top, right, bottom."""
    out = tlwh.copy()
    out[:, 2:] += out[:, :2]
    return out


def xyxy_to_tlwh(xyxy: NDArray[np.floating]) -> NDArray[np.floating]:
    """(N, 4) left, top, right, bottom -> left, top, width, height."""
    out = xyxy.copy()
    out[:, 2:] -= out[:, :2]
    return out

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
    """Subclasses of `base` with a `name` of their own, by name; each counts where it is defined, not where imported.

    Args:
        package: the folder's name, `msfp.tracking`.
        path: its `__path__`.
        base: abstract class of the family, which carries `name`.

    Raises:
        TypeError: two of one name.
    """
    found: dict[str, type[Base]] = {}
    for info in pkgutil.iter_modules(list(path)):
        module = importlib.import_module(f"{package}.{info.name}")
        for value in vars(module).values():
            if not (isinstance(value, type) and issubclass(value, base) and value.__module__ == module.__name__):
                continue
            name = str(vars(value).get("name", ""))
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
    """State in which a sequence's files were found; see `msfp.data.frames`.

    Attributes:
        labels, detections: stamps of the files; None where there is none.
        pixels: digest of the images' names and stamps; empty where there are none.
    """

    labels: Stamp | None
    detections: Stamp | None
    pixels: str


@dataclass(frozen=True)
class Sequence:
    """One sequence folder: what seqinfo.ini declares and which of its files are there.

    Attributes:
        name: folder name, `MOT17-02-FRCNN`.
        dataset: name in the catalog, `mot17`, `synth17`, ...
        split: `train` or `test`.
        path: the folder that holds `seqinfo.ini`.
        fps: frames per second.
        length: number of frames that seqinfo.ini declares.
        width, height: image size in pixels.
        frames: the frame numbers (from 1, ascending) whose pixels are present.
        images: folder of the images or video file; None when there are no pixels.
        image_ext: extension of an image file, `.jpg`; empty for a video.
        gt_path: ground truth, None where hidden or absent.
        det_path: public detections, None where absent.
        trouble: why the pixels that lie there cannot be used, and the remedy; empty where nothing is amiss.
        state: of its files when the folder was read, so that sequences are equal only while their files are; None
            where nobody looked.
    """

    name: str
    dataset: str
    split: str
    path: Path
    fps: float
    length: int
    width: int
    height: int
    frames: tuple[int, ...] = ()
    images: Path | None = None
    image_ext: str = ".jpg"
    gt_path: Path | None = None
    det_path: Path | None = None
    trouble: str = ""
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
    """The sequences that show the same pixels with different public detections.

    Attributes:
        name: `MOT17-02`.
        pixels: the member with the most frames present; features are extracted from it once.
        sequences: all members, by name.
    """

    name: str
    pixels: Sequence
    sequences: tuple[Sequence, ...]


@dataclass(frozen=True)
class Rows:
    """Columns of equal length, sorted by frame (stable), one row a box.

    Attributes:
        frame: (N,) int32, from 1.
    """

    frame: NDArray[np.int32]

    def __post_init__(self) -> None:
        check_rows(**vars(self))

    def __len__(self) -> int:
        return len(self.frame)


@dataclass(frozen=True)
class Detections(Rows):
    """Detections of one sequence.

    Attributes:
        tlwh: (N, 4) float64, file coordinates.
        score: (N,) float32, in the detector's own range (DPM: an SVM margin).
    """

    tlwh: NDArray[np.float64]
    score: NDArray[np.float32]


@dataclass(frozen=True)
class GroundTruth(Rows):
    """Labels of one scene; keeps every class, as evaluation needs them.

    Attributes:
        id: (N,) int32 identity.
        tlwh: (N, 4) float64, file coordinates.
        flag: (N,) float32, 1 where the row counts in evaluation, 0 where it is ignored.
        category: (N,) int32, MOTChallenge class (1 pedestrian); 1 where the format has none (MOT15).
        visibility: (N,) float32 in [0, 1]; 1 where the format has none.
    """

    id: NDArray[np.int32]
    tlwh: NDArray[np.float64]
    flag: NDArray[np.float32]
    category: NDArray[np.int32]
    visibility: NDArray[np.float32]

    @property
    def pedestrian(self) -> NDArray[np.bool_]:
        """(N,) rows that count: pedestrians that evaluation considers."""
        return (self.category == 1) & (self.flag > 0)


@dataclass(frozen=True)
class Tracks(Rows):
    """A tracker's output for one sequence.

    Attributes:
        id: (N,) int32, from 1; at most one row per frame and id.
        tlwh: (N, 4) float64, file coordinates.
        score: (N,) float32, score of the matched detection.
    """

    id: NDArray[np.int32]
    tlwh: NDArray[np.float64]
    score: NDArray[np.float32]


@dataclass(frozen=True)
class Features:
    """Pooled features of one box set of one scene (`gt` or a public detector), aligned with its rows.

    Attributes:
        frame: (N,) int32, frame of each box.
        present: (N,) bool, False where the frame's pixels are absent (its vectors are zero).
        layers: tapped layer -> (N, C) float16 mean-pooled RoIAlign vectors (eq. 1).
        scene_frame: (T,) int32, frames whose pixels are present.
        scene: (T, C) float16, GAP of the scene layer (layer 14 in eq. 6).
    """

    frame: NDArray[np.int32]
    present: NDArray[np.bool_]
    layers: dict[int, NDArray[np.float16]]
    scene_frame: NDArray[np.int32]
    scene: NDArray[np.float16]

    def __post_init__(self) -> None:
        check_rows(self.frame, present=self.present, **{f"layer {k}": v for k, v in self.layers.items()})


@dataclass(frozen=True)
class Cell:
    """One entry of a table, with where it came from.

    Attributes:
        row, column: labels as in the paper's table.
        value: the number, or text for cells that are words; None only with source `n/a` or `server`.
        std: spread over seeds, None where nothing is random.
        source: measured here, quoted from the paper, published elsewhere, kept by the server, or n/a.
        reason: why there is no value, or a remark on how the value was made.
        unit: `%`, `ms`, ... or empty.
        detail: settings and counts a reader may want on hover.

    Example:
        >>> msfp.Cell("ByteTrack", "HOTA", 54.8).source
        'measured'
    """

    row: str
    column: str
    value: float | str | None
    std: float | None = None
    source: Source = "measured"
    reason: str = ""
    unit: str = ""
    detail: dict[str, str | float | int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.value is None and self.source in ("measured", "paper", "published"):
            raise ValueError(f"cell {self.row!r} / {self.column!r}: source {self.source!r} needs a value")
        if self.source in ("n/a", "server") and not self.reason:
            raise ValueError(f"cell {self.row!r} / {self.column!r}: source {self.source!r} needs a reason")


def check_rows(frame: Array, **columns: Array) -> None:
    """Hold columns to the frame column's length, and frames to ascending order.

    Raises:
        ValueError: a column of another length, or frames not ascending.
    """
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

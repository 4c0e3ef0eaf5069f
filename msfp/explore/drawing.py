"""What the widgets draw: frames with boxes that can be clicked, and curves."""

import base64
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import numpy as np
import traitlets
from numpy.typing import NDArray

from msfp.data.frames import Image
from msfp.explore.session import Clip, Result, rows_in
from msfp.online.video import COLOURS
from msfp.types import tlwh_to_xyxy

if TYPE_CHECKING:
    from matplotlib.axes import Axes


INK = "#010203"  # stands for the page's text colour until the SVG is written
OWN, OTHER, HIGH, LOW, RAW = "#009E73", "#D55E00", "#E69F00", "#56B4E9", "#F0F0F0"
STYLE: Any = {
    "font.size": 8, "font.family": "sans-serif", "svg.fonttype": "none", "axes.linewidth": 0.6, "axes.edgecolor": INK,
    "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "text.color": INK, "legend.frameon": False,
    "axes.spines.top": False, "axes.spines.right": False, "legend.fontsize": 8, "lines.linewidth": 1.4,
}  # fmt: skip
CURSOR = "msfp-now"


@dataclass(frozen=True)
class Chart:
    """Curves over the frames, drawn once, and a cursor that is moved."""

    svg: str  # the picture with its cursor at the first frame
    first: int  # number of that frame
    step: float  # points of the picture a frame

    def at(self, frame: int) -> str:
        """The picture with its cursor at a frame."""
        place = f'<g class="{CURSOR}" transform="translate({(frame - self.first) * self.step:.2f})">'
        return self.svg.replace(f'<g id="{CURSOR}">', place)


def _drawn(frames: tuple[int, int], plot: Callable[["Axes"], None], size: tuple[float, float] = (5.2, 1.8)) -> Chart:
    """What is plotted over the frames from the first to the last, on axes of a size in inches."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        fig = Figure(figsize=size, layout="constrained")
        ax = fig.subplots()
        ax.axvline(frames[0], color=INK, lw=0.6, alpha=0.6, gid=CURSOR)
        ax.set_xlim(frames[0] - 0.5, frames[1] + 0.5)
        plot(ax)
        if ax.get_legend_handles_labels()[1]:
            spaces = {"columnspacing": 1.2, "handlelength": 1.6, "borderaxespad": 0.2}
            ax.legend(ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0), **spaces)
        buffer = io.StringIO()
        fig.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = re.sub(r'<svg ([^>]*?)width="[^"]*"', r'<svg \1width="100%"', text[text.index("<svg") :], count=1)
    text = re.sub(r' height="[^"]*pt"', "", text, count=1).replace(INK, "currentColor")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    (left, _), (right, _) = ax.transData.transform([(0, 0), (1, 0)])
    return Chart(text, frames[0], float(right - left) * 72 / fig.dpi)


def similarity(frames: NDArray[np.integer], own: NDArray, other: NDArray, asked: int, names: tuple[str, str]) -> Chart:
    """Similarity over time with the person itself and with the best other one, (T,) each, NaN where there is none.

    `frames` are (T,) numbers, `asked` is that of the box that is asked about.
    """

    def plot(ax: "Axes") -> None:
        ax.plot(frames, other, color=OTHER, ls="--", marker=".", ms=3, label=names[1])
        ax.plot(frames, own, color=OWN, marker=".", ms=3, label=names[0])
        ax.plot([asked], [1.0], marker="v", ls="", color=INK, ms=6, label="the box clicked")
        ax.set(xlabel="frame", ylabel="cosine similarity", ylim=(None, 1.06))

    return _drawn((int(frames[0]), int(frames[-1])), plot)


def taus(frames: NDArray[np.integer], atl: NDArray[np.float32], fixed: tuple[float, float]) -> Chart:
    """ATL's (T, 2) tau_high and tau_low over (T,) frames, beside the two of the slider."""

    def plot(ax: "Axes") -> None:
        for column, (name, colour) in enumerate((("high", HIGH), ("low", LOW))):
            ax.plot(frames, atl[:, column], color=colour, label=f"ATL, τ {name}")
            ax.axhline(fixed[column], color=colour, ls=":", lw=1.6, label=f"slider, τ {name}")
        low, high = min(0.0, *fixed, atl.min()), max(1.0, *fixed, atl.max())
        margin = 0.03 * (high - low)
        ax.set(xlabel="frame", ylabel="threshold τ", ylim=(low - margin, high + margin))

    return _drawn((int(frames[0]), int(frames[-1])), plot)


def switch_marks(frames: tuple[int, int], marks: Mapping[str, NDArray[np.integer]]) -> Chart:
    """When identities switch, one line a tracker: name -> frames of its switches, once each."""

    def plot(ax: "Axes") -> None:
        for line, at in enumerate(marks.values()):
            ax.hlines(line, *frames, color=INK, lw=0.3, alpha=0.5)
            ax.plot(at, np.full(len(at), line), ls="", marker="|", ms=11, mew=1.8, color=OTHER)
        ax.set_yticks(range(len(marks)), list(marks))
        ax.set_ylim(len(marks) - 0.4, -0.6)
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)

    return _drawn(frames, plot, (9.0, 0.9))


FIRST_PIXEL = 1.0  # file coordinates begin at 1, pixels at 0
MARGIN = 0.08  # of a crop, in its own size
CROP_HEIGHT = 96
Box = dict[str, Any]


def jpeg(image: Image) -> bytes:
    """(H, W, 3) uint8 RGB as JPEG."""
    import cv2

    return cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()


def crop(clip: Clip, row: int) -> str:
    """A detection cut out of its frame, as `data:` address."""
    import cv2

    boxes = clip.detections
    image = clip.image(int(boxes.frame[row]))
    left, top, right, bottom = tlwh_to_xyxy(boxes.tlwh[row : row + 1])[0] - FIRST_PIXEL
    wide, high = MARGIN * (right - left), MARGIN * (bottom - top)
    x = np.clip([left - wide, right + wide], 0, image.shape[1]).round().astype(int)
    y = np.clip([top - high, bottom + high], 0, image.shape[0]).round().astype(int)
    if x[0] == x[1] or y[0] == y[1]:  # a box outside the frame
        cut = np.zeros((CROP_HEIGHT, CROP_HEIGHT // 2, 3), np.uint8)
    else:
        cut = image[y[0] : y[1], x[0] : x[1]]
    width = max(1, round(cut.shape[1] * CROP_HEIGHT / cut.shape[0]))
    sized = np.asarray(cv2.resize(cut, (width, CROP_HEIGHT), interpolation=cv2.INTER_CUBIC), np.uint8)
    return "data:image/jpeg;base64," + base64.b64encode(jpeg(sized)).decode()


def box(xyxy: NDArray[np.floating], identity: int, label: str, kind: str = "track", colour: str = "") -> Box:
    """One box for the view, in pixels from 0: `track` boxes can be clicked, of other kinds they are marks."""
    left, top, right, bottom = (float(v) for v in np.round(np.asarray(xyxy) - FIRST_PIXEL, 1))
    place = {"x": left, "y": top, "width": right - left, "height": bottom - top}
    colour = colour or COLOURS[identity % len(COLOURS)]
    return {**place, "id": identity, "label": label, "colour": colour, "kind": kind}


def boxes_of(result: Result, frame: int, switches: bool = False) -> list[Box]:
    """A frame's tracks; with `switches`, also the people whose identity changes in it."""
    rows = rows_in(result.tracks, frame)
    tracked = zip(result.tracks.id[rows].tolist(), tlwh_to_xyxy(result.tracks.tlwh[rows]), strict=True)
    found = [box(xyxy, who, str(who)) for who, xyxy in tracked]
    if switches and (mine := result.switches) is not None:
        at = np.flatnonzero(mine.frame == frame)
        found += [box(mine.xyxy[s], int(mine.after[s]), f"{mine.before[s]} → {mine.after[s]}", "switch") for s in at]
    return found


def labels_of(clip: Clip, frame: int) -> list[Box]:
    """The labelled people of a frame; none where the labels are not at hand."""
    if (truth := clip.truth) is None:
        return []
    rows = (truth.frame == frame) & truth.pedestrian
    found = zip(truth.id[rows].tolist(), tlwh_to_xyxy(truth.tlwh[rows]), strict=True)
    return [box(xyxy, who, f"{who}", "label", OWN) for who, xyxy in found]


def raw_of(clip: Clip, frame: int) -> list[Box]:
    """The public detections of a frame with their scores."""
    rows = rows_in(clip.detections, frame)
    found = zip(clip.detections.score[rows].tolist(), tlwh_to_xyxy(clip.detections.tlwh[rows]), strict=True)
    return [box(xyxy, -1, f"{score:.2f}", "detection", RAW) for score, xyxy in found]


class FrameView(anywidget.AnyWidget):
    """A frame, the boxes on it, and a line below."""

    _esm = Path(__file__).with_name("frame_view.js")
    _css = Path(__file__).with_name("frame_view.css")
    jpeg = traitlets.Bytes().tag(sync=True)
    size = traitlets.List([1, 1]).tag(sync=True)  # width and height in pixels
    boxes: Any = traitlets.List().tag(sync=True)  # see `box`
    chosen = traitlets.Int(-1).tag(sync=True)  # identity whose boxes are emphasised, -1 for none
    clicked = traitlets.List([-1, 0]).tag(sync=True)  # identity, and how many clicks there were
    caption = traitlets.Unicode().tag(sync=True)

    def show(self, clip: Clip, frame: int, boxes: list[Box], caption: str, chosen: int = -1) -> None:
        """Another frame or other boxes, sent in one message."""
        with self.hold_sync():
            self.jpeg = _frame_jpeg(clip, frame)
            self.size = [clip.sequence.width, clip.sequence.height]
            self.boxes, self.chosen, self.caption = boxes, chosen, caption


@lru_cache(maxsize=512)
def _frame_jpeg(clip: Clip, frame: int) -> bytes:
    return jpeg(clip.image(frame))

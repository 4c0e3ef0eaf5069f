"""Curves as SVG whose ink is the page's text colour, so that they read on a light and on a dark page."""

import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK = "#010203"  # stands for the page's text colour until the SVG is written
OWN, OTHER, HIGH, LOW = "#009E73", "#D55E00", "#E69F00", "#56B4E9"
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


def _drawn(width: float, height: float, frames: tuple[int, int], plot: Callable[["Axes"], None]) -> Chart:
    """What is plotted over the frames from the first to the last, on axes of a size in inches."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        fig = Figure(figsize=(width, height), layout="constrained")
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

    return _drawn(5.2, 1.8, (int(frames[0]), int(frames[-1])), plot)


def taus(frames: NDArray[np.integer], atl: NDArray[np.float32], fixed: tuple[float, float]) -> Chart:
    """ATL's (T, 2) tau_high and tau_low over (T,) frames, beside the two of the slider."""

    def plot(ax: "Axes") -> None:
        for column, (name, colour) in enumerate((("high", HIGH), ("low", LOW))):
            ax.plot(frames, atl[:, column], color=colour, label=f"ATL, τ {name}")
            ax.axhline(fixed[column], color=colour, ls=":", lw=1.6, label=f"slider, τ {name}")
        low, high = min(0.0, *fixed, atl.min()), max(1.0, *fixed, atl.max())
        margin = 0.03 * (high - low)
        ax.set(xlabel="frame", ylabel="threshold τ", ylim=(low - margin, high + margin))

    return _drawn(5.2, 1.8, (int(frames[0]), int(frames[-1])), plot)


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

    return _drawn(9.0, 0.9, frames, plot)

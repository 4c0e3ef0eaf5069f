"""Figures: one style, and the drawing of the architecture (Figure 1)."""

from importlib.resources import as_file, files
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from msfp.engine.files import atomic_write
from msfp.experiment.run import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure


COLUMN = 3.3
"""Width of a text column in inches."""

PAGE = 6.9
"""Width of both columns in inches."""

PALETTE = MappingProxyType(
    {
        "black": "#000000", "orange": "#E69F00", "sky": "#56B4E9", "green": "#009E73", "yellow": "#F0E442",
        "blue": "#0072B2", "vermillion": "#D55E00", "pink": "#CC79A7", "grey": "#7F7F7F",
    }
)  # fmt: skip
ORDER = ("blue", "orange", "black", "sky", "vermillion", "pink", "green")
DASHES = ("-", "--", "-.", ":")
MARKERS = "os^Dv<>PXp*d"
"""Shapes that are told apart in small type."""
FORMATS = ("pdf", "svg", "png")
_NO_DATES: dict[str, dict[str, None]] = {
    "pdf": {"CreationDate": None, "ModDate": None, "Producer": None, "Creator": None},
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
}


def set_style() -> None:
    """Set matplotlib's defaults: small type for a 3.3 inch column, embedded fonts, open axes."""
    import matplotlib.pyplot as plt

    with as_file(files("msfp.paper") / "figures.mplstyle") as path:
        plt.style.use(path)


def save(fig: "Figure", folder: Path, name: str) -> tuple[Path, ...]:
    """Write a figure, in its own size, as `<name>.pdf`, `.svg` and `.png`; the same figure gives the same bytes."""
    import io

    import matplotlib as mpl

    written = []
    with mpl.rc_context({"pdf.fonttype": 42, "svg.fonttype": "path", "svg.hashsalt": "msfp"}):
        for form in FORMATS:
            buffer = io.BytesIO()
            fig.savefig(buffer, format=form, metadata=_NO_DATES[form])
            path = folder / f"{name}.{form}"
            atomic_write(path, buffer.getvalue())
            written.append(path)
    return tuple(written)


WIDTH, HEIGHT = 100.0, 128.0  # drawing units; the figure is a column wide


class Box(NamedTuple):
    """A labelled box: centre, size in drawing units, text and fill."""

    x: float
    y: float
    width: float
    height: float
    text: str
    fill: str


def architecture(run: Run) -> "Figure":
    """Image, frozen detector and its taps, RoIAlign, projections, attention, ATL and the two association stages."""
    import matplotlib.pyplot as plt
    from matplotlib.colors import to_rgba
    from matplotlib.patches import FancyBboxPatch

    fig, ax = plt.subplots(figsize=(COLUMN, COLUMN * HEIGHT / WIDTH))
    ax.set_xlim(0, WIDTH)
    ax.set_ylim(0, HEIGHT)
    ax.axis("off")
    fig.subplots_adjust(0, 0, 1, 1)
    boxes, arrows = layout(run)
    for box in boxes.values():
        corner, shape = (box.x - box.width / 2, box.y - box.height / 2), "round,pad=0,rounding_size=1.2"
        fill = to_rgba(box.fill, 0.45)
        ax.add_patch(FancyBboxPatch(corner, box.width, box.height, boxstyle=shape, fc=fill, ec="0.3", lw=0.6))
        ax.text(box.x, box.y, box.text, ha="center", va="center", fontsize=6, linespacing=1.25)
    pairs = [(boxes[start], boxes[end]) for start, end in arrows]
    ways = [((a.x, a.y - a.height / 2), (b.x, b.y + b.height / 2)) for a, b in pairs]
    scene, atl = boxes[f"map{run.backbone().preset.scene}"], boxes["atl"]
    right = scene.x + scene.width / 2  # from the scene layer's map around the pooled boxes to ATL, which sees all of it
    ax.plot([right, right + 1.4, right + 1.4], [scene.y, scene.y, atl.y], lw=0.7, color="0.3")
    ways.append(((right + 1.4, atl.y), (atl.x + atl.width / 2, atl.y)))
    arrow = {"arrowstyle": "-|>", "lw": 0.7, "color": "0.3", "shrinkA": 0, "shrinkB": 0, "mutation_scale": 6}
    for start, end in ways:
        ax.annotate("", xy=end, xytext=start, arrowprops=arrow)
    return fig


def layout(run: Run) -> tuple[dict[str, Box], list[tuple[str, str]]]:
    """Boxes by name and arrows between them, with the channels, strides and widths of the run's modules."""
    backbone = run.backbone()
    width, height = run.settings.input.size
    fusion = run.settings.fusion.width
    taps = list(backbone.channels)
    grey, blue, orange, green, pink = "0.93", PALETTE["sky"], PALETTE["orange"], PALETTE["green"], PALETTE["pink"]
    boxes = {
        "image": Box(50, 123, 60, 7, f"image, letterboxed to {width} × {height}", grey),
        "detector": Box(50, 111, 92, 8, f"frozen detector ({backbone.preset.name}), up to layer {max(taps)}", blue),
    }
    arrows = [("image", "detector")]
    columns = [17.0 + i * 66 / max(len(taps) - 1, 1) for i in range(len(taps))]
    for x, layer in zip(columns, taps, strict=True):
        channels, stride = backbone.channels[layer], backbone.strides[layer]
        shape = f"{channels} × {height // stride} × {width // stride}"
        boxes[f"map{layer}"] = Box(x, 95, 30, 13, f"layer {layer}\n{shape}\nstride {stride}", blue)
        boxes[f"roi{layer}"] = Box(x, 78, 30, 10, f"RoIAlign 7 × 7\nmean → {channels}", grey)
        boxes[f"proj{layer}"] = Box(x, 63, 30, 10, f"Linear, ReLU, BN\n{channels} → {fusion}", orange)
        arrows += [("detector", f"map{layer}"), (f"map{layer}", f"roi{layer}"), (f"roi{layer}", f"proj{layer}")]
        arrows += [(f"proj{layer}", "attention")]
    boxes["attention"] = Box(
        32, 47, 58, 10, f"instance attention: {len(taps)} weights\nsum, L2 norm → {fusion}", orange
    )
    scene = backbone.channels[taps[-1]]
    hidden = run.settings.atl.hidden
    boxes["atl"] = Box(83, 43, 30, 18, f"ATL: GAP {scene}\n→ {hidden} → 1, σ\nEMA β = {run.settings.atl.beta:g}", green)
    boxes["first"] = Box(50, 26, 92, 10, "first stage: score > τ_high\nappearance + IoU", pink)
    boxes["second"] = Box(50, 12, 92, 10, "second stage: τ_low < score ≤ τ_high\nIoU only", pink)
    boxes["tracks"] = Box(50, 2.5, 40, 4.5, "tracks", grey)
    arrows += [("attention", "first"), ("atl", "first"), ("first", "second"), ("second", "tracks")]
    return boxes, arrows

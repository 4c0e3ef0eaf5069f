"""Looking at things in a notebook: frames with boxes, and the source of what is used."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pandas as pd

from msfp.engine.typed import source_of
from msfp.experiment.clip import Clip

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = 20  # of the map `tab20`


def draw(clip: Clip, boxes: pd.DataFrame, frames: Iterable[int], *, columns: int = 4) -> "Figure":
    """Draw frames of a clip with boxes; a colour an identity, where the boxes have one.

    Args:
        clip: which scene.
        boxes: frame and x1, y1, x2, y2 or x, y, w, h; `id` where they have identities.
        frames: which to draw; InputError where one is not there.
        columns: pictures in a row.
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
            colour = palette(int(box["id"]) % COLOURS) if "id" in box else "w"
            axis.add_patch(Rectangle((left - 1, top - 1), w, h, fill=False, ec=colour, lw=1))
    for axis in axes.flat:
        axis.set_axis_off()
    fig.tight_layout(pad=0.3)
    plt.close(fig)  # shown once, as the value of its cell
    return fig


def show(thing: Any) -> Any:
    """Show the source of a function or class, coloured where a notebook does that; MsfpError where it has none."""
    from IPython.display import Code

    return Code(source_of(thing), language="python")

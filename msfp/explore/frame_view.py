"""The widget that shows a frame with boxes and says which was clicked."""

from pathlib import Path
from typing import Any

import anywidget
import traitlets

from msfp.explore.clip import Clip
from msfp.explore.overlay import Box, frame_jpeg

HERE = Path(__file__).parent


class FrameView(anywidget.AnyWidget):
    """A frame, the boxes on it, and a line below."""

    _esm = HERE / "frame_view.js"
    _css = HERE / "frame_view.css"
    jpeg = traitlets.Bytes().tag(sync=True)
    size = traitlets.List([1, 1]).tag(sync=True)  # width and height in pixels
    boxes: Any = traitlets.List().tag(sync=True)  # see `overlay.box`
    chosen = traitlets.Int(-1).tag(sync=True)  # identity whose boxes are emphasised, -1 for none
    clicked = traitlets.List([-1, 0]).tag(sync=True)  # identity, and how many clicks there were
    caption = traitlets.Unicode().tag(sync=True)

    def show(self, clip: Clip, frame: int, boxes: list[Box], caption: str, chosen: int = -1) -> None:
        """Another frame or other boxes, sent in one message."""
        with self.hold_sync():
            self.jpeg = frame_jpeg(clip, frame)
            self.size = list(clip.size)
            self.boxes = boxes
            self.chosen = chosen
            self.caption = caption

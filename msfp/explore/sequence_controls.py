"""What all panels share: which sequence is open, and at which frame."""

from typing import Any

import ipywidgets as widgets
import traitlets

from msfp.errors import InputError
from msfp.explore.clip import Clip

NARROW = widgets.Layout(width="max-content")


class SequenceControls(traitlets.HasTraits):
    """The open sequence and frame, and the controls that choose them.

    Attributes:
        clip: the open sequence.
        frame: from 1, the clip's first.
        chooser: drop-down of sequences.
        slider: number of the frame in its scene; shown by every panel, and one for all.
    """

    clip = traitlets.Instance(Clip)
    frame = traitlets.Int(1)

    def __init__(self, clips: dict[str, Clip], sequence: str = "") -> None:
        """Open a sequence; empty: the first. Raises InputError: the run has no such sequence; names those it has."""
        name = sequence or next(iter(clips))
        if name not in clips:
            raise InputError(f"sequence {name!r} is not in this run; there are: {', '.join(clips)}")
        super().__init__(clip=clips[name])
        self._clips = clips
        self.chooser = widgets.Dropdown(options=list(clips), value=name, description="sequence")
        self.slider = widgets.IntSlider(description="frame", layout=widgets.Layout(width="60%", min_width="260px"))
        self._opening = False
        self._range()
        self.chooser.observe(self._open, "value")
        self.slider.observe(self._move, "value")
        self.observe(self._follow, "frame")

    def steps(self) -> widgets.HBox:
        """Frame slider with a play button."""
        play = widgets.Play(min=self.slider.min, max=self.slider.max, interval=150, show_repeat=False)
        for bound in ("min", "max"):
            widgets.dlink((self.slider, bound), (play, bound))
        widgets.jslink((play, "value"), (self.slider, "value"))
        return widgets.HBox([play, self.slider])

    def _range(self) -> None:
        """Give the slider the clip's frames; its bounds have to stay in order while they change one after the other."""
        first, last = self.clip.shown(1), self.clip.shown(self.clip.length)
        bounds = [("max", last), ("min", first)]
        for bound, value in bounds if last >= self.slider.min else reversed(bounds):
            setattr(self.slider, bound, value)
        self.slider.value = self.clip.shown(self.frame)

    def _open(self, change: Any) -> None:
        """Another sequence; the same frame where it shows the same pixels, else its first."""
        clip = self._clips[change["new"]]
        frame = self.frame if clip.part == self.clip.part else 1
        self._opening = True  # the slider says other numbers until it has its new bounds
        with self.hold_trait_notifications():
            self.clip, self.frame = clip, frame
        self._range()
        self._opening = False

    def _move(self, change: Any) -> None:
        if not self._opening:
            self.frame = change["new"] - self.clip.part.first + 1

    def _follow(self, _change: Any) -> None:
        if not self._opening:
            self.slider.value = self.clip.shown(self.frame)


def tracker_choice(desk: SequenceControls, label: str, description: str = "tracker") -> widgets.Dropdown:
    """Drop-down of the run's trackers. Raises InputError: no such tracker; names those there are."""
    there = list(desk.clip.methods)
    if label not in there:
        raise InputError(f"tracker {label!r} is not among the run's; there are: {', '.join(there)}")
    return widgets.Dropdown(options=there, value=label, description=description, layout=NARROW)


def side_by_side(left: list[widgets.Widget], right: widgets.Widget) -> widgets.HBox:
    """A column of pictures and one of words beside it, or below where the page is narrow."""
    column = widgets.VBox(left, layout=widgets.Layout(flex="3 1 420px", min_width="0"))
    right.layout = widgets.Layout(flex="2 1 300px", min_width="0")
    return widgets.HBox([column, right], layout=widgets.Layout(flex_flow="row wrap", grid_gap="12px"))


def words(text: str) -> str:
    """A line in the page's own colour."""
    return f'<div class="msfp-words" style="color:var(--jp-ui-font-color1,inherit);line-height:1.45">{text}</div>'

"""Panel: two trackers on the same frame, and where each of them loses somebody's identity."""

from typing import Any

import ipywidgets as widgets
import numpy as np
from numpy.typing import NDArray

from msfp.errors import NotComputable
from msfp.explore import charts
from msfp.explore.clip import Result
from msfp.explore.frame_view import FrameView
from msfp.explore.overlay import boxes_of
from msfp.explore.sequence_controls import SequenceControls, tracker_choice, words
from msfp.explore.thresholds import score_table


class TrackersPanel(widgets.VBox):
    """Tracker A beside tracker B; buttons go to the next frame in which an identity switches in either."""

    def __init__(self, desk: SequenceControls, first: str, second: str) -> None:
        self._desk = desk
        self.choices = tracker_choice(desk, first, "A"), tracker_choice(desk, second, "B")
        self.views = FrameView(), FrameView()
        for view in self.views:
            view.layout = widgets.Layout(flex="1 1 380px", min_width="0")
        self.back = widgets.Button(description="previous switch", icon="step-backward")
        self.on = widgets.Button(description="next switch", icon="step-forward")
        self.marks = widgets.HTML(layout=widgets.Layout(max_width="1000px"))
        self.scores = widgets.HTML()
        side = widgets.HBox(list(self.views), layout=widgets.Layout(flex_flow="row wrap", grid_gap="12px"))
        steps = widgets.HBox([desk.steps(), self.back, self.on], layout=widgets.Layout(flex_flow="row wrap"))
        steps.children[0].layout.flex = "1 1 420px"
        super().__init__([widgets.HBox(list(self.choices)), steps, self.marks, side, self.scores])
        desk.observe(self._reopen, "clip")
        desk.observe(self._show, "frame")
        for choice in self.choices:
            choice.observe(self._reopen, "value")
        self.back.on_click(lambda _button: self._go(-1))
        self.on.on_click(lambda _button: self._go(1))
        self._reopen()

    def _reopen(self, _change: Any = None) -> None:
        """Another sequence or tracker."""
        self._results: list[Result | str] = []
        for choice in self.choices:
            try:
                self._results.append(self._desk.clip.result(choice.value))
            except NotComputable as reason:
                self._results.append(f"n/a, {reason}")
        names = [f"{side}: {choice.value}" for side, choice in zip("AB", self.choices, strict=True)]
        there = {n: r for n, r in zip(names, self._results, strict=True) if isinstance(r, Result)}
        self.scores.value = words(score_table(there)) if there else ""
        clip = self._desk.clip
        offset = clip.part.first - 1
        marks = {side: self._switch_frames(r) + offset for side, r in zip("AB", self._results, strict=True)}
        self._chart = charts.switch_marks((clip.shown(1), clip.shown(clip.length)), marks)
        for button in (self.back, self.on):
            button.disabled = not len(self._frames())
        self._show()

    def _switch_frames(self, result: Result | str) -> NDArray[np.int64]:
        if isinstance(result, str) or result.switches is None:
            return np.zeros(0, np.int64)
        return np.unique(result.switches.frame)

    def _frames(self) -> NDArray[np.int64]:
        """Frames in which an identity switches in either."""
        return np.unique(np.concatenate([self._switch_frames(r) for r in self._results]))

    def _go(self, direction: int) -> None:
        """To the next or previous such frame, round the end."""
        frames, now = self._frames(), self._desk.frame
        ahead = frames[frames > now] if direction > 0 else frames[frames < now][::-1]
        if len(frames):
            self._desk.frame = int(ahead[0] if len(ahead) else frames[0 if direction > 0 else -1])

    def _show(self, _change: Any = None) -> None:
        clip, frame = self._desk.clip, self._desk.frame
        for side, choice, view, result in zip("AB", self.choices, self.views, self._results, strict=True):
            if isinstance(result, str):
                view.show(clip, frame, [], f"{side}, {choice.value}: {result}")
                continue
            boxes = boxes_of(result, frame, switches=True)
            switched = sum(box["kind"] == "switch" for box in boxes)
            text = f"{side}, {choice.value}: {len(boxes) - switched} people, {switched} switched here"
            view.show(clip, frame, boxes, text)
        if clip.truth is not None:
            self.marks.value = words(f"Frames in which an identity switches{self._chart.at(clip.shown(frame))}")
        else:
            self.marks.value = words("There are no labels here, so that nobody knows of a switch.")

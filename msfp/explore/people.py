"""Panel: a frame whose people can be clicked, and how the network sees the one that was."""

from html import escape
from typing import Any

import ipywidgets as widgets
import numpy as np
from numpy.typing import NDArray

from msfp.errors import NotComputable
from msfp.explore import charts
from msfp.explore.clip import Clip
from msfp.explore.frame_view import FrameView
from msfp.explore.looks import Looks, detections_of, looks_of
from msfp.explore.overlay import boxes_of, crop
from msfp.explore.sequence_controls import SequenceControls, side_by_side, tracker_choice, words

NEIGHBOURS = 5
APART = 5  # frames between a box and its neighbours
HINT = "Click a person, or reach one with Tab and press Enter."


class PeoplePanel(widgets.VBox):
    """Frame slider, boxes and identities; a click shows layer weights, neighbours and similarity over time."""

    def __init__(self, desk: SequenceControls, tracker: str) -> None:
        self._desk = desk
        self._asked: tuple[int, int, int] | None = None  # frame, identity, detection
        self.tracker = tracker_choice(desk, tracker)
        self.view = FrameView()
        self.person, self.curve = widgets.HTML(), widgets.HTML()
        row = side_by_side([self.view, self.curve], self.person)
        super().__init__([widgets.HBox([self.tracker]), desk.steps(), row])
        desk.observe(self._reopen, "clip")
        desk.observe(self._show, "frame")
        self.tracker.observe(self._reopen, "value")
        self.view.observe(self._click, "clicked")
        self._reopen()

    def _reopen(self, _change: Any = None) -> None:
        """Another sequence or tracker: whoever was clicked is nobody in it."""
        self._asked = None
        self.person.value = words(HINT)
        self._draw_curve()
        self._show()

    def _show(self, _change: Any = None) -> None:
        clip, frame = self._desk.clip, self._desk.frame
        label = self.tracker.value
        try:
            boxes = boxes_of(clip.result(label), frame)
            caption = f"{clip.sequence.name}, frame {clip.shown(frame)}, {label}: {len(boxes)} people"
        except NotComputable as reason:
            boxes, caption = [], f"{label}: n/a, {reason}"
        self.view.show(clip, frame, boxes, caption, chosen=self._asked[1] if self._asked else -1)
        self._move_cursor()

    def _click(self, change: Any) -> None:
        identity = int(change["new"][0])
        clip, frame = self._desk.clip, self._desk.frame
        try:
            found = clip.result(self.tracker.value).tracks
            taken = detections_of(clip, found)
            here = np.flatnonzero((found.frame == frame) & (found.id == identity) & (taken >= 0))
            if not len(here):
                self._asked = None
                self.person.value = words(
                    f"Person {identity}: no detection lies under this box, so that it has no look."
                )
            else:
                self._asked = frame, identity, int(taken[here[0]])
                self.person.value = person_text(clip, looks_of(clip), identity, self._asked[2])
        except NotComputable as reason:
            self._asked = None
            self.person.value = words(f"n/a: {escape(str(reason))}")
        self.view.chosen = self._asked[1] if self._asked else -1
        self._draw_curve()

    def _draw_curve(self) -> None:
        """The curve of whoever was clicked, of nobody where nobody was."""
        if self._asked is None:
            self._chart, self.curve.value = None, ""
            return
        clip, (frame, identity, row) = self._desk.clip, self._asked
        looks = looks_of(clip)
        own, name = own_boxes(clip, looks, self.tracker.value, identity, row)
        mine, other = looks.over_time(row, own, clip.length)
        frames = np.arange(clip.shown(1), clip.shown(clip.length) + 1)
        self._chart = charts.similarity(frames, mine, other, clip.shown(frame), (name, "most similar other box"))
        self._move_cursor()

    def _move_cursor(self) -> None:
        if self._chart is not None:
            drawn = self._chart.at(self._desk.clip.shown(self._desk.frame))
            self.curve.value = words(f"Similarity of the clicked box with the boxes of every frame.{drawn}")


def own_boxes(clip: Clip, looks: Looks, label: str, identity: int, row: int) -> tuple[NDArray[np.bool_], str]:
    """(N,) the boxes of the same person, and how they are known: by the labels, or else by the tracker."""
    if looks.person[row] >= 0:
        return looks.person == looks.person[row], "same person, by the labels"
    found = clip.result(label).tracks
    taken = detections_of(clip, found)[found.id == identity]
    own = np.zeros(len(looks.frame), np.bool_)
    own[taken[taken >= 0]] = True
    return own, "same identity, by the tracker"


def person_text(clip: Clip, looks: Looks, identity: int, row: int) -> str:
    """Layer weights and neighbours of a box, as HTML."""
    frame, score = clip.shown(int(looks.frame[row])), clip.detections.score[row]
    who = looks.person[row]
    if who >= 0:
        labelled = f"the labels say person {who}"
    else:
        labelled = "the labels know nobody here" if clip.truth is not None else "there are no labels"
    every, other = np.ones(len(looks.frame), np.bool_), looks.person != who
    other &= looks.person >= 0
    near = looks.nearest(row, every, NEIGHBOURS, APART)
    rivals = looks.nearest(row, other, NEIGHBOURS, 0, one_each=True)
    head = f"<b>Person {identity}</b>, frame {frame}, score {score:.2f}; {labelled}."
    parts = [
        f'<div style="display:flex;gap:10px;align-items:center">{_crop(clip, row, 84)}<div>{head}</div></div>',
        f"<div><b>Attention weights of the layers</b>{_bars(looks, row)}</div>",
        f"<div><b>Nearest boxes</b>, at least {APART} frames away{_strip(clip, looks, row, near)}</div>",
    ]
    if clip.truth is not None:
        parts.append(f"<div><b>Nearest other people</b>, one box each{_strip(clip, looks, row, rivals)}</div>")
    return words(f'<div style="display:grid;gap:8px">{"".join(parts)}</div>')


def _bars(looks: Looks, row: int) -> str:
    lines = [
        f'<span>layer {layer}</span><span style="background:{charts.LOW};height:.8em;width:{100 * weight:.1f}%"></span>'
        f"<span>{weight:.3f}</span>"
        for layer, weight in zip(looks.layers, looks.weights[row], strict=True)
    ]
    grid = "display:grid;grid-template-columns:max-content 1fr max-content;column-gap:8px;align-items:center"
    return f'<div class="msfp-weights" style="{grid}">{"".join(lines)}</div>'


def _strip(clip: Clip, looks: Looks, row: int, rows: NDArray[np.int64]) -> str:
    """Crops side by side: green below the same labelled person, orange below another."""
    similarity = looks.similarity(row)
    shown = []
    for one in rows:
        who = looks.person[one]
        same = who == looks.person[row] >= 0
        colour, name = (charts.OWN, "same") if same else (charts.OTHER, f"person {who}" if who >= 0 else "nobody")
        text = f"{similarity[one]:.3f}<br>{name}<br>frame {clip.shown(int(looks.frame[one]))}"
        shown.append(
            f'<div style="border-top:3px solid {colour};font-size:11px">{_crop(clip, int(one), 64)}<br>{text}</div>'
        )
    row_style = "display:flex;flex-wrap:wrap;gap:8px;line-height:1.25;margin-top:3px"
    return f'<div class="msfp-neighbours" style="{row_style}">{"".join(shown) or "none"}</div>'


def _crop(clip: Clip, row: int, height: int) -> str:
    return f'<img src="{crop(clip, row)}" alt="crop" style="height:{height}px;max-width:{height}px;object-fit:cover">'

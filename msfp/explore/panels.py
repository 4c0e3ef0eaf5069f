"""The panels of `explore.ipynb`: frames and people, thresholds, trackers."""

from collections.abc import Iterable
from html import escape
from typing import Any

import ipywidgets as widgets
import numpy as np
import pandas as pd
import traitlets
from numpy.typing import NDArray

from msfp.errors import InputError, NotComputable
from msfp.explore import drawing
from msfp.explore.drawing import Chart, FrameView, boxes_of, crop
from msfp.explore.session import FULL, Clip, Looks, Result, detections_of, looks_of, open_clips

NARROW, WIDE = widgets.Layout(width="max-content"), widgets.Layout(width="60%", min_width="260px")
WRAPPED = widgets.Layout(flex_flow="row wrap", grid_gap="12px")


class Explorer(traitlets.HasTraits):
    """The open sequence and frame, the controls that choose them, and panels that all show these."""

    clip = traitlets.Instance(Clip)
    frame = traitlets.Int(1)  # from 1, the clip's first; the slider shows its number in the scene

    def __init__(self, clips: dict[str, Clip], sequence: str = "") -> None:
        """Open a sequence; empty: the first. Raises InputError: the run has no such sequence; names those it has."""
        name = sequence or next(iter(clips))
        if name not in clips:
            raise InputError(f"sequence {name!r} is not in this run; there are: {', '.join(clips)}")
        super().__init__(clip=clips[name])
        self._clips = clips
        self.sequences = widgets.Dropdown(options=list(clips), value=name, description="sequence")
        self.slider = widgets.IntSlider(description="frame", layout=WIDE)
        self._opening = False
        self._range()
        self.sequences.observe(self._open, "value")
        self.slider.observe(self._move, "value")
        self.observe(self._follow, "frame")

    def people(self, tracker: str = FULL) -> "PeoplePanel":
        """Boxes and identities; click a person."""
        return PeoplePanel(self, tracker)

    def thresholds(self, tracker: str = FULL) -> "ThresholdPanel":
        """Thresholds by hand beside ATL's."""
        return ThresholdPanel(self, tracker)

    def trackers(self, first: str = FULL, second: str = "ByteTrack") -> "TrackersPanel":
        """Two trackers side by side."""
        return TrackersPanel(self, first, second)

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


class Panel(widgets.VBox):
    """Pictures and words on the explorer's clip and frame, drawn again when one of these or a choice changes."""

    def __init__(self, desk: Explorer, rows: list[widgets.Widget], choices: Iterable[widgets.Widget]) -> None:
        super().__init__(rows)
        self._desk = desk
        self._chart: Chart | None = None
        desk.observe(self._reopen, "clip")
        desk.observe(self._show, "frame")
        for choice in choices:
            choice.observe(self._reopen, "value")
        self._reopen()

    def _reopen(self, _change: Any = None) -> None:
        """Another sequence or choice."""
        raise NotImplementedError

    def _show(self, _change: Any = None) -> None:
        """Another frame."""
        raise NotImplementedError


def tracker_choice(desk: Explorer, label: str, description: str = "tracker") -> widgets.Dropdown:
    """Drop-down of the run's trackers. Raises InputError: no such tracker; names those there are."""
    there = list(desk.clip.methods)
    if label not in there:
        raise InputError(f"tracker {label!r} is not among the run's; there are: {', '.join(there)}")
    return widgets.Dropdown(options=there, value=label, description=description, layout=NARROW)


def side_by_side(left: list[widgets.Widget], right: widgets.Widget) -> widgets.HBox:
    """A column of pictures and one of words beside it, or below where the page is narrow."""
    column = widgets.VBox(left, layout=widgets.Layout(flex="3 1 420px", min_width="0"))
    right.layout = widgets.Layout(flex="2 1 300px", min_width="0")
    return widgets.HBox([column, right], layout=WRAPPED)


def words(text: str) -> str:
    """A line in the page's own colour."""
    return f'<div class="msfp-words" style="color:var(--jp-ui-font-color1,inherit);line-height:1.45">{text}</div>'


def numbers_of(clip: Clip) -> NDArray[np.int64]:
    """(T,) numbers of the clip's frames in its scene."""
    return np.arange(clip.shown(1), clip.shown(clip.length) + 1)


NEIGHBOURS = 5
APART = 5  # frames between a box and its neighbours
HINT = "Click a person, or reach one with Tab and press Enter."


class PeoplePanel(Panel):
    """Frame slider, boxes and identities; a click shows layer weights, neighbours and similarity over time."""

    def __init__(self, desk: Explorer, tracker: str) -> None:
        self._asked: tuple[int, int, int] | None = None  # frame, identity, detection
        self.tracker = tracker_choice(desk, tracker)
        self.view, self.person, self.curve = FrameView(), widgets.HTML(), widgets.HTML()
        self.layers = {
            name: widgets.Checkbox(value=False, description=name, indent=False, layout=NARROW)
            for name in ("labels", "detections")
        }
        row = side_by_side([self.view, self.curve], self.person)
        for layer in self.layers.values():
            layer.observe(self._show, "value")
        self.view.observe(self._click, "clicked")
        choices = widgets.HBox([self.tracker, *self.layers.values()])
        super().__init__(desk, [choices, desk.steps(), row], [self.tracker])

    def _reopen(self, _change: Any = None) -> None:
        """Forget the person that was clicked: another sequence or tracker does not have them."""
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
        for name, found in (("labels", drawing.labels_of), ("detections", drawing.raw_of)):
            if self.layers[name].value:
                more = found(clip, frame)
                boxes, caption = [*boxes, *more], f"{caption}, {len(more)} {name}"
        self.view.show(clip, frame, boxes, caption, chosen=self._asked[1] if self._asked else -1)
        self._move_cursor()

    def _click(self, change: Any) -> None:
        identity = int(change["new"][0])
        clip, frame = self._desk.clip, self._desk.frame
        self._asked = None
        try:
            found = clip.result(self.tracker.value).tracks
            taken = detections_of(clip, found)
            here = np.flatnonzero((found.frame == frame) & (found.id == identity) & (taken >= 0))
            text = words(f"Person {identity}: no detection lies under this box, so that it has no look.")
            if len(here):
                text = person_text(clip, looks_of(clip), identity, int(taken[here[0]]))
                self._asked = frame, identity, int(taken[here[0]])
            self.person.value = text
        except NotComputable as reason:
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
        self._chart = drawing.similarity(
            numbers_of(clip), mine, other, clip.shown(frame), (name, "most similar other box")
        )
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
    labelled = "there are no labels" if clip.truth is None else "the labels know nobody here"
    if who >= 0:
        labelled = f"the labels say person {who}"
    near = looks.nearest(row, np.ones(len(looks.frame), np.bool_), NEIGHBOURS, APART)
    rivals = looks.nearest(row, (looks.person != who) & (looks.person >= 0), NEIGHBOURS, 0, one_each=True)
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
        f"<span>layer {layer}</span>"
        f'<span style="background:{drawing.LOW};height:.8em;width:{100 * weight:.1f}%"></span>'
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
        colour, name = (drawing.OWN, "same") if same else (drawing.OTHER, f"person {who}" if who >= 0 else "nobody")
        text = f"{similarity[one]:.3f}<br>{name}<br>frame {clip.shown(int(looks.frame[one]))}"
        shown.append(
            f'<div style="border-top:3px solid {colour};font-size:11px">{_crop(clip, int(one), 64)}<br>{text}</div>'
        )
    row_style = "display:flex;flex-wrap:wrap;gap:8px;line-height:1.25;margin-top:3px"
    return f'<div class="msfp-neighbours" style="{row_style}">{"".join(shown) or "none"}</div>'


def _crop(clip: Clip, row: int, height: int) -> str:
    return f'<img src="{crop(clip, row)}" alt="crop" style="height:{height}px;max-width:{height}px;object-fit:cover">'


START = (0.1, 0.6)  # ByteTrack's tau_low and tau_high
STEP = 0.01


class ThresholdPanel(Panel):
    """Two thresholds on one slider; HOTA, AssA, DetA and IDSW of what they give and of what ATL gives."""

    def __init__(self, desk: Explorer, tracker: str) -> None:
        self.tracker = tracker_choice(desk, tracker)
        self.taus = widgets.FloatRangeSlider(
            value=START, min=0.0, max=1.0, step=STEP, description="τ low, high", readout_format=".2f", layout=WIDE
        )
        self.view, self.scores, self.curve = FrameView(), widgets.HTML(), widgets.HTML()
        row = side_by_side([self.view, self.curve], self.scores)
        for choice in (self.tracker, self.taus):
            choice.observe(self._track, "value")
        super().__init__(desk, [widgets.HBox([self.tracker]), self.taus, desk.steps(), row], [])

    def _reopen(self, _change: Any = None) -> None:
        """Another sequence: its detector's scores may have a range of their own."""
        scores = self._desk.clip.detections.score
        low, high = (float(v) for v in (min(scores.min(initial=0), 0), max(scores.max(initial=1), 1)))
        self.taus.max = max(self.taus.max, np.ceil(high * 10) / 10)
        self.taus.min = np.floor(low * 10) / 10
        self.taus.max = np.ceil(high * 10) / 10
        self._track()

    def _track(self, _change: Any = None) -> None:
        """Track again, score, and show."""
        low, high = self.taus.value
        try:
            self._result: Result | None = self._desk.clip.retrack(self.tracker.value, high, low)
            adapted = self._desk.clip.result(self.tracker.value, adapted=True)
            self.scores.value = words(score_table({"slider": self._result, "ATL": adapted}))
        except NotComputable as reason:
            self._result, self.scores.value = None, words(f"n/a: {reason}")
        self._draw_curve()
        self._show()

    def _show(self, _change: Any = None) -> None:
        clip, frame = self._desk.clip, self._desk.frame
        low, high = self.taus.value
        boxes = boxes_of(self._result, frame) if self._result else []
        caption = f"{self.tracker.value} with τ {high:.2f} / {low:.2f}, frame {clip.shown(frame)}: {len(boxes)} people"
        self.view.show(clip, frame, boxes, caption)
        if self._chart is not None:
            high, low = clip.atl[frame - 1]
            text = f"ATL in frame {clip.shown(frame)}: τ high {high:.3f}, τ low {low:.3f}."
            self.curve.value = words(text + self._chart.at(clip.shown(frame)))

    def _draw_curve(self) -> None:
        """ATL's thresholds over time, or why there are none."""
        clip, (low, high) = self._desk.clip, self.taus.value
        try:
            self._chart = drawing.taus(numbers_of(clip), clip.atl, (high, low))
        except NotComputable as reason:
            self._chart, self.curve.value = None, words(f"ATL: n/a, {reason}")


def score_table(lines: dict[str, Result]) -> str:
    """HOTA and its parts in percent, identity switches, and boxes reported."""
    rows = {}
    for name, result in lines.items():
        score = result.score
        parts = ["n/a"] * 3 if score is None else [f"{100 * v:.1f}" for v in (score.hota, score.assoc_a, score.det_a)]
        rows[name] = [*parts, "n/a" if score is None else str(score.idsw), str(len(result.tracks))]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["HOTA", "AssA", "DetA", "IDSW", "boxes"])
    without = "" if all(r.score for r in lines.values()) else "There are no labels here to score against.<br>"
    return table.to_html(classes="msfp-scores", border=0) + without


class TrackersPanel(Panel):
    """Tracker A beside tracker B; buttons go to the next frame in which an identity switches in either."""

    def __init__(self, desk: Explorer, first: str, second: str) -> None:
        self.choices = tracker_choice(desk, first, "A"), tracker_choice(desk, second, "B")
        wide = widgets.Layout(flex="1 1 380px", min_width="0")
        self.views = FrameView(layout=wide), FrameView(layout=wide)
        self.back = widgets.Button(description="previous switch", icon="step-backward")
        self.on = widgets.Button(description="next switch", icon="step-forward")
        self.back.on_click(lambda _button: self._go(-1))
        self.on.on_click(lambda _button: self._go(1))
        self.marks, self.scores = widgets.HTML(layout=widgets.Layout(max_width="1000px")), widgets.HTML()
        steps = widgets.HBox([desk.steps(), self.back, self.on], layout=widgets.Layout(flex_flow="row wrap"))
        steps.children[0].layout.flex = "1 1 420px"
        views = widgets.HBox(self.views, layout=WRAPPED)
        super().__init__(desk, [widgets.HBox(self.choices), steps, self.marks, views, self.scores], self.choices)

    def _reopen(self, _change: Any = None) -> None:
        self._results: list[Result | str] = []
        for choice in self.choices:
            try:
                self._results.append(self._desk.clip.result(choice.value))
            except NotComputable as reason:
                self._results.append(f"n/a, {reason}")
        named = zip("AB", self.choices, self._results, strict=True)
        there = {f"{side}: {choice.value}": r for side, choice, r in named if isinstance(r, Result)}
        self.scores.value = words(score_table(there)) if there else ""
        clip, switches = self._desk.clip, list(map(_switch_frames, self._results))
        marks = {side: frames + clip.part.first - 1 for side, frames in zip("AB", switches, strict=True)}
        self._chart = drawing.switch_marks((clip.shown(1), clip.shown(clip.length)), marks)
        self._switches = np.unique(np.concatenate(switches))  # frames in which an identity switches in either
        self.back.disabled = self.on.disabled = not len(self._switches)
        self._show()

    def _go(self, direction: int) -> None:
        """To the next or previous such frame, round the end."""
        frames, now = self._switches[::direction], self._desk.frame
        ahead = frames[direction * (frames - now) > 0]
        if len(frames):
            self._desk.frame = int((ahead if len(ahead) else frames)[0])

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
        text = "There are no labels here, so that nobody knows of a switch."
        if clip.truth is not None and self._chart is not None:
            text = f"Frames in which an identity switches{self._chart.at(clip.shown(frame))}"
        self.marks.value = words(text)


def _switch_frames(result: Result | str) -> NDArray[np.int64]:
    if isinstance(result, str) or result.switches is None:
        return np.zeros(0, np.int64)
    return np.unique(result.switches.frame)


def begin(profile: str = "demo", *, sequence: str = "", **options: Any) -> Explorer:
    """Open a finished run at a sequence, such as SYNTH17-01-FRCNN; empty: where most is going on.

    For the rest see `open_clips`.
    """
    clips = open_clips(profile, **options)
    explorer = Explorer(clips, sequence or liveliest(clips))
    if not sequence:
        explorer.frame = busiest(explorer.clip)
    return explorer


def liveliest(clips: dict[str, Clip]) -> str:
    """The sequence with most labelled people a frame; the first of several, and where there are no labels."""

    def people(name: str) -> float:
        truth = clips[name].truth
        return 0.0 if truth is None else float(truth.pedestrian.sum()) / clips[name].length

    return max(clips, key=people)


def busiest(clip: Clip) -> int:
    """The frame with most labelled people; the first of several, and where there are no labels."""
    if clip.truth is None:
        return 1
    return int(np.argmax(np.bincount(clip.truth.frame[clip.truth.pedestrian], minlength=clip.length + 1)[1:])) + 1

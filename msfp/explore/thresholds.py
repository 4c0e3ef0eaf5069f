"""Panel: thresholds by hand, tracked at once, beside those that ATL chooses."""

from typing import Any

import ipywidgets as widgets
import numpy as np

from msfp.errors import NotComputable
from msfp.explore import charts
from msfp.explore.clip import Result
from msfp.explore.frame_view import FrameView
from msfp.explore.overlay import boxes_of
from msfp.explore.sequence_controls import SequenceControls, side_by_side, tracker_choice, words

START = (0.1, 0.6)  # ByteTrack's tau_low and tau_high
STEP = 0.01


class ThresholdPanel(widgets.VBox):
    """Two thresholds on one slider; HOTA, AssA, DetA and IDSW of what they give and of what ATL gives."""

    def __init__(self, desk: SequenceControls, tracker: str) -> None:
        self._desk = desk
        self.tracker = tracker_choice(desk, tracker)
        self.taus = widgets.FloatRangeSlider(
            value=START, min=0.0, max=1.0, step=STEP, description="τ low, high", readout_format=".2f",
            layout=widgets.Layout(width="60%", min_width="260px"),
        )  # fmt: skip
        self.view = FrameView()
        self.scores, self.curve = widgets.HTML(), widgets.HTML()
        row = side_by_side([self.view, self.curve], self.scores)
        super().__init__([widgets.HBox([self.tracker]), self.taus, desk.steps(), row])
        desk.observe(self._reopen, "clip")
        desk.observe(self._show, "frame")
        self.tracker.observe(self._track, "value")
        self.taus.observe(self._track, "value")
        self._reopen()

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
            adapted = self._desk.clip.adapted(self.tracker.value)
            lines = {"slider": self._result, "ATL": adapted}
            self.scores.value = words(score_table(lines))
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
        frames = np.arange(clip.shown(1), clip.shown(clip.length) + 1)
        try:
            self._chart: charts.Chart | None = charts.taus(frames, clip.atl, (high, low))
        except NotComputable as reason:
            self._chart, self.curve.value = None, words(f"ATL: n/a, {reason}")


def score_table(lines: dict[str, Result]) -> str:
    """HOTA and its parts in percent, identity switches, and boxes reported."""
    style = 'style="text-align:right;padding:2px 0 2px 10px"'
    names = "".join(f"<th {style}>{name}</th>" for name in ("HOTA", "AssA", "DetA", "IDSW", "boxes"))
    rows = []
    for name, result in lines.items():
        score = result.score
        cells = ["n/a"] * 4 if score is None else [
            f"{100 * score.hota:.1f}", f"{100 * score.assoc_a:.1f}", f"{100 * score.det_a:.1f}", str(score.idsw)
        ]  # fmt: skip
        values = "".join(f"<td {style}>{value}</td>" for value in (*cells, len(result.tracks)))
        rows.append(f'<tr><th style="text-align:left;font-weight:normal">{name}</th>{values}</tr>')
    without = "" if all(r.score for r in lines.values()) else "There are no labels here to score against.<br>"
    return f'<table class="msfp-scores"><tr><th></th>{names}</tr>{"".join(rows)}</table>{without}'

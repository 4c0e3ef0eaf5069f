"""Curves that are drawn once: where their cursor stands, and in whose ink."""

import re

import numpy as np
import pytest

from msfp.explore.drawing import INK, switch_marks, taus


@pytest.mark.parametrize("frame", [51, 73, 100])
def test_the_cursor_stands_on_its_frame(frame: int) -> None:
    """A mark drawn by matplotlib at the frame and the moved cursor have the same place."""
    svg = switch_marks((51, 100), {"A": np.array([frame])}).at(frame)
    mark = re.search(
        r'<use [^>]*?x="([\d.]+)"[^>]*?stroke: #D55E00|<g clip-path[^>]*>\s*<use [^>]*?x="([\d.]+)"', svg, re.I
    )
    cursor = re.search(r'<g class="msfp-now" transform="translate\(([\d.]+)\)">\s*<path d="M ([\d.]+) ', svg)
    assert mark is not None
    assert cursor is not None
    assert float(cursor[1]) + float(cursor[2]) == pytest.approx(float(mark[1] or mark[2]), abs=0.02)


def test_ink_is_the_pages_own() -> None:
    svg = taus(np.arange(1, 9), np.full((8, 2), 0.5, np.float32), (0.6, 0.1)).at(4)
    assert INK not in svg
    assert "currentColor" in svg
    assert svg.startswith("<svg")
    assert 'width="100%"' in svg

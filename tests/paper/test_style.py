"""Figures: one look, embedded fonts, repeatable files."""

import re
from itertools import pairwise
from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import pytest
from matplotlib.figure import Figure

from msfp.errors import MsfpError
from msfp.paper import figures


@pytest.fixture
def fig() -> Figure:
    figures.set_style()
    made, ax = plt.subplots()
    ax.plot([0, 1], [0, 1], label="one")
    ax.fill_between([0, 1], [0, 1], alpha=0.2, hatch="///")
    ax.set_xlabel("threshold τ")
    ax.legend()
    plt.close(made)
    return made


def luminance(colour: str) -> float:
    r, g, b = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def test_files_are_named_by_id(fig: Figure, tmp_path: Path) -> None:
    files = figures.save(fig, tmp_path, "figure03")
    assert [f.name for f in files] == ["figure03.pdf", "figure03.svg", "figure03.png"]


def test_same_figure_same_bytes(fig: Figure, tmp_path: Path) -> None:
    first = figures.save(fig, tmp_path / "a", "figure03")
    second = figures.save(fig, tmp_path / "b", "figure03")
    assert [f.read_bytes() for f in first] == [f.read_bytes() for f in second]


def test_no_dates_and_embedded_fonts(fig: Figure, tmp_path: Path) -> None:
    pdf, svg, _ = figures.save(fig, tmp_path, "figure03")
    assert b"CreationDate" not in pdf.read_bytes()
    assert b"/FontFile2" in pdf.read_bytes()
    text = svg.read_text(encoding="utf-8")
    assert "<dc:date>" not in text
    assert "<text" not in text


def test_size_is_the_columns(fig: Figure, tmp_path: Path) -> None:
    _, svg, _ = figures.save(fig, tmp_path, "figure03")
    width = re.search(r'width="([\d.]+)pt"', svg.read_text(encoding="utf-8"))
    assert width is not None
    assert float(width.group(1)) == pytest.approx(figures.COLUMN * 72, abs=0.1)


def test_neighbours_in_the_order_differ_in_grey() -> None:
    tones = [luminance(figures.PALETTE[name]) for name in figures.ORDER]
    assert all(abs(a - b) > 0.05 for a, b in pairwise(tones))
    assert len(set(figures.ORDER)) == len(figures.ORDER)


def test_unwritable_folder_is_one_message(fig: Figure, tmp_path: Path) -> None:
    (tmp_path / "figures").write_text("a file")
    with pytest.raises(MsfpError, match="cannot write"):
        figures.save(fig, tmp_path / "figures", "figure03")

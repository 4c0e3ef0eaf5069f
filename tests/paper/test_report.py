"""The report: whole, self-contained, repeatable."""

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from msfp.paper import report
from msfp.paper.registry import artefacts
from msfp.paper.render import write_table
from msfp.types import Cell

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
TABLES = {
    1: [
        Cell("LITE", "HOTA", 50.0, unit="%"),
        Cell("SORT", "FPS", None, source="n/a", reason="8 of 1050 frames present"),
    ]
}
VOID = {"meta", "img", "br", "hr", "link", "input"}


class Balance(HTMLParser):
    """Holds opening tags against closing ones and collects addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids += [given["id"] or ""] if "id" in given else []
        self.links += [given["href"] or ""] if "href" in given else []
        self.sources += [given["src"] or ""] if "src" in given else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("li", "p") and self.open[-1] == "li":
            self.open.pop()
        assert self.open.pop() == tag


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    run, figures = tmp_path / "runs" / "demo", tmp_path / "figures" / "demo"
    figures.mkdir(parents=True)
    return run, figures


def written(folders: tuple[Path, Path], **more: object) -> str:
    given: dict = {  # type: ignore[type-arg]
        "tables": TABLES,
        "manifest": {"commit": "abc123", "machine": {"cores": 2, "gpu": None}, "seeds": (0, 1)},
        "findings": {"table01": ["LITE leads by `2.0`."], "In short": ["All <well>."]},
        "notes": ["Table 1 shows validation."],
        "choices": [("split", "half", "loso, paper", "No split is defined.")],
        "events": ["an entry was damaged and computed again"],
    }
    path = report.write_report(*folders, **{**given, **more})
    assert path == folders[0] / "report.html"
    return path.read_text(encoding="utf-8")


def parsed(text: str) -> Balance:
    found = Balance()
    found.feed(text)
    assert found.open == []
    return found


def test_shows_values_reasons_choices_events_and_provenance(folders: tuple[Path, Path]) -> None:
    text = written(folders)
    for shown in (
        "50.0", "paper 61.1", "−11.1", "published 43.0", "8 of 1050 frames present", "msfp table 1 --profile demo",
        "LITE leads by <code>2.0</code>.", "All &lt;well&gt;.", "Table 1 shows validation.", "No split is defined.",
        "an entry was damaged and computed again", "abc123", "cores", "prefers-color-scheme", "@media print",
    ):  # fmt: skip
        assert shown in text, shown


def test_is_well_formed_and_links_lead_somewhere(folders: tuple[Path, Path]) -> None:
    found = parsed(written(folders))
    assert len(found.ids) == len(set(found.ids))
    assert {link.removeprefix("#") for link in found.links} <= set(found.ids)


def test_needs_no_network_and_no_other_file(folders: tuple[Path, Path]) -> None:
    (folders[1] / "figure03.png").write_bytes(PIXEL)
    text = written(folders)
    found = parsed(text)
    assert all(link.startswith("#") for link in found.links)
    assert all(source.startswith("data:") for source in found.sources)
    assert not re.search(r"https?://|url\(|@import|<script|<link", text)


def ready_figure() -> str:
    return next(a.id for a in artefacts() if a.kind == "figure" and a.status == "ready")


def test_figures_are_inside_svg_first_png_when_it_is_large(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = ready_figure()
    (folders[1] / f"{name}.svg").write_text("<svg xmlns='x'></svg>")
    (folders[1] / f"{name}.png").write_bytes(PIXEL)
    assert "data:image/svg+xml;base64," in written(folders)
    monkeypatch.setattr(report, "VECTOR_LIMIT", 5)
    assert "data:image/png;base64," in written(folders)
    (folders[1] / f"{name}.png").unlink()
    assert "data:image/svg+xml;base64," in written(folders)


def test_absent_figures_say_why(folders: tuple[Path, Path]) -> None:
    assert "No figure: pixels are absent." in written(folders, absent={ready_figure(): "pixels are absent"})
    assert f"No figure: {report.NOT_MADE}." in written(folders)


def test_planned_ones_are_listed_as_planned(folders: tuple[Path, Path]) -> None:
    text = written(folders)
    planned = [a for a in artefacts() if a.status == "planned"]
    assert f"Planned ({len(planned)})" in text or not planned
    for one in planned:
        assert f"<td>{one.name}</td>" in text


def test_same_inputs_same_bytes(folders: tuple[Path, Path]) -> None:
    assert written(folders) == written(folders)


def test_options_are_in_every_command(folders: tuple[Path, Path]) -> None:
    text = written(folders, options="--profile mot17 --root data")
    assert "msfp table 1 --profile mot17 --root data" in text
    assert "msfp reproduce --profile mot17 --root data" in text


def test_without_events_it_says_so(folders: tuple[Path, Path]) -> None:
    assert "no stored result was damaged" in written(folders, events=[])


def test_tables_are_read_from_their_files(tmp_path: Path) -> None:
    write_table(tmp_path, 1, TABLES[1])
    assert report.read_tables(tmp_path) == TABLES


def test_manifest_sections() -> None:
    found = report.sections({"a": 1, "b": {"c": {"d": [1, 2]}, "e": None}, "f": {}})
    assert found == [("", [("a", "1")]), ("b", [("c.d", "1, 2"), ("e", "–")])]

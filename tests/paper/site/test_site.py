"""The report's site: whole, self-contained, repeatable; every link leads somewhere."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urldefrag

import pytest

from msfp.paper import pages as site_pages
from msfp.paper.layout import ALONE
from msfp.paper.pages import sections
from msfp.paper.registry import every
from msfp.paper.verdicts import LEAST, MOST, bar, place
from tests.paper.site.conftest import VERDICTS

Write = Callable[..., Path]
VOID = {"meta", "img", "br", "hr", "link", "input"}
OPTIONAL_END = {"li", "p", "td", "th", "tr"}


class Page(HTMLParser):
    """Holds opening tags against closing ones and collects addresses."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids += [given["id"] or ""] if "id" in given else []
        self.links += [given[name] or "" for name in ("href", "src") if name in given]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open[-1] != tag and self.open[-1] in OPTIONAL_END:
            self.open.pop()
        assert self.open.pop() == tag


def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}


def test_pages_are_well_formed_and_every_link_leads_somewhere(write: Write) -> None:
    found = pages(write())
    assert len(found) > 10
    for path, page in found.items():
        assert len(page.ids) == len(set(page.ids)), path
        for link in page.links:
            if link.startswith("data:"):
                continue
            file, place = urldefrag(link)
            target = (path.parent / file).resolve() if file else path
            assert target.is_file(), (path, link)
            assert not place or place in found[target].ids, (path, link)


def test_nothing_comes_from_a_network(write: Write) -> None:
    site = write()
    for path in (p for form in ("*.html", "*.js", "*.css") for p in site.rglob(form)):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"""(?:src|href|url\(|import)\s*[=(]?\s*["']?\s*(?:https?:)?//""", text), path
        assert "@import" not in text


def test_each_thing_is_on_its_page(write: Write) -> None:
    site = write()
    said = {
        "05_tracking.html": (
            "50.0", "paper 61.1", "−11.1", "published 43.0", "8 of 1050 frames present", "made by other code",
            "msfp table 1 --profile demo", "HOTA: best of 4 rows here is ByteTrack (101), in the paper",
        ),
        "differences.html": (
            "Table 1 shows validation.", "No split is defined.", "an entry was damaged and computed again",
            "Drawings are not <code>films</code>, &lt;well&gt;.",
        ),
        "provenance.html": ("abc123", "cores"),
        "02_reid.html": ('src="figures/figure03.svg"',),
        "notebooks/05_tracking.html": ("in ..",),
        "index.html": ("msfp reproduce --profile demo", "1 of the tables and figures are not of this code"),
    }  # fmt: skip
    for page, texts in said.items():
        text = (site / page).read_text(encoding="utf-8")
        for one in texts:
            assert one in text, (page, one)
    assert "somebody" not in (site / "notebooks" / "05_tracking.html").read_text(encoding="utf-8")


def test_the_printable_page_has_every_artefact(write: Write) -> None:
    ids = pages(write())[next(iter(write().glob("all.html")))].ids
    assert {a.id for a in every() if a.status == "ready"} <= set(ids)


def test_files_can_be_taken_along(write: Write) -> None:
    site = write()
    assert "<circle" in (site / "figures" / "figure03.svg").read_text()
    assert (site / "tables" / "table01.csv").read_text().startswith("row")


def test_a_large_vector_figure_is_shown_as_png(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site_pages, "VECTOR_LIMIT", 5)
    assert 'src="figures/figure03.png"' in (write() / "02_reid.html").read_text(encoding="utf-8")


def test_what_is_absent_says_why(write: Write) -> None:
    text = (write() / "all.html").read_text(encoding="utf-8")
    assert "No figure: pixels are absent." in text
    assert f"No figure: {site_pages.NOT_MADE}." in text


def test_the_same_run_gives_the_same_bytes_and_replaces_the_old_site(write: Write) -> None:
    def files(site: Path) -> dict[str, bytes]:
        return {str(p.relative_to(site)): p.read_bytes() for p in site.rglob("*") if p.is_file()}

    first = files(write())
    (write() / "left-over.html").write_text("old")
    assert files(write(manifest={"commit": "abc123", "machine": {"cores": 2, "gpu": None}, "seeds": (0, 1)})) == first


def test_options_are_in_every_command(write: Write) -> None:
    site = write(options="--profile mot17 --root data")
    assert "msfp table 1 --profile mot17 --root data" in (site / "05_tracking.html").read_text(encoding="utf-8")
    assert "msfp reproduce --profile mot17 --root data" in (site / "index.html").read_text(encoding="utf-8")


def test_without_events_or_claims_it_says_so(write: Write) -> None:
    site = write(events=[])
    assert "no stored result was damaged" in (site / "differences.html").read_text(encoding="utf-8")
    assert 'id="verdicts"' not in (site / "index.html").read_text(encoding="utf-8")


def test_a_smoke_run_shows_no_verdict_and_nothing_of_the_paper(write: Write) -> None:
    site = write(compared=False, embedded=True)
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert text.count(ALONE.partition(": ")[2].replace("'", "&#39;")) >= 1, path
        if path.parent == site:
            assert not re.search(r"paper \d|published \d|−\d|Column by column|Measured on drawings", text), path
    assert "50.0" in (site / "05_tracking.html").read_text(encoding="utf-8")


def test_a_claim_stands_on_the_axis_in_multiples_of_the_paper_s_effect() -> None:
    assert (place(LEAST), place(0), place(1), place(MOST)) == (0, 40, 60, 100)
    refuted, beyond, absent = map(bar, VERDICTS)
    assert refuted == (30.0, 20.0, 40.0, "")
    assert beyond == (100.0, 60.0, 100.0, ">")
    assert absent is None
    assert bar(replace(VERDICTS[0], paper=-2.1, effect=1.05, low=0.0, high=2.1)) == refuted


def test_every_claim_is_in_the_chart_and_can_be_found(write: Write) -> None:
    site = write(verdicts=VERDICTS)
    text = (site / "index.html").read_text(encoding="utf-8")
    assert re.findall(r'href="#claim-([\w-]+)" data-claim', text) == [v.claim.id for v in VERDICTS]
    lines = (site / "static" / "index.js").read_text(encoding="utf-8")
    found = json.loads(lines.removeprefix("const FINDABLE = ").rstrip(";\n"))
    assert ["Table 1: MOT17 test set, public detections", "05_tracking.html#table01"] in [[a, c] for a, _, c in found]
    for _, _, link in found:
        file, place = urldefrag(link)
        assert f'id="{place}"' in (site / file).read_text(encoding="utf-8"), link


def test_pages_lead_to_the_one_before_and_the_one_after(write: Write) -> None:
    site = write()
    page, seen = "index.html", []
    while page:
        seen.append(page)
        text = (site / page).read_text(encoding="utf-8")
        before = re.search(r'rel="prev" href="([^"]+)"', text)
        assert (before[1] if before else None) == (seen[-2] if len(seen) > 1 else None)
        after = re.search(r'rel="next" href="([^"]+)"', text)
        page = after[1] if after else ""
    assert seen == [name for name in dict.fromkeys(seen)]
    assert {"05_tracking.html", "differences.html", "notebooks.html"} <= set(seen)


def test_manifest_sections() -> None:
    found = sections({"a": 1, "b": {"c": {"d": [1, 2]}, "e": None}, "f": {}})
    assert found == [("", [("a", "1")]), ("b", [("c.d", "1, 2"), ("e", "–")])]

"""Tables and figures as the report shows them, each with the command that makes it again."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from msfp.paper.cell_samples import Evidence
from msfp.paper.formats import environment, sheet_html
from msfp.paper.registry import Artefact, every
from msfp.paper.render import merge, sheet
from msfp.paper.site.contents import Contents
from msfp.paper.site.facts import known

VECTOR_LIMIT = 1_500_000
"""Bytes above which a figure is shown as PNG instead of SVG, so that a page still opens quickly."""

NOT_MADE = "not made in this run"
HINT = "Source and details of a number: hover, tap, or Tab and arrow keys."
DOWNLOADS = {"table": ("csv", "md", "tex"), "figure": ("svg", "pdf", "png")}
SOURCES = {
    "measured": "measured",
    "paper": "only in the paper",
    "published": "published elsewhere",
    "server": "kept by the server",
    "n/a": "n/a",
}


@dataclass(frozen=True)
class Block:
    """One table or figure as the report shows it.

    Attributes:
        artefact: what it is.
        command: makes it again.
        body: HTML of the table; None for figures and where there is none.
        image: path of the picture within the site; empty for tables and where there is none.
        missing: why there is nothing to show.
        stale: why it is not of this code and these settings.
        listing: every cell as a line of (row, column, measured, ...); empty for figures.
        findings: sentences computed from it.
        counts: how many cells have which source, in words.
        files: path within the site -> the file on disk.
    """

    artefact: Artefact
    command: str
    body: Markup | None = None
    image: str = ""
    missing: str = ""
    stale: str = ""
    listing: tuple[tuple[str, ...], ...] = ()
    findings: tuple[str, ...] = ()
    counts: str = ""
    files: Mapping[str, Path] | None = None


def blocks(contents: Contents) -> list[Block]:
    """Every artefact that is implemented, notebook by notebook."""
    ready = [a for a in every() if a.status == "ready"]
    return sorted((_block(a, contents) for a in ready), key=lambda b: b.artefact.notebook)


def _block(one: Artefact, contents: Contents) -> Block:
    command = f"msfp {one.kind} {one.number} {contents.given}"
    said: dict[str, Any] = {
        "stale": contents.stale.get(one.id, ""),
        "findings": tuple(contents.findings.get(one.id, ())),
    }
    missing = contents.absent.get(one.id, "") or NOT_MADE
    folder = contents.tables if one.kind == "table" else contents.figures
    files = {f"{one.kind}s/{p.name}": p for form in DOWNLOADS[one.kind] if (p := folder / f"{one.id}.{form}").is_file()}
    if one.kind == "figure":
        image = shown(files)
        return Block(one, command, image=image, missing="" if image else missing, files=files, **said)
    if one.number not in contents.cells:
        return Block(one, command, missing=missing, **said)
    cells = known(contents.cells[one.number], contents.evidence.get(one.number, Evidence({})))
    frame = merge(cells, one.number)
    body = Markup(sheet_html(sheet(cells, one.number), HINT))
    return Block(one, command, body, listing=listed(frame), counts=counted(frame), files=files, **said)


def shown(files: Mapping[str, Path]) -> str:
    """Which of a figure's files the page shows: SVG, or PNG where the SVG is large; empty where there is neither."""
    by_form = {path.suffix: name for name, path in files.items()}
    vector, raster = by_form.get(".svg", ""), by_form.get(".png", "")
    if vector and (not raster or files[vector].stat().st_size <= VECTOR_LIMIT):
        return vector
    return raster


def counted(frame: pd.DataFrame) -> str:
    """`91 measured, 42 only in the paper, 13 n/a`."""
    found = frame["source"].value_counts().to_dict()
    return ", ".join(f"{found[source]} {said}" for source, said in SOURCES.items() if source in found)


def listed(frame: pd.DataFrame) -> tuple[tuple[str, ...], ...]:
    """Every cell as a line: measured, paper, difference, published, source, reason."""

    def short(value: Any) -> str:
        if value is None or (isinstance(value, float) and value != value):
            return ""
        return f"{value:.6g}" if isinstance(value, float) else str(value)

    names = ("measured", "std", "paper", "paper_std", "difference", "published")
    return tuple(
        (r["row"], r["column"], *(short(r[name]) for name in names), r["unit"], r["source"], r["reason"])
        for r in frame.to_dict("records")
    )


def images(found: list[Block]) -> dict[str, bytes]:
    """Path within the site -> bytes of every file that the blocks link."""
    return {name: path.read_bytes() for block in found for name, path in (block.files or {}).items()}


def listing_html(block: Block) -> Markup:
    """A block's listing as an HTML table."""
    return Markup(environment().get_template("listing.html.j2").render(rows=block.listing))

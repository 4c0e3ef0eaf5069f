"""Tables and figures as the report shows them, each with the command that makes it again."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from markupsafe import Markup

from msfp.errors import NotComputable
from msfp.metrics.statistics import LEVEL
from msfp.paper.cell_samples import Evidence
from msfp.paper.formats import sheet_html
from msfp.paper.registry import Artefact
from msfp.paper.render import merge, sheet
from msfp.paper.site.contents import Contents
from msfp.types import Cell

VECTOR_LIMIT = 1_500_000
"""Bytes above which a figure is shown as PNG instead of SVG, so that a page still opens quickly."""
MOST_NAMES = 8
"""Scenes that are named where a number was measured on them; more are counted."""
NOT_MADE = "not made in this run"
HINT = "Source and details of a number: hover, tap, or Tab and arrow keys."
DOWNLOADS = {"table": ("csv", "md", "tex"), "figure": ("svg", "pdf", "png")}
LISTED = (
    "row", "column", "measured", "std", "paper", "paper_std", "difference", "published", "unit", "source", "reason",
)  # fmt: skip
SOURCES = {
    "measured": "measured",
    "paper": "only in the paper",
    "published": "published elsewhere",
    "server": "kept by the server",
    "n/a": "n/a",
}


def block(one: Artefact, contents: Contents) -> dict[str, Any]:
    """One table or figure for the templates.

    `body`: HTML of a table; `image`: path of a picture within the site; `missing`: why there is neither; `listing`:
    every cell of a table as texts; `counts`: how many have which source; `files`: path within the site -> on disk.
    """
    folder = contents.tables if one.kind == "table" else contents.figures
    paths = {f"{one.kind}s/{one.id}.{form}": folder / f"{one.id}.{form}" for form in DOWNLOADS[one.kind]}
    files = {name: path for name, path in paths.items() if path.is_file()}
    image = _shown(files) if one.kind == "figure" else ""
    made = bool(image) or (one.kind == "table" and one.number in contents.cells)
    found: dict[str, Any] = {
        "artefact": one,
        "command": f"msfp {one.kind} {one.number} {contents.given}",
        "stale": contents.stale.get(one.id, ""),
        "findings": contents.findings.get(one.id, ()),
        "missing": "" if made else contents.absent.get(one.id) or NOT_MADE,
        "files": files if made or one.kind == "figure" else {},
        "image": image,
        "body": "",
        "counts": "",
        "listing": (),
    }
    if one.kind == "figure" or not made:
        return found
    evidence = contents.evidence.get(one.number, Evidence({}))
    cells = [replace(c, detail=c.detail | measured_from(c, evidence)) for c in contents.cells[one.number]]
    frame = merge(cells, one.number)
    count = frame["source"].value_counts().to_dict()
    return found | {
        "body": Markup(sheet_html(sheet(cells, one.number), HINT)),
        "counts": ", ".join(f"{count[source]} {said}" for source, said in SOURCES.items() if source in count),
        "listing": [[_short(line[name]) for name in LISTED] for line in frame.to_dict("records")],
    }


def _shown(files: Mapping[str, Path]) -> str:
    """Which of a figure's files the page shows: SVG, or PNG where the SVG is large; empty where there is neither."""
    by_form = {path.suffix: name for name, path in files.items()}
    vector, raster = by_form.get(".svg", ""), by_form.get(".png", "")
    return vector if vector and (not raster or files[vector].stat().st_size <= VECTOR_LIMIT) else raster


def _short(value: Any) -> str:
    if value is None or value != value:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def measured_from(cell: Cell, evidence: Evidence) -> dict[str, str | float | int]:
    """Values of the training seeds, units that were drawn and the interval over them; nothing where none is kept."""
    if cell.source != "measured":
        return {}
    try:
        sample = evidence.sample(cell.row, cell.column)
    except NotComputable:
        return {}
    found: dict[str, str | float | int] = {}
    if len(sample.seeds) > 1:
        found["by seed"] = ", ".join(f"{x:.6g}" for x in sample.seeds)
    if sample.units:
        # people have no names worth reading: their number is what counts
        named = f": {', '.join(sample.units)}" if sample.kind == "scenes" and len(sample.units) <= MOST_NAMES else ""
        found["measured on"] = f"{len(sample.units)} {sample.kind}{named}"
    try:
        low, high = sample.interval()
        found[f"{100 * LEVEL:g} % interval"] = f"{low:.4g} to {high:.4g}"
    except NotComputable as error:
        found |= {"interval": str(error)} if sample.units else {}
    return found

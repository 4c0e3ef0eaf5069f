"""The report of a run: one HTML file that needs nothing beside it, written from cells and figure files."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from msfp.engine.files import atomic_write
from msfp.paper.cells import read_cells
from msfp.paper.claims.shown import counted as counted_verdicts
from msfp.paper.claims.shown import counts, lines
from msfp.paper.claims.verdict import Verdict
from msfp.paper.formats import environment, sheet_html
from msfp.paper.registry import Artefact, artefacts, every
from msfp.paper.render import merge, sheet
from msfp.types import Cell

VECTOR_LIMIT = 1_500_000
"""Bytes above which a figure is shown as PNG instead of SVG, so that the report still opens quickly."""

ALWAYS = (
    "A difference is measured less paper, also where data, detector, weights or hardware differ: it orients, it does "
    "not test the paper.",
    "Best and second are ranked among the rows measured here; values of the paper and published ones take no part.",
)
NOT_MADE = "not made in this run"


@dataclass(frozen=True)
class Block:
    """One table or figure as the report shows it.

    Attributes:
        artefact: what it is.
        command: makes it again.
        body: HTML of the table or image; None where there is none.
        missing: why there is none.
        listing: the tidy table, HTML; None for figures.
        findings: sentences computed from it.
        counts: how many cells have which source, in words.
    """

    artefact: Artefact
    command: str
    body: Markup | None = None
    missing: str = ""
    listing: Markup | None = None
    findings: tuple[str, ...] = ()
    counts: str = ""


def read_tables(folder: Path) -> dict[int, list[Cell]]:
    """Cells of every table that was written to a folder, `tables/table03.json` and so on.

    Raises:
        InputError: a damaged file.
    """
    paths = {a.number: folder / f"{a.id}.json" for a in every() if a.kind == "table"}
    return {number: read_cells(path) for number, path in paths.items() if path.is_file()}


def write_report(
    run_dir: Path,
    figures_dir: Path,
    tables: Mapping[int, Iterable[Cell]],
    manifest: Mapping[str, Any],
    findings: Mapping[str, Sequence[str]],
    notes: Iterable[str],
    *,
    choices: Iterable[tuple[str, str, str, str]] = (),
    events: Iterable[str] = (),
    limits: Iterable[str] = (),
    absent: Mapping[str, str] | None = None,
    options: str = "",
    verdicts: Sequence[Verdict] = (),
    embedded: bool = False,
) -> Path:
    """Write `report.html`: every artefact with its provenance, the choices made, limits and events.

    Args:
        run_dir: `runs/<profile>`; the report is written here.
        figures_dir: `figures/<profile>` with `figureNN.svg` and `.png`.
        tables: cells by table number.
        manifest: where the run comes from; mappings inside become sections.
        findings: artefact id (`table03`) or any heading -> sentences computed from the numbers.
        notes: remarks of the run.
        choices: the settled switches, (key, value used, other choices, why there is a choice).
        events: what happened, such as damaged store entries that were computed again.
        limits: what the numbers do not show.
        absent: artefact id -> why it could not be made.
        options: command-line options that make the same run; empty: `--profile <run_dir's name>`.
        verdicts: on the paper's claims; the report opens with them.
        embedded: the run's data are rendered worlds, whose construction decides some claims.

    Returns:
        Path of the report.

    Raises:
        InputError: two cells for one place of a table.
        MsfpError: the folder cannot be written.
    """
    profile = run_dir.name
    given = options or f"--profile {profile}"
    blocks = _blocks(tables, figures_dir, given, findings, absent or {})
    ids = {a.id for a in every()}
    text = _page(
        profile=profile,
        command=f"msfp reproduce {given}",
        topics=lines(verdicts, embedded),
        counts=[(basis, counted_verdicts(found)) for basis, found in counts(verdicts).items()],
        shown={b.artefact.id for b in blocks},
        chapters=[(name, list(group)) for name, group in groupby(blocks, key=lambda b: b.artefact.notebook)],
        findings=[(heading, tuple(said)) for heading, said in findings.items() if heading not in ids and said],
        choices=list(choices),
        notes=list(notes),
        events=list(events),
        limits=[*limits, *ALWAYS],
        provenance=sections(manifest),
    )
    path = run_dir / "report.html"
    atomic_write(path, text.encode())
    return path


def _blocks(
    tables: Mapping[int, Iterable[Cell]],
    figures: Path,
    options: str,
    findings: Mapping[str, Sequence[str]],
    absent: Mapping[str, str],
) -> list[Block]:
    """Every artefact that is implemented, notebook by notebook."""
    cells = {number: list(group) for number, group in tables.items()}
    blocks = [
        _block(a, cells.get(a.number), figures, options, findings.get(a.id, ()), absent.get(a.id, ""))
        for a in every()
        if a.status == "ready"
    ]
    return sorted(blocks, key=lambda b: b.artefact.notebook)


def _page(**parts: Any) -> str:
    """The template filled, with the style sheet and the list of what is planned."""
    css = Markup((files("msfp.paper") / "sheet.css").read_text(encoding="utf-8"))
    planned = [a for a in artefacts() if a.status == "planned"]
    return environment().get_template("report.html.j2").render(css=css, planned=planned, **parts)


def sections(manifest: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """A manifest as headed lists of (key, text); single values come first under no heading."""
    single = [(str(k), _text(v)) for k, v in manifest.items() if not isinstance(v, Mapping)]
    nested = [(str(k), _flat(v)) for k, v in manifest.items() if isinstance(v, Mapping) and v]
    return ([("", single)] if single else []) + nested


def _flat(tree: Mapping[Any, Any], prefix: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, value in tree.items():
        name = f"{prefix}{key}"
        found += _flat(value, f"{name}.") if isinstance(value, Mapping) else [(name, _text(value))]
    return found


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple, set, frozenset)):
        return ", ".join(_text(v) for v in (sorted(value, key=str) if isinstance(value, (set, frozenset)) else value))
    return "–" if value is None else str(value)


def _block(
    one: Artefact, cells: list[Cell] | None, figures: Path, options: str, findings: Sequence[str], reason: str
) -> Block:
    command = f"msfp {one.kind} {one.number} {options}"
    if one.kind == "figure":
        body = figure_html(figures, one)
        return Block(one, command, body, "" if body else reason or NOT_MADE, findings=tuple(findings))
    if cells is None:
        return Block(one, command, missing=reason or NOT_MADE, findings=tuple(findings))
    frame = merge(cells, one.number)
    body = Markup(sheet_html(sheet(cells, one.number)))
    return Block(one, command, body, listing=listing_html(frame), findings=tuple(findings), counts=counted(frame))


def counted(frame: pd.DataFrame) -> str:
    """`91 measured, 42 only in the paper, 13 n/a`."""
    words = {
        "measured": "measured",
        "paper": "only in the paper",
        "published": "published elsewhere",
        "server": "kept by the server",
        "n/a": "n/a",
    }
    found = frame["source"].value_counts().to_dict()
    return ", ".join(f"{found[source]} {said}" for source, said in words.items() if source in found)


def listing_html(frame: pd.DataFrame) -> Markup:
    """Every cell as a line: measured, paper, difference, published, source, reason."""
    return Markup(environment().get_template("listing.html.j2").render(rows=_listing_rows(frame)))


def _listing_rows(frame: pd.DataFrame) -> list[tuple[str, ...]]:
    def short(value: Any) -> str:
        if value is None or (isinstance(value, float) and value != value):
            return ""
        return f"{value:.6g}" if isinstance(value, float) else str(value)

    names = ("measured", "std", "paper", "paper_std", "difference", "published")
    return [
        (r["row"], r["column"], *(short(r[name]) for name in names), r["unit"], r["source"], r["reason"])
        for r in frame.to_dict("records")
    ]


def figure_html(folder: Path, one: Artefact) -> Markup | None:
    """The figure as an image inside the page: SVG, or PNG where the SVG is large; None where there is no file."""
    for form, kind, limit in (("svg", "svg+xml", VECTOR_LIMIT), ("png", "png", None), ("svg", "svg+xml", None)):
        path = folder / f"{one.id}.{form}"
        if path.is_file() and (limit is None or path.stat().st_size <= limit):
            data = base64.b64encode(path.read_bytes()).decode()
            return Markup('<img src="data:image/{};base64,{}" alt="{}">').format(kind, data, one.caption)
    return None

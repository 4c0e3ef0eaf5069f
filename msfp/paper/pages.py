"""The report as a site of plain files that needs no network and no server: what it says, and path -> bytes.

The same contents give the same bytes.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from itertools import chain, groupby
from pathlib import Path
from typing import Any

from markupsafe import Markup

from msfp.engine.files import atomic_write, replace_folder
from msfp.engine.html import notebook_html
from msfp.engine.notebooks import turn
from msfp.errors import NotComputable
from msfp.metrics.bootstrap import LEVEL
from msfp.paper.cells import Evidence
from msfp.paper.claims import MARGINS
from msfp.paper.layout import ALONE, compare, decimals, fixed, merge, sheet
from msfp.paper.registry import Artefact, artefact, artefacts, every
from msfp.paper.render import csv_text, environment, sheet_html
from msfp.paper.stamps import NOT_MADE
from msfp.paper.verdicts import SIGNS, TICKS, Verdict, groups, line, place
from msfp.types import Cell

STYLES = ("sheet.css", "site.css", "print.css")
SCRIPTS = ("index.js", "tables.js", "cells.js", "claims.js", "figures.js", "commands.js", "search.js")
INDEX, LIST = "index.html", "notebooks.html"
VECTOR_LIMIT = 1_500_000
"""Bytes above which a figure is shown as PNG instead of SVG, so that a page still opens quickly."""
MOST_NAMES = 8
"""Scenes that are named where a number was measured on them; more are counted."""
HINT = "Source and details of a number: hover, tap, or Tab and arrow keys."
DOWNLOADS = {"table": ("csv", "md", "tex"), "figure": ("svg", "pdf", "png")}
LISTED = {
    "row": "row", "column": "column", "measured": "measured", "std": "±", "paper": "paper", "paper_std": "±",
    "difference": "difference", "published": "published", "unit": "unit", "source": "source", "reason": "reason",
}  # fmt: skip
BESIDE = ("paper", "paper_std", "difference", "published")
"""Those of them that a run without meaning does not show."""


@dataclass(frozen=True)
class Contents:
    """Everything the report is written from."""

    profile: str
    figures: Path  # `figures/<profile>`
    tables: Path  # `runs/<profile>/tables`
    notebooks: Sequence[Path] = ()  # executed ones, in order
    cells: Mapping[int, Sequence[Cell]] = field(default_factory=dict)  # by number of the table
    evidence: Mapping[int, Evidence] = field(default_factory=dict)  # what they were measured from
    manifest: Mapping[str, Any] = field(default_factory=dict)  # mappings inside become sections
    choices: Sequence[tuple[str, str, str, str]] = ()  # (switch, value used, other choices, why there is a choice)
    notes: Sequence[str] = ()
    events: Sequence[str] = ()  # such as damaged store entries that were computed again
    limits: Sequence[str] = ()  # what else the numbers do not show
    one_seed: bool = False
    checked: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # rules -> scores, and how many TrackEval held
    absent: Mapping[str, str] = field(default_factory=dict)  # artefact id -> why it could not be made
    stale: Mapping[str, str] = field(default_factory=dict)  # artefact id -> why it is of other code or settings
    options: str = ""  # of the command line; empty: `--profile <profile>`
    verdicts: Sequence[Verdict] = ()
    compared: bool = True  # numbers are judged and set beside the paper's
    embedded: bool = False  # the data are rendered worlds, whose construction decides some claims
    data: str = ""  # the data set that plays MOT17's part
    rest: Sequence[str] = ()  # notebooks of a run at work that are still to come
    names: Mapping[str, str] = field(default_factory=dict)  # text -> what to show in place, such as for a folder here


def write_site(folder: Path, contents: Contents) -> Path:
    """Write the report's site in place of an older one; the path of its first page.

    InputError: two cells for one place of a table, or an executed notebook that cannot be read.
    MsfpError: the folder cannot be written; an older site is left as it was.
    """
    chapters: list[dict[str, Any]] = [
        {"notebook": notebook, "title": _title(notebook), "blocks": [_block(a, contents) for a in made]}
        for notebook, made in _made().items()
    ]
    blocks = [one for chapter in chapters for one in chapter["blocks"]]
    places = {one["artefact"].id: f"{one['artefact'].notebook}.html" for one in blocks}
    topics: dict[str, list[dict[str, Any]]] = {}
    for verdict in contents.verdicts:
        topics.setdefault(verdict.claim.topic, []).append(line(verdict, contents.embedded))
    summary: dict[str, Any] = {
        "topics": topics,
        "tables": {one["artefact"].number: one["artefact"].id for one in blocks if one["artefact"].kind == "table"},
        "groups": groups(contents.verdicts),
        "margins": MARGINS,
        "signs": [(sign, word, word.split()[0]) for word, sign in SIGNS.items()],
        "ticks": [(place(at), label) for at, label in TICKS.items()],
        "chapters": chapters,
        "planned": [a for a in artefacts() if a.status == "planned"],
    }
    first, differs = "Tables and figures", "Choices and limits"
    if contents.compared:
        first, differs = "The paper’s claims, tested", "What differs and why"
    compared = _compared(contents.cells) if contents.compared else []
    reasons: dict[str, Any] = {"compared": compared, "absent": _absent(contents.cells), "differs": differs}
    # when and by whom the report was written is left out: it tells not what it is made from
    made_from = {k: v for k, v in contents.manifest.items() if k not in ("when", "command")}
    facts: dict[str, Any] = {"provenance": sections(made_from)}
    executed = {path.stem for path in contents.notebooks}
    static = [p for p in (files("msfp.paper") / "site").iterdir() if p.name.endswith((".css", ".js"))]
    texts = {
        INDEX: _page(contents, INDEX, first, places=places, **summary),
        "differences.html": _page(contents, "differences.html", differs, places=places, **reasons),
        "provenance.html": _page(contents, "provenance.html", "Provenance", **facts),
        "all.html": _page(contents, "all.html", "Everything on one page", places={}, **summary, **reasons, **facts),
        **_notebooks(contents, contents.notebooks),
        "static/index.js": _index(blocks, topics, places),
        **{f"static/{p.name}": p.read_text("utf-8") for p in static},
    }
    for chapter in chapters:
        name, exported = f"{chapter['notebook']}.html", chapter["notebook"] in executed
        texts[name] = _page(contents, name, chapter["title"], "chapter.html.j2", chapter=chapter, exported=exported)
    images = {name: path.read_bytes() for one in blocks for name, path in one["files"].items()}
    replace_folder(folder, {name: text.encode() for name, text in texts.items()} | images)
    return folder / INDEX


def add_notebook(folder: Path, contents: Contents, name: str) -> None:
    """Put one executed notebook into a site that is there: the one that wrote the site, which had not ended then."""
    at = [path.stem for path in contents.notebooks].index(name)
    chosen = contents.notebooks[max(at - 1, 0) : at + 1]  # and the one before, which now has a next
    for page, text in _notebooks(contents, chosen).items():  # its own page before the list that links it
        atomic_write(folder / page, text.encode())


def _notebooks(contents: Contents, chosen: Iterable[Path]) -> dict[str, str]:
    """The pages of those executed notebooks, and the list of all."""
    pages = {}
    for path in chosen:
        name, body = f"notebooks/{path.stem}.html", Markup(notebook_html(path, contents.names))
        pages[name] = _page(contents, name, f"Notebook {path.stem}", "notebook.html.j2", LIST, body=body)
    exports = [(path.stem, _title(path.stem), _made().get(path.stem, [])) for path in contents.notebooks]
    return {**pages, LIST: _page(contents, LIST, "Notebooks", exports=exports)}


def _page(contents: Contents, name: str, title: str, template: str = "", here: str = "", **parts: Any) -> str:
    """One page: its template filled, with what every page has; `here`: the page that its menu marks."""
    chapters = [(f"{notebook}.html", _title(notebook)) for notebook in _made()]
    differs = "What differs" if contents.compared else "Choices and limits"
    rest = [("differences.html", differs), ("provenance.html", "Provenance"), (LIST, "Notebooks")]
    menu = [(INDEX, "Summary"), *chapters, *rest]
    turns = [(f"notebooks/{p.stem}.html", f"Notebook {_title(p.stem)}") for p in contents.notebooks]
    turns = turns if name.startswith("notebooks/") else menu
    at = next((k for k, (file, _) in enumerate(turns) if file == name), len(turns))
    parts |= {"report": contents, "here": here or name, "title": title, "up": "../" * name.count("/"), "alone": ALONE}
    parts |= {"given": contents.options or f"--profile {contents.profile}", "headings": _headings(contents)}
    parts |= {"menu": [*menu, ("all.html", "One page")]}
    parts |= {"before": turns[at - 1] if 0 < at < len(turns) else None}
    parts |= {"after": turns[at + 1] if at + 1 < len(turns) else None, "styles": STYLES, "scripts": SCRIPTS}
    return environment().get_template(template or f"{name}.j2").render(parts)


def _index(blocks: Sequence[Mapping[str, Any]], topics: Mapping[str, Any], places: Mapping[str, str]) -> str:
    """The script that search.js looks into: (what is found, text to find it by, where it is) of each thing."""
    found = [(f"{a.name}: {a.title}", a.caption, f"{places[a.id]}#{a.id}") for a in (one["artefact"] for one in blocks)]
    found += [
        (f"“{c['quote']}”", f"{c['id']} {c['word']}", f"{INDEX}#claim-{c['id']}") for c in chain(*topics.values())
    ]
    return f"const FINDABLE = {json.dumps(found, ensure_ascii=False)};\n"


def _made() -> dict[str, list[Artefact]]:
    """notebook -> what it makes."""
    ready = sorted((a for a in every() if a.status == "ready"), key=lambda a: turn(a.notebook))
    return {notebook: list(group) for notebook, group in groupby(ready, key=lambda a: a.notebook)}


def _title(notebook: str) -> str:
    """`05_tracking` -> `Tracking`."""
    return "Re-identification" if notebook == "02_reid" else notebook.partition("_")[2].replace("_", " ").capitalize()


def _block(one: Artefact, contents: Contents) -> dict[str, Any]:
    """One table or figure for the templates.

    `body`: HTML of a table; `image`: path of a picture within the site; `missing`: why there is neither; `listing`:
    every cell of a table as texts; `counts`: how many have which source; `files`: path within the site -> on disk.
    """
    folder = contents.tables if one.kind == "table" else contents.figures
    paths = {f"{one.kind}s/{one.id}.{form}": folder / f"{one.id}.{form}" for form in DOWNLOADS[one.kind]}
    files = {name: path for name, path in paths.items() if path.is_file()}
    image = ""
    if one.kind == "figure":  # SVG, or PNG where the SVG is large; none where there is neither
        vector, raster = (next((n for n in files if n.endswith(form)), "") for form in (".svg", ".png"))
        image = vector if vector and (not raster or files[vector].stat().st_size <= VECTOR_LIMIT) else raster
    table = contents.cells.get(one.number) if one.kind == "table" else None
    made = bool(image) or table is not None
    found: dict[str, Any] = {
        "artefact": one,
        "missing": "" if made else contents.absent.get(one.id) or NOT_MADE,
        "files": files if made or one.kind == "figure" else {},
        "image": image,
        "body": "",
        "counts": {},
        "findings": (),
        "listing": (),
    }
    if table is None:
        return found
    evidence = contents.evidence.get(one.number, Evidence())
    cells = [replace(c, detail=c.detail | _measured_from(c, evidence)) for c in table]
    frame = merge(cells, one.number, contents.compared)
    return found | {
        "body": Markup(sheet_html(sheet(cells, one.number, contents.compared), HINT)),
        "counts": frame["source"].value_counts().to_dict(),
        "findings": compare(table, one.number).to_dict("records") if contents.compared else (),
        "listing": frame[list(_headings(contents))].map(csv_text).to_numpy().tolist(),
    }


def _headings(contents: Contents) -> dict[str, str]:
    """Columns of a table's listing and their headings."""
    return {name: heading for name, heading in LISTED.items() if contents.compared or name not in BESIDE}


def _measured_from(cell: Cell, evidence: Evidence) -> dict[str, str | float | int]:
    """Values of the training seeds, units that were drawn and the interval over them; nothing where none is kept."""
    if cell.source != "measured" or (cell.row, cell.column) not in evidence.cells:
        return {}
    sample = evidence.sample(cell.row, cell.column)
    by_seed = ", ".join(f"{x:.6g}" for x in sample.seeds)
    found: dict[str, str | float | int] = {"by seed": by_seed} if len(sample.seeds) > 1 else {}
    if sample.units:
        # people have no names worth reading: their number is what counts
        named = f": {', '.join(sample.units)}" if sample.kind == "scenes" and len(sample.units) <= MOST_NAMES else ""
        found["measured on"] = f"{len(sample.units)} {sample.kind}{named}"
    try:
        found[f"{100 * LEVEL:g} % interval"] = "{:.4g} to {:.4g}".format(*sample.interval())
    except NotComputable as error:
        found |= {"interval": str(error)} if sample.units else {}
    return found


def _compared(tables: Mapping[int, Sequence[Cell]]) -> list[dict[str, Any]]:
    """A line a column of every table beside the paper's, over the rows that both have numbers for."""
    lines: list[dict[str, Any]] = []
    for number, cells in sorted(tables.items()):
        frame = merge(cells, number)
        orders = {str(order["column"]): order for order in compare(cells, number).to_dict("records")}
        for column, group in frame[frame["difference"].notna()].groupby("column", sort=False):
            apart = group["difference"].astype(float)
            digits = max(decimals(number, str(column), apart, next((u for u in group["unit"] if u), "")), 1)
            found = [fixed(x, digits, signed=True).replace("-", "−") for x in (apart.mean(), apart.min(), apart.max())]
            order = orders.get(str(column), {})
            said = str(order.get("pairs as in the paper", "0 of 0"))
            same, pairs = map(int, said.split(" of "))
            told = {"pairs": said, "agreement": f"{same / pairs:.4f}"} if pairs else {"pairs": "", "agreement": ""}
            told |= {"best_here": order.get("best here", ""), "best_there": order.get("best in the paper", "")}
            place = {"table": artefact("table", number), "column": column, "rows": len(group)}
            lines.append({**place, "differences": found, **told})
    return lines


def _absent(tables: Mapping[int, Sequence[Cell]]) -> list[tuple[str, int, str]]:
    """(reason, how many cells have it, in which tables) of cells without a measured number; the most frequent first."""
    found: dict[str, list[str]] = {}
    for number, cell in ((number, cell) for number, cells in sorted(tables.items()) for cell in cells):
        if cell.source != "measured" and cell.reason:
            found.setdefault(cell.reason, []).append(artefact("table", number).name)
    lines = [(reason, len(names), ", ".join(dict.fromkeys(names))) for reason, names in found.items()]
    return sorted(lines, key=lambda line: -line[1])


def sections(manifest: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """A manifest as headed lists of (key, text); single values come first under no heading."""
    single = _flat({k: v for k, v in manifest.items() if not isinstance(v, Mapping)})
    nested = [(str(k), _flat(v)) for k, v in manifest.items() if isinstance(v, Mapping) and v]
    return ([("", single)] if single else []) + nested


def _flat(tree: Mapping[Any, Any], prefix: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, value in tree.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{prefix}{key}.")
        else:
            text = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else "–" if value is None else value
            found.append((f"{prefix}{key}", str(text)))
    return found

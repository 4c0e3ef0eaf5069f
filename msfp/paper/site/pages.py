"""The report as pages: path within the site -> bytes. The same contents give the same bytes."""

from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from typing import Any

from markupsafe import Markup

from msfp.engine.atomic_folders import replace_folder
from msfp.engine.files import atomic_write
from msfp.engine.notebook_html import notebook_html
from msfp.paper.claims.shown import groups, line
from msfp.paper.claims.words import MEANINGS
from msfp.paper.columns import decimals, fixed
from msfp.paper.findings import compare
from msfp.paper.formats import environment
from msfp.paper.registry import Artefact, artefact, artefacts, every
from msfp.paper.render import merge
from msfp.paper.site.blocks import block
from msfp.paper.site.contents import Contents
from msfp.types import Cell

STYLES = ("sheet.css", "site.css", "print.css")
SCRIPTS = ("tables.js", "cells.js", "figures.js", "commands.js")
STATIC = (".css", ".js")
INDEX, LIST = "index.html", "notebooks.html"
TITLES = {"02_reid": "Re-identification"}
APART = ("when", "command")
"""Left out of the page of provenance: they tell when and by whom the report was written, not what it is made from."""


def write_site(folder: Path, contents: Contents) -> Path:
    """Write the report's site in place of an older one.

    Returns:
        Path of its first page.

    Raises:
        InputError: two cells for one place of a table, or an executed notebook that cannot be read.
        MsfpError: the folder cannot be written; an older site is left as it was.
    """
    replace_folder(folder, _files(contents))
    return folder / INDEX


def add_notebook(folder: Path, contents: Contents, name: str) -> None:
    """Put one executed notebook into a site that is there: the one that wrote the site, which had not ended then.

    Raises:
        InputError: it cannot be read as a notebook.
        MsfpError: a file cannot be written.
    """
    chosen = [path for path in contents.notebooks if path.stem == name]
    for page, text in _notebooks(contents, chosen).items():  # its own page before the list that links it
        atomic_write(folder / page, text.encode())


def _files(contents: Contents) -> dict[str, bytes]:
    """Every file of the site."""
    chapters = [
        {"notebook": notebook, "title": _title(notebook), "blocks": [block(a, contents) for a in made]}
        for notebook, made in _made().items()
    ]
    blocks = [one for chapter in chapters for one in chapter["blocks"]]
    places = {one["artefact"].id: f"{one['artefact'].notebook}.html" for one in blocks}
    topics: dict[str, list[dict[str, Any]]] = {}
    for verdict in contents.verdicts:
        topics.setdefault(verdict.claim.topic, []).append(line(verdict, contents.embedded))
    summary = {
        "stale": contents.stale,
        "topics": topics,
        "tables": {one["artefact"].number: one["artefact"].id for one in blocks if one["artefact"].kind == "table"},
        "groups": groups(contents.verdicts),
        "meanings": MEANINGS,
        "chapters": chapters,
        "planned": [a for a in artefacts() if a.status == "planned"],
    }
    reasons = {"compared": _compared(contents.cells), "absent": _absent(contents.cells), "report": contents}
    facts = {"provenance": sections({k: v for k, v in contents.manifest.items() if k not in APART})}
    executed = {path.stem for path in contents.notebooks}
    texts = {
        INDEX: _page(contents, INDEX, "The paper’s claims, tested", places=places, **summary),
        "differences.html": _page(contents, "differences.html", "What differs and why", places=places, **reasons),
        "provenance.html": _page(contents, "provenance.html", "Provenance", **facts),
        "all.html": _page(contents, "all.html", "Everything on one page", places={}, **summary, **reasons, **facts),
        **_notebooks(contents, contents.notebooks),
        "static/sheet.css": (files("msfp.paper") / "sheet.css").read_text("utf-8"),
        **{f"static/{p.name}": p.read_text("utf-8") for p in files("msfp.paper.site").iterdir() if p.name.endswith(STATIC)},
    }
    for chapter in chapters:
        name = f"{chapter['notebook']}.html"
        more = {"chapter": chapter, "exported": chapter["notebook"] in executed}
        texts[name] = _page(contents, name, chapter["title"], "chapter.html.j2", **more)
    images = {name: path.read_bytes() for one in blocks for name, path in one["files"].items()}
    return {name: text.encode() for name, text in texts.items()} | images


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
    rest = [("differences.html", "What differs"), ("provenance.html", "Provenance"), (LIST, "Notebooks")]
    text: str = (
        environment()
        .get_template(template or f"{name}.j2")
        .render(
            here=here or name,
            title=title,
            up="../" * name.count("/"),
            profile=contents.profile,
            given=contents.given,
            menu=[(INDEX, "Summary"), *chapters, *rest, ("all.html", "One page")],
            styles=STYLES,
            scripts=SCRIPTS,
            **parts,
        )
    )
    return text


def _made() -> dict[str, list[Artefact]]:
    """notebook -> what it makes."""
    ready = sorted((a for a in every() if a.status == "ready"), key=lambda a: a.notebook)
    return {notebook: list(group) for notebook, group in groupby(ready, key=lambda a: a.notebook)}


def _title(notebook: str) -> str:
    """`05_tracking` -> `Tracking`."""
    return TITLES.get(notebook, notebook.partition("_")[2].replace("_", " ").capitalize())


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
            one = {"table": artefact("table", number), "column": column, "rows": len(group), "differences": found}
            order = orders.get(str(column), {})
            same, _, pairs = str(order.get("pairs as in the paper", "0 of 0")).partition(" of ")
            lines.append(
                one
                | {
                    "best_here": order.get("best here", ""),
                    "best_there": order.get("best in the paper", ""),
                    "pairs": f"{same} of {pairs}" if int(pairs) else "",
                    "agreement": f"{int(same) / int(pairs):.4f}" if int(pairs) else "",
                }
            )
    return lines


def _absent(tables: Mapping[int, Sequence[Cell]]) -> list[tuple[str, int, str]]:
    """(reason, how many cells have it, in which tables) of cells without a measured number; the most frequent first."""
    found: dict[str, list[str]] = {}
    for number, cells in sorted(tables.items()):
        for cell in cells:
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
        name = f"{prefix}{key}"
        found += _flat(value, f"{name}.") if isinstance(value, Mapping) else [(name, _text(value))]
    return found


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple, set, frozenset)):
        return ", ".join(_text(v) for v in (sorted(value, key=str) if isinstance(value, (set, frozenset)) else value))
    return "–" if value is None else str(value)

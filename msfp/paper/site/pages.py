"""The report as pages: path within the site -> bytes. The same contents give the same bytes."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from typing import Any

from markupsafe import Markup

from msfp.engine.atomic_folders import replace_folder
from msfp.engine.files import atomic_write
from msfp.engine.notebook_html import notebook_html
from msfp.paper.claims.shown import groups, lines
from msfp.paper.claims.words import MEANINGS
from msfp.paper.formats import environment
from msfp.paper.registry import Artefact, artefacts, every
from msfp.paper.site.blocks import Block, blocks, images, listing_html
from msfp.paper.site.contents import Contents
from msfp.paper.site.differences import absent, compared
from msfp.paper.site.facts import sections

INDEX = "index.html"
STYLES = ("sheet.css", "site.css", "print.css")
SCRIPTS = ("tables.js", "cells.js", "figures.js", "commands.js")
FIRST = "theme.js"
NOTEBOOKS, LIST = "notebooks", "notebooks.html"
TITLES = {"02_reid": "Re-identification"}
APART = ("when", "command")
"""Left out of the page of provenance: they tell when and by whom the report was written, not what it is made from."""


@dataclass(frozen=True)
class Chapter:
    """What one notebook makes."""

    notebook: str
    blocks: list[Block]

    @property
    def title(self) -> str:
        """`05_tracking` -> `Tracking`."""
        return title_of(self.notebook)


def title_of(notebook: str) -> str:
    """`05_tracking` -> `Tracking`."""
    return TITLES.get(notebook, notebook.partition("_")[2].replace("_", " ").capitalize())


def write_site(folder: Path, contents: Contents) -> Path:
    """Write the report's site in place of an older one.

    Returns:
        Path of its first page.

    Raises:
        InputError: two cells for one place of a table, or an executed notebook that cannot be read.
        MsfpError: the folder cannot be written; an older site is left as it was.
    """
    replace_folder(folder, Site(contents).files())
    return folder / INDEX


def add_notebook(folder: Path, contents: Contents, name: str) -> None:
    """Put one executed notebook into a site that is there: the one that wrote the site, which had not ended then.

    Raises:
        InputError: it cannot be read as a notebook.
        MsfpError: a file cannot be written.
    """
    for page, text in Site(contents).notebooks([name]).items():  # its own page before the list that links it
        atomic_write(folder / page, text.encode())


class Site:
    """The pages of one report."""

    def __init__(self, contents: Contents) -> None:
        self.contents = contents

    @cached_property
    def blocks(self) -> list[Block]:
        """Every table and figure, laid out; what takes the most time here."""
        return blocks(self.contents)

    @cached_property
    def chapters(self) -> list[Chapter]:
        """What each notebook makes."""
        return [Chapter(n, list(group)) for n, group in groupby(self.blocks, key=lambda b: b.artefact.notebook)]

    @cached_property
    def made(self) -> dict[str, list[Artefact]]:
        """notebook -> what it makes."""
        found = sorted((a for a in every() if a.status == "ready"), key=lambda a: a.notebook)
        return {notebook: list(group) for notebook, group in groupby(found, key=lambda a: a.notebook)}

    @cached_property
    def places(self) -> dict[str, str]:
        """artefact id -> its page."""
        return {a.id: f"{notebook}.html" for notebook, group in self.made.items() for a in group}

    def files(self) -> dict[str, bytes]:
        """Every file of the site."""
        texts = {
            INDEX: self.page(INDEX, "The paper’s claims, tested", **self.summary),
            **{f"{c.notebook}.html": self.chapter(c) for c in self.chapters},
            "differences.html": self.page("differences.html", "What differs and why", **self.reasons(self.places)),
            "provenance.html": self.page("provenance.html", "Provenance", provenance=self.provenance),
            "all.html": self.page("all.html", "Everything on one page", **self.summary, **self.whole),
            **self.notebooks([path.stem for path in self.contents.notebooks]),
            **static(),
        }
        return {name: text.encode() for name, text in texts.items()} | images(self.blocks)

    def notebooks(self, names: Collection[str]) -> dict[str, str]:
        """The pages of those executed notebooks, and the list of all."""
        chosen = [path for path in self.contents.notebooks if path.stem in names]
        pages = {f"{NOTEBOOKS}/{path.stem}.html": self.notebook(path) for path in chosen}
        return {**pages, LIST: self.page(LIST, "Notebooks", exports=self.exports)}

    def page(self, name: str, title: str, template: str = "", here: str = "", **parts: Any) -> str:
        """One page: its template filled, with what every page has."""
        return (
            environment()
            .get_template(template or f"{name}.j2")
            .render(
                here=here or name,
                title=title,
                up="../" * name.count("/"),
                profile=self.contents.profile,
                given=self.contents.given,
                menu=self.menu,
                styles=STYLES,
                scripts=SCRIPTS,
                **parts,
            )
        )

    @cached_property
    def menu(self) -> list[tuple[str, str]]:
        """(page, name) of what the head of every page links."""
        chapters = [(f"{notebook}.html", title_of(notebook)) for notebook in self.made]
        rest = [("differences.html", "What differs"), ("provenance.html", "Provenance"), (LIST, "Notebooks")]
        return [(INDEX, "Summary"), *chapters, *rest, ("all.html", "One page")]

    @cached_property
    def summary(self) -> dict[str, Any]:
        """What the first page shows, and the printable one."""
        verdicts = self.contents.verdicts
        shown = {b.artefact.number: b.artefact.id for b in self.blocks if b.artefact.kind == "table"}
        return {
            "command": f"msfp reproduce {self.contents.given}",
            "stale": self.contents.stale,
            "topics": {
                topic: [replace(c, shown_in=tuple((n, shown[n]) for n in c.tables if n in shown)) for c in claims]
                for topic, claims in lines(verdicts, self.contents.embedded).items()
            },
            "groups": groups(verdicts),
            "meanings": MEANINGS,
            "places": self.places,
            "chapters": self.chapters,
            "planned": [a for a in artefacts() if a.status == "planned"],
        }

    def reasons(self, places: Mapping[str, str]) -> dict[str, Any]:
        """What differs and why; `places`: artefact id -> page that shows it."""
        known = self.contents
        return {
            "compared": compared(known.cells, places),
            "absent": absent(known.cells),
            "choices": known.choices,
            "limits": known.limits,
            "notes": known.notes,
            "events": known.events,
        }

    @cached_property
    def whole(self) -> dict[str, Any]:
        """What the printable page has besides the summary."""
        return {**self.reasons({}), "provenance": self.provenance}

    @cached_property
    def provenance(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """The manifest less what differs between two reports of one run."""
        return sections({key: value for key, value in self.contents.manifest.items() if key not in APART})

    @cached_property
    def exports(self) -> Sequence[tuple[str, str, list[Artefact]]]:
        """(name, title, what it makes) of the executed notebooks."""
        return [(path.stem, title_of(path.stem), self.made.get(path.stem, [])) for path in self.contents.notebooks]

    def chapter(self, one: Chapter) -> str:
        """The page of what one notebook makes."""
        exported = one.notebook in {path.stem for path in self.contents.notebooks}
        more: dict[str, Any] = {
            "notebook": one.notebook,
            "blocks": one.blocks,
            "exported": exported,
            "listing": listing_html,
        }
        return self.page(f"{one.notebook}.html", one.title, "chapter.html.j2", **more)

    def notebook(self, path: Path) -> str:
        """An executed notebook as a page."""
        name = f"{NOTEBOOKS}/{path.stem}.html"
        body = Markup(notebook_html(path, self.contents.names))
        return self.page(name, f"Notebook {path.stem}", "notebook.html.j2", LIST, body=body)


def static() -> dict[str, str]:
    """Style sheets and scripts, by their path within the site."""
    texts = {"sheet.css": (files("msfp.paper") / "sheet.css").read_text(encoding="utf-8")}
    for name in (*STYLES[1:], FIRST, *SCRIPTS):
        texts[name] = (files("msfp.paper.site") / name).read_text(encoding="utf-8")
    return {f"static/{name}": text for name, text in texts.items()}

"""Builds the documentation: README, how-tos, docstrings and notebooks as pages that need no network to be read."""

import os
import re
import tomllib
from pathlib import Path
from typing import Any

import nbformat
from docutils import nodes
from latex2mathml.converter import convert
from nbconvert import MarkdownExporter

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
RUN = ROOT / "runs" / os.environ.get("PROFILE", "demo") / "notebooks"
FETCHED = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)=[\"'](?:https?:)?//[^\"']+", re.I)

project = "msfp"
author = PROJECT["authors"][0]["name"]
html_title = "msfp"
html_theme = "furo"
html_show_copyright = html_show_sphinx = False
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
html_math_renderer = "mathml"
exclude_patterns = ["_build"]
default_role = "code"  # docstrings put names in single backticks
add_module_names = False
autodoc_typehints = "none"
autodoc_member_order = "bysource"
suppress_warnings = ["myst.header", "misc.highlighting_failure"]  # notebooks have headings of their own order


def write_notebooks(_app: Any) -> None:
    """Write each notebook as a page: as the run's kernel left it, else as it is in the repository."""
    folder = HERE / "notebooks"
    for source in sorted((ROOT / "notebooks").glob("*.ipynb")):
        executed = RUN / source.name
        found = executed if executed.is_file() else source
        book = nbformat.read(found, as_version=4)
        for cell in book.cells:
            cell["attachments"] = cell.get("attachments", {})
        text, resources = MarkdownExporter().from_notebook_node(book)
        said = (
            "Executed by `msfp reproduce`." if found is executed else "Not executed here: the cells, without results."
        )
        head, _, rest = text.strip().partition("\n")
        folder.mkdir(exist_ok=True)
        for name, content in resources["outputs"].items():
            (folder / f"{source.stem}-{name}").write_bytes(content)
            rest = rest.replace(f"]({name})", f"]({source.stem}-{name})")
        (folder / f"{source.stem}.md").write_text(f"{head}\n\n*{said}*\n{rest}\n", encoding="utf-8")


def put_readme(_app: Any, name: str, source: list[str]) -> None:
    """Put the README in place of its mark; what pages link outside of the documentation is in the repository."""
    address = PROJECT["urls"]["Homepage"]
    if name == "index":
        text = (ROOT / "README.md").read_text(encoding="utf-8")
        text = text.replace("](docs/", "](").replace("](figures/demo/", "](../figures/demo/")
        here = "|".join(re.escape(path.name) for path in HERE.glob("*.*"))
        text = re.sub(rf"\]\((?!https?:|#|\.\./figures/.*png|{here})([^)]+)\)", rf"]({address}/\1)", text)
        source[0] = source[0].replace("README", text, 1)
    elif not name.startswith("notebooks/"):
        source[0] = source[0].replace("](../", f"]({address}/")


def mark_example(_app: Any, _kind: str, name: str, _thing: Any, _options: Any, lines: list[str]) -> None:
    """Mark an indented example at the head of a docstring as code, which plain text need not do."""
    if name == "msfp.Tracker" and len(lines) > 2 and lines[2].startswith("    "):
        lines[2:2] = ["::", ""]


def formula(writer: Any, node: nodes.Element) -> None:
    """Write a formula as MathML, which browsers show without a library."""
    display = "block" if isinstance(node, nodes.math_block) else "inline"
    writer.body.append(convert(node.astext(), display=display))
    raise nodes.SkipNode


def need_nothing_from_elsewhere(app: Any, error: Exception | None) -> None:
    """Fail where a page would fetch a script, a font, a style or a picture."""
    for page in [] if error else sorted(Path(app.outdir).rglob("*.html")):
        if found := FETCHED.search(page.read_text(encoding="utf-8")):
            if 'rel="canonical"' in found[0]:
                continue
            raise RuntimeError(f"{page}: fetches from elsewhere: {found[0]}")


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.add_html_math_renderer("mathml", (formula, None), (formula, None))
    app.connect("builder-inited", write_notebooks)
    app.connect("source-read", put_readme)
    app.connect("autodoc-process-docstring", mark_example)
    app.connect("build-finished", need_nothing_from_elsewhere)

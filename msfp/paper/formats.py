"""A laid-out table as plain text, Markdown and HTML. No dates, fixed digits: same sheet, same bytes."""

import re
from functools import cache
from importlib.resources import files
from itertools import groupby
from typing import TYPE_CHECKING

from msfp.engine.escapes import md_cell, md_text
from msfp.paper.table_layout import CellText, Line, TableLayout

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

RANKS = "Bold: best, underlined: second, among the paper's rows measured here."


def plain(cell: CellText | None) -> str:
    """`62.8 ±0.2 (paper 63.2)`, `n/a [1]`, `46.8† (paper)`."""
    return "" if cell is None else _compose(cell, cell.text)


def markdown(sheet: TableLayout, note: str = "") -> str:
    """GitHub Markdown: heading, table, reasons, remarks."""
    head = [sheet.stub, *(f"{c} {a}".strip() for c, a in zip(sheet.columns, sheet.arrows, strict=True))]
    lines = [
        f"### {sheet.name}: {md_text(sheet.title)}",
        "",
        md_text(f"{sheet.caption}{spaced(note)} {RANKS}"),
        "",
        _md_row([md_cell(text) for text in head]),
        _md_row(["---"] * len(head)),
    ]
    for group, members in groupby(sheet.lines, key=lambda line: line.group):
        if group:
            lines.append(_md_row([f"*{md_cell(group)}*", *[""] * len(sheet.columns)]))
        lines += [_md_row([md_cell(line.label), *(_md_cell(c) for c in line.cells)]) for line in members]
    lines += _md_list("Notes", sheet.notes)
    lines += _md_list("Remarks on the paper's numbers", sheet.remarks)
    return "\n".join(lines) + "\n"


def sheet_html(sheet: TableLayout, hint: str = "Hover for source and details.") -> str:
    """An HTML fragment without style sheet; every text is escaped. `hint` says how a reader sees a cell's facts."""
    template = environment().get_template("sheet.html.j2")
    return template.render(sheet=sheet, ranks=RANKS, groups=grouped(sheet), hint=hint).strip() + "\n"


def grouped(sheet: TableLayout) -> list[tuple[str, list[Line]]]:
    """Lines under their headings, in order."""
    return [(group, list(members)) for group, members in groupby(sheet.lines, key=lambda line: line.group)]


@cache
def environment() -> "Environment":
    """The templates of this room, escaping everything."""
    from jinja2 import DictLoader, Environment, StrictUndefined

    found = [
        p for folder in ("msfp.paper", "msfp.paper.site") for p in files(folder).iterdir() if p.name.endswith(".j2")
    ]
    texts = {path.name: path.read_text(encoding="utf-8") for path in found}
    made = Environment(
        loader=DictLoader(texts), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters["code"] = _code
    return made


def _code(text: str) -> "Markup":
    """Text for HTML, `so` in code type."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _compose(cell: CellText, text: str) -> str:
    if cell.std:
        text += f" ±{cell.std}"
    if cell.source in ("paper", "published"):
        text += f" ({cell.source})"
    if cell.note:
        text += f" [{cell.note}]"
    beside = [f"paper {cell.paper}"] if cell.paper else []
    beside += [cell.difference] if cell.difference else []
    beside += [f"published {cell.published}"] if cell.published else []
    return f"{text} ({', '.join(beside)})" if beside else text


def _md_cell(cell: CellText | None) -> str:
    if cell is None:
        return ""
    text = md_cell(cell.text)
    if cell.source == "measured" and cell.rank:
        text = f"**{text}**" if cell.rank == 1 else f"<u>{text}</u>"
    elif cell.source in ("paper", "published"):
        text = f"*{text}*"
    return _compose(cell, text)


def _md_row(texts: list[str]) -> str:
    return "| " + " | ".join(texts) + " |"


def _md_list(heading: str, texts: tuple[str, ...]) -> list[str]:
    return ["", f"{heading}:", "", *(f"{i}. {md_text(t)}" for i, t in enumerate(texts, 1))] if texts else []


def spaced(note: str) -> str:
    """What is said of a run in a caption; nothing for an empty note."""
    return f" Here: {note.strip().rstrip('.')}." if note.strip() else ""

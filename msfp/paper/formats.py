"""A laid-out table as plain text, Markdown, LaTeX and HTML. No dates, fixed digits: same sheet, same bytes."""

import re
from functools import cache
from importlib.resources import files
from itertools import groupby
from types import MappingProxyType
from typing import TYPE_CHECKING

from msfp.paper.sheet import Line, Sheet, Shown

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

RANKS = "Bold: best, underlined: second, among the paper's rows measured here."
TEX = MappingProxyType(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"$<$",
        ">": r"$>$",
        "≤": r"$\leq$",
        "≥": r"$\geq$",
        "≈": r"$\approx$",
        "τ": r"$\tau$",
        "β": r"$\beta$",
        "Δ": r"$\Delta$",
        "σ": r"$\sigma$",
        "±": r"$\pm$",
        "×": r"$\times$",
        "·": r"$\cdot$",
        "→": r"$\rightarrow$",
        "↑": r"$\uparrow$",
        "↓": r"$\downarrow$",
        "†": r"$\dagger$",
        "−": r"$-$",
        "–": "--",
        "—": "---",
    }
)


def plain(cell: Shown | None) -> str:
    """`62.8 ±0.2 (paper 63.2)`, `n/a [1]`, `46.8† (paper)`."""
    return "" if cell is None else _compose(cell, cell.text)


def markdown(sheet: Sheet, note: str = "") -> str:
    """GitHub Markdown: heading, table, reasons, remarks."""
    head = [sheet.stub, *(f"{c} {a}".strip() for c, a in zip(sheet.columns, sheet.arrows, strict=True))]
    lines = [
        f"### {sheet.name}: {sheet.title}",
        "",
        f"{sheet.caption}{_spaced(note)} {RANKS}",
        "",
        _md_row(head),
        _md_row(["---"] * len(head)),
    ]
    for group, members in groupby(sheet.lines, key=lambda line: line.group):
        if group:
            lines.append(_md_row([f"*{_md(group)}*", *[""] * len(sheet.columns)]))
        lines += [_md_row([_md(line.label), *(_md_cell(c) for c in line.cells)]) for line in members]
    lines += _md_list("Notes", sheet.notes)
    lines += _md_list("Remarks on the paper's numbers", sheet.remarks)
    return "\n".join(lines) + "\n"


def latex(sheet: Sheet, note: str = "") -> str:
    """A `table` for booktabs: measured values with their spread; others say where they come from."""
    spec = "l" + "r" * len(sheet.columns)
    head = [sheet.stub, *(f"{c} {a}".strip() for c, a in zip(sheet.columns, sheet.arrows, strict=True))]
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_tex(sheet.caption + _spaced(note))} {RANKS}}}",
        rf"\label{{tab:{sheet.id}}}",
        rf"\begin{{tabular}}{{{spec}}}",
        r"\toprule",
        " & ".join(_tex(h) for h in head) + r" \\",
        r"\midrule",
    ]
    for place, (group, members) in enumerate(groupby(sheet.lines, key=lambda line: line.group)):
        if place:
            lines.append(r"\midrule")
        if group:
            lines.append(rf"\multicolumn{{{len(head)}}}{{l}}{{\textit{{{_tex(group)}}}}} \\")
        lines += [_tex_row(line) for line in members]
    lines += [r"\bottomrule", r"\end{tabular}"]
    for index, text in enumerate(sheet.notes, 1):
        lines += [r"\par", rf"{{\footnotesize \textsuperscript{{{index}}}~{_tex(text)}}}"]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def sheet_html(sheet: Sheet, hint: str = "Hover for source and details.") -> str:
    """An HTML fragment without style sheet; every text is escaped. `hint` says how a reader sees a cell's facts."""
    template = environment().get_template("sheet.html.j2")
    return template.render(sheet=sheet, ranks=RANKS, groups=grouped(sheet), hint=hint).strip() + "\n"


def grouped(sheet: Sheet) -> list[tuple[str, list[Line]]]:
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


def _compose(cell: Shown, text: str) -> str:
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


def _md_cell(cell: Shown | None) -> str:
    if cell is None:
        return ""
    text = _md(cell.text)
    if cell.source == "measured" and cell.rank:
        text = f"**{text}**" if cell.rank == 1 else f"<u>{text}</u>"
    elif cell.source in ("paper", "published"):
        text = f"*{text}*"
    return _compose(cell, text)


def _md(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("*", "\\*").replace("_", "\\_")


def _md_row(texts: list[str]) -> str:
    return "| " + " | ".join(texts) + " |"


def _md_list(heading: str, texts: tuple[str, ...]) -> list[str]:
    return ["", f"{heading}:", "", *(f"{i}. {_md(t)}" for i, t in enumerate(texts, 1))] if texts else []


def _tex(text: str) -> str:
    return "".join(TEX.get(letter, letter) for letter in text)


def _tex_row(line: Line) -> str:
    return " & ".join([_tex(line.label), *(_tex_cell(cell) for cell in line.cells)]) + r" \\"


def _tex_cell(cell: Shown | None) -> str:
    if cell is None:
        return ""
    text = _tex(cell.text)
    if cell.source in ("paper", "published"):
        text = rf"\textit{{{text} ({cell.source})}}"
    elif cell.rank:
        text = rf"\textbf{{{text}}}" if cell.rank == 1 else rf"\underline{{{text}}}"
    if cell.std:
        text += rf"\,{{\scriptsize$\pm${cell.std}}}"
    if cell.note:
        text += rf"\textsuperscript{{{cell.note}}}"
    return text


def _spaced(note: str) -> str:
    return f" Here: {note.strip().rstrip('.')}." if note.strip() else ""

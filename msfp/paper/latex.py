r"""Tables as LaTeX that fits a page, ours and the paper's in columns of their own; what a run made as a folder.

A table is to be put into a document with `\input`; it needs `PACKAGES`. One of many columns is parted and turned to
landscape, one of many rows goes on below; what is still wider than the line is scaled down by LaTeX.
"""

import json
import re
import textwrap
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import groupby
from math import ceil
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from msfp.config import choices_used
from msfp.engine.files import atomic_write
from msfp.engine.html import md_cell, md_text
from msfp.errors import InputError
from msfp.experiment.run import Run
from msfp.paper import stamps
from msfp.paper.layout import CellText, Line, TableLayout, sheet
from msfp.paper.registry import every

if TYPE_CHECKING:
    from jinja2 import Environment

PACKAGES = ("array", "booktabs", "caption", "graphicx", "longtable", "pdflscape")
COMPILE = "latexmk -pdf main.tex"
SIGNS = MappingProxyType(
    {
        # `[` or `*` bare at a row's beginning would be an argument of the row end before it
        "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{",
        "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", '"': r"\textquotedbl{}",
        "'": r"\textquotesingle{}", "`": r"\textasciigrave{}", "|": r"\textbar{}", "[": "{[}", "]": "{]}",
        "*": "{*}", "<": r"$<$", ">": r"$>$", "≤": r"$\leq$", "≥": r"$\geq$", "≈": r"$\approx$", "≠": r"$\neq$",
        "∞": r"$\infty$", "√": r"$\surd$", "α": r"$\alpha$", "β": r"$\beta$", "γ": r"$\gamma$", "λ": r"$\lambda$",
        "μ": r"$\mu$", "σ": r"$\sigma$", "τ": r"$\tau$", "Δ": r"$\Delta$", "µ": r"$\mu$", "±": r"$\pm$",
        "×": r"$\times$", "·": r"$\cdot$", "→": r"$\rightarrow$", "←": r"$\leftarrow$", "↑": r"$\uparrow$",
        "↓": r"$\downarrow$", "●": r"$\bullet$", "○": r"$\circ$", "†": r"\textdagger{}", "‡": r"\textdaggerdbl{}",
        "§": r"\S{}", "°": r"$^\circ$", "−": r"$-$", "–": r"\textendash{}", "—": r"\textemdash{}",
        "…": r"\ldots{}", "“": r"\textquotedblleft{}", "”": r"\textquotedblright{}", "‘": r"\textquoteleft{}",
        "’": r"\textquoteright{}", "€": r"\texteuro{}", "\N{NO-BREAK SPACE}": "~",
        "\N{ZERO WIDTH SPACE}": r"\allowbreak{}",
    }
)  # fmt: skip
LIGATURES = re.compile(r"-(?=-)|,(?=,)|[?!](?=`)")
"""Letters that TeX's fonts would draw together with the next one, as `--only` with a dash."""


def escape(text: str) -> str:
    """Text as LaTeX; control characters become blanks, what no font here has its code point, `[U+4E2D]`."""
    parted = LIGATURES.sub("\\g<0>\0", text.replace("\0", " "))  # \0 stands between two such letters
    return "".join("{}" if letter == "\0" else _letter(letter) for letter in parted)


def _letter(letter: str) -> str:
    if letter in SIGNS:
        return SIGNS[letter]
    if letter.isascii():
        return letter if letter.isprintable() else " "
    european = letter.isalpha() and any(letter.encode(c, "ignore") for c in ("latin-1", "iso8859-2"))
    return letter if european and letter >= "À" else f"{{[}}U+{ord(letter):04X}{{]}}"


def prose(text: str) -> str:
    """As `escape`, with what stands in `backticks` in code type."""
    parts = re.split(r"`([^`]+)`", text)
    return "".join(code(part) if place % 2 else escape(part) for place, part in enumerate(parts))


def code(text: str) -> str:
    """A name or a command in code type, which may break after its stops, slashes and underscores."""
    broken = re.sub(r"(\\_|[./=:,])", r"\1\\allowbreak{}", escape(text))
    return rf"\texttt{{{broken}}}"


def spaced(note: str) -> str:
    """Words on a run for a caption; nothing for an empty note."""
    return f" Here: {note.strip().rstrip('.')}." if note.strip() else ""


LABEL, PROSE, HEAD = 30, 18, 12
"""Letters after which a row's label, a text and a heading are broken into lines."""
BROAD, NUMBER = 40, 8
"""Letters of a line of long texts at most, and of a column of numbers."""
UPRIGHT, LANDSCAPE = 96, 140
"""Letters beside each other on a page, and on one that is turned, the row's label left out."""
ROWS = MappingProxyType({False: 44, True: 28})
"""Lines below each other on a page, and on one that is turned."""
HERE, PAPER, ELSEWHERE = "here", "paper", "published"
RAGGED = r">{\raggedright\arraybackslash}"


class Column(NamedTuple):
    """One column as it is printed."""

    head: str  # shared by neighbours of the same
    source: str  # here, paper or published
    texts: list[str]  # row by row, as LaTeX
    lines: list[int]  # that each text takes
    letters: int  # of one line of texts that are broken into lines; else 0


def latex(sheet: TableLayout, note: str = "") -> str:
    """The table, in as many parts as its columns need, with its notes below; `note`: said in the caption."""
    columns = [column for at in range(len(sheet.columns)) for column in _columns(sheet, at)]
    parts: list[list[Column]] = [[]]
    for _, group in groupby(columns, key=lambda column: column.head):  # what is under one heading stays together
        members = list(group)
        if parts[-1] and _size([*parts[-1], *members]) > LANDSCAPE:
            parts.append([])
        parts[-1] += members
    turned = len(parts) > 1 or _size(parts[0]) > UPRIGHT
    label = max((len(text) for text in (sheet.made.stub, *(line.label for line in sheet.lines))), default=0)
    return (
        templates()
        .get_template("table.tex.j2")
        .render(
            sheet=sheet,
            note=spaced(note),
            turned=turned,
            parts=[(part, _heads(part), _pieces(sheet, part, ROWS[turned])) for part in parts],
            ragged=RAGGED,
            stub_spec=f"{RAGGED}p{{{LABEL / 2}em}}" if label > LABEL else "l",
            packages=PACKAGES,
        )
    )


def _columns(sheet: TableLayout, at: int) -> Iterator[Column]:
    """The columns that one of the sheet's becomes: ours, the paper's, what is published; those with entries only."""
    for source in (HERE, PAPER, ELSEWHERE):
        said = [_said(line.cells[at], source) for line in sheet.lines]
        if not any(text for text, _, _ in said):
            continue
        longest = max(len(text) for text, _, _ in said)
        letters = min(BROAD, max(PROSE, round(2.3 * longest**0.5))) if longest > PROSE else 0
        lines = [ceil(len(text) / letters) if letters else 1 for text, _, _ in said]
        texts = []
        for text, form, after in said:  # long words, such as `Linear(192,64)+ReLU`, may break after their signs
            parted = re.sub(r"([\w)][+/,;|])(?=\w)", "\\1\N{ZERO WIDTH SPACE}", text)
            texts.append((form.format(prose(parted)) if text else "") + after)
        yield Column(sheet.heads[at], source, texts, lines, letters)


def _said(cell: CellText | None, source: str) -> tuple[str, str, str]:
    """What a cell says of one source: text, LaTeX around it, LaTeX after it."""
    if cell is None:
        return "", "{}", ""
    if source == cell.source:  # the paper's or a published value in place of ours
        text = cell.text
    else:
        text = {PAPER: cell.paper, ELSEWHERE: cell.published}.get(source, "")
    if source != HERE:
        marks = "".join(map(mark, cell.remarks)) if text and source == PAPER else ""
        return text, "{}", rf"\textsuperscript{{{marks}}}" if marks else ""
    if cell.source in (PAPER, ELSEWHERE):
        return "", "{}", ""
    spread = rf"\,$\pm${cell.std}" if cell.std else ""
    note = rf"\textsuperscript{{{cell.note}}}" if cell.note else ""
    return cell.text, ("{}", r"\textbf{{{}}}", r"\underline{{{}}}")[cell.rank], spread + note


def _size(part: Sequence[Column]) -> int:
    return sum(column.letters or NUMBER for column in part)


def _pieces(sheet: TableLayout, part: Sequence[Column], room: int) -> list[list[tuple[str, list[tuple[int, Line]]]]]:
    """Pieces of so many lines: groups of rows and their places; a row that has nothing of the part is left out."""
    pieces: list[list[tuple[int, Line]]] = [[]]
    used = 0
    for at, line in ((at, line) for at, line in enumerate(sheet.lines) if any(column.texts[at] for column in part)):
        takes = max(ceil(len(line.label) / LABEL), *(column.lines[at] for column in part))
        if pieces[-1] and used + takes > room:
            pieces.append([])
            used = 0
        pieces[-1].append((at, line))
        used += takes
    return [[(group, list(rows)) for group, rows in groupby(one, key=lambda row: row[1].group)] for one in pieces]


def _heads(part: Sequence[Column]) -> list[tuple[list[str], int, str, int]]:
    """Of each heading its lines, how many columns it spans, how it is set, and the number of its first column."""
    heads, at = [], 2
    for head, group in groupby(part, key=lambda column: column.head):
        members = list(group)
        flush = "c" if len(members) > 1 else "l" if members[0].letters else "r"
        words = textwrap.wrap(head, HEAD, break_long_words=False, break_on_hyphens=False)
        heads.append((words, len(members), flush, at))
        at += len(members)
    return heads


def mark(number: int) -> str:
    """1 -> a, 27 -> aa."""
    return "abcdefghijklmnopqrstuvwxyz"[(number - 1) % 26] * ((number - 1) // 26 + 1)


@cache
def templates() -> "Environment":
    """Templates of plain texts, with `<% %>` and `<< >>` for what is filled in."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("msfp.paper", "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
    )
    made.filters |= {"escape": escape, "code": code, "prose": prose, "mark": mark}
    made.filters |= {"md_cell": md_cell, "md_text": md_text}
    return made


class Manuscript(NamedTuple):
    """The folder that was written, ids of the tables and figures in it, why others are not, and which are stale."""

    folder: Path
    tables: tuple[str, ...]
    figures: tuple[str, ...]
    missing: dict[str, str]
    stale: tuple[str, ...]


def write_paper(run: Run, out: Path | None = None) -> Manuscript:
    """Write the LaTeX folder of what a run has made, to `runs/<profile>/paper` or `out`; nothing is computed.

    InputError: the run has made nothing yet. MsfpError: the folder cannot be written.
    """
    profile = run.settings.profile
    cells = stamps.published_cells(run)
    ready = [a for a in every() if a.status == "ready"]
    texts: dict[str, bytes] = {}
    for a in ready:
        if a.kind == "table" and a.number in cells:
            texts[a.id] = latex(sheet(cells[a.number], a.number, run.settings.compared), f"profile {profile}").encode()
        elif a.kind == "figure" and (path := run.figures / f"{a.id}.pdf").is_file():
            texts[a.id] = path.read_bytes()
    if not texts:
        raise InputError(f"{run.out}: no table or figure was made yet; run msfp reproduce --profile {profile} first")
    folder = out or run.out / "paper"
    for a in ready:
        file = folder / f"{a.kind}s" / f"{a.id}.{'tex' if a.kind == 'table' else 'pdf'}"
        if a.id in texts:
            atomic_write(file, texts[a.id])
        else:
            file.unlink(missing_ok=True)
    missing = {a.id: stamps.read_stamp(run, a.id).get("reason") or stamps.NOT_MADE for a in ready if a.id not in texts}
    try:
        manifest = json.loads((run.out / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        manifest = {}
    stale = [a for a in ready if a.id in texts and stamps.stale(run, a.kind, a.number)]
    for name in ("main.tex", "choices.tex", "Makefile", "README.md"):
        text = (
            templates()
            .get_template(f"{name}.j2")
            .render(
                title=f"MSFP-Track reproduced: tables and figures, profile {profile}",
                profile=profile,
                options=stamps.options(run),
                manifest=manifest,
                ready=ready,
                missing=missing,
                stale=stale,
                choices=choices_used(run.settings),
                packages=PACKAGES,
                compile=COMPILE,
            )
        )
        atomic_write(folder / name, text.encode())
    tables, figures = (tuple(a.id for a in ready if a.kind == kind and a.id in texts) for kind in ("table", "figure"))
    return Manuscript(folder, tables, figures, missing, tuple(a.id for a in stale))

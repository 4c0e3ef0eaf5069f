r"""A laid-out table as LaTeX that fits a page: ours and the paper's in columns of their own, reasons as notes.

What is written is to be put into a document with `\input`; it needs `PACKAGES`. Widths are estimated here, so that a
table turns to landscape, takes smaller type or is parted by columns before it would run over the margin.
"""

import re
import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType

from msfp.paper.layout import RANKS, CellText, Line, TableLayout, spaced

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
        "’": r"\textquoteright{}", "€": r"\texteuro{}", "ß": r"\ss{}", "ø": r"\o{}", "Ø": r"\O{}", "æ": r"\ae{}",
        "Æ": r"\AE{}", "ł": r"\l{}", "Ł": r"\L{}", "ı": r"\i{}", "\N{NO-BREAK SPACE}": "~",
        "\N{ZERO WIDTH SPACE}": r"\allowbreak{}",
    }
)  # fmt: skip
ACCENTS = MappingProxyType(
    {
        "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u", "\u0307": ".",
        "\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0327": "c", "\u0328": "k", "\u0323": "d",
    }
)  # fmt: skip
LIGATURES = re.compile(r"-(?=-)|,(?=,)|[?!](?=`)")
"""Letters that TeX's fonts would draw together with the next one, as `--only` with a dash."""

PART = "\0"
"""Stands between two such letters while a text is escaped."""


def escape(text: str) -> str:
    """Text as LaTeX in ASCII; control characters become blanks, what no font here has its code point, `[U+4E2D]`."""
    parted = LIGATURES.sub(r"\g<0>" + PART, text.replace(PART, " "))
    return "".join("{}" if letter == PART else _letter(letter) for letter in parted)


def prose(text: str) -> str:
    """As `escape`, with what stands in `backticks` in code type."""
    parts = re.split(r"`([^`]+)`", text)
    return "".join(code(part) if place % 2 else escape(part) for place, part in enumerate(parts))


def code(text: str) -> str:
    """A name or a command in code type, which may break after its stops, slashes and underscores."""
    broken = re.sub(r"(\\_|[./=:,])", r"\1\\allowbreak{}", escape(text))
    return rf"\texttt{{{broken}}}"


def _letter(letter: str) -> str:
    if letter in SIGNS:
        return SIGNS[letter]
    if letter.isascii():
        return letter if letter.isprintable() else " "
    base, *marks = list(unicodedata.normalize("NFD", letter))
    if marks and base.isascii() and base.isalpha() and all(mark in ACCENTS for mark in marks):
        made = rf"\{base}{{}}" if base in "ij" else base
        for mark in marks:
            made = rf"\{ACCENTS[mark]}{{{made}}}"
        return made
    return f"{{[}}U+{ord(letter):04X}{{]}}"


PACKAGES = ("array", "booktabs", "caption", "longtable", "pdflscape")
UPRIGHT, LANDSCAPE = 482.0, 730.0
"""Points of a line on A4 with margins of 20 mm, and of one on a page that is turned."""

SIZES = (("small", 9.0), ("footnotesize", 8.0), ("scriptsize", 7.0))
GAP = 7.0
"""Points between two columns."""

LABEL, PROSE, HEAD = 30, 18, 12
"""Letters after which a row's label, a text and a heading are broken into lines."""

BROAD = 40
"""Letters that a line of long texts asks for at most; what room is left is shared out among them."""

HERE, PAPER, ELSEWHERE = "here", "paper", "published"
WIDE, NARROW = "mwMW%@—", "ijlI.,:;|!'() "


@dataclass(frozen=True)
class Column:
    """One column as it is printed.

    Attributes:
        head: heading, shared by neighbours of the same.
        source: `here`, `paper` or `published`; said below the heading where neighbours share it.
        texts: what stands in it, row by row, as LaTeX.
        letters: width of its widest line, in letters of mean width.
        prose: whether its texts are broken into lines.
    """

    head: str
    source: str
    texts: tuple[str, ...]
    letters: float
    prose: bool


def latex(sheet: TableLayout, note: str = "") -> str:
    """The table, in as many parts as its columns need, with its notes below.

    Args:
        sheet: the table laid out.
        note: said in the caption, such as the profile.
    """
    columns = [c for at in range(len(sheet.columns)) for c in _columns(sheet, at)]
    label = min(LABEL, max([_letters(sheet.stub), *(_letters(line.label) for line in sheet.lines)]))
    parts = _parts(columns, label)
    turned = any(_room(part, label) is None for part in parts)
    size, points = min((_size(part, label, turned) for part in parts), key=lambda found: found[1])
    lines = [f"% needs {', '.join(PACKAGES)}", *([r"\begin{landscape}"] if turned else []), rf"\{size}"]
    lines += [
        rf"\setlength{{\tabcolsep}}{{{GAP / 2}pt}}\setlength{{\LTcapwidth}}{{\linewidth}}\setlength{{\LTleft}}{{0pt}}"
    ]
    for place, part in enumerate(parts, 1):
        said = f" Part {place} of {len(parts)}." if len(parts) > 1 else ""
        lines += _part(sheet, part, _caption(sheet, note, said, place), points, label, turned)
    lines += [rf"\noindent\textsuperscript{{{i}}}~{prose(text)}\par" for i, text in enumerate(sheet.notes, 1)]
    if sheet.remarks:
        lines.append(r"\noindent\textit{On the paper's numbers:}\par")
        lines += [rf"\noindent\textsuperscript{{{_mark(i)}}}~{prose(t)}\par" for i, t in enumerate(sheet.remarks, 1)]
    body = "\n".join([*lines, *([r"\end{landscape}"] if turned else [])])
    return f"{{\n{body}\n}}\n"


def _columns(sheet: TableLayout, at: int) -> list[Column]:
    """The columns that one of the sheet's becomes: ours, the paper's, what is published; those with entries only."""
    head = f"{sheet.columns[at]} {sheet.arrows[at]}".strip()
    cells = [line.cells[at] for line in sheet.lines]
    made = []
    for source in (HERE, PAPER, ELSEWHERE):
        plain = [_entry(cell, source) for cell in cells]
        if any(text for text, _ in plain):
            widest = max(_letters(text) for text, _ in plain)
            long = widest > PROSE
            widest = min(BROAD, max(PROSE, 2.3 * widest**0.5)) if long else widest
            texts = tuple(tex for _, tex in plain)
            made.append(Column(head, source, texts, max(widest, _letters(source)), long))
    widest = max((_letters(word) for word in _wrapped(head)), default=0.0)
    spare = widest - sum(c.letters for c in made)
    if made and spare > 0:  # a heading wider than what stands below it
        made = [Column(c.head, c.source, c.texts, c.letters + spare / len(made), c.prose) for c in made]
    return made


def _entry(cell: CellText | None, source: str) -> tuple[str, str]:
    """What a cell says of one source, plain (for its width) and as LaTeX."""
    if cell is None:
        return "", ""
    marks = "".join(_mark(i) for i in cell.remarks) if source == PAPER else ""
    raised = rf"\textsuperscript{{{marks}}}" if marks else ""
    if source == PAPER:
        text = cell.text if cell.source == PAPER else cell.paper
        return text + marks if text else "", _breakable(text) + raised if text else ""
    if source == ELSEWHERE:
        text = cell.text if cell.source == "published" else cell.published
        return text, _breakable(text)
    if cell.source in (PAPER, "published"):
        return "", ""
    text = _breakable(cell.text)
    text = (text, rf"\textbf{{{text}}}", rf"\underline{{{text}}}")[cell.rank]
    spread = rf"\,$\pm${cell.std}" if cell.std else ""
    note = rf"\textsuperscript{{{cell.note}}}" if cell.note else ""
    plain = cell.text + (f"  ±{cell.std}" if cell.std else "") + str(cell.note or "")
    return plain, text + spread + note


def _breakable(text: str) -> str:
    """Text as LaTeX whose long words, such as `Linear(192,64)+ReLU`, may break after their signs."""
    return prose(re.sub(r"(?<=\w[+/,;|])(?=\w)|(?<=\)[+/,;|])(?=\w)", "\N{ZERO WIDTH SPACE}", text))


def _parts(columns: list[Column], label: float) -> list[list[Column]]:
    """The columns in parts that fit a turned page at the smallest type; those under one heading stay together."""
    parts: list[list[Column]] = [[]]
    for _, group in groupby(columns, key=lambda column: column.head):
        members = list(group)
        if parts[-1] and _width([*parts[-1], *members], label, SIZES[-1][1]) > LANDSCAPE:
            parts.append([])
        parts[-1] += members
    return parts


def _room(part: Sequence[Column], label: float) -> tuple[str, float] | None:
    """The largest type at which a part fits an upright page; None where it does not."""
    return next((size for size in SIZES if _width(part, label, size[1]) <= UPRIGHT), None)


def _size(part: Sequence[Column], label: float, turned: bool) -> tuple[str, float]:
    line = LANDSCAPE if turned else UPRIGHT
    return next((size for size in SIZES if _width(part, label, size[1]) <= line), SIZES[-1])


def _width(part: Sequence[Column], label: float, points: float) -> float:
    """Points that a part takes."""
    return _points(label, points) + sum(_points(column.letters, points) + GAP for column in part)


def _points(letters: float, points: float) -> float:
    return 0.57 * points * letters  # a digit of Latin Modern at 7 points, which is the broadest for its size


def _part(
    sheet: TableLayout, part: list[Column], caption: list[str], points: float, label: float, turned: bool
) -> list[str]:
    """One longtable."""
    line = LANDSCAPE if turned else UPRIGHT
    spare = max(0.0, line - 4 - _width(part, label, points))
    broken = [column for column in part if column.prose]
    share = spare / len(broken) if broken else 0.0
    stub = _points(label, points)
    spec = [rf">{{\raggedright\arraybackslash}}p{{{stub:.1f}pt}}"]
    for column in part:
        wide = _points(column.letters, points) + share
        spec.append(rf">{{\raggedright\arraybackslash}}p{{{wide:.1f}pt}}" if column.prose else "r")
    count = len(part) + 1
    head = _head(sheet.stub, part, points, share)
    again = rf"\multicolumn{{{count}}}{{@{{}}l}}{{\textit{{{escape(sheet.name)}, continued}}}} \\"
    more = rf"\midrule \multicolumn{{{count}}}{{r@{{}}}}{{\textit{{continued on the next page}}}} \\"
    lines = [rf"\begin{{longtable}}{{@{{}}{''.join(spec)}@{{}}}}", *caption]
    lines += [r"\toprule", *head, r"\midrule", r"\endfirsthead", again, r"\toprule", *head, r"\midrule", r"\endhead"]
    lines += [more, r"\endfoot", r"\bottomrule", r"\endlastfoot"]
    return [*lines, *_body(sheet.lines, part, count), r"\end{longtable}"]


def _body(lines: Sequence[Line], part: Sequence[Column], count: int) -> list[str]:
    """Rows under their groups; a table in parts repeats no row in a part that has nothing of it."""
    made: list[str] = []
    filled = [(at, line) for at, line in enumerate(lines) if any(column.texts[at] for column in part)]
    for group, members in groupby(filled, key=lambda found: found[1].group):
        if made:
            made.append(r"\midrule")
        if group:
            made.append(rf"\multicolumn{{{count}}}{{@{{}}l}}{{\textit{{{escape(group)}}}}} \\*")
        for at, line in members:
            made.append(" & ".join([prose(line.label), *(column.texts[at] for column in part)]) + r" \\")
    return made


def _head(stub: str, part: Sequence[Column], points: float, share: float) -> list[str]:
    """Headings, and below them which column is ours and which the paper's."""
    top, rules, below, at = [""], [], [escape(stub)], 2
    for head, group in groupby(part, key=lambda column: column.head):
        members = list(group)
        flush = "l" if len(members) == 1 and members[0].prose else "c" if len(members) > 1 else "r"
        words = r"\\".join(map(escape, _wrapped(head)))
        boxed = rf"\begin{{tabular}}[b]{{@{{}}{flush}@{{}}}}{words}\end{{tabular}}"
        top.append(rf"\multicolumn{{{len(members)}}}{{{flush}}}{{{boxed}}}")
        if len(members) > 1:
            rules.append(rf"\cmidrule(lr){{{at}-{at + len(members) - 1}}}")
        for column in members:
            flush = "l" if column.prose else "r"
            below.append(rf"\multicolumn{{1}}{{{flush}}}{{\textit{{{column.source}}}}}")
        at += len(members)
    return [" & ".join(top) + r" \\", "".join(rules), " & ".join(below) + r" \\"]


def _caption(sheet: TableLayout, note: str, said: str, place: int) -> list[str]:
    """Caption with label; further parts carry the table's number without counting on."""
    text = prose(sheet.caption + spaced(note)) + f" {escape(RANKS)}{said}"
    title = rf"\textbf{{{escape(sheet.title)}.}} "
    if place > 1:
        return [rf"\caption*{{{escape(sheet.name)}, {title}{said.strip()}}}\\"]
    return [rf"\caption[{escape(sheet.title)}]{{{title}{text}}}\label{{tab:{sheet.id}}}\\"]


def _wrapped(head: str) -> list[str]:
    """A heading in lines."""
    return textwrap.wrap(head, HEAD, break_long_words=False, break_on_hyphens=False) or [""]


def _mark(number: int) -> str:
    """1 -> a, 27 -> aa."""
    return "abcdefghijklmnopqrstuvwxyz"[(number - 1) % 26] * ((number - 1) // 26 + 1)


def _letters(text: str) -> float:
    """Width of a text in letters of mean width."""
    return sum(1.7 if c in WIDE else 0.6 if c in NARROW else 1.4 if c.isupper() else 1.0 for c in text)

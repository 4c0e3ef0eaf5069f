"""Text for LaTeX: any text at all becomes ASCII that every engine sets as it was written."""

import re
import unicodedata
from types import MappingProxyType

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

"""Notebooks and texts of unknown origin as HTML, CSV and Markdown that load and run nothing."""

import re
from collections.abc import Mapping
from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msfp.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from nbconvert import HTMLExporter


RUNS = re.compile(r"<(script|iframe|object|embed|template|noscript)\b.*?(</\1\s*>|\Z)", re.DOTALL | re.IGNORECASE)
"""Elements whose content is no text either."""
STYLE = re.compile(r"(<style\b[^>]*>)(.*?)(</style>)", re.DOTALL)
FETCHES = re.compile(
    r"url\s*\(\s*['\"]?(?!data:image/|#)|@import|expression\s*\(|image-set|-moz-binding", re.IGNORECASE
)
TAGS = """
a abbr article aside b blockquote br caption cite code col colgroup dd del details dfn div dl dt em figcaption figure
footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li main mark nav ol p pre q s samp section small span strong style sub
summary sup table tbody td tfoot th thead time tr tt u ul var wbr
svg g defs path rect circle ellipse line polyline polygon text tspan title desc linearGradient radialGradient stop
clipPath mask pattern marker symbol use image
math mrow mi mn mo ms mtext mspace mfrac msqrt mroot msub msup msubsup munder mover munderover mtable mtr mtd mstyle
mpadded mphantom menclose mfenced merror semantics annotation mmultiscripts mprescripts none
"""
"""Of HTML, SVG and MathML."""
FETCHING = ("action", "background", "formaction", "longdesc", "ping", "poster", "srcdoc", "srcset")


def cleaned(markup: str) -> str:
    """HTML without scripts, event handlers, frames, addresses that run something, or pictures from elsewhere.

    Tables, pictures and formulas within it, their classes and styles stay as they are.
    """
    from bleach.sanitizer import Cleaner

    cleaner = Cleaner(
        tags=frozenset(f"{TAGS} {TAGS.lower()}".split()),
        attributes=_stays,
        protocols={"http", "https", "mailto", "data"},
        strip=True,
        css_sanitizer=_Styles(),
    )
    return STYLE.sub(_style_sheet, cleaner.clean(RUNS.sub("", markup)))


class _Styles:
    """Styles that bleach leaves alone: `_stays` has taken away those that fetch."""

    def sanitize_css(self, style: str) -> str:
        return style


def _stays(tag: str, name: str, value: str) -> bool:
    name = name.lower()
    if name.startswith("on") or name in FETCHING:
        return False
    if name == "style":
        return not FETCHES.search(value)
    if name not in ("src", "href", "xlink:href"):
        return True
    address = re.sub(r"[\s\x00-\x1f]", "", value).lower()
    if tag == "a":
        return not address.startswith("data:")
    if tag == "use":
        return address.startswith("#")
    return address.startswith("data:image/") or not re.match(r"[a-z][a-z0-9+.-]*:|//|\\", address)


def _style_sheet(found: re.Match[str]) -> str:
    """A style sheet as it was typed; < stays escaped, so that it cannot end there."""
    begin, text, end = found.groups()
    # IPython colours shown code by rules for every output of a page, in colours for a light one; the page has its own.
    if FETCHES.search(text) or ".output_html" in text:
        return ""
    return begin + text.replace("&gt;", ">").replace("&quot;", '"') + end


def notebook_html(path: Path, names: Mapping[str, str] | None = None) -> str:
    """The cells of an executed notebook as an HTML fragment; InputError: it cannot be read as a notebook.

    `names` are texts to put in place of others, such as a folder's place on this machine.
    """
    import nbformat

    try:
        text = path.read_text(encoding="utf-8")
        for place, name in (names or {}).items():
            text = text.replace(place, name)
        body, _ = _exporter().from_notebook_node(nbformat.reads(text, as_version=4))
    except Exception as error:  # what nbformat and nbconvert raise has no common base
        reason = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise InputError(f"{path}: cannot be read as a notebook ({reason}); make it again") from error
    return cleaned(body).strip() + "\n"


@cache
def _exporter() -> "HTMLExporter":
    """nbconvert's exporter without page, style or script, that writes formulas as MathML."""
    from nbconvert import HTMLExporter
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    class Renderer(IPythonRenderer):
        def block_math(self, body: str) -> str:
            return mathml(body, "block")

        def inline_math(self, body: str) -> str:
            return mathml(body, "inline")

    def markdown(source: str) -> str:
        renderer = Renderer(escape=True, allow_harmful_protocols=False, exclude_anchor_links=True)
        return str(MarkdownWithMath(renderer=renderer).render(source))

    exporter = HTMLExporter(template_name="basic", embed_images=True)
    exporter.register_filter("markdown2html", markdown)
    return exporter


def mathml(formula: str, display: Any = "inline") -> str:
    """A TeX formula as MathML, which browsers draw without any script; as it was typed where it cannot be read."""
    from latex2mathml.converter import convert

    try:
        # Within HTML the namespace is known, and a page that names no address is easily held to loading none.
        return str(convert(formula, display=display)).replace(' xmlns="http://www.w3.org/1998/Math/MathML"', "")
    except Exception:  # the library has no common error, and a formula must never cost the page
        return f"<code>{escape(formula)}</code>"


NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?%?|[+-]?(inf|nan)", re.IGNORECASE)
MARKS = re.compile(r"[\\`*_|<]")
CODE = re.compile(r"(`[^`\n]+`)")


def csv_cell(text: str) -> str:
    """A cell that spreadsheets take for no formula: an apostrophe before what begins like one; numbers stay numbers."""
    text = text.replace("\r\n", "\n").replace("\r", " ")  # a lone one would end the line, unquoted
    formula = text.startswith(("=", "@", "\t")) or (text.startswith(("+", "-")) and not NUMBER.fullmatch(text))
    return f"'{text}" if formula else text


def csv_frame(frame: "pd.DataFrame") -> str:
    """A frame as CSV whose texts, heads among them, are no formulas."""
    safe = frame.map(lambda value: csv_cell(value) if isinstance(value, str) else value)
    safe.columns = [csv_cell(str(name)) for name in frame.columns]
    return str(safe.to_csv(index=False, lineterminator="\n"))


def md_cell(text: str) -> str:
    """A text of Markdown on one line, shown as it is; in a table's cell too."""
    return MARKS.sub(r"\\\g<0>", " ".join(text.splitlines()) if "\n" in text or "\r" in text else text)


def md_text(text: str) -> str:
    """As `md_cell`, `so` in code type."""
    one = " ".join(text.splitlines())
    return "".join(part if k % 2 else md_cell(part) for k, part in enumerate(CODE.split(one)))

"""Markup of unknown origin made harmless: what it looks like stays, what it would do or fetch goes."""

import re

from bleach.sanitizer import Cleaner

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
    return "" if FETCHES.search(text) else begin + text.replace("&gt;", ">").replace("&quot;", '"') + end

"""An executed notebook as HTML that loads and runs nothing: plain markup, formulas as MathML, pictures inside."""

from collections.abc import Mapping
from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msfp.errors import InputError

if TYPE_CHECKING:
    from nbconvert import HTMLExporter


def notebook_html(path: Path, names: Mapping[str, str] | None = None) -> str:
    """The cells of an executed notebook as an HTML fragment; the page around it is the caller's.

    Args:
        path: the notebook.
        names: texts to put in place of others, such as a folder's place on this machine.

    Raises:
        InputError: it cannot be read as a notebook.
    """
    import nbformat

    from msfp.engine.cleaned import cleaned

    try:
        text = path.read_text(encoding="utf-8")
        for place, name in (names or {}).items():
            text = text.replace(place, name)
        body, _ = _exporter().from_notebook_node(nbformat.reads(text, as_version=4))
    except MemoryError:
        raise
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

"""An executed notebook as HTML: its outputs, its formulas, nothing fetched."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from msfp.engine.html import mathml, notebook_html
from msfp.errors import InputError


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    hello = new_output("stream", text="hello <b>\n")
    table = new_output("execute_result", data={"text/html": "<b>ours</b><script src='http://x/y.js'></script>"})
    code = new_code_cell('home = "/home/somebody/msfp"', outputs=[hello, table])
    text = "# Why\n\nA cost $d_{a} + 1$, and `$HOME` is code.\n\n$$\\tau = \\frac{a}{b}$$"
    path = tmp_path / "00_data.ipynb"
    nbformat.write(new_notebook(cells=[new_markdown_cell(text), code]), path)
    return path


def test_outputs_and_formulas_are_there_and_nothing_is_loaded(notebook: Path) -> None:
    text = notebook_html(notebook)
    assert "hello &lt;b&gt;" in text
    assert "<b>ours</b>" in text
    assert text.count("<math") == 2
    assert re.search(r"<mfrac>.*<mi>a</mi>.*<mi>b</mi>.*</mfrac>", text)
    assert "<code>$HOME</code>" in text
    assert not re.search(r"<script|<link|https?:", text)
    assert text == notebook_html(notebook)


def test_names_stand_for_places_on_this_machine(notebook: Path) -> None:
    assert "/home/somebody" in notebook_html(notebook)
    text = notebook_html(notebook, {"/home/somebody/msfp": ".."})
    assert "/home/somebody" not in text
    assert "&quot;..&quot;" in text or '"..&quot;' in text or '".."' in text


def test_markup_typed_into_a_text_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    path = tmp_path / "x.ipynb"
    text = "a <img src=x onerror='alert(1)'> in a line\n\n<iframe src=x></iframe>\n\n**bold** [on](javascript:alert(1))"
    nbformat.write(new_notebook(cells=[new_markdown_cell(text)]), path)
    shown = notebook_html(path)
    assert "<strong>bold</strong>" in shown
    assert "&lt;img" in shown
    assert "&lt;iframe" in shown
    assert not re.search(r"<img|<iframe|href=.javascript", shown)


SAFE = (
    '<table class="msfp" style="text-align: right; color: var(--ink)" data-x="1"><caption>a &amp; b</caption><thead>'
    '<tr><th scope="col" title="&lt;b&gt; &amp;">x</th></tr></thead><tbody><tr><td colspan="2">1 &lt; 2</td></tr>'
    "</tbody></table>",
    '<style>.a > b:hover { color: red } td::after { content: "x" }</style>',
    '<img src="data:image/png;base64,AAAA" alt="a">',
    '<svg viewBox="0 0 9 9" xmlns="http://www.w3.org/2000/svg"><defs><linearGradient id="g"></linearGradient></defs>'
    '<path d="M0 0" fill="url(#g)"></path><text x="1">t</text></svg>',
    '<a href="https://example.org">on</a>',
    "<math><mfrac><mi>a</mi><mi>b</mi></mfrac></math>",
)
HARM = (
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)><script>alert(1)</script><animate onbegin=alert(1) attributeName=x /></svg>",
    "<svg><a xlink:href='javascript:alert(1)'><text>x</text></a><use href='data:image/svg+xml,x'></use></svg>",
    "<a href='javascript:alert(1)'>x</a><a href=' jAva\nscript:alert(1)'>x</a><a href='&#106;avascript:alert(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<iframe src=x>q</iframe><iframe srcdoc='<script>alert(1)</script>'>",
    "<object data=x></object><embed src=x><applet code=x></applet>",
    "<base href='http://e/'><link rel=stylesheet href=http://e/><video poster=http://e/ src=http://e/></video>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
    "<form action=javascript:alert(1)><button>x</button></form>",
    "<img src='http://e/x.png' srcset='http://e/y.png 2x'><img src='//e/x.png'>",
    "<style>@import url(http://e/x.css);</style><p style='background: url(http://e/x.png)'>x</p>",
    "<style>&lt;/style&gt;<img src=x onerror=alert(1)></style>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'></style>",
    "<scr<script>ipt>alert(1)</scr</script>ipt><SCRIPT\n>alert(1)",
)
ACTIVE = {"script", "iframe", "object", "embed", "applet", "base", "link", "meta", "form", "button", "video", "animate"}


class Seen(HTMLParser):
    """Every element and attribute, as a browser would take them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.words += data


def exported(path: Path, kind: str, markup: str) -> str:
    shown = new_code_cell("1", outputs=[new_output("display_data", data={kind: markup})])
    nbformat.write(new_notebook(cells=[shown]), path)
    return notebook_html(path)


@pytest.mark.parametrize(
    "kind", ["text/html", "image/svg+xml", "text/markdown", "text/latex", "application/javascript"]
)
@given(parts=st.lists(st.sampled_from((*SAFE, *HARM)), min_size=1, max_size=5))
def test_outputs_run_and_fetch_nothing(tmp_path: Path, kind: str, parts: list[str]) -> None:
    text = exported(tmp_path / "x.ipynb", kind, "".join(parts))
    for tag, attributes in Seen(text).tags:
        assert tag not in ACTIVE
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "xlink:href", "srcset", "poster"):
            address = re.sub(r"\s", "", attributes.get(name, "")).lower()
            assert not address.startswith(("javascript:", "data:text"))
            assert tag == "a" or not re.match("http|//", address)
        assert "url(http" not in attributes.get("style", "")
    assert "@import" not in text or kind != "text/html"


@pytest.mark.parametrize("markup", SAFE)
def test_tables_pictures_and_formulas_look_as_they_did(tmp_path: Path, markup: str) -> None:
    text = exported(tmp_path / "x.ipynb", "text/html", markup)
    before, after = Seen(markup), Seen(text)
    at = after.tags.index(before.tags[0])
    assert after.tags[at:] == before.tags
    assert before.words in after.words


def test_a_formula_that_cannot_be_read_is_shown_as_typed() -> None:
    assert mathml(r"\left( <b") == r"<code>\left( &lt;b</code>"


def test_what_is_no_notebook_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read as a notebook"):
        notebook_html(tmp_path / "nope.ipynb")


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["cells", "metadata", "nbformat", "outputs", "cell_type", "source", "data", "output_type"]),
            inner | st.sampled_from(["code", "markdown", "display_data", "error", 4, 3, 2]),
            max_size=6,
        )
    ),
    max_leaves=12,
)


@pytest.mark.filterwarnings("ignore")
@given(whole=JSON, cut=st.integers(0, 900), kind=st.sampled_from(["odd", "cut", "flipped"]))
def test_a_notebook_that_is_cut_or_odd_is_refused_in_one_line(
    notebook: Path, tmp_path: Path, whole: object, cut: int, kind: str
) -> None:
    data = bytearray(notebook.read_bytes())
    if kind == "odd":
        cells = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": whole}
        data = bytearray(json.dumps(whole if cut % 2 else cells).encode())
    elif kind == "cut":
        del data[cut % len(data) :]
    else:
        data[cut % len(data)] ^= 0xFF
    path = tmp_path / "odd.ipynb"
    path.write_bytes(data)
    told = ""
    try:
        notebook_html(path)
    except InputError as error:
        told = str(error)
    assert len(told.splitlines()) <= 1
    assert not told or told.startswith(f"{path}: cannot be read as a notebook (")
    assert told or kind != "cut"


def test_shown_code_does_not_colour_the_whole_page(tmp_path: Path) -> None:
    """IPython brings rules for `.output_html` with a light background: every output of a dark page had it."""
    from IPython.display import Code

    shown = Code("def f(x):\n    return x", language="python")._repr_html_()
    assert ".output_html { background:" in shown, "otherwise there is nothing to take away"
    outputs = [new_output("display_data", {"text/html": shown})]
    path = tmp_path / "a.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell("", outputs=outputs)]), path)
    page = notebook_html(path)
    assert ".output_html" not in page
    assert '<span class="k">def</span>' in page, "the page's own rules colour it"

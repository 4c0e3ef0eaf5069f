"""An executed notebook as HTML: its outputs, its formulas, nothing fetched."""

import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from msfp.engine.exported import mathml, notebook_html
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


def test_a_formula_that_cannot_be_read_is_shown_as_typed() -> None:
    assert mathml(r"\left( <b") == r"<code>\left( &lt;b</code>"


def test_what_is_no_notebook_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read as a notebook"):
        notebook_html(tmp_path / "nope.ipynb")

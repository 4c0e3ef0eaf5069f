"""Tables as LaTeX: what stands where, nothing lost, nothing that TeX would read as its own."""

import re

from hypothesis import given
from hypothesis import strategies as st

from msfp.paper.latex import SIGNS, code, escape, latex, prose
from msfp.paper.layout import sheet
from msfp.types import Cell

CELLS = [
    Cell("MSFP-Track", "HOTA", 51.3, 0.2, unit="%"),
    Cell("LITE (trained 64-d)", "HOTA", 50.0, unit="%"),
    Cell("SORT", "HOTA", 48.5, 0.3, unit="%"),
    Cell("SORT", "FPS", None, source="n/a", reason="8 of 1050 frames present"),
    Cell("a_b & 100% · SDP", "HOTA", 1.0),
]


def rows(text: str) -> list[str]:
    """Lines of a table's body."""
    return [x for x in text.splitlines() if x.endswith(r"\\") and "multicolumn" not in x]


def test_ours_and_the_papers_stand_in_columns_of_their_own() -> None:
    text = latex(sheet(CELLS, 1), "profile demo")
    (msfp,) = (row for row in rows(text) if row.startswith("MSFP-Track") and "51.3" in row)
    cells = [part.strip() for part in msfp.removesuffix(r"\\").split("&")]
    assert cells[1] == r"\textbf{51.3}\,$\pm$0.2"
    assert cells[2].startswith(r"63.2 $\pm$0.3")
    assert r"\textit{here}" in text
    assert r"\underline{50.0}" in text
    assert r"a\_b \& 100\%" in text
    assert "8 of 1050 frames present" in text
    assert "Here: profile demo." in text


def test_every_row_of_a_part_has_as_many_cells_as_its_head() -> None:
    for number in range(1, 25):
        text = latex(sheet([], number))
        parts = re.findall(r"\\begin\{tabular\}\{@\{\}(.*)@\{\}\}\\toprule(.*?)\\bottomrule", text, re.S)
        assert parts
        for spec, part in parts:
            columns = len(re.findall(r"p\{[0-9.]+em\}|[lr]", spec.replace(r">{\raggedright\arraybackslash}", "")))
            counts = {row.replace(r"\&", "").count("&") + 1 for row in rows(part)}
            assert counts == {columns}, number


def plain(text: str) -> bool:
    """True where a text has no signs but ASCII and the letters of European languages."""
    return all(letter.isascii() or (letter.isalpha() and letter >= "À") for letter in text)


def test_no_table_has_a_sign_that_plain_latex_lacks() -> None:
    for number in range(1, 25):
        assert plain(latex(sheet([], number))), number


def test_a_part_repeats_no_row_it_has_nothing_of() -> None:
    text = latex(sheet(CELLS, 1))
    assert not [row for row in rows(text) if not row.partition("&")[2].replace("&", "").replace(r"\\", "").strip()]


@given(st.text())
def test_any_text_gets_balanced_braces_and_no_bare_specials(text: str) -> None:
    made = escape(text)
    assert plain(made)
    assert made.isprintable()
    bare = re.sub(r"\\[a-zA-Z]+|\\.", "", made)
    assert bare.count("{") == bare.count("}")
    assert not re.search(r"[&%#_^]", re.sub(r"\$[^$]*\$", "", bare))
    assert bare.count("$") % 2 == 0


@given(st.text(alphabet=st.characters(codec="ascii", categories=["L", "N"]), max_size=20))
def test_plain_words_stay_as_they_are(text: str) -> None:
    assert escape(text) == text


def test_code_and_ligatures() -> None:
    assert prose("use `--only 05`, then -- wait") == rf"use {code('--only 05')}, then -{{}}- wait"
    assert escape("?`") == rf"?{{}}{SIGNS['`']}"

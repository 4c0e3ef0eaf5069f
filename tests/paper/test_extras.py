"""Tables beside the paper's: apart from them, and whole."""

from pathlib import Path

import pytest

from msfp.errors import InputError
from msfp.paper import registry
from msfp.paper.registry import EXTRA, artefact, artefacts, every
from msfp.paper.render import write_table
from msfp.types import Cell

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


def test_the_paper_has_24_tables_and_7_figures_and_extras_are_apart() -> None:
    assert [(a.kind, a.number) for a in artefacts()] == [("table", n) for n in range(1, 25)] + [
        ("figure", n) for n in range(1, 8)
    ]
    extras = set(every()) - set(artefacts())
    assert all(a.number > EXTRA and a.status == "ready" and a.caption for a in extras)
    assert len({a.id for a in every()}) == len(every())


def test_every_artefact_is_of_one_notebook_and_has_the_paper_s_numbers() -> None:
    names = {path.stem for path in NOTEBOOKS.glob("0*.ipynb")}
    for one in every():
        assert one.notebook in names
    for one in artefacts():
        assert one.kind == "figure" or len(registry.table(one.number)) > 3


def test_an_extra_table_has_no_number_of_the_paper() -> None:
    assert registry.table(101) == ()
    assert registry.lookup(101, "LITE (trained 64-d)", "HOTA") is None
    assert artefact("table", 101).name == "Extra table 101"
    with pytest.raises(InputError, match="the paper has tables 1 to 24"):
        registry.table(25)
    with pytest.raises(InputError, match="the paper has tables 1 to 24"):
        artefact("table", 99)


def test_an_extra_table_is_written_in_every_form(tmp_path: Path) -> None:
    cells = [
        Cell("LITE (trained 64-d)", "HOTA, loso", 50.0, 0.2, unit="%"),
        Cell("LITE (trained 64-d)", "leakage in HOTA", 1.25, unit="%"),
    ]
    files = write_table(tmp_path, 101, cells)
    assert [f.name for f in files] == ["leakage.json", "leakage.csv", "leakage.md", "leakage.tex"]
    text = files[2].read_text(encoding="utf-8")
    assert "50.0 ±0.2" in text
    assert "does not have" not in text
    assert "paper" not in text.replace("(paper)", "").partition("|")[2]

"""The README's headline table beside the one home of the paper's numbers."""

import json
import re
from pathlib import Path

import pytest

from msfp.engine.files import file_digest
from msfp.paper import registry
from msfp.paper.gallery import MADE, paths
from msfp.paper.registry import every

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TABLE = README.partition("| HOTA, Table 1 |")[2].partition("\n\n")[0]
QUOTED = re.findall(r"^\| ([^|]+?) +\| ([^|]+) \| ([^|]+) \| ([\d.]+)[^|]*\|$", TABLE, re.M)
NAMES = {"BoT-SORT, separate ReID": "BoTSORT", "LITE (trained 64-d)": "LITE"}


def test_the_headline_table_quotes_the_paper_as_it_is() -> None:
    assert len(QUOTED) == 7
    for name, _, _, value in QUOTED:
        entry = registry.lookup(1, NAMES.get(name, name), "HOTA")
        assert entry is not None, name
        assert entry.value == float(value), name


def test_the_figures_in_the_repository_are_those_of_the_run_that_is_quoted() -> None:
    gallery = ROOT / "figures" / "demo"
    if not (gallery / MADE).is_file():
        pytest.skip("no demo run has left its figures here: make reproduce")
    made = json.loads((gallery / MADE).read_text(encoding="utf-8"))
    assert {path.name: file_digest(path) for path in paths(gallery)} == made["figures"]
    assert len(made["figures"]) == 14
    for name, *quoted in QUOTED:
        row = made["numbers"][NAMES.get(name, name)]
        for column, text in zip(("HOTA, as released", "HOTA"), quoted, strict=False):
            assert row[column].split()[0] == text.split()[0], (name, column)
    assert f"{made['claims']['supported']} held" in " ".join(README.split())


def test_the_map_has_every_table_and_figure_with_its_notebook() -> None:
    rows = README.partition("<!-- map: begin -->")[2].partition("<!-- map: end -->")[0].splitlines()
    cells = {row.split("|")[4].strip(): row.split("|") for row in rows if row.count("|") == 5}
    for one in every():
        found = cells[f"`msfp {one.kind} {one.number}`"]
        assert (found[2].strip(), found[3].strip()) == (one.title, f"`{one.notebook}`")

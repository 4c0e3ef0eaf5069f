"""The README's headline table beside the one home of the paper's numbers."""

import re
from pathlib import Path

from msfp.paper import registry
from msfp.paper.registry import every

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
NAMES = {"BoT-SORT, separate ReID": "BoTSORT", "LITE (trained 64-d)": "LITE"}


def test_the_headline_table_quotes_the_paper_as_it_is() -> None:
    table = README.partition("| HOTA, Table 1 |")[2].partition("\n\n")[0]
    quoted = re.findall(r"^\| ([^|]+?) +\| [^|]+ \| [^|]+ \| ([\d.]+)[^|]*\|$", table, re.M)
    assert len(quoted) == 7
    for name, value in quoted:
        entry = registry.lookup(1, NAMES.get(name, name), "HOTA")
        assert entry is not None, name
        assert entry.value == float(value), name


def test_the_map_has_every_table_and_figure_with_its_notebook() -> None:
    rows = README.partition("<!-- map: begin -->")[2].partition("<!-- map: end -->")[0].splitlines()
    cells = {row.split("|")[4].strip(): row.split("|") for row in rows if row.count("|") == 5}
    for one in every():
        found = cells[f"`msfp {one.kind} {one.number}`"]
        assert (found[2].strip(), found[3].strip()) == (one.title, f"`{one.notebook}`")

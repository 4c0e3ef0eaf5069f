"""What a table says beside the paper's, on cells worked out by hand."""

from msfp.paper import registry
from msfp.paper.layout import compare
from msfp.types import Cell


def paper_value(row: str, column: str) -> float:
    entry = registry.lookup(1, row, column)
    assert entry is not None
    assert isinstance(entry.value, float)
    return entry.value


def test_the_papers_own_numbers_agree_with_themselves() -> None:
    rows = ("SORT", "ByteTrack", "LITE (trained 64-d)", "MSFP-Track")
    cells = [Cell(r, c, paper_value(r, c)) for r in rows for c in ("HOTA", "IDSW")]
    found = compare(cells, 1).set_index("column")
    assert list(found["best here"]) == ["MSFP-Track", "MSFP-Track"]
    assert list(found["same best"]) == ["yes", "yes"]
    assert list(found["pairs as in the paper"]) == ["6 of 6", "6 of 6"]
    assert found.loc["IDSW", "value here"] == paper_value("MSFP-Track", "IDSW")


def test_a_reversed_order_is_told() -> None:
    cells = [Cell("SORT", "HOTA", 80.0), Cell("LITE (trained 64-d)", "HOTA", 70.0), Cell("MSFP-Track", "HOTA", -1.0)]
    line = compare(cells, 1).iloc[0]
    assert line["best here"] == "SORT"
    assert line["best in the paper"] == "MSFP-Track"
    assert line["pairs as in the paper"] == "0 of 3"
    assert (line["rows"], line["value here"]) == (3, 80)


def test_what_was_not_measured_takes_no_part() -> None:
    cells = [
        Cell("SORT", "HOTA", 80.0),
        Cell("LITE (trained 64-d)", "HOTA", None, source="n/a", reason="no pixels"),
        Cell("a row of ours", "HOTA", 99.0),
    ]
    assert compare(cells, 1).empty

"""Tables: three sources apart, ranks computed, bytes repeatable."""

import csv
import io
import math
import re
from html import unescape
from pathlib import Path

import mistune
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msfp.engine.html import csv_frame, md_cell, md_text
from msfp.errors import InputError, MsfpError
from msfp.paper import layout, registry
from msfp.paper.cells import read_cells, write_cells
from msfp.paper.layout import ALONE, NOT_MEASURED, OURS, TIDY, merge, sheet
from msfp.paper.render import html, markdown, terminal, tidy_csv, write_table
from msfp.types import Cell

REASON = "8 of 1050 frames present"
CELLS = [
    Cell("SORT", "HOTA", 40.04, unit="%"),
    Cell("ByteTrack", "HOTA", 51.26, unit="%", detail={"sequences": 7}),
    Cell("LITE (trained 64-d)", "HOTA", 50.0, unit="%"),
    Cell("MSFP-Track", "HOTA", 48.5, 0.31, unit="%"),
    Cell("ByteTrack", "IDSW", 120),
    Cell("LITE (trained 64-d)", "IDSW", 90),
    Cell("MSFP-Track", "IDSW", 100.4, 0.2),
    Cell("DeepSORT", "HOTA", None, source="server", reason="labels are hidden: submit the zip"),
    Cell("LITE (trained 64-d)", "FPS", None, source="n/a", reason=REASON),
    Cell("SORT", "FPS", None, source="n/a", reason=REASON),
    Cell("JDE", "HOTA", 46.8, source="paper", reason="private detections"),
    Cell("OC-SORT", "HOTA", 52.4, source="published", reason="public leaderboard"),
    Cell("LITE (training-free)", "HOTA", 60.0, unit="%"),
    Cell("SORT · SDP", "HOTA", 44.0, unit="%"),
    Cell("MSFP-Track · SDP", "HOTA", 55.0, unit="%"),
    Cell("recall ceiling · SDP", "HOTA", 80.0, unit="%"),
]


def line(row: str, column: str = "HOTA", cells: list[Cell] = CELLS, number: int = 1) -> dict:  # type: ignore[type-arg]
    frame = merge(cells, number)
    return frame[(frame["row"] == row) & (frame["column"] == column)].to_dict("records")[0]


def test_merge_has_every_entry_of_the_paper_once() -> None:
    frame = merge([], 1)
    assert list(frame.columns) == list(TIDY)
    assert len(frame) == len(registry.table(1))
    assert set(frame["source"]) == {"paper"}
    assert set(frame["reason"]) == {NOT_MEASURED}
    assert frame["measured"].isna().all()
    assert frame["difference"].isna().all()


def test_measured_paper_and_published_are_apart() -> None:
    lite = line("LITE (trained 64-d)")
    assert (lite["measured"], lite["paper"], lite["published"]) == (50.0, 61.1, 43.0)
    assert lite["difference"] == pytest.approx(50.0 - 61.1)
    assert lite["source"] == "measured"


@pytest.mark.parametrize(("row", "source"), [("JDE", "paper"), ("OC-SORT", "published"), ("DeepSORT", "server")])
def test_what_we_did_not_measure_is_never_in_the_measured_column(row: str, source: str) -> None:
    found = line(row)
    assert found["source"] == source
    assert found["measured"] is None
    assert math.isnan(found["difference"])


def test_a_private_result_is_not_compared() -> None:
    found = line("JDE", cells=[Cell("JDE", "HOTA", 40.0)])
    assert found["private"]
    assert found["measured"] == 40.0
    assert math.isnan(found["difference"])


def test_published_cell_keeps_its_value_apart_from_the_papers() -> None:
    found = line("OC-SORT")
    assert (found["published"], found["paper"]) == (52.4, 55.1)


def test_rows_beyond_the_paper_follow_in_groups() -> None:
    frame = merge(CELLS, 1)
    rows = list(dict.fromkeys(frame["row"]))
    known = registry.rows(1)
    assert rows[: len(known)] == list(known)
    assert rows[len(known) :] == ["LITE (training-free)", "SORT · SDP", "MSFP-Track · SDP", "recall ceiling · SDP"]
    groups = dict(zip(frame["row"], frame["group"], strict=True))
    assert groups["LITE (training-free)"] == OURS
    assert groups["SORT · SDP"] == "SDP"
    assert groups["SORT"] == "Motion-only / Hybrid"


def test_columns_beyond_the_paper_follow() -> None:
    made = wide([Cell("Concat + MLP", "AUC, hard pairs", 0.8123)], 3)
    assert list(made.columns) == [*registry.columns(3), "AUC, hard pairs"]
    assert made.loc["Concat + MLP", "AUC, hard pairs"] == "0.812"


def test_two_cells_for_one_place_are_refused() -> None:
    with pytest.raises(InputError, match=r"table 1: two cells for row 'SORT', column 'HOTA'; keep one"):
        merge([Cell("SORT", "HOTA", 1.0), Cell("SORT", "HOTA", 2.0)], 1)


def wide(cells: list[Cell], number: int) -> pd.DataFrame:
    """The table of the Markdown, without its marks: row and column -> text."""
    lines = [x for x in markdown(sheet(cells, number)).splitlines() if x.startswith("|")]
    head, _, *body = [[re.sub(r"\*|</?u>|\\", "", x).strip() for x in line[1:-1].split(" | ")] for line in lines]
    columns = [re.sub(" [↑↓]$", "", name) for name in head[1:]]
    made = pd.DataFrame([x[1:] for x in body], index=[x[0] for x in body], columns=columns)
    return made[~made.index.duplicated()]  # parts of the data repeat the names


def test_wide_says_where_each_value_comes_from() -> None:
    made = wide(CELLS, 1)
    assert made.loc["MSFP-Track", "HOTA"] == "48.5 ±0.3 (paper 63.2 ±0.3, -14.7)"
    assert made.loc["LITE (trained 64-d)", "HOTA"] == "50.0 (paper 61.1, -11.1, published 43.0)"
    assert made.loc["DeepSORT", "AssA"] == "45.5 (paper)"
    assert made.loc["FairMOT", "HOTA"] == "54.6† (paper)"
    assert made.loc["OC-SORT", "HOTA"].startswith("52.4 (published)")
    assert made.loc["LITE (trained 64-d)", "FPS"] == "n/a [2] (paper 28.3)"
    assert made.loc["DeepSORT", "HOTA"] == "server [1] (paper 45.6)"


def test_one_note_for_one_reason() -> None:
    laid = sheet(CELLS, 1)
    assert laid.notes.count(REASON) == 1
    assert NOT_MEASURED not in laid.notes


def ranks(column: str, cells: list[Cell], number: int = 1) -> dict[str, int]:
    laid = sheet(cells, number)
    at = laid.columns.index(column)
    return {x.row: c.rank for x in laid.lines if (c := x.cells[at]) is not None and c.rank}


def test_best_and_second_in_the_columns_direction() -> None:
    assert ranks("HOTA", CELLS) == {"ByteTrack": 1, "LITE (trained 64-d)": 2, "MSFP-Track · SDP": 1}
    assert ranks("IDSW", CELLS) == {"LITE (trained 64-d)": 1, "MSFP-Track": 2}


def test_ranks_agree_with_a_naive_sort() -> None:
    rng = np.random.default_rng(0)
    rows = registry.rows(2)
    for column in ("HOTA", "IDSW", "FPS"):
        values = np.round(rng.uniform(1, 100, len(rows)), 0)
        better = layout.direction(2, column)
        levels = sorted(set(values * better), reverse=True)
        expected = {r: levels.index(v * better) + 1 for r, v in zip(rows, values, strict=True)}
        found = ranks(column, [Cell(r, column, float(v)) for r, v in zip(rows, values, strict=True)], 2)
        assert found == {r: place for r, place in expected.items() if place <= 2}


def test_ties_as_printed_share_a_rank() -> None:
    cells = [Cell("SORT", "HOTA", 50.01), Cell("LITE (trained 64-d)", "HOTA", 50.04), Cell("JDE", "HOTA", 49.0)]
    assert ranks("HOTA", cells) == {"SORT": 1, "LITE (trained 64-d)": 1, "JDE": 2}
    assert ranks("HOTA", [Cell("SORT", "HOTA", 50.0), Cell("LITE (trained 64-d)", "HOTA", 50.0)]) == {}
    assert ranks("HOTA", [Cell("SORT", "HOTA", 50.0)]) == {}


def test_values_of_the_paper_never_rank() -> None:
    cells = [
        Cell("SORT", "HOTA", 50.0),
        Cell("LITE (trained 64-d)", "HOTA", 49.0),
        Cell("JDE", "HOTA", 99.0, source="paper"),
    ]
    assert "JDE" not in ranks("HOTA", cells)


def test_difference_rows_and_columns_without_direction_do_not_rank() -> None:
    assert ranks(
        "02", [Cell(r, "02", v) for r, v in (("LITE (trained 64-d)", 50.0), ("MSFP-Track", 52.0), ("Δ", 60.0))], 6
    ) == {"MSFP-Track": 1}
    assert layout.direction(21, "Gap") == layout.NEITHER
    assert layout.direction(3, "Gap") == layout.HIGHER
    assert layout.direction(3, "AUC, hard pairs") == layout.HIGHER
    assert layout.direction(18, "HOTA (ATL)") == layout.HIGHER
    assert layout.direction(20, "Parameters") == layout.NEITHER


def test_signs_digits_and_words_as_the_paper_prints_them() -> None:
    assert wide([Cell("Δ", "02", 1.5)], 6).loc["Δ", "02"] == "+1.5 (paper +1.9, -0.4)"
    made = wide([Cell("Total MSFP", "Parameters", 67075), Cell("Proj(4)", "Layers", "Linear+ReLU+BN")], 20)
    assert made.loc["Total MSFP", "Parameters"] == "67075 (paper 67.3K, -225)"
    assert made.loc["Proj(4)", "Layers"] == "Linear+ReLU+BN (paper same)"
    assert layout.fixed(-0.004, 1, signed=True) == "0.0"
    assert wide([Cell("MSFP-Track", "IDSW", 100.4, 0.2)], 1).loc["MSFP-Track", "IDSW"].startswith("100 ±0.2 (")


def test_markdown_rows_have_equal_length() -> None:
    table = [x for x in markdown(sheet(CELLS, 1)).splitlines() if x.startswith("|")]
    assert {x.count("|") for x in table} == {9}
    assert any("**51.3**" in x and "<u>" not in x.split("|")[2] for x in table)


TEXTS = st.text(st.sampled_from("=+-@\t\r\n|`<>*_\\ 0.5eabc,;'\"("), max_size=12)


@given(TEXTS)
def test_no_cell_of_a_csv_is_a_formula(text: str) -> None:
    frame = pd.DataFrame({text: [text, "-0.5", "+1e-3", "−2"], "n": [-1.0, 2.0, -3, -4]})
    head, first, *rest = csv.reader(io.StringIO(csv_frame(frame), newline=""))
    for cell in (head[0], first[0]):
        whole = text.replace("\r\n", "\n").replace("\r", " ")
        assert cell in (whole, f"'{whole}")
        assert not cell.startswith(("=", "@", "\t", "\r"))
        if cell.startswith(("+", "-")):
            float(cell.removesuffix("%"))
    assert [row[0] for row in rest] == ["-0.5", "+1e-3", "−2"]
    assert first[1] == "-1.0"


@given(TEXTS)
def test_a_label_stays_in_its_cell_of_markdown_and_reads_as_it_was(label: str) -> None:
    """By a Markdown renderer of its own: the same columns, and the label's characters as text."""
    shown = mistune.create_markdown(escape=True, plugins=["table"])(
        f"| {md_cell('x' + label)} | b |\n|---|---|\n| a | b |\n"
    )
    found = re.findall(r"<th>(.*?)</th>", shown, re.DOTALL)
    assert len(found) == 2
    assert "<code>" not in found[0]
    assert "<em>" not in found[0]
    assert unescape(found[0]).split() == f"x{label}".split()


def test_code_in_a_note_stays_code_and_alone_a_mark_is_none() -> None:
    assert md_text("run `msfp data_get` in *x*\nor ` <b>") == "run `msfp data_get` in \\*x\\* or \\` \\<b>"


def test_html_escapes_and_keeps_sources_apart() -> None:
    text = html([*CELLS, Cell("<script>x</script>", "HOTA", 1.0, reason='a "quoted" <reason>')], 1)
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert 'class="paper"' in text
    assert "(paper)" in text
    assert 'class="measured rank1"' in text
    assert "sequences: 7" in text
    assert text.startswith("<style>")


def test_without_its_style_sheet_a_cell_still_reads_well() -> None:
    """JupyterLab takes style sheets out of notebooks that it does not trust."""
    text = re.sub(r"<style>.*?</style>", "", html(CELLS, 1), flags=re.DOTALL)
    cell = next(c for c in re.findall(r"<td.*?</td>", text, re.DOTALL) if "48.5" in c)
    lines = [re.sub(r"<[^>]+>", "", part).strip() for part in cell.split("<br>")]
    assert lines == ["48.5 ±0.3", "paper 63.2 ±0.3[f] −14.7"]
    assert "n/a[2]" in re.sub(r"<[^>]+>", "", text)


@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize("number", [1, 5, 12, 20])
def test_a_table_fits_a_terminal_and_loses_no_number(number: int, beside: bool) -> None:
    cells = [Cell(e.row, e.column, e.value, e.std, unit=e.unit) for e in registry.table(number)]
    cells.append(Cell("a row " * 9, cells[0].column, None, source="n/a", reason="one reason " * 20))
    text = terminal(sheet(cells, number, beside))
    assert max(map(len, text.splitlines())) <= 80
    words = " ".join(text.split())
    for one in sheet(cells, number, beside).lines:
        for cell in filter(None, one.cells):
            said = f"{cell.text} {cell.paper if beside else ''}".split()
            assert all(word in words for word in said if len(word) < 26), cell  # longer ones are broken


def test_of_a_smoke_run_only_what_was_measured_is_shown(tmp_path: Path) -> None:
    ours = [c for c in CELLS if c.source not in ("paper", "published")]
    assert set(merge(ours, 1, beside=False)["row"]) == {c.row for c in ours}
    assert merge(ours, 1, beside=False)[["paper", "difference", "published"]].isna().all(axis=None)
    write_table(tmp_path, 1, ours, "profile smoke", beside=False)
    for text in (html(ours, 1, False), *((tmp_path / f"table01.{form}").read_text() for form in ("md", "tex"))):
        assert "63.2" not in text
        assert "mean nothing" in text
    assert ALONE in " ".join(terminal(sheet(ours, 1, False)).split())


@pytest.mark.parametrize("number", range(1, 25))
def test_every_table_renders_with_nothing_and_with_everything_measured(number: int, tmp_path: Path) -> None:
    cells = [Cell(e.row, e.column, e.value, e.std, unit=e.unit) for e in registry.table(number)]
    for some in ([], cells):
        assert len(write_table(tmp_path, number, some)) == 4
    frame = merge(cells, number)
    assert set(frame["source"]) == {"measured"}
    differences = frame["difference"].dropna()
    assert (differences == 0).all()


def test_files_are_named_by_id_and_repeat_byte_for_byte(tmp_path: Path) -> None:
    first = write_table(tmp_path / "a", 1, CELLS, "profile demo")
    second = write_table(tmp_path / "b", 1, CELLS, "profile demo")
    assert [f.name for f in first] == ["table01.json", "table01.csv", "table01.md", "table01.tex"]
    assert [f.read_bytes() for f in first] == [f.read_bytes() for f in second]


def test_csv_is_tidy() -> None:
    text = tidy_csv(merge(CELLS, 1))
    rows = text.splitlines()
    assert rows[0] == ",".join(TIDY)
    assert any(r.startswith("ByteTrack,HOTA,51.26,,54.8,,-3.54,,,measured,,%,sequences=7") for r in rows)


def test_cells_come_back_from_their_file(tmp_path: Path) -> None:
    path = tmp_path / "table01.json"
    given = [*CELLS, Cell("x", "y", np.float64(0.1) + 0.2, np.float32(0.5), detail={"n": np.int64(3)})]  # type: ignore[arg-type, dict-item]
    assert read_cells(write_cells(path, given)) == given


def test_a_value_that_is_no_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"cell 'LITE \(trained 64-d\)' / 'HOTA': value is nan; .* source n/a and its reason"
    ):
        write_cells(tmp_path / "t.json", [Cell("LITE (trained 64-d)", "HOTA", float("nan"))])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "text", ["{", "{}", '[{"row": 1, "what": 2}]', '[{"row": "a"}]', '[{"row": "a", "column": "b", "value": null}]']
)
def test_a_damaged_cell_file_says_what_to_do(tmp_path: Path, text: str) -> None:
    path = tmp_path / "table01.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"table01\.json: not a file of table cells .* delete it"):
        read_cells(path)


def test_a_missing_cell_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file; compute the table first"):
        read_cells(tmp_path / "table01.json")


def test_an_output_that_cannot_be_written_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "tables").write_text("a file where a folder is needed")
    with pytest.raises(MsfpError, match="cannot write"):
        write_table(tmp_path / "tables", 1, CELLS)

"""reference.csv against an independent reading of the paper, and against arithmetic."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from msfp.errors import InputError
from msfp.paper import registry
from msfp.paper.registry import Entry

SHAPES = {
    1: (13, 7), 2: (7, 7), 3: (6, 4), 4: (5, 3), 5: (8, 3), 6: (3, 7), 7: (6, 5), 8: (5, 3), 9: (4, 2), 10: (3, 2),
    11: (4, 5), 12: (3, 3), 13: (4, 4), 14: (4, 2), 15: (7, 4), 16: (5, 4), 17: (5, 3), 18: (4, 3), 19: (4, 3),
    20: (7, 4), 21: (5, 3), 22: (7, 4), 23: (4, 3), 24: (7, 4),
}  # fmt: skip
LITE = "LITE (trained 64-d)"
SPANNED = {(15, LITE), (15, "MSFP-Track")}
GREEK = {r"\tau": "τ", r"\beta": "β", r"\Delta": "Δ", r"\times": "x", r"\rightarrow": "→", r"\pm": "±", "×": "x"}
OTHER_LABELS = {
    "Attention MLP ( W_α)": "Attention MLP",
    "LITE*": LITE,
    "LITE": LITE,
    "MSFP-Track*": "MSFP-Track",
    "MSFP-Track + BUSCA": "MSFP-Track + recovery (after BUSCA)",
    "ByteTrack + BUSCA": "ByteTrack + recovery (after BUSCA)",
}


def value(table: int, row: str, column: str) -> float:
    entry = registry.lookup(table, row, column)
    assert entry is not None
    assert isinstance(entry.value, float)
    return entry.value


def clean(text: str) -> str:
    """A cell of the paper's text without markup."""
    text = re.sub(r"</?(b|i|u|math|sup|sub)>|\*\*|\$", "", text)
    text = text.replace("^*", "*").replace(r"\alpha", "α").replace(r"\dagger", "†")
    for tex, sign in GREEK.items():
        text = text.replace(tex, sign)
    text = re.sub(r"\s*([±=†])\s*", r"\1", text)
    text = re.sub(r"\s+\[\d+\]$", "", text.strip())
    return re.sub(r"\s+", " ", text).replace(" )", ")").strip()


def paper_tables(text: str) -> dict[int, list[list[str]]]:
    """Rows of every table in the paper's text, cells cleaned: heading above the row, label, cells."""
    found: dict[int, list[list[str]]] = {}
    lines = text.splitlines()
    for start, line in enumerate(lines):
        caption = re.match(r"Table (\d+): ", line)
        if not caption:
            continue
        body = lines[start + 2 :]
        block = body[: body.index("")]
        headings = 2 if "\t" in block[1] and block[1].startswith("\t") else 1
        rows = [[clean(cell) for cell in row.split("\t")] for row in block[headings:]]
        group, kept = "", []
        for row in rows:
            if any(row[1:]):
                kept.append([group, *row])
            else:
                group = row[0]
        found[int(caption.group(1))] = kept
    return found


def as_printed(entry: Entry) -> str:
    spread = f"±{entry.std:.{entry.std_decimals}f}" if entry.std is not None else ""
    unit = entry.unit if entry.table == 8 and entry.unit == "ms" else ""
    return entry.printed + spread + unit + ("†" if entry.private else "")


@pytest.mark.real
def test_every_entry_is_what_an_independent_parser_reads_in_the_paper(shared: Path) -> None:
    tables = paper_tables((shared / "paper" / "msfp-track.txt").read_text(encoding="utf-8"))
    assert sorted(tables) == list(range(1, 25))
    for number, rows in tables.items():
        ours = [[e for e in registry.table(number) if e.row == label] for label in registry.rows(number)]
        assert len(rows) == len(ours), number
        for (group, label, *cells), entries in zip(rows, ours, strict=True):
            assert {e.group for e in entries} == {group}
            assert same_label(label, entries[0].row), (number, label, entries[0].row)
            assert [as_printed(e) for e in entries] == [c for c in cells if c], (number, label)


def same_label(theirs: str, ours: str) -> bool:
    theirs = OTHER_LABELS.get(theirs, theirs)
    return theirs.replace(" ", "") == ours.replace(" ", "")


@pytest.mark.parametrize("number", range(1, 25))
def test_shape(number: int) -> None:
    rows, columns = SHAPES[number]
    assert (len(registry.rows(number)), len(registry.columns(number))) == (rows, columns)
    for row in registry.rows(number):
        count = sum(e.row == row for e in registry.table(number))
        assert count == (1 if (number, row) in SPANNED else columns)


def test_order_counts_from_one_and_labels_are_unique() -> None:
    for number in SHAPES:
        entries = registry.table(number)
        assert [e.order for e in entries] == list(range(1, len(entries) + 1))
        assert len({(e.row, e.column) for e in entries}) == len(entries)


def test_private_are_the_jointly_trained_rows_of_table_1() -> None:
    private = [e for e in registry.load() if e.private]
    assert {(e.table, e.row) for e in private} == {(1, "JDE"), (1, "FairMOT")}
    assert len(private) == 12
    assert "FPS" not in {e.column for e in private}


def test_numbers_are_read_and_words_kept() -> None:
    assert value(20, "Total MSFP", "Parameters") == 67300
    assert value(6, "Δ", "13") == 2.2
    assert value(21, "ATL (MOT17→MOT20)", "Gap") == -1.3
    assert value(8, "ATL (ours)", "Runtime") == 0.05
    assert registry.lookup(17, "Per-frame (β=0)", "Stability").value == "Oscillating"  # type: ignore[union-attr]
    assert registry.lookup(1, "nobody", "HOTA") is None
    assert registry.number("N/A*") is None


def test_three_sources_stay_apart() -> None:
    lite = registry.lookup(1, "LITE", "HOTA")
    assert lite is registry.lookup(1, LITE, "HOTA"), "the paper's name and this suite's"
    assert lite is not None
    assert (lite.value, lite.published) == (61.1, 43.0)
    assert "README" in lite.published_source
    for e in registry.load():
        assert (e.published is None) == (e.published_source == "")


def test_unknown_table_names_what_there_is() -> None:
    with pytest.raises(InputError, match=r"table 25: the paper has tables 1 to 24"):
        registry.table(25)


@pytest.mark.parametrize("number", [7, 11])
def test_times_add_up(number: int) -> None:
    for row in registry.rows(number):
        parts = sum(value(number, row, c) for c in ("Det", "ReID", "Assoc"))
        assert parts == pytest.approx(value(number, row, "Total"))


def test_tables_7_11_15_and_24_agree_on_times() -> None:
    for row in ("DeepSORT", "StrongSORT"):
        tracking = value(7, row, "ReID") + value(7, row, "Assoc")
        assert tracking == pytest.approx(value(11, row, "ReID-only"))
        assert tracking == pytest.approx(value(15, row, "Total"))
        assert tracking == pytest.approx(value(24, row, "A: ms/frame"))
    for row in ("SORT", "ByteTrack", "OC-SORT", "DeepSORT", "StrongSORT"):
        gap = value(24, row, "B: ms/frame") - value(24, row, "A: ms/frame")
        assert gap == pytest.approx(value(7, "LITE", "Det"))


SPEEDS = [(7, "Total", "FPS"), (15, "Total", "FPS (tracking-only)")]
SPEEDS += [(24, "A: ms/frame", "A: FPS"), (24, "B: ms/frame", "B: FPS")]


@pytest.mark.parametrize(("number", "time", "fps"), SPEEDS)
def test_frames_a_second_are_the_inverse_of_the_time(number: int, time: str, fps: str) -> None:
    checked = 0
    for row in registry.rows(number):
        entry, speed = registry.lookup(number, row, time), registry.lookup(number, row, fps)
        if entry is None or speed is None or isinstance(entry.value, str):
            continue
        assert isinstance(speed.value, float)
        assert 1000 / entry.value == pytest.approx(speed.value, abs=0.5 * 10**-speed.decimals + 1e-9)
        checked += 1
    assert checked >= 5


def test_known_contradiction_speeds_of_tables_1_and_7() -> None:
    shared_rows = set(registry.rows(1)) & set(registry.rows(7))
    differing = {r for r in shared_rows if value(1, r, "FPS") != value(7, r, "FPS")}
    assert differing == {"DeepSORT", "StrongSORT", LITE, "MSFP (concat)", "MSFP (attention)", "MSFP-Track"}


@pytest.mark.parametrize("number", [1, 2, 19])
def test_hota_is_near_the_geometric_mean_of_its_parts(number: int) -> None:
    for row in registry.rows(number):
        mean = (value(number, row, "DetA") * value(number, row, "AssA")) ** 0.5
        assert mean == pytest.approx(value(number, row, "HOTA"), abs=0.2), row


def test_known_contradiction_averages_of_table_6() -> None:
    for row, average in (("LITE", 61.9), ("MSFP-Track", 63.7)):
        values = [value(6, row, c) for c in registry.columns(6)]
        assert sum(values) / len(values) == pytest.approx(average, abs=0.06)
        assert value(1, row, "HOTA") != average


def test_differences_that_the_paper_prints() -> None:
    for c in registry.columns(6):
        assert value(6, "MSFP-Track", c) - value(6, "LITE", c) == pytest.approx(value(6, "Δ", c))
    for row in registry.rows(18):
        gain = value(18, row, "HOTA (ATL)") - value(18, row, "HOTA (fixed τ)")
        assert gain == pytest.approx(value(18, row, "Δ"))
    same = "ATL (same dataset)"
    for row, column in (("ATL (MOT17→MOT20)", "MOT20-val"), ("ATL (MOT20→MOT17)", "MOT17-val")):
        assert value(21, row, column) - value(21, same, column) == pytest.approx(value(21, row, "Gap"))


def test_parameters_of_table_20_add_up_and_match_linear_layers() -> None:
    parts = [value(20, r, "Parameters") for r in ("Proj(4)", "Proj(9)", "Proj(14)", "Attention MLP")]
    assert sum(parts) == pytest.approx(value(20, "Total MSFP", "Parameters"))
    for row, printed in zip(("Proj(4)", "Proj(9)", "Proj(14)", "Attention MLP"), parts, strict=True):
        inputs, outputs = value(20, row, "Input Dim"), value(20, row, "Output Dim")
        assert inputs * outputs + outputs == pytest.approx(printed, abs=150)


def test_known_contradictions_carry_a_remark() -> None:
    known = [
        (3, "Single Layer (LITE)", "AssA"),
        (6, "LITE", "02"),
        (7, "MSFP (concat)", "ReID"),
        (10, "MSFP-Track", "HOTA"),
        (16, "Instance-adaptive attention (ours)", "Params"),
        (18, "YOLOv8s", "HOTA (fixed τ)"),
        (20, "Proj(4)", "Input Dim"),
        (22, "YOLOv8l", "HOTA"),
        (23, "ByteTrack (fixed τ)", "HOTA"),
        *((1, row, "IDSW") for row in ("ByteTrack", "OC-SORT", "BoTSORT")),
    ]
    for place in known:
        entry = registry.lookup(*place)
        assert entry is not None
        assert entry.remark, place


def test_validation_numbers_of_table_3_are_table_1s_test_numbers() -> None:
    pairs = {"Single Layer (LITE)": "LITE", "Concat + MLP": "MSFP (concat)", "Attention (instance)": "MSFP (attention)"}
    for third, first in pairs.items():
        assert value(3, third, "AssA") == value(1, first, "AssA")


def test_table_10_repeats_table_1() -> None:
    assert [value(10, "MSFP-Track", c) for c in ("HOTA", "IDSW")] == [
        value(1, "MSFP-Track", c) for c in ("HOTA", "IDSW")
    ]


def test_rows_stay_together() -> None:
    for number in SHAPES:
        labels = [e.row for e in registry.table(number)]
        assert len(registry.rows(number)) == 1 + sum(a != b for a, b in pairwise(labels))

"""Verdicts as the report and the notebook show them, from the files of a run."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from msfp.errors import InputError
from msfp.experiment.run import Run, open_run
from msfp.paper import report
from msfp.paper.cells import write_evidence
from msfp.paper.claims import apart, load
from msfp.paper.measure import cell
from msfp.paper.registry import artefact
from msfp.paper.render import write_table
from msfp.paper.report import MADE
from msfp.paper.stamps import evidence_path, intact, stale, stamp, stamp_path, tables_folder
from msfp.paper.verdicts import (
    CONSTRUCTION,
    HARDWARE,
    PRINTED,
    WORDS,
    Verdict,
    dataset,
    frame,
    groups,
    judge,
    line,
)
from tests.conftest import SMALL

CLAIMS = {c.id: c for c in load()}
FOUND = Verdict(
    CLAIMS["dance-ocsort"], "supported", "OC-SORT over MSFP-Track", 1.234, 0.5, 2.0, 0.1, "7 scenes", "points", 0.8
)

JUDGED = "profile=demo"  # as small as a smoke run, whose numbers alone are not judged


def two_tables(made: Run) -> Run:
    """A run that has made two tables of plain numbers."""
    for number, rows in {
        6: [("MSFP-Track", "02", [51.0, 51.5, 52.0]), ("LITE (trained 64-d)", "02", [50.0, 50.0, 50.0])],
        20: [("Total MSFP", "Parameters", [67075.0])],
    }.items():
        cells = [cell(row, column, values, "%" if number == 6 else "") for row, column, values in rows]
        write_table(tables_folder(made), number, cells)
        write_evidence(evidence_path(made, number), cells)
    return made


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return two_tables(open_run("smoke", home=tmp_path, overrides=JUDGED))


@pytest.fixture
def rendered(fresh: Path) -> Run:
    """The same of a run whose worlds are there."""
    return two_tables(open_run("smoke", home=fresh, overrides=f"{SMALL} {JUDGED}"))


def by_id(found: list[Verdict]) -> dict[str, Verdict]:
    return {v.claim.id: v for v in found}


def test_verdicts_come_from_the_files_of_the_run(run: Run) -> None:
    found = by_id(judge(run))
    assert list(found) == list(CLAIMS)
    assert (found["everywhere"].word, found["everywhere"].effect) == ("supported", pytest.approx(1.5))
    assert found["everywhere"].spread == pytest.approx(0.5)
    assert (found["parameters-total"].word, found["parameters-total"].effect) == ("refuted", -225)
    assert found["beta-best"].word == "not testable here"
    assert found["beta-best"].reason == "Table 17 was not made in this run"


def test_a_smoke_run_is_not_judged(fresh: Path) -> None:
    smoke = two_tables(open_run("smoke", home=fresh, overrides=SMALL))
    assert judge(smoke) == []
    (smoke.out / "claims.csv").write_text("of an older version")
    text = report.write(smoke).read_text(encoding="utf-8")
    assert 'id="verdicts"' not in text
    assert not (smoke.out / "claims.csv").exists()
    assert not (smoke.figures / MADE).exists()


def test_a_cell_s_own_reason_is_told(run: Run) -> None:
    from msfp.types import Cell

    reason = "MOT17-04: 8 of 1050 frames present"
    write_table(tables_folder(run), 19, [Cell("OC-SORT", "HOTA", None, source="n/a", reason=reason)])
    assert by_id(judge(run))["dance-ocsort"].reason == reason


def test_a_table_and_its_evidence_of_different_runs_are_refused(run: Run) -> None:
    write_table(tables_folder(run), 6, [cell("MSFP-Track", "02", [60.0]), cell("LITE (trained 64-d)", "02", [50.0])])
    with pytest.raises(InputError, match=r"Table 6, MSFP-Track / 02: shows 60, but was measured as 51\.5; run msfp"):
        judge(run)


def test_a_line_has_effect_interval_seeds_and_paper_apart() -> None:
    shown = line(FOUND)
    assert (shown["effect"], shown["interval"], shown["drawn"]) == ("+1.23 points", "[+0.50, +2.00]", "7 scenes")
    assert (shown["seeds"], shown["paper"], shown["tables"]) == ("seeds ±0.10", "+0.80 points", (19,))
    assert (shown["section"], shown["sign"], shown["style"]) == ("section A.11", "●", "supported")
    assert (shown["notes"], shown["counted"]) == ([], "")
    told = line(replace(FOUND, apart=apart(FOUND.claim, True)))
    assert "wear one costume" in told["notes"][0]
    assert told["counted"] == "decided by construction"
    negative = line(replace(FOUND, effect=-0.001, unit=""))
    assert negative["effect"] == "−0.001"
    assert line(replace(FOUND, effect=-0.0001, unit=""))["effect"] == "0.000"
    assert line(replace(FOUND, effect=5, unit=""))["effect"] == "+5"


def test_every_claim_is_counted_once_and_what_is_apart_is_apart(run: Run) -> None:
    found = judge(run)
    tally = {group.title: group for group in groups(found)}
    assert sorted(id for group in tally.values() for id in group.claims) == sorted(CLAIMS)
    assert list(tally) == [
        "What held", "What did not", "What cannot be told here", CONSTRUCTION, HARDWARE, PRINTED,
    ]  # fmt: skip
    assert {id for id in tally[PRINTED].claims} == {i for i, c in CLAIMS.items() if c.basis == "printed"}
    assert {id for id in tally[HARDWARE].claims} == {i for i, c in CLAIMS.items() if c.apart == "hardware"}
    assert {id for id in tally[CONSTRUCTION].claims} >= {"oscillates", "parameters", "ema-frame"}


def test_what_did_not_hold_says_in_which_way() -> None:
    plain = replace(FOUND, claim=CLAIMS["busca-adds"])
    found = [plain, replace(plain, word="refuted"), replace(plain, word="no difference")]
    found += [
        replace(plain, word="smaller than the paper says", reason=r) for r in ("the sign holds", "the sign is open")
    ]
    held, did_not, untold, *rest = groups(found)
    assert (held.said, len(held.claims)) == ("1 supported", 1)
    assert did_not.said == (
        "2 smaller than the paper says, 1 no difference, 1 refuted; of those that are smaller, the sign holds in 1"
    )
    assert [len(group.claims) for group in (untold, *rest)] == [0, 0, 0, 0]


def test_each_claim_is_of_the_data_set_that_its_table_shows(run: Run) -> None:
    data = run.settings.data
    expected = {
        data.main: ("msfp-lite-mot17", "sparse-higher"),
        data.crowded: ("msfp-lite-mot20", "crowd-lower", "offset-best-mot20"),
        data.cross: ("atl-fixed-cross",),
        data.dance: ("dance-ocsort",),
    }
    for name, claims in expected.items():
        assert {dataset(CLAIMS[claim], run.settings) for claim in claims} == {name}
    for one in judge(run):  # the run's data sets are all embedded
        assert one.claim.basis == "printed" or one.apart == apart(one.claim, True)


def test_the_frame_has_a_row_a_claim(run: Run) -> None:
    table = frame(judge(run))
    assert list(table["id"]) == list(CLAIMS)
    assert set(table["verdict"]) <= set(WORDS)


def test_the_report_opens_with_the_verdicts(rendered: Run) -> None:
    text = report.write(rendered).read_text(encoding="utf-8")
    assert 'id="verdicts"' in text
    for one in judge(rendered):
        assert f'id="claim-{one.claim.id}"' in text
    for group in groups(judge(rendered)):
        assert f"<h3>{group.title.replace(chr(39), '&#39;')} <b>{len(group.claims)}</b></h3>" in text
        assert group.said in text
    assert re.findall("<dt>(.*?)</dt>", text.partition("What the words mean")[2].partition("</dl>")[0]) == list(WORDS)
    assert '<a href="05_tracking.html#table06">6</a>' in text
    differences = (rendered.out / "report" / "differences.html").read_text(encoding="utf-8")
    assert "Dancers of the embedded world" in differences  # in the limits
    with (rendered.out / "claims.csv").open(encoding="utf-8") as file:
        untimed = [row["id"] for row in csv.DictReader(file)]
    with (rendered.out / "claims-time.csv").open(encoding="utf-8") as file:
        timed = [row["id"] for row in csv.DictReader(file)]
    assert {"real-time", "lite-speedup", "atl-heuristics-time", "roialign-cost"} <= set(timed)
    assert [name for name in CLAIMS if name not in timed] == untimed
    assert json.loads((rendered.out / "manifest.json").read_text())
    made = json.loads((rendered.figures / MADE).read_text())
    assert (made["figures"], made["claims"]["supported"]) == (
        {},
        sum(len(g.claims) for g in groups(judge(rendered))[:1]),
    )


def test_what_the_clock_decides_stands_in_a_file_of_its_own(rendered: Run) -> None:
    said, claim = [], CLAIMS["lite-speedup"]
    for total in (9.0, 1.0):
        times = {**dict.fromkeys(claim.a, total), **dict.fromkeys((*claim.b, "LITE (trained 64-d)"), 3.0)}
        cells = [cell(row, column, [value], "ms") for row, value in times.items() for column in claim.columns]
        write_table(tables_folder(rendered), 7, cells)
        write_evidence(evidence_path(rendered, 7), cells)
        report.write(rendered)
        said.append([(rendered.out / f"{name}.csv").read_bytes() for name in ("claims", "claims-time")])
    assert said[0][0] == said[1][0]
    assert said[0][1] != said[1][1]


def test_a_table_altered_after_it_was_made_is_refused_by_name(run: Run) -> None:
    number = 6
    path = tables_folder(run) / "table06.json"
    files = (path, evidence_path(run, number))
    stamp(run, artefact("table", number), files)
    whole = [file.read_bytes() for file in files]
    judge(run)
    for file, data in zip(files, whole, strict=True):
        for spoiled in (data.replace(b"5", b"6", 1), data[: len(data) // 2], b""):
            file.write_bytes(spoiled)
            with pytest.raises(InputError, match=rf"{file.name} was altered after it was made: run msfp table 6"):
                judge(run)
            assert not intact(run)(file)
            assert "altered" in stale(run, "table", number)
        file.write_bytes(data)
    judge(run)
    assert intact(run)(path)
    for cut in ("", "[]", "{}", '{"fingerprint": "x"}'):
        stamp_path(run, artefact("table", number).id).write_text(cut)
        assert "is missing" in stale(run, "table", number)


def test_real_data_are_not_told_what_embedded_worlds_decide() -> None:
    assert line(FOUND, embedded=False)["notes"] == []
    on_worlds = replace(FOUND, apart=apart(FOUND.claim, True))
    assert report.by_construction([on_worlds], True) == [
        "Dancers of the embedded world wear one costume and change places on the beat: appearance says little "
        "(`dance-ocsort`)."
    ]
    assert report.by_construction([FOUND], False) == []

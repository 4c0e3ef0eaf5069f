"""Table 105 on small folders: AssA of all boxes is the tables' own, switches add up, and each is a line of the file."""

import csv

import pytest

from msfp.paper.measured_cells import tracking_cells
from msfp.paper.methods import LITE, MSFP_TRACK
from msfp.paper.registry import get_table
from msfp.paper.tables.conditions import COLUMNS, EVENTS, FILE, HEAD
from msfp.paper.tracking_rows import measure_rows
from msfp.pipeline import data
from msfp.pipeline.run import Run

from .conftest import LENGTH, Make

SMALL = {"data.embedded": None, "training.identities": 2, "training.instances": 2, "tuning": "released"}


@pytest.fixture
def run(make_run: Make) -> Run:
    return make_run({"MOT17-02-SDP": LENGTH, "MOT17-02-FRCNN": 0}, **SMALL)


def test_all_boxes_together_have_the_association_accuracy_of_the_other_tables(run: Run) -> None:
    found = {(c.row, c.column): c for c in get_table(105)(run)}
    rows = list(dict.fromkeys(row for row, _ in found))
    (fold,) = data.folds(run, "mot17")
    for label, groups in measure_rows(run, (LITE, MSFP_TRACK), fold).items():
        for one in tracking_cells(label, groups, ["AssA", "IDSW"]):
            mine = found[label, "AssA, all" if one.column == "AssA" else one.column]
            assert mine.value == pytest.approx(one.value, abs=1e-9)
    with (run.out / FILE).open(newline="") as file:
        lines = list(csv.DictReader(file))
    for row in rows:
        assert {column for label, column in found if label == row} == {*COLUMNS, *EVENTS}
        causes = [float(found[row, column].value or 0) for column in EVENTS]
        assert causes[0] == pytest.approx(sum(causes[1:]))
        mine = [line for line in lines if line["row"] == row]
        assert causes[0] == pytest.approx(len(mine) / len(run.settings.seeds))
    assert (run.out / FILE).read_text().splitlines()[0] == ",".join(HEAD)


def test_without_pixels_rows_say_so(make_run: Make) -> None:
    cells = get_table(105)(make_run({"MOT17-02-SDP": 3}, **SMALL))
    assert {c.source for c in cells} == {"n/a"}
    assert all("3 of 9 frames present" in c.reason for c in cells)

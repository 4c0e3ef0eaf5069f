"""Table 105 on small folders: AssA of all boxes is the tables' own, switches add up, and each is a line of the file."""

import csv

import pytest

from msfp.experiment import data
from msfp.experiment.methods import evaluate
from msfp.experiment.run import Run
from msfp.metrics.switches import CAUSES
from msfp.paper.measure import tracking_cells
from msfp.paper.methods import LITE, MSFP_TRACK
from tests.tables import cells_of, made

from .conftest import LENGTH, Make

pytestmark = [pytest.mark.xdist_group("tables"), pytest.mark.usefixtures("kept")]

PROPERTIES = (
    "all",
    "small",
    "medium",
    "large",
    "in sight",
    "partly hidden",
    "hidden",
    "after a gap",
    "small less large",
)
EVENTS = ("IDSW", *(f"IDSW, {cause}" for cause in CAUSES))
HEAD = "row,seed,sequence,frame,person,before,after,cause,frames missed,least visible,overlap,area"
SMALL = {"data.embedded": None, "training.identities": 2, "training.instances": 2, "tuning": "released"}


@pytest.fixture
def run(make_run: Make) -> Run:
    return make_run({"MOT17-02-SDP": LENGTH, "MOT17-02-FRCNN": 0}, **SMALL)


def test_all_boxes_together_have_the_association_accuracy_of_the_other_tables(run: Run) -> None:
    found = made(run, 105)
    rows = list(dict.fromkeys(row for row, _ in found))
    evaluated = evaluate(run, (LITE, MSFP_TRACK), data.folds(run, "mot17"))
    for one in tracking_cells(evaluated, ["AssA", "IDSW"]):
        mine = found[one.row, "AssA, all" if one.column == "AssA" else one.column]
        assert mine.value == pytest.approx(one.value, abs=1e-9)
    with (run.out / "switches.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    for row in rows:
        assert {column for label, column in found if label == row} == {
            *(f"AssA, {name}" for name in PROPERTIES),
            *EVENTS,
        }
        causes = [float(found[row, column].value or 0) for column in EVENTS]
        assert causes[0] == pytest.approx(sum(causes[1:]))
        mine = [line for line in lines if line["row"] == row]
        assert causes[0] == pytest.approx(len(mine) / len(run.settings.seeds))
    assert (run.out / "switches.csv").read_text().splitlines()[0] == HEAD


def test_without_pixels_rows_say_so(make_run: Make) -> None:
    cells = cells_of(make_run({"MOT17-02-SDP": 3}, **SMALL), 105)
    assert {c.source for c in cells} == {"n/a"}
    assert all("3 of 9 frames present" in c.reason for c in cells)

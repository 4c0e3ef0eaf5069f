"""The table of leakage: the same frames under three protocols, differences that add up, and reasons for gaps."""

import pytest

from msfp.errors import NotComputable
from msfp.experiment import data
from msfp.experiment.heads import train_heads
from msfp.experiment.methods import looks_of_seeds
from msfp.paper.cells import MeasuredCell
from msfp.paper.methods import AGGREGATIONS, LITE, LITE_FREE, MSFP_ATTENTION, MSFP_CONCAT, MSFP_TRACK
from tests.notebooks.plain import plain
from tests.tables import cells_of, made

from .conftest import LENGTH, Make

ROWS = (LITE_FREE, LITE, MSFP_CONCAT, MSFP_ATTENTION, MSFP_TRACK)
ONE_SCENE = "one training scene only: there is no other to learn from"
pytestmark = pytest.mark.xdist_group("leakage")


@pytest.fixture(scope="module")
def sequences() -> dict[str, int]:
    return {f"MOT17-{n}-SDP": LENGTH for n in ("02", "04", "09")}


def test_differences_are_of_the_same_frames(make_run: Make, sequences: dict[str, int]) -> None:
    run = make_run(sequences)
    cells = cells_of(run, 101)
    found = {(c.row, c.column): c for c in cells}
    assert len(found) == len(cells)
    assert {c.source for c in cells} == {"measured"}, {c.reason for c in cells}
    value = {key: float(c.value) for key, c in found.items()}  # type: ignore[arg-type]
    for row in (r.row for r in ROWS):
        for measure in ("HOTA", "AUC"):
            apart = value[row, f"{measure}, paper"] - value[row, f"{measure}, loso"]
            assert value[row, f"leakage in {measure}"] == pytest.approx(apart, abs=1e-9)
        gained = value[row, "HOTA gain, paper"] - value[row, "HOTA gain, loso"]
        assert gained == pytest.approx(value[row, "leakage in HOTA"], abs=1e-9)
    free = ROWS[0].row
    for measure in ("HOTA", "AUC"):
        alike = {value[free, f"{measure}, {name}"] for name in ("half", "loso", "paper")}
        assert max(alike) - min(alike) < 1e-9  # what learns nothing leaks nothing
        assert value[free, f"leakage in {measure}"] == pytest.approx(0, abs=1e-9)
    one = found["LITE (trained 64-d)", "leakage in HOTA"]
    assert isinstance(one, MeasuredCell)
    assert one.detail["drawn"] == "3 scenes"
    assert one.detail["95 % interval"] == "an interval takes 6 scenes; here: 3"


def test_one_scene_has_no_other_to_learn_from(make_run: Make) -> None:
    found = made(make_run({"MOT17-02-SDP": LENGTH}), 101)
    assert (
        found["LITE (trained 64-d)", "HOTA, loso"].reason
        == found["LITE (trained 64-d)", "leakage in HOTA"].reason
        == ONE_SCENE
    )
    assert (
        found["LITE (trained 64-d)", "HOTA, half"].source
        == found["LITE (trained 64-d)", "HOTA, paper"].source
        == "measured"
    )


def test_missing_frames_are_told(make_run: Make) -> None:
    found = cells_of(make_run({"MOT17-02-SDP": LENGTH, "MOT17-04-SDP": 4}), 101)
    told = {c.reason for c in found if c.source == "n/a"}
    assert any("MOT17-04: 4 of 9 frames present" in reason for reason in told)


def test_heads_trained_beforehand_leave_none(make_run: Make, sequences: dict[str, int]) -> None:
    run = make_run(sequences, tuning="released")  # a selection trains heads of its own
    learn = data.folds(run, "mot17")[0].learn
    looks = [look for name in AGGREGATIONS.values() for look in looks_of_seeds(name, learn, run.settings.seeds)]
    train_heads(run, [*looks, *plain("06").looks_of_protocols(run, ROWS)])
    trained = run.store.misses["head"]
    assert trained > 0
    cells_of(run, 101)
    assert run.store.misses["head"] == trained


def test_without_a_training_sequence_there_is_no_table(make_run: Make, sequences: dict[str, int]) -> None:
    run = make_run(sequences, **{"data.learn_from": ("nowhere-*",)})
    with pytest.raises(NotComputable, match="no training sequence"):
        cells_of(run, 101)

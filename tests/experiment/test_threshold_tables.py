"""Tables on thresholds over small folders: the paper's rows, what is computed, and reasons where there is nothing."""

import numpy as np
import pytest

from msfp.experiment import data
from msfp.experiment.run import Run
from msfp.experiment.thresholds import Threshold
from msfp.experiment.tracks import atl_thresholds
from msfp.paper import registry
from tests.notebooks.plain import plain
from tests.tables import made, notebook_run

from .conftest import LENGTH, Make

pytestmark = [pytest.mark.xdist_group("tables"), pytest.mark.usefixtures("kept")]

ALONE = {"data.embedded": None, "training.identities": 2, "training.instances": 2}
CALIBRATED = " · calibrated scores"
BOUNDS = {
    "[0.01, 0.30]": (0.01, 0.30),
    "[0.01, 0.50] (default)": (0.01, 0.50),
    "[0.01, 0.70]": (0.01, 0.70),
    "[0.05, 0.50]": (0.05, 0.50),
}


def small(make_run: Make, frames: int = LENGTH, **settings: object) -> Run:
    return make_run({"MOT17-02-SDP": frames, "MOT17-02-FRCNN": 0}, **{**ALONE, **settings})


@pytest.mark.parametrize("number", [8, 9, 12, 14, 17, 21])
def test_every_entry_of_the_paper_is_measured_or_says_why(make_run: Make, number: int) -> None:
    cells = made(small(make_run), number)
    for entry in registry.table(number):
        cell = cells[entry.row, entry.column]
        assert cell.source == "measured" or cell.reason, entry
    assert sum(cell.source == "measured" for cell in cells.values()) > 5


@pytest.mark.parametrize("number", [8, 9, 14, 17])
def test_without_pixels_learned_rows_say_so(make_run: Make, number: int) -> None:
    cells = made(small(make_run, frames=3), number)
    for entry in registry.table(number):
        cell = cells[entry.row, entry.column]
        if entry.column in ("Tuning", "Runtime", "Stability"):
            continue
        assert cell.source == "n/a"
        assert "3 of 9 frames present" in cell.reason or "no data of another domain" in cell.reason


def test_rules_that_see_scores_only_need_no_pixels(make_run: Make) -> None:
    cells = made(small(make_run, frames=3), 8)
    for row in ("Fixed τ=0.25", "Per-sequence grid search", "Steepest-drop heuristic", "Percentile-based (p=0.85)"):
        assert cells[f"{row} · motion only", "HOTA"].source == "measured"
    assert ("ATL (ours) · motion only", "HOTA") not in cells


def test_rederived_rows_are_marked(make_run: Make) -> None:
    run = small(make_run)
    for number, rows in ((8, 1), (14, 3)):
        marked = {row for (row, _), cell in made(run, number).items() if cell.reason.startswith("re-derived")}
        assert len({row for row in marked if "·" not in row}) == rows, number


@pytest.mark.parametrize("number", [5, 8, 9, 14, 17, 21])
def test_rules_on_calibrated_scores_stand_beside_them(make_run: Make, number: int) -> None:
    run = small(make_run)
    cells = made(run, number)
    raw = {row for row, column in cells if cells[row, column].source == "measured" and " · " not in row}
    scored = {row.removesuffix(CALIBRATED) for row, _ in cells if row.endswith(CALIBRATED)}
    assert scored >= {entry.row for entry in registry.table(number) if entry.row in raw}
    assert {run.settings.scores, *(r.settings.scores for r in notebook_run(run)._variants.values())} == {
        "raw",
        "calibrated",
    }
    alone = made(run.variant(scores="calibrated"), number)
    assert not any(row.endswith(CALIBRATED) for row, _ in alone), "once, where all scores are calibrated"
    for (row, column), cell in cells.items():
        if row.endswith(CALIBRATED) and cell.source == "measured":
            assert cell.value == alone[row.removesuffix(CALIBRATED), column].value


def test_average_threshold_lies_within_its_bounds(make_run: Make) -> None:
    cells = made(small(make_run), 9)
    for row, (low, high) in BOUNDS.items():
        for label in (row, f"{row} · SDP", f"{row} · FRCNN"):
            assert low < float(cells[label, "Avg τ predicted"].value or 0) < high
    one, other = (float(cells[row, "Avg τ predicted"].value or 0) for row in ("[0.01, 0.30]", "[0.01, 0.70]"))
    assert one < other


def test_smoothing_from_none_to_one_threshold_a_sequence(make_run: Make) -> None:
    cells = made(small(make_run, **{"atl.dropout": 0.0, "training.learning_rate": 0.01}), 17)
    rows = list(dict.fromkeys(row for row, _ in cells if not row.endswith(CALIBRATED)))
    changes = [float(cells[row, "mean |Δτ| a frame, thousandths"].value or 0) for row in rows]
    assert changes == sorted(changes, reverse=True)
    assert changes[0] > 0 == changes[-1]
    assert [cells[rows[i], "change left"].value for i in (0, -1)] == [100, 0]
    assert all(cells[row, "Stability"].source == "n/a" for row in rows), "a word without a rule is no measurement"
    assert cells[rows[-1], "τ std"].value == 0


def test_course_of_thresholds_is_its_definition() -> None:
    std, change = plain("04").movement([np.float32([0.1, 0.3, 0.2]), np.float32([0.4, 0.4])])
    assert change == pytest.approx((0.15 + 0) / 2)
    assert std == pytest.approx(np.std([0.1, 0.3, 0.2]) / 2, rel=1e-5)


@pytest.mark.parametrize("beta", [0.0, 0.7, 0.9, 0.95, 1.0])
def test_change_left_of_noise_without_memory(beta: float) -> None:
    from msfp.tracking.thresholds import smooth

    raw = np.random.default_rng(0).normal(0.25, 0.05, 20000)
    movement = plain("04").movement
    left = movement([smooth(raw, "ema", beta)])[1] / movement([raw])[1]
    assert left == pytest.approx((1 - beta) / np.sqrt(1 + beta), abs=0.01)


def test_offsets_in_both_readings(make_run: Make) -> None:
    """The paper's row is the reading that is set; centered moves the thresholds by the mean target less."""
    run = small(make_run, **{"atl.dropout": 0.0})
    part = data.folds(run, "mot17")[0]
    taus = {
        way: atl_thresholds(
            run, part.evaluate[0], "SDP", Threshold("atl", mode="offset", learn=part.learn, changes=changes)
        )
        for way, changes in {"set": (), **{w: (("offset", w),) for w in ("literal", "centered")}}.items()
    }
    assert np.array_equal(taus["set"], taus["literal"])
    assert (taus["literal"][:, 0] >= run.settings.atl.base_high).all()
    assert (taus["centered"][:, 0] < taus["literal"][:, 0]).all()
    cells = made(run, 5)
    assert {cells[f"ATL + fixed offset ({way})", "MOT17"].source for way in ("literal", "centered")} == {"measured"}
    assert cells["ATL + fixed offset (literal)", "MOT17"].value == cells["ATL + fixed offset", "MOT17"].value


def test_gap_is_what_is_lost(make_run: Make) -> None:
    """Two real sets by name: the second folder's sequence plays the crowded one."""
    run = small(make_run, **{"data.crowded": "mot17", "training.learning_rate": 0.05})
    cells = made(run, 21)
    own, moved = (float(cells[r, "MOT20-val"].value or 0) for r in ("ATL (same dataset)", "ATL (MOT17→MOT20)"))
    assert own == moved  # the same data under both names
    assert cells["ATL (MOT17→MOT20)", "Gap"].value == 0
    assert cells["ATL (MOT17→MOT20)", "MOT17-val"].value == "–"
    assert cells["Fixed τ=0.25", "Gap"].value == "–"


def test_protocol_tells_what_was_learned_from(make_run: Make) -> None:
    cells = made(small(make_run), 12)
    learned = str(cells["ATL (MOT17)", "Training Data"].value)
    assert learned == "mot17: first half of 1 train sequence (02), 4 frames (half)"
    assert str(cells["ATL (MOT17)", "Used For"].value).startswith(
        "mot17: second half of 1 train sequence (02), 5 frames"
    )
    assert "leak" not in str(cells["ATL (MOT17)", "Notes"].value)
    assert "profile mot17 has no crowded data set" in cells["ATL (MOT20)", "Notes"].reason


def test_protocol_tells_what_leaks(make_run: Make) -> None:
    leaking = made(small(make_run, split="paper"), 12)
    assert "evaluated on frames it learned from" in str(leaking["ATL (MOT17)", "Notes"].value)


def test_protocol_tells_what_could_not_be_learned_from(make_run: Make) -> None:
    partial = made(small(make_run, frames=3), 12)
    assert "3 of 9 frames present" in partial["Fusion (MSFP)", "Training Data"].reason


def test_stretches_are_named(make_run: Make) -> None:
    (scene,) = data.scenes(small(make_run), "mot17")
    assert plain("05").spans([data.Part(scene, 2, 3)]) == "mot17: frames 2 to 3 of 1 train sequence (02), 2 frames"

"""Timing: which frames, what is counted where, and what is said where something cannot be timed."""

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from msfp.errors import InputError, NotComputable
from msfp.experiment import data, speed
from msfp.experiment.run import Run
from msfp.experiment.speed import CUT, DETECTOR, PREPARE, Course, Speeds
from msfp.experiment.tracks import Method
from msfp.metrics.bootstrap import draws
from msfp.paper import registry, timing
from msfp.paper.measure import NO_TIME
from msfp.paper.methods import BYTETRACK, DEEPSORT, LITE, MSFP_TRACK, TABLE_1
from msfp.paper.stamps import TIMED as TIMED_APART
from msfp.paper.stamps import TIMES, with_times
from msfp.types import Cell
from tests.notebooks.plain import plain
from tests.tables import cells_of, notebook_run

Make = Callable[..., Run]
TIMED = (7, 11, 15, 24)
PLAIN = plain("07", "DETECTION", "CUT_NETWORK", "NEEDS_MAPS")
UNSELECTED = {"input.reid_weights": "random-init", "tuning": "first"}  # what is chosen takes as long


def parts_of(run: Run) -> list[data.Part]:
    return [data.whole(s) for s in data.scenes(run, run.settings.data.main)]


def test_the_longest_stretch_with_pixels_is_taken(make_run: Make) -> None:
    run = make_run({"MOT17-02-SDP": 4, "MOT17-04-SDP": 9})
    found = speed.stretch(parts_of(run))
    assert (found.part.scene.name, found.part.first, found.part.last) == ("MOT17-04", 1, 9)
    assert found.warm_up == 2
    assert found.pixels


def test_without_pixels_motion_alone_is_timed(make_run: Make) -> None:
    run = make_run({"MOT17-02-SDP": 0})
    found = speed.measure(run, [row.configured((), 0) for row in (BYTETRACK, LITE)], parts_of(run))
    assert PLAIN.alone(found, "ByteTrack").shape == (7,)
    with pytest.raises(NotComputable, match=r"MOT17-02: 0 of 9 frames present"):
        PLAIN.alone(found, "LITE (trained 64-d)")
    with pytest.raises(NotComputable, match="detector"):
        PLAIN.unified(found, "ByteTrack")


def test_labels_come_once(make_run: Make) -> None:
    run = make_run({"MOT17-02-SDP": 0})
    twice = [Method("a", "sort"), Method("a", "bytetrack")]
    with pytest.raises(InputError, match="not distinct"):
        speed.measure(run, twice, parts_of(run))


def test_times_are_sums_of_the_parts_that_a_protocol_counts() -> None:
    ones = np.ones(2)
    stages = {PREPARE: ones, DETECTOR: 10 * ones, CUT: 5 * ones, "p": 2 * ones, "h": 3 * ones, "atl": ones, "a": ones}
    maps = Course(pooling=("p",), embedding=("h",), atl=("atl",), assoc=("a",), taps=True)
    courses = {"maps": maps, "crops": replace(maps, pooling=(), atl=(), taps=False), "motion": Course(assoc=("a",))}
    found = Speeds(stages, courses, {"gone": "no weights"}, {"pixels": ""})
    assert PLAIN.unified(found, "maps").tolist() == [18.0, 18.0]
    assert PLAIN.alone(found, "maps").tolist() == [13.0, 13.0]
    assert PLAIN.alone(found, "crops").tolist() == [4.0, 4.0]
    assert PLAIN.unified(found, "motion").tolist() == [12.0, 12.0]
    assert PLAIN.alone(found, "motion").tolist() == [1.0, 1.0]
    for label in ("gone", f"gone{speed.OF_RESNET}"):  # a variant of a method lacks what the method lacks
        with pytest.raises(NotComputable, match="no weights"):
            PLAIN.unified(found, label)
    with pytest.raises(NotComputable, match="never was not timed"):
        PLAIN.unified(found, "never")


def test_all_rows_are_timed_on_frames_and_the_record_is_kept(make_run: Make) -> None:
    run = make_run({"MOT17-02-SDP": 9}, **{"input.reid_weights": "random-init"})
    measured = {number: cells_of(run, number) for number in TIMED}
    for number, cells in measured.items():
        assert all(c.value is None or float(c.value) > 0 for c in cells), number
    by_place = {(c.row, c.column): c for cells in measured.values() for c in cells}
    for row in ("DeepSORT", "LITE (trained 64-d)", "MSFP-Track"):
        total = by_place[row, "Total"]
        assert total.std is not None
        assert total.detail["frames"] == 7
    assert "deepest tapped layer" in by_place["MSFP-Track", "A: ms/frame"].reason
    assert "feature maps" in by_place["LITE (trained 64-d)", "ReID-only"].reason
    run = notebook_run(run)
    record = json.loads((run.out / "speed.json").read_text())
    assert set(record["about"]) >= {"cpu", "gpu", "threads", "detector", "input", "frames", "measured"}
    assert len(record["milliseconds"][DETECTOR]) == 7
    assert any(note.startswith("Times: measured on") and "RTX 3090" in note for note in run.notes)
    found = timing.timings(run)
    assert found is timing.timings(run)
    assert found.course(MSFP_TRACK.row).atl


def test_the_interval_of_a_time_is_that_of_the_frames_median() -> None:
    values = np.random.default_rng(0).gamma(4.0, 2.0, 24)
    sample = timing.frames_sample(values)
    assert sample.value == np.median(values)
    counts = draws(sample.units)
    for one, drawn in zip(counts[:50].astype(int), sample.replicates, strict=False):
        assert np.median(np.repeat(values, one)) == pytest.approx(drawn.item())
    low, high = np.quantile(sample.replicates, (0.025, 0.975))
    assert 0 < low < sample.value < high
    detail = timing.time_cell("row", "Total", values).detail
    assert detail["95 % interval"] == f"{low:.4g} to {high:.4g}"


def test_a_separate_network_of_resnet_50s_size_is_timed_and_named(
    make_run: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run({"MOT17-02-SDP": 9}, **UNSELECTED, **{"input.reid_size": (32, 64)})
    found = speed.measure(run, [DEEPSORT.configured((), 0)], parts_of(run))
    monkeypatch.setattr(timing, "timings", lambda _: found)
    columns = [("ReID", PLAIN.reid), ("Total", PLAIN.unified)]
    small, large = (PLAIN.time_cells(run, label, columns)[0] for label in ("DeepSORT", timing.LARGE))
    assert small.reason == "ReID: OSNet x0.25 on crops of 32x64"
    assert large.reason.startswith("ReID: ResNet-50 (random weights")
    assert float(large.value or 0) > float(small.value or 0)
    resnet = Speeds({"a": np.arange(5.0), "b": np.ones(2)}, {}, {}, {"pixels": ""})
    assert resnet.total("a", "b").tolist() == [4.0, 5.0]
    assert found.about["ReID"] == "OSNet x0.25 on crops of 32x64"


def test_times_of_the_ablations_stand_in_a_table_of_their_own_and_in_the_report(
    make_run: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run({"MOT17-02-SDP": 9}, **UNSELECTED)
    missing = {row.row: "not timed here" for row in TABLE_1}
    monkeypatch.setattr(timing, "timings", lambda _: Speeds({}, {}, missing, {}))
    cells = cells_of(run, TIMES)
    assert {c.reason for c in cells if c.column == "FPS"} == {"not timed here"}
    times = {(c.row, c.column): c for c in cells if c.column != "FPS"}
    assert all(c.source == "measured" and float(c.value or 0) > 0 for c in times.values()), times
    known = {number: {(e.row, e.column) for e in registry.table(number)} for number in TIMED_APART}
    for place in times:
        assert place in set().union(*known.values()), place
    wanted = [(8, "Runtime", "ATL (ours)"), (13, "ms/frame", "RoIAlign (ours)"), (16, "ms/frame", "Single level (L14)")]
    for number, column, row in wanted:
        lacking = [
            Cell(row, column, None, source="n/a", reason=NO_TIME),
            Cell("other", column, None, source="n/a", reason="x"),
        ]
        shown = with_times({number: lacking, TIMES: list(times.values())})[number]
        assert shown == [times[row, column], lacking[1]]
        assert with_times({number: lacking})[number] == lacking


def test_pareto_front() -> None:
    pareto = plain("07").pareto
    points = [(1.0, 9.0), (2.0, 8.0), (2.0, 7.0), (3.0, 8.0), (0.5, 9.0), (4.0, 1.0)]
    assert sorted(pareto(points)) == [(1.0, 9.0), (3.0, 8.0), (4.0, 1.0)]
    assert pareto([(1.0, 1.0), (1.0, 1.0)]) == [(1.0, 1.0)]

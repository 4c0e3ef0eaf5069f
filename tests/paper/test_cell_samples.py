"""What stands behind a cell survives its file, and gives the number that the cell shows."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from msfp.errors import InputError, NotComputable
from msfp.experiment.data import whole
from msfp.experiment.methods import as_frame, difference, tracked
from msfp.experiment.scores import Measured
from msfp.experiment.tracks import Method
from msfp.metrics import hota
from msfp.metrics.bootstrap import Sample
from msfp.paper.cells import Evidence, read_cells, read_evidence, write_cells, write_evidence
from msfp.paper.measure import attempt, cell, difference_cell, tracking_cells
from msfp.types import Cell, GroundTruth, Scene, Sequence, Tracks

DETECTORS = ("DPM", "SDP")


def scored(scene: int, detector: str, quality: float, seed: int) -> Measured:
    """One sequence of ten people, of whose boxes a share is tracked and a share exchanged."""
    rng = np.random.default_rng([scene, seed, DETECTORS.index(detector)])
    frame, person = np.repeat(np.arange(1, 21, dtype=np.int32), 10), np.tile(np.arange(1, 11, dtype=np.int32), 20)
    tlwh = np.stack([person * 100.0, np.zeros(200), np.full(200, 20.0), np.full(200, 40.0)], axis=1)
    one = np.ones(200, np.float32)
    truth = GroundTruth(frame, person, tlwh, one, one.astype(np.int32), one)
    kept = rng.random(200) < quality
    exchanged = np.where(rng.random(200) < 1 - quality, person % 10 + 11, person)
    found = Tracks(frame[kept], exchanged[kept].astype(np.int32), tlwh[kept], one[kept])
    name = f"S-{scene:02d}-{detector}"
    sequence = Sequence(name, "mot17", "train", Path(name), 30, 20, 1200, 100)
    part = whole(Scene(f"S-{scene:02d}", sequence, (sequence,)))
    return Measured(Method("m", "sort"), part, sequence, hota.score(hota.prepare(truth, 20), found))


def group(quality: float, seeds: int = 2, scenes: int = 6, row: str = "LITE (trained 64-d)") -> pd.DataFrame:
    """The lines of one row, as `run.evaluate` gives them."""
    each = []
    for seed in range(seeds):
        measured = [scored(s, d, quality + 0.02 * s, seed) for s in range(scenes) for d in DETECTORS]
        each.append(as_frame(row, measured).assign(seed=seed))
    return pd.concat(each, ignore_index=True)


@pytest.fixture
def through(tmp_path: Path) -> Callable[[list[Cell]], Evidence]:
    def write_and_read(cells: list[Cell]) -> Evidence:
        path = tmp_path / "measured" / "table01.safetensors"
        write_evidence(path, cells)
        return read_evidence(path)

    return write_and_read


def test_a_tracking_cell_is_recomputed_from_its_sequences(through) -> None:
    columns = {name: name for name in ("HOTA", "AssA", "DetA", "IDF1", "MOTA", "IDSW")} | {"HOTA": "MOT17"}
    cells = tracking_cells(group(0.8), columns)
    found = through(cells)
    for one in cells:
        sample = found.sample("LITE (trained 64-d)", one.column)
        assert sample.value == pytest.approx(one.value, abs=1e-10)
        assert sample.spread == pytest.approx(one.std, abs=1e-10)
        assert sample.units == tuple(f"S-{s:02d}" for s in range(6))
        low, high = sample.interval()
        assert low <= sample.value <= high


def test_detectors_of_a_scene_are_one_unit() -> None:
    scores = tracked(group(0.8))
    assert len(scores.scenes) == 12
    assert len(scores.units) == 6


def test_people_and_plain_values_survive(through) -> None:
    people = Sample(np.array([0.9, 0.8]), np.linspace(0, 1, 50).reshape(25, 2), ("a/1", "a/2", "b/1", "b/2"), "people")
    found = through([attempt("row", "AUC", lambda: [0.9, 0.8], basis=lambda: people), cell("row", "Dim", [64.0, 64.0])])
    again = found.sample("row", "AUC")
    assert (again.units, again.kind) == (people.units, "people")
    assert (again.replicates == people.replicates).all()
    assert found.sample("row", "Dim").seeds.tolist() == [64, 64]
    with pytest.raises(NotComputable, match="not measured unit by unit"):
        found.sample("row", "Dim").interval()


def test_views_of_larger_arrays_survive(through) -> None:
    """As a column of a matrix is one: what is written is what it shows, not the memory that it begins at."""
    both = np.arange(60.0).reshape(3, 20)
    sample = Sample(both[:, 0], both[:, 1:].T, ("a", "b"))
    again = through([attempt("row", "AUC", lambda: sample.seeds.tolist(), basis=lambda: sample)]).sample("row", "AUC")
    assert again.seeds.tolist() == [0, 20, 40]
    assert (again.replicates == both[:, 1:].T).all()


def test_what_was_not_measured_says_so(through, tmp_path: Path) -> None:
    found = through([Cell("row", "HOTA", None, source="n/a", reason="no pixels"), Cell("row", "Layers", "GAP")])
    for column in ("HOTA", "Layers", "IDSW"):
        with pytest.raises(NotComputable, match=f"row / {column} was not measured"):
            found.sample("row", column)
    with pytest.raises(NotComputable):
        read_evidence(tmp_path / "nothing").sample("row", "HOTA")
    (tmp_path / "broken").write_bytes(b"broken")
    with pytest.raises(InputError, match="broken: not a file of evidence"):
        read_evidence(tmp_path / "broken")


def test_a_missing_score_gives_its_reason() -> None:
    runs = group(0.8, 1)
    runs.loc[3, ["score", "reason"]] = [None, "8 of 1050 frames present"]
    with pytest.raises(NotComputable, match="8 of 1050"):
        tracked(runs)
    assert {c.reason for c in tracking_cells(runs, ["HOTA"])} == {"8 of 1050 frames present"}


def test_the_printed_cells_stay_as_they_were(tmp_path: Path) -> None:
    cells = tracking_cells(group(0.8, 1, 1), ["HOTA"])
    plain = [Cell(c.row, c.column, c.value, c.std, c.source, c.reason, c.unit, c.detail) for c in cells]
    assert write_cells(tmp_path / "a", cells).read_bytes() == write_cells(tmp_path / "b", plain).read_bytes()
    assert read_cells(tmp_path / "a") == plain


def test_lines_of_each_detector_follow_the_whole() -> None:
    cells = tracking_cells(group(0.8, 1), ["HOTA"], by_detector=True)
    assert [c.row for c in cells] == ["LITE (trained 64-d)", *(f"LITE (trained 64-d) · {d}" for d in DETECTORS)]
    lines = group(0.8, 1)
    assert cells[2].value == tracking_cells(lines[lines.detector == "SDP"], ["HOTA"])[0].value
    assert len(tracking_cells(lines[lines.detector == "SDP"], ["HOTA"], by_detector=True)) == 1


def test_a_difference_is_taken_seed_by_seed() -> None:
    """With its spread over seeds, and draws of scenes in which both rows have the same."""
    both = pd.concat([group(0.8), group(0.7, row="other")])
    found = difference_cell(both, "LITE (trained 64-d)", "other", ("Δ", "HOTA"))
    hota = [tracking_cells(lines, ["HOTA"])[0].seeds for _, lines in both.groupby("row", sort=False)]
    assert found.seeds == pytest.approx([a - b for a, b in zip(*hota, strict=True)])
    assert found.basis.value == pytest.approx(difference(both, "LITE (trained 64-d)", "other").value)
    both.loc[both.row == "other", ["score", "reason"]] = [None, "no pixels"]
    lacking = difference_cell(both, "LITE (trained 64-d)", "other", ("Δ", "HOTA"))
    assert (lacking.source, lacking.reason) == ("n/a", "no pixels")

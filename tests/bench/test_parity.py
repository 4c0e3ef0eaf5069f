"""The parity table: what it says of ours still holds, and no pair is beyond its limits."""

from pathlib import Path

import numpy as np
import pytest

from bench.parity import LIMITS, rows_before, table
from bench.parity_pairs import PAIRS
from msfp.data import catalog
from msfp.data.motchallenge import read_detections, read_ground_truth
from msfp.metrics.hota import evaluate
from msfp.metrics.scores import combine
from msfp.tracking import make, track
from msfp.types import Detections

TABLE = Path(__file__).resolve().parents[2] / "bench/PARITY.md"


def rows() -> dict[tuple[str, str], list[str]]:
    """Cells of the table by reference and tracker: HOTA, IDF1, MOTA, IDSW (theirs / ours), times, verdict."""
    lines = [line.strip("|").split("|") for line in TABLE.read_text(encoding="utf-8").splitlines() if "|" in line][2:]
    return {(cells[0].strip(), cells[1].strip()): [cell.strip() for cell in cells[2:]] for cells in lines}


def test_every_pair_is_there_and_those_that_claim_the_same_are_within_the_limits() -> None:
    found = rows()
    assert set(found) == {(pair.reference, pair.tracker) for pair in PAIRS}
    for pair in PAIRS:
        cells = found[pair.reference, pair.tracker]
        assert cells[-1] == ("parity" if pair.claims else "another algorithm")
        assert pair.claims or pair.remark
        for name, cell in zip(("HOTA", "IDF1", "MOTA", "IDSW"), cells, strict=False):
            theirs, ours = (float(value) for value in cell.split("/"))
            apart = abs(ours - theirs) * (100 / theirs if name == "IDSW" else 1)
            assert not pair.claims or apart <= LIMITS[name]


def test_rows_of_an_absent_reference_are_written_as_they_were(tmp_path: Path) -> None:
    before = rows_before(TABLE)
    assert rows_before(tmp_path / "none.md") == {}
    assert {pair.key for pair in PAIRS} == before.keys() - {("reference", "tracker")}
    text = table(before, {"boxmot"}, tmp_path, ())
    assert "of the run before: boxmot" in text
    (tmp_path / "again.md").write_text(text)
    assert rows_before(tmp_path / "again.md") == before


@pytest.mark.real
def test_bytetrack_still_scores_what_the_table_says(shared: Path) -> None:
    scores = {}
    for scene in catalog.load(shared / "mot17-dev"):
        truth = read_ground_truth(scene.sequences[0].gt_path, scene.sequences[0])
        for sequence in scene.sequences:
            found = read_detections(sequence.det_path, sequence)
            kept = (found.tlwh[:, 2:] > 0).all(axis=1)
            clipped = Detections(found.frame[kept], found.tlwh[kept], np.clip(found.score[kept], 0, 1))
            tracker = make("bytetrack", new_track_margin=0.0, fps=sequence.fps)
            scores[sequence.name] = evaluate(truth, track(tracker, clipped, sequence.length), sequence.length)
    ours = combine(scores).combined
    said = [float(cell.split("/")[1]) for cell in rows()["boxmot", "bytetrack"][:4]]
    assert np.allclose([100 * ours.hota, 100 * ours.idf1, 100 * ours.mota, ours.idsw], said, atol=0.006)

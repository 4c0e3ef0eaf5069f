"""Results from elsewhere: a sentence for each problem, the others kept, and scored as ours are."""

import csv
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msfp.data.motchallenge import read_ground_truth, read_tracks
from msfp.errors import InputError
from msfp.experiment import data, external
from msfp.experiment.external import Refused
from msfp.experiment.run import Run, open_run
from msfp.metrics.scores import evaluate
from msfp.paper import measure
from msfp.paper.methods import TABLE_1
from msfp.paper.registry import artefact
from msfp.paper.stamps import fingerprint
from tests.experiment.conftest import LENGTH
from tests.notebooks.plain import plain

Make = Callable[..., Run]
NAMES = {"MOT17-02-DPM": 0, "MOT17-02-SDP": 0}


def row(frame: int, identity: int, left: float) -> str:
    return f"{frame},{identity},{left},9,16,36,1,-1,-1,-1\n"


def result(shift: int = 0) -> str:
    """The conftest's first person followed whole; the third takes another identity in frame 7."""
    people = [row(t, 1, 4 + t + shift) for t in range(1, LENGTH + 1)]
    return "".join(people + [row(t, 3 if t < 7 else 4, 60 + t + shift) for t in range(1, LENGTH + 1)])


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name.replace('_', '-')}.txt").write_text(text)
    return folder


def test_results_are_kept_and_scored_on_the_evaluated_frames(make_run: Make, tmp_path: Path) -> None:
    run = make_run(NAMES)
    folder = write(tmp_path / "given", MOT17_02_DPM=result(), MOT17_02_SDP=result(shift=5))
    kept, scored = measure.take(run, "SGT", folder)
    assert kept.sequences == {"MOT17-02-DPM": 2 * LENGTH, "MOT17-02-SDP": 2 * LENGTH}
    assert (kept.folder / "MOT17-02-DPM.txt").read_bytes() == (folder / "MOT17-02-DPM.txt").read_bytes()
    (fold,) = data.judged_folds(run, "mot17")[0]
    (part,) = fold.evaluate
    assert (part.first, part.last) == (5, LENGTH)
    truth = data.window(read_ground_truth(part.scene.pixels.path / "gt" / "gt.txt"), part)
    found = data.window(read_tracks(folder / "MOT17-02-DPM.txt"), part)
    expected = evaluate(truth, found, part.length)
    cells = {(c.row, c.column): c for c in scored["mot17"]}
    assert cells["SGT · DPM", "HOTA"].value == pytest.approx(100 * expected.hota)
    assert expected.idsw == 1
    assert cells["SGT · DPM", "IDSW"].value == 1
    assert cells["SGT · SDP", "HOTA"].value < cells["SGT", "HOTA"].value < cells["SGT · DPM", "HOTA"].value
    assert {c.reason for c in cells.values()} == {"imported results: SGT"}
    assert {c.source for c in cells.values()} == {"measured"}


def test_a_scene_file_stands_for_all_its_public_detectors(make_run: Make, tmp_path: Path) -> None:
    run = make_run(NAMES)
    _, scored = measure.take(run, "JDE", write(tmp_path / "given", MOT17_02=result()))
    values = {c.row: c.value for c in scored["mot17"] if c.column == "HOTA"}
    assert values["JDE"] == pytest.approx(values["JDE · DPM"])
    assert values["JDE · DPM"] == values["JDE · SDP"]


def test_sequences_that_the_run_leaves_out_are_kept_all_the_same(make_run: Make, tmp_path: Path) -> None:
    run = make_run({**NAMES, "MOT17-04-SDP": 0}, **{"data.scenes": 1})
    folder = write(tmp_path / "given", MOT17_02=result(), MOT17_04_SDP=result())
    kept = measure.take(run, "SGT", folder)[0]
    assert set(kept.sequences) == {"MOT17-02", "MOT17-04-SDP"}
    assert kept.unshown == ("MOT17-04-SDP",)  # kept, but not silently
    assert kept.problems == ()
    only = write(tmp_path / "only", MOT17_04_SDP=result())
    with pytest.raises(Refused, match=r"no table of this run shows any of MOT17-04-SDP; .*MOT17-02-DPM, MOT17-02-SDP"):
        measure.take(run, "other", only)
    assert external.names(run) == ("SGT",)


def test_a_missing_sequence_is_told_and_no_number_hides_it(make_run: Make, tmp_path: Path) -> None:
    run = make_run(NAMES)
    kept, scored = measure.take(run, "SGT", write(tmp_path / "less", MOT17_02_SDP=result()))
    (problem,) = kept.problems
    assert "MOT17-02-DPM.txt is missing; mot17 is scored on all its sequences" in problem
    values = {c.row: (c.value, c.reason) for c in scored["mot17"] if c.column == "HOTA"}
    assert values["SGT"] == (None, "imported results SGT have no file for MOT17-02-DPM")
    assert values["SGT · SDP"][0] is not None


BAD = {"text": b"1,1,NaN,2,3,4,1\n", "bytes": bytes(range(256)), "short": b"1,1,2\n", "late": row(99, 1, 5.0).encode()}


def test_one_bad_file_never_keeps_out_the_others(make_run: Make, tmp_path: Path) -> None:
    every = [*NAMES, "MOT17-04-SDP"]
    run = make_run(dict.fromkeys(every, 0))

    @settings(max_examples=15)
    @given(st.fixed_dictionaries({name: st.sampled_from(["good", "stray", *BAD]) for name in every}))
    def holds(states: dict[str, str]) -> None:
        shutil.rmtree(tmp_path / "given", ignore_errors=True)
        folder = write(tmp_path / "given")
        for name, state in states.items():
            path = folder / (f"X{name}.txt" if state == "stray" else f"{name}.txt")
            path.write_bytes(result().encode() if state in ("good", "stray") else BAD[state])
        good = {name for name, state in states.items() if state == "good"}
        try:
            kept = external.take(run, "SGT", folder)
            problems, sequences = kept.problems, set(kept.sequences)
            assert sequences == {p.stem for p in kept.folder.glob("*.txt")}
        except Refused as refused:
            problems, sequences = refused.problems, set()
        assert sequences == good
        for name, state in states.items():
            places = (folder / f"X{name}.txt", folder / f"{name}.txt")
            said = any(str(place) in problem for problem in problems for place in places)
            assert said or state in ("good", "stray")
            assert state != "stray" or any(str(places[0]) in problem for problem in problems)
            assert state != "good" or not said

    holds()


def test_every_problem_is_told_at_once(make_run: Make, tmp_path: Path) -> None:
    run = make_run({**NAMES, "MOT17-04-SDP": 0, "MOT17-05-SDP": 0, "MOT17-09-SDP": 0})
    late, twice = row(LENGTH + 1, 1, 5.0), row(1, 1, 5.0) * 2
    folder = write(
        tmp_path / "given",
        MOT17_02_DPM="1,1,2\n",
        MOT17_02_SDP=late,
        MOT17_04_SDP=twice,
        MOT17_05_SDP="",
        readme="hello",
    )
    kept = external.take(run, "SGT", folder)
    assert kept.sequences == {"MOT17-05-SDP": 0}
    first, second, third, fourth, fifth = kept.problems
    assert first.startswith(f"{folder / 'MOT17-02-DPM.txt'}:1: 3 columns")
    assert f"frame {LENGTH + 1} of a sequence of {LENGTH} frames" in second
    assert "MOT17-04-SDP.txt:2: id 1 a second time in frame 1" in third
    assert "readme.txt: named after no sequence" in fourth
    assert "MOT17-09-SDP.txt is missing; mot17 is scored on all its sequences" in fifth


@pytest.mark.parametrize("name", ["", " SGT", "a/b", "..", ".hidden", "x" * 61, "a · b", "a\nb"])
def test_names_that_make_no_row_are_refused(make_run: Make, tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"name .*: a row's name has 1 to 60 letters"):
        external.take(make_run(NAMES), name, write(tmp_path / "given", MOT17_02=result()))


def test_names_and_folders_that_cannot_be_are_refused(make_run: Make, tmp_path: Path) -> None:
    run, folder = make_run(NAMES), write(tmp_path / "given", MOT17_02=result())
    for name in ("ByteTrack", "recall ceiling", "Joint (YOLOv8n + embedding)†"):
        with pytest.raises(InputError, match=f"name '{re.escape(name)}': that row is measured here"):
            measure.take(run, name, folder)
    with pytest.raises(InputError, match="absent: there is no such folder of result files"):
        measure.take(run, "SGT", tmp_path / "absent")
    with pytest.raises(InputError, match=r"empty: no result files; one SEQUENCE.txt for each of MOT17-02"):
        measure.take(run, "SGT", write(tmp_path / "empty"))


def test_importing_again_replaces_and_makes_the_table_stale(make_run: Make, tmp_path: Path) -> None:
    run = make_run(NAMES)
    table, other = artefact("table", 1), artefact("table", 3)
    marks = [fingerprint(run, table)]
    for shift in (0, 6, 0):
        external.take(run, "SGT", write(tmp_path / "given", MOT17_02=result(shift)))
        assert external.names(run) == ("SGT",)
        marks.append(fingerprint(make_run({}), table))
    assert marks[1] == marks[3]
    assert len(set(marks)) == 3
    assert fingerprint(run, other) == fingerprint(make_run({}), other)
    assert [p.name for p in (run.out / "imported").iterdir()] == ["SGT"]


def test_the_servers_cells_say_how_to_get_a_number(make_run: Make) -> None:
    run = make_run(NAMES)
    cells = plain("05").server_cells(run, "mot17", TABLE_1)
    assert {c.source for c in cells} == {"server"}
    assert all(c.value is None and c.row.endswith(" · test set") for c in cells)
    (reason,) = {c.reason for c in cells}
    assert "motchallenge.net keeps the labels of MOT17's test set; `msfp submit METHOD --dataset mot17`" in reason
    assert plain("05").server_cells(run, "synth17", TABLE_1) == []
    assert plain("05").server_cells(run, "dancetrack", TABLE_1) == []


@pytest.mark.real
def test_a_public_trackers_real_results_score_as_official_trackeval_does(shared: Path, tmp_path: Path) -> None:
    run = open_run("mot17", root=shared / "mot17-dev", home=tmp_path, overrides={"split": "paper"})  # whole sequences
    kept, scored = measure.take(run, "MPNTrack", shared / "oracle" / "MPNTrack")
    assert len(kept.sequences) == 12
    with (shared / "oracle" / "MPNTrack-scores.csv").open() as file:
        official = list(csv.DictReader(file))
    total = {key: sum(int(line[key]) for line in official) for key in ("CLR_TP", "CLR_FN", "CLR_FP", "IDSW")}
    mota = (total["CLR_TP"] - total["CLR_FP"] - total["IDSW"]) / (total["CLR_TP"] + total["CLR_FN"])
    values = {c.column: c.value for c in scored["mot17"] if c.row == "MPNTrack"}
    assert values["MOTA"] == pytest.approx(100 * mota, abs=1e-9)
    assert values["IDSW"] == total["IDSW"]

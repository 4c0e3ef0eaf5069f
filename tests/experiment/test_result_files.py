"""Other people's result files: whatever TrackEval reads from a file is read, with TrackEval's numbers."""

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msfp.errors import InputError
from msfp.experiment.folders import FolderScore, score_folder

LENGTH, PEOPLE = 12, 5
OFFICIAL = {"TP": "CLR_TP", "FP": "CLR_FP", "FN": "CLR_FN"}
Table = list[list[float]]
NUMBERS = ("{:g}", "{:.1f}", "{:.3f}", "{:+.2f}", "{:e}", "{:.0f}.", " {:.2f} ", "{!r}")


def truth(rng: np.random.Generator) -> Table:
    """People who walk, some of them static or reflections, some rows not counted, some without visibility."""
    out = []
    for k in range(PEOPLE):
        start, step = rng.uniform(20, 500, 2), rng.uniform(-6, 6, 2)
        kind = int(rng.choice([1, 1, 1, 7, 12, 3]))
        for t in range(1, LENGTH + 1):
            left, top = start + t * step
            out.append([t, k + 1, left, top, 40, 90, float(rng.choice([1, 1, 1, 0, 0.8])), kind, rng.uniform(-0.2, 1)])
    return out


def followed(labels: Table, rng: np.random.Generator) -> Table:
    """Results that follow the labels: boxes moved a little, rows dropped, ids swapped, boxes far away, without area."""
    out = []
    for t, k, left, top, width, height, *_ in labels:
        if rng.random() < 0.15:
            continue
        swapped = 1 + (k + (t > LENGTH // 2 and k < 3)) % PEOPLE if rng.random() < 0.8 else 20 + k
        out.append([t, swapped, left + rng.normal(0, 4), top + rng.normal(0, 4), width, height, rng.uniform(-1, 1)])
    for n in range(rng.integers(0, 8)):
        size = rng.choice([0, 0, 30, -5])
        out.append([rng.integers(1, LENGTH + 1), 100 + n, 5000, 5000, size, 40, 0.5])
    seen: set[tuple[float, float]] = set()
    return [row for row in out if not ((row[0], row[1]) in seen or seen.add((row[0], row[1])))]  # type: ignore[func-returns-value]


def text(table: Table, rng: np.random.Generator, columns: int, fill: float) -> bytes:
    """A table as someone might write it: order, delimiter, line ends, how numbers look, what ends a row."""
    rng.shuffle(table)
    delimiter, end = rng.choice([",", ",", ", ", "\t", ";", " "]), rng.choice(["\n", "\r\n", "\r"])
    whole, part = rng.choice(["{:.0f}", "{:.1f}"]), rng.choice(NUMBERS)
    last = delimiter.strip() if rng.random() < 0.3 else ""
    if delimiter == " ":
        part = part.strip()
    lines = []
    for row in table:
        row = [*row, *[fill] * (columns - len(row))][:columns]
        lines.append(
            delimiter.join((whole if i < 2 else part).format(float(v)) for i, v in enumerate(row)) + last + end
        )
    return "".join(lines).encode()


def official(root: Path, name: str, lengths: dict[str, int]) -> dict[str, dict[str, float]]:
    """TrackEval's own file reader, data set class and measures, sequence by sequence."""
    with contextlib.redirect_stdout(io.StringIO()):
        import trackeval

        places = {"GT_FOLDER": str(root / "train"), "TRACKERS_FOLDER": str(root / "trackers")}
        dataset = trackeval.datasets.MotChallenge2DBox(
            {**places, "SKIP_SPLIT_FOL": True, "TRACKERS_TO_EVAL": [name], "SEQ_INFO": lengths, "PRINT_CONFIG": False}
        )
        found: dict[str, dict[str, float]] = {}
        for sequence in lengths:
            raw = dataset.get_raw_seq_data(name, sequence)
            data = dataset.get_preprocessed_seq_data(raw, "pedestrian")
            quiet = {"PRINT_CONFIG": False}
            results: dict[str, Any] = {}
            for metric in (trackeval.metrics.HOTA(), trackeval.metrics.CLEAR(quiet), trackeval.metrics.Identity(quiet)):
                results |= metric.eval_sequence(data)
            found[sequence] = {key: float(np.mean(value)) for key, value in results.items()}
    return found


def put(path: Path, data: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


@given(seed=st.integers(0, 2**32 - 1))
def test_damaged_files_score_as_trackevals_own_reader_has_them(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    rng, root = np.random.default_rng(seed), tmp_path_factory.mktemp("files")
    lengths = {"A-01": LENGTH, "B-02": LENGTH + 3}
    for name, length in lengths.items():
        labels = truth(rng)
        put(root / "train" / name / "gt" / "gt.txt", text(list(labels), rng, rng.choice([8, 9, 9, 11]), -1))
        put(root / "train" / name / "seqinfo.ini", f"[Sequence]\nseqlength={length}\n")
        columns, fill = int(rng.choice([7, 8, 10, 12])), float(rng.choice([-1, -1, 1, 0]))
        put(root / "trackers" / "T" / "data" / f"{name}.txt", text(followed(labels, rng), rng, columns, fill))
    wanted = official(root, "T", lengths)
    found = score_folder(root, root / "trackers", "train")
    assert (found.missing, found.skipped) == ([], {})
    for row in found.score.rows()[:-1]:
        name = str(row.pop("sequence"))
        assert len(row) == 18
        for key, value in row.items():
            assert value == wanted[name][OFFICIAL.get(key, key)], (name, key)


RESULT = "".join(f"{t},{k},{100 * k + 2 * t},50,40,90,0.9,-1,-1,-1\n" for t in range(1, 6) for k in (7, 8))
LABELS = "".join(f"{t},{k},{100 * k + 2 * t},50,40,90,1,1,1\n" for t in range(1, 6) for k in (7, 8))


def scored(
    folder: Path, result: bytes | str = RESULT, labels: bytes | str = LABELS, ini: str | None = None
) -> FolderScore:
    """One sequence of five frames and two people, scored."""
    sequence = folder / "train" / "S-01"
    put(sequence / "gt" / "gt.txt", labels)
    if ini != "":
        put(sequence / "seqinfo.ini", ini or "[Sequence]\nseqLength=5\n")
    put(folder / "results" / "S-01.txt", result)
    return score_folder(folder, folder / "results", "train")


def hota(found: FolderScore) -> float:
    return found.score.sequences["S-01"].hota


def without_score(result: str) -> str:
    return "".join(",".join(line.split(",")[:6]) + "\n" for line in result.splitlines())


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (RESULT, ""),
        (RESULT.replace(",", " "), ""),
        (RESULT.replace(",", "   "), ""),
        (RESULT.replace(",", "\t"), ""),
        (RESULT.replace(",", ";"), ""),
        (RESULT.replace(",", " ; "), ""),
        (RESULT.replace("\n", ",\n"), ""),
        (RESULT.replace("\n", "\t\n").replace(",", "\t"), ""),
        (RESULT.replace("\n", "\r"), ""),
        (RESULT.replace("\n", "\n\n"), ""),
        (RESULT.encode("utf-16"), ""),
        (RESULT.encode("utf-16-be"), ""),
        (RESULT.encode("utf-8-sig"), ""),
        (RESULT.encode("utf-32"), ""),
        ("".join(f'"{line}"\n' for line in RESULT.replace(",", '","').splitlines()), ""),
        (RESULT.replace(",0.9,", ",nan,"), ""),
        (RESULT.replace(",50,", ",5e1,").replace("-1\n", "inf\n"), ""),
        (RESULT.replace(",-1,-1,-1\n", ",4.25,1.5,0\n"), ""),
        (RESULT.replace("5,7", "5.0,7.0"), ""),
        (without_score(RESULT), "6 columns, so there is no score"),
        (RESULT.replace(",7,", ",1732712345678,"), "5 of 10 rows have an id of more than 31 bits"),
        (RESULT.replace(",7,", ",1732712345678901234,").replace(",8,", ",1732712345678901235,"), "10 of 10 rows"),
        (RESULT + "5,9,9000,50,40,90,.9,3,-1,-1\n", "of other classes than 1 and are left out: class 3 (first: line"),
        (RESULT.replace("5,8,810,50,40,90,0.9,-1,-1,-1", "5,8,810,50,40,90,0.9"), "rows of 7 to 10 columns"),
    ],
)  # fmt: skip
def test_forms_of_result_files(tmp_path: Path, result: bytes | str, said: str) -> None:
    found = scored(tmp_path, result)
    assert hota(found) == 1
    assert not found.doubtful
    assert len(found.told) == bool(said)
    assert said in "".join(found.told)


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ("version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 1\n", "S-01.txt: is a Git LFS pointer"),
        (b"PK\x03\x04rest", "S-01.txt: is a zip archive; unpack it"),
        (b"\x1f\x8brest", "S-01.txt: is a gzip archive"),
        ("<!DOCTYPE html>\n", "S-01.txt: is a web page"),
        ("frame,id,left,top,width,height\n" + RESULT, "S-01.txt:1: column 1 is 'frame'; .*remove the heads"),
        (RESULT.replace(",", ";").replace("0.9", "0,9"), "S-01.txt:1: column 1 is '1;7;702;50.*decimals are written"),
        (RESULT.replace("-1,-1,-1", "3,-1,-1"), "holds classes 3 in all 10 rows"),
        (RESULT.replace("-1,-1,-1", "0,-1,-1") + "5,9,9,9,9,9,1,2,-1,-1\n", "classes 0, 2, which seem to count from 0"),
        (RESULT + RESULT, "id 7 a second time in frame 1"),
        (RESULT.replace(",7,", ",-1,"), "id -1 .*ids are whole numbers from 0 or 1"),
        (RESULT.replace("1,7,702", "0,7,702", 1), "frame 0; frames are numbered 1, 2, 3, ...: add 1 to each"),
        (RESULT + "6,1,1,1,1,1,1\n", "frame 6 lies outside the sequence's frames 1-5"),
        (RESULT.encode("utf-16")[:-1], "text in UTF-16 that is damaged"),
    ],
)  # fmt: skip
def test_causes_are_named(tmp_path: Path, result: bytes | str, said: str) -> None:
    with pytest.raises(InputError, match=said) as told:
        scored(tmp_path, result)
    assert "\n" not in str(told.value)


def test_equal_remarks_are_said_once(tmp_path: Path) -> None:
    scored(tmp_path, without_score(RESULT))
    for name in ("S-02", "S-03"):
        put(tmp_path / "train" / name / "gt" / "gt.txt", LABELS)
        put(tmp_path / "train" / name / "seqinfo.ini", "[Sequence]\nseqLength=5\n")
        put(tmp_path / "results" / f"{name}.txt", without_score(RESULT))
    told = score_folder(tmp_path, tmp_path / "results", "train").told
    assert len(told) == 1
    assert "S-01.txt (and 2 more files): 6 columns" in told[0]


@pytest.mark.parametrize("shape", [lambda t: t[:-3], str.strip, lambda t: "\n\n" + t])
def test_last_lines_without_an_end(tmp_path: Path, shape) -> None:
    assert hota(scored(tmp_path, shape(RESULT))) == 1


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (LABELS.replace("1,1,1\n", "0.8,1,1\n"), "their flag, column 7, is at most 0.8"),
        (LABELS.replace("1,1,1\n", "0,1,1\n"), "their flag, column 7, is at most 0 "),
        (LABELS.replace("1,1,1\n", "1,2,1\n"), "their class, column 8, is 2 and only pedestrians"),
    ],
)
def test_labels_of_which_none_counts(tmp_path: Path, labels: str, said: str) -> None:
    found = scored(tmp_path, labels=labels)
    assert "not one of the 10 boxes of the ground truth counts: " + said in found.doubtful["S-01"]


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (LABELS.replace("1,1,1\n", "1,1\n"), ""),
        (LABELS.replace("1,1,1\n", "1,-1,-1\n"), "column 8 is -1 in every row"),
        (LABELS.replace("1,1,1\n", "1,1,-1\n"), "have no visibility, and 1 is taken"),
        (LABELS.replace("1,1,1\n", "1,1,0,0\n") + "5,9,900,50,40,90,1,4,1,2\n", "as VisDrone has them"),
        (LABELS.replace("1,1,1\n", "1,1,1,0\n") + "5,9,900,50,40,90,1,4,0.5,1\n", "class 4 in a table of 10 columns"),
        (LABELS.replace("1,1,1\n", "1,4.5,1.25,0\n"), ""),
        (LABELS.replace(",", " "), ""),
        (LABELS.encode("utf-16"), ""),
        (LABELS.replace(",7,", ",7000000000000,"), "all ids are numbered anew"),
        (LABELS + "5,-1,900,50,40,90,0,1,1\n", ""),
    ],
)
def test_forms_of_labels(tmp_path: Path, caplog: pytest.LogCaptureFixture, labels: bytes | str, said: str) -> None:
    assert hota(scored(tmp_path, labels=labels)) == 1
    assert bool(caplog.text) == bool(said)
    assert said in caplog.text


def test_cars_of_visdrone_are_no_people(tmp_path: Path) -> None:
    rows = LABELS.replace("1,1,1\n", "1,1,0,0\n").splitlines()
    labels = "".join((row[:-5] + "4,0,0" if row[1:4] == ",8," else row) + "\n" for row in rows)
    people = "".join(row + "\n" for row in RESULT.splitlines() if row[1:4] == ",7,")
    assert hota(scored(tmp_path, people, labels)) == 1


@pytest.mark.parametrize("names", ["Person\ncar\n", "pedestrian\r\nPerson on vehicle\r\n", "person\n"])
def test_names_of_classes_beside_the_labels_are_heeded(tmp_path: Path, names: str) -> None:
    put(tmp_path / "train" / "S-01" / "gt" / "labels.txt", names)
    assert hota(scored(tmp_path)) == 1


def test_classes_of_other_names_are_refused(tmp_path: Path) -> None:
    put(tmp_path / "train" / "S-01" / "gt" / "labels.txt", "car\nperson\n")
    with pytest.raises(InputError, match="labels.txt: class 1 is 'car', while MOTChallenge's class 1 is 'pedestrian'"):
        scored(tmp_path)


@pytest.mark.parametrize(
    ("ini", "said"),
    [
        ("[Sequence]\nseqLength=5\n", ""),
        ("[sequence]\nSEQLENGTH = 5.0\n", ""),
        ("", "taken as 5, its last labelled frame"),
        ("[Sequence]\nseqLength=1000000\n", ""),
    ],
)
def test_evaluation_needs_the_length_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, ini: str, said: str
) -> None:
    found = scored(tmp_path, ini=ini)
    assert hota(found) == 1
    assert found.score.sequences["S-01"].frames == (1_000_000 if "1000000" in ini else 5)
    assert caplog.text.count("seqinfo.ini") == bool(said)
    assert said in caplog.text


def moved(change) -> str:
    """The result with each row's frame, id and box changed."""
    rows = [[float(v) for v in line.split(",")] for line in RESULT.splitlines()]
    return "".join(",".join(f"{v:g}" for v in change(*row[:6])) + ",0.9\n" for row in rows)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t, k, x, y, w, h: (t, k, x / 640, y / 480, w / 640, h / 480), "every box is smaller than two pixels"),
        (lambda t, k, x, y, w, h: (t, k, y, x, h, w), "columns 3 to 6 are top, left, height, width"),
        (lambda t, k, x, y, w, h: (t, k, x + 9000, y, w, h), "are these results of this sequence, in pixels"),
    ],
)
def test_results_that_overlap_nothing(tmp_path: Path, change, said: str) -> None:
    found = scored(tmp_path, moved(change))
    assert "not one of the 10 boxes overlaps a box of the ground truth" in found.doubtful["S-01"]
    assert said in found.doubtful["S-01"] + "".join(found.told)


def test_trackevals_layout_and_several_trackers(tmp_path: Path) -> None:
    scored(tmp_path)
    for name in ("ours", "theirs"):
        put(tmp_path / "trackers" / name / "data" / "S-01.txt", RESULT)
    for folder in ("trackers/ours", "trackers/ours/data"):
        assert score_folder(tmp_path, tmp_path / folder, "train").score.combined.hota == 1
    with pytest.raises(InputError, match=r"several folders of result files \(ours/data, theirs/data\); name one"):
        score_folder(tmp_path, tmp_path / "trackers", "train")


def test_what_cannot_be_read_costs_only_itself(tmp_path: Path) -> None:
    scored(tmp_path)
    for name, labels, result in (("S-02", LABELS, "1,x\n"), ("S-03", "1,y\n", RESULT), ("S-04", LABELS, RESULT)):
        put(tmp_path / "train" / name / "gt" / "gt.txt", labels)
        put(tmp_path / "train" / name / "seqinfo.ini", f"[Sequence]\nseqLength={'5' if name != 'S-04' else 'five'}\n")
        put(tmp_path / "results" / f"{name}.txt", result)
    found = score_folder(tmp_path, tmp_path / "results", "train")
    assert list(found.score.sequences) == ["S-01"]
    assert {name: reason.partition(":")[0].rsplit("/", 1)[1] for name, reason in found.skipped.items()} == {
        "S-02": "S-02.txt", "S-03": "gt.txt", "S-04": "seqinfo.ini"
    }  # fmt: skip


@pytest.mark.real
def test_every_faulty_file_is_scored_or_named(shared: Path, caplog: pytest.LogCaptureFixture) -> None:
    faults = shared / "faults"
    found = score_folder(faults / "sequences", faults / "results", "train")
    assert set(found.skipped) == {"RES-CLASS3", "RES-LFS"}
    assert set(found.doubtful) == {"GT-CLASS2", "GT-FLAG-08"}
    whole = {name for name, score in found.score.sequences.items() if score.hota == 1}
    assert {*found.score.sequences} - whole == {"GT-CLASS2", "GT-FLAG-08", "RES-ZERO-BOX"}
    assert found.score.sequences["RES-ZERO-BOX"].fp == 1
    for name in ("RES-ZERO-BOX", "RES-BIG-ID", "RES-SIX"):
        assert sum(name in line for line in found.told) == 1
    for said in ("GT-VISDRONE/gt/gt.txt: 5 of 10 rows", "INI-MISSING/seqinfo.ini: no such file"):
        assert said in caplog.text

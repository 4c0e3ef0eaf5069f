"""Readers and writers of the MOTChallenge files: values, round trips, and the message for each slip."""

import re
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from msfp.data.motchallenge import (
    parse_tracks,
    read_detections,
    read_ground_truth,
    read_sequence,
    read_tracks,
    write_tracks,
)
from msfp.errors import InputError, MsfpError
from msfp.types import Sequence, Tracks

SEQUENCE = Sequence("S", "mot17", "train", Path("S"), 30.0, 100, 640, 480)
DET = "1,-1,10.5,20,30,40,0.9\n"
GT = "1,1,10,20,30,40,1,1,0.5\n"
OUT = "1,1,10,20,30,40,0.9,-1,-1,-1\n"
READERS = {"det.txt": (read_detections, DET), "gt.txt": (read_ground_truth, GT), "out.txt": (read_tracks, OUT)}


def put(folder: Path, text: str | bytes, name: str = "det.txt") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_detections_of_seven_and_ten_columns(tmp_path: Path) -> None:
    text = "2,-1,1.5,2,3,4,-0.25\n1,-1,5,6,7,8.125,1\n2,-1,9,9,9,9,0.5\n"
    found = read_detections(put(tmp_path, text))
    assert found.frame.tolist() == [1, 2, 2]
    assert found.tlwh.tolist() == [[5, 6, 7, 8.125], [1.5, 2, 3, 4], [9, 9, 9, 9]]
    assert found.score.tolist() == [1, -0.25, 0.5]
    assert (found.frame.dtype, found.tlwh.dtype, found.score.dtype) == (np.int32, np.float64, np.float32)
    ten = read_detections(put(tmp_path, text.replace("\n", ",-1,-1,-1\n")))
    assert np.array_equal(ten.tlwh, found.tlwh)


def test_ground_truth_of_mot17(tmp_path: Path) -> None:
    found = read_ground_truth(put(tmp_path, "2,7,1,2,3,4,0,12,0.25\n1,7,-5,2,3,4,1,1,1\n"))
    assert found.frame.tolist() == [1, 2]
    assert found.id.tolist() == [7, 7]
    assert found.flag.tolist() == [1, 0]
    assert found.category.tolist() == [1, 12]
    assert found.visibility.tolist() == [1, 0.25]
    assert found.pedestrian.tolist() == [True, False]


def test_ground_truth_of_mot15_has_no_class_and_no_visibility(tmp_path: Path) -> None:
    found = read_ground_truth(put(tmp_path, "1,1,88,99,61.08,218.56,1,4.4852,5.5016,0\n1,2,1,1,2,2,0,-1,-1,-1\n"))
    assert found.category.tolist() == [1, 1]
    assert found.visibility.tolist() == [1, 1]
    assert found.flag.tolist() == [1, 0]


@pytest.mark.parametrize("text", ["", "\n", "\r\n\r\n", "\ufeff"])
@pytest.mark.parametrize("name", READERS)
def test_an_empty_file_holds_no_rows(tmp_path: Path, name: str, text: str) -> None:
    found = READERS[name][0](put(tmp_path, text, name))
    assert len(found) == 0
    assert found.tlwh.shape == (0, 4)


@pytest.mark.parametrize("change", [lambda t: t.replace("\n", "\r\n"), lambda t: t.replace(",", " ,\t"), str.rstrip])
@pytest.mark.parametrize("name", READERS)
def test_line_ends_and_spaces_do_not_matter(tmp_path: Path, name: str, change) -> None:
    read, row = READERS[name]
    text = row + "\n" + row.replace("1,", "2,", 1)
    plain, changed = read(put(tmp_path, text, name)), read(put(tmp_path, change(text), "b.txt"))
    assert np.array_equal(plain.tlwh, changed.tlwh)
    assert plain.frame.tolist() == changed.frame.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("det.txt", DET + "2,-1,1,2,x3,4,1\n", "det.txt:2: column 5 is 'x3'; numbers have to be finite decimals"),
        ("det.txt", DET + "2,-1,1,,3,4,1\n", "det.txt:2: column 4 is ''; numbers have to be finite decimals"),
        ("det.txt", DET + "2,-1,1,2,nan,4,1\n", "det.txt:2: column 5 is nan; numbers"),
        ("gt.txt", GT + "2,1,inf,2,3,4,1,1,1\n", "gt.txt:2: column 3 is inf; numbers"),
        ("gt.txt", GT + "2,1,1,2,3,4,nan,1,1\n", "gt.txt:2: flag nan; the seventh column is 1 where a row counts"),
        ("out.txt", OUT + "2,1,1e999,2,3,4,1,-1,-1,-1\n", "out.txt:2: column 3 is inf; numbers have to be finite and"),
        ("det.txt", "0,-1,1,2,3,4,1\n0,-1,1,2,3,4,1\n", "det.txt:1: frame 0 (and 1 more rows); frames are numbered 1"),
        ("det.txt", "1,2,3\n", "det.txt:1: 3 columns; detections (frame, id, left, top, width, height, score and"),
        ("det.txt", DET + "1,2\n" + DET, "det.txt:2: 2 columns, the rows before it 7; detections"),
        ("gt.txt", "1,1,1,2,3,4,1\n", "gt.txt:1: 7 columns; labels (frame, id, "),
        ("det.txt", DET + "2,-1,1,2", "det.txt:2: the last line is cut after 4 of 7 columns; copy the file again"),
        ("det.txt", DET + "2,-1,1,2,", "det.txt:2: the last line is cut after 4 of 7 columns; copy the file again"),
        ("det.txt", DET + "2,-1,1,2,3,4,0.", "det.txt:2: the last line is cut in the middle; copy the file again"),
        ("gt.txt", GT + GT, "gt.txt:2: id 1 a second time in frame 1; an id marks one box a frame"),
        ("out.txt", OUT + OUT, "out.txt:2: id 1 a second time in frame 1; an id marks one box a frame"),
        ("gt.txt", "1,-1,1,2,3,4,1,1,1\n", "gt.txt:1: id -1; ids are whole numbers from 0 or 1"),
        ("gt.txt", GT + "1,2,1,2,3,4,1,-1,1\n", "gt.txt:2: class -1; MOTChallenge classes are whole numbers from 1"),
        ("det.txt", b"\xff\xfe\x00,1\n,", "det.txt: text in UTF-16 that is damaged"),
        ("det.txt", b"\x00\x01,2,3,4,5,6,7\n", "det.txt:1: column 1 is '\\x00\\x01'; numbers"),
        ("det.txt", DET + "1," * 3000 + "\n", "det.txt:2: 3000 columns, the rows before it 7; detections"),
        ("det.txt", ",\n,\n", "det.txt: not a table of numbers"),
    ],
)
def test_a_slip_is_told_by_file_and_line(tmp_path: Path, name: str, text: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(f"{tmp_path}/{message}")):
        READERS[name][0](put(tmp_path, text, name))


SLIPS = [
    ("det.txt", DET + "2,-1,1,2,0,4,1\n", "det.txt:2: box of size 0 x 4; width and height are positive"),
    ("gt.txt", "1,1,1,2,3,-4,1,1,1\n", "gt.txt:1: box of size 3 x -4; width and height are positive"),
    ("gt.txt", "1.5,1,1,2,3,4,1,1,1\n", "gt.txt:1: frame 1.5; frames are numbered 1, 2, 3"),
    ("gt.txt", GT.replace("1,1", "1,1.5", 1), "gt.txt:1: id 1.5; ids are whole numbers from 0 or 1"),
    ("gt.txt", GT.replace(",0.5", ",1.5"), "gt.txt:1: visibility 1.5; visibility is a share from 0 to 1"),
    ("gt.txt", GT.replace(",0.5", ""), "gt.txt: 8 columns; the format has 9 or 10"),
    ("gt.txt", GT.replace(",", " "), "gt.txt: separated by spaces; the format has commas"),
    ("det.txt", DET.replace(",0.9", ""), "det.txt: 6 columns; the format has 7 or 10"),
    ("det.txt", DET + DET.replace("\n", ",-1\n"), "det.txt: rows of 7 to 8 columns; the format has one number"),
    ("det.txt", "1,-1,0.1,0.2,0.3,0.4,0.9\n", "det.txt: every box is smaller than two pixels, as shares of the image"),
]


@pytest.mark.parametrize(("name", "text", "message"), SLIPS)
def test_a_check_refuses_what_is_read_elsewhere(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = put(tmp_path, text, name)
    with pytest.raises(InputError, match=re.escape(f"{tmp_path}/{message}")):
        READERS[name][0](path, strict=True)
    READERS[name][0](path)


def test_detections_without_area_are_left_out_and_labels_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert len(read_detections(put(tmp_path, DET + "2,-1,1,2,0,4,1\n"))) == 1
    assert "det.txt: 1 of 2 rows have no area and are left out: box of size 0 x 4 (first: line 2)" in caplog.text
    assert len(read_ground_truth(put(tmp_path, GT + "2,1,1,2,3,-4,1,1,1\n", "gt.txt"))) == 2
    assert "gt.txt: 1 of 2 rows have no area and are kept" in caplog.text


def test_detections_in_shares_of_the_image_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = "".join(f"{t},-1,0.{t},0.2,0.06,0.18,0.9\n" for t in range(1, 6))
    assert len(read_detections(put(tmp_path, rows), SEQUENCE)) == 5
    assert "det.txt: every box is smaller than two pixels, as shares of the image" in caplog.text


def test_scores_of_six_columns_and_beyond_single_precision(tmp_path: Path) -> None:
    assert read_detections(put(tmp_path, DET.replace(",0.9", ""))).score.tolist() == [1]
    assert np.isfinite(read_detections(put(tmp_path, DET.replace(",0.9", ",1e300"))).score).all()


@pytest.mark.parametrize("name", READERS)
def test_megabytes_of_line_ends_cost_no_more_than_themselves(tmp_path: Path, name: str) -> None:
    read, row = READERS[name]
    size = 1_000_000
    tracemalloc.start()
    try:
        assert len(read(put(tmp_path, b"\n" * size, name))) == 0
        assert len(read(put(tmp_path, row.encode() + b"\n" * size, name))) == 1
        assert len(read(put(tmp_path, b"\r\n" * (size // 2) + row.rstrip().encode(), name))) == 1
        assert len(read(put(tmp_path, b"\r" * size, name))) == 0
        assert tracemalloc.get_traced_memory()[1] < 12 * size
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", READERS)
def test_a_missing_file_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=f"{name}: no such file; .* restore it or name another"):
        READERS[name][0](tmp_path / name)
    with pytest.raises(InputError, match="cannot be read .*; make it a readable text file"):
        READERS[name][0](tmp_path)


@pytest.mark.parametrize(("name", "row"), [("det.txt", DET), ("gt.txt", GT)])
def test_frames_past_the_sequence_are_told(tmp_path: Path, name: str, row: str) -> None:
    text = row + row.replace("1,", "101,", 1)
    message = re.escape(f"{name}:2: frame 101 of a sequence of 100 frames; correct seqLength in S/seqinfo.ini")
    with pytest.raises(InputError, match=message):
        READERS[name][0](put(tmp_path, text, name), SEQUENCE)
    assert len(READERS[name][0](put(tmp_path, text, name))) == 2


def test_detections_outside_the_image_are_left_out_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    edge = "1,-1,640,480,5,5,1\n1,-1,-3,1,4.5,4,1\n"  # one pixel's width still inside
    beyond = "1,-1,641,5,5,5,1\n"
    path = put(tmp_path, DET * 18 + beyond + edge)
    found = read_detections(path, SEQUENCE)
    assert len(found) == 20
    assert (
        "det.txt: 1 of 21 boxes lie wholly outside the 640x480 image and are left out (first: line 19)" in caplog.text
    )
    assert len(read_detections(path)) == 21
    with pytest.raises(
        InputError, match="det.txt:2: box wholly outside the 640x480 image; boxes and imWidth, imHeight"
    ):
        read_detections(put(tmp_path, DET + beyond), SEQUENCE)


def test_a_last_line_without_its_end_is_read_and_noted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert read_detections(put(tmp_path, DET + "2,-1,1,2,3,4,0.6")).score[1] == np.float32(0.6)
    assert "det.txt: line 2, the last, has no line end; if the file was cut there" in caplog.text
    caplog.clear()
    read_detections(put(tmp_path, DET))
    assert not caplog.text


def test_labels_outside_the_image_are_kept(tmp_path: Path) -> None:
    assert len(read_ground_truth(put(tmp_path, "1,1,-90,5,50,50,1,1,0\n"), SEQUENCE)) == 1


def test_ids_may_be_written_as_floats_and_start_at_zero(tmp_path: Path) -> None:
    found = read_tracks(put(tmp_path, "1,0.0,1,2,3,4,1,-1,-1,-1\n1,1.0,1,2,3,4,1,-1,-1,-1\n"))
    assert found.id.tolist() == [0, 1]


numbers = st.floats(-1e8, 1e8, allow_nan=False)
sizes = st.floats(1e-6, 1e6, allow_nan=False)
boxes = st.tuples(numbers, numbers, sizes, sizes)
rows_of_tracks = st.lists(
    st.tuples(st.integers(1, 50), st.integers(0, 2**29), boxes, st.floats(-1e6, 1e6, width=32)),
    max_size=30,
    unique_by=lambda r: r[:2],
)


@given(rows_of_tracks)
def test_tracks_round_trip_exactly(tmp_path: Path, rows: list) -> None:
    rows = sorted(rows, key=lambda r: r[0])
    tracks = Tracks(
        np.array([r[0] for r in rows], np.int32),
        np.array([r[1] for r in rows], np.int32),
        np.array([r[2] for r in rows], np.float64).reshape(-1, 4),
        np.array([r[3] for r in rows], np.float32),
    )
    path = tmp_path / "deep" / "out.txt"
    write_tracks(path, tracks)
    back = read_tracks(path)
    for name in ("frame", "id", "tlwh", "score"):
        assert np.array_equal(getattr(back, name), getattr(tracks, name)), name
    assert [p.name for p in path.parent.iterdir()] == ["out.txt"]


def test_results_are_written_in_the_format_of_the_challenge(tmp_path: Path) -> None:
    one = Tracks(np.int32([3]), np.int32([7]), np.array([[1.5, 2, 3.25, 1 / 3]]), np.float32([0.9]))
    write_tracks(tmp_path / "a.txt", one)
    assert (tmp_path / "a.txt").read_text() == "3,7,1.5,2.0,3.25,0.3333333333333333,0.9,-1,-1,-1\n"


@pytest.mark.parametrize(
    ("frame", "identity", "box", "score", "message"),
    [
        ([1, 1], [2, 2], [1, 1, 1, 1], 1, "twice"),
        ([0, 1], [2, 3], [1, 1, 1, 1], 1, "below"),
    ],
)
def test_tracks_that_no_reader_takes_are_not_written(tmp_path: Path, frame, identity, box, score, message: str) -> None:
    tracks = Tracks(np.int32(frame), np.int32(identity), np.array([box, box], float), np.float32([1, score]))
    with pytest.raises(ValueError, match=message):
        write_tracks(tmp_path / "a.txt", tracks)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("box", [[1, 1, 0, 1], [1, 1, 5, -2], [1, np.nan, 1, 1], [1, 1, np.inf, 1]])
def test_a_box_without_area_costs_only_itself(tmp_path: Path, caplog: pytest.LogCaptureFixture, box: list) -> None:
    tracks = Tracks(np.int32([1, 1]), np.int32([2, 3]), np.array([[1, 1, 5, 5], box], float), np.float32([1, 1]))
    write_tracks(tmp_path / "a.txt", tracks)
    assert "a.txt: 1 of 2 boxes have no area and are not written" in caplog.text
    assert read_tracks(tmp_path / "a.txt").id.tolist() == [2]


def test_an_output_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    empty = Tracks(np.empty(0, np.int32), np.empty(0, np.int32), np.empty((0, 4)), np.empty(0, np.float32))
    with pytest.raises(MsfpError, match=r"cannot write 0 bytes .*choose another output folder"):
        write_tracks(tmp_path / "file" / "a.txt", empty)


NEAR_ROWS = st.lists(
    st.lists(
        st.sampled_from(["1", "2", "3.5", "-1", "0", "nan", "", "1e9", "1e-9", " 4", "x", "1e400"]), max_size=11
    ).map(",".join),
    max_size=4,
).map("\n".join)


@given(
    data=st.one_of(
        st.binary(max_size=200), NEAR_ROWS.map(str.encode), st.text("019,.-+e \r\n\t", max_size=80).map(str.encode)
    )
)
@example(data=b"1,1,1,1,1,1,1\r1,1,1,1,1,1,1\n")
@example(data=b'"1",1,1,1,1,1,1\n')
@example(data=b",,,,,,\n")
@example(data=b"1,1,1,1,1,1,1\n\x1a")
@pytest.mark.parametrize("name", READERS)
def test_any_bytes_are_read_or_told(tmp_path: Path, name: str, data: bytes) -> None:
    try:
        found = READERS[name][0](put(tmp_path, data, name))
    except InputError as error:
        assert str(tmp_path / name) in str(error)  # noqa: PT017
        assert ";" in str(error)  # noqa: PT017  the remedy
    else:
        assert np.isfinite(found.tlwh).all()
        assert name != "det.txt" or (found.tlwh[:, 2:] > 0).all()


@given(cut=st.integers(0, 200))
def test_a_file_cut_anywhere_is_read_up_to_there_or_told(tmp_path: Path, cut: int) -> None:
    text = "".join(f"{t},{t},{t}.25,2.5,30.125,40.5,0.75,-1,-1,-1\n" for t in range(1, 7))[:cut]
    try:
        found = parse_tracks(text.encode(), "cut.txt")
    except InputError as error:
        assert "cut.txt:" in str(error)  # noqa: PT017
    else:
        assert len(found) == len(text.splitlines())


def test_large_files_are_parsed_as_numpy_does(tmp_path: Path) -> None:
    row = "{},{},{}.37,212.5,43.25,101.75,1,1,0.51246\n"
    path = put(tmp_path, "".join(row.format(t, i, 3 * i) for i in range(1, 101) for t in range(1, 1001)), "gt.txt")
    found, plain = read_ground_truth(path), np.loadtxt(path, delimiter=",")
    plain = plain[np.argsort(plain[:, 0], kind="stable")]
    assert len(found) == 100_000
    assert np.array_equal(found.frame, plain[:, 0])
    assert np.array_equal(found.id, plain[:, 1])
    assert np.array_equal(found.tlwh, plain[:, 2:6])


ROWS = {
    ("MOT17-02", "DPM"): 7267,
    ("MOT17-02", "FRCNN"): 8186,
    ("MOT17-02", "SDP"): 11639,
    ("MOT17-04", "DPM"): 39437,
    ("MOT17-04", "FRCNN"): 28406,
    ("MOT17-04", "SDP"): 37150,
    ("MOT17-05", "DPM"): 4333,
    ("MOT17-05", "FRCNN"): 3848,
    ("MOT17-05", "SDP"): 4767,
    ("MOT17-09", "DPM"): 5976,
    ("MOT17-09", "FRCNN"): 3049,
    ("MOT17-09", "SDP"): 3607,
    ("TUD-Stadtmitte", "FRCNN"): 951,
}
LABELS = {"MOT17-02": 30003, "MOT17-04": 108005, "MOT17-05": 8013, "MOT17-09": 10411, "TUD-Stadtmitte": 1156}


@pytest.mark.real
def test_every_real_file_is_read_whole(shared: Path) -> None:
    seen = 0
    for folder in sorted(shared.glob("*/train/*")):
        sequence = read_sequence(folder, "mot17", "train")
        assert len(read_detections(sequence.det_path, sequence)) == ROWS[sequence.scene, sequence.detector]
        assert len(read_ground_truth(sequence.gt_path, sequence)) == LABELS[sequence.scene]
        seen += 1
    assert seen >= 16


@pytest.mark.real
def test_faulty_detections(shared: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = {}
    for name in ("DET-EMPTY", "DET-NORMALISED"):
        sequence = read_sequence(shared / "faults/sequences/train" / name, "custom", "train")
        found[name] = len(read_detections(sequence.det_path, sequence))
    assert found == {"DET-EMPTY": 0, "DET-NORMALISED": 10}
    assert caplog.text.count("every box is smaller than two pixels") == 1


@pytest.mark.real
def test_first_rows_of_real_files(shared: Path) -> None:
    dpm = read_detections(shared / "mot17-dev/train/MOT17-02-DPM/det/det.txt")
    assert dpm.tlwh[0].tolist() == [1359.1, 413.27, 120.26, 362.77]
    assert dpm.score[0] == np.float32(2.3092)
    frcnn = read_detections(shared / "mot17-dev/train/MOT17-02-FRCNN/det/det.txt")
    assert frcnn.frame[0] == 1  # the file starts with frame 69
    gt = read_ground_truth(shared / "mot17-dev/train/MOT17-02-DPM/gt/gt.txt")
    assert gt.id[0] == 1
    assert gt.tlwh[0].tolist() == [912, 484, 97, 109]
    assert (gt.flag[0], gt.category[0], gt.visibility[0]) == (0, 7, 1)
    tud = read_ground_truth(shared / "real-video/train/TUD-Stadtmitte-FRCNN/gt/gt.txt")
    assert tud.pedestrian.all()
    assert tud.tlwh[0].tolist() == [88, 99, 61.08, 218.56]


@pytest.mark.real
def test_real_results_round_trip_exactly(shared: Path, tmp_path: Path) -> None:
    paths = sorted((shared / "oracle/MPNTrack").glob("*.txt"))
    assert len(paths) == 12
    for path in paths[:4]:
        tracks = read_tracks(path)
        write_tracks(tmp_path / path.name, tracks)
        back = read_tracks(tmp_path / path.name)
        assert np.array_equal(back.tlwh, tracks.tlwh)
        assert np.array_equal(back.id, tracks.id)
        assert tracks.id.min() == 0

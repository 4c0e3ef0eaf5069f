"""What seqinfo.ini declares and what of a sequence is there."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msfp.data.catalog import check
from msfp.data.frames import FrameReader, read_frame
from msfp.data.motchallenge import read_sequence
from msfp.errors import InputError
from tests.online.conftest import numbers_of, spoil, write


def test_a_whole_sequence(make) -> None:
    folder = make(frames=(1, 2, 3, 4, 5), det="", gt="", frameRate=29.97)
    s = read_sequence(folder, "mot17", "train")
    assert (s.name, s.scene, s.detector, s.dataset, s.split) == (
        "MOT17-02-FRCNN",
        "MOT17-02",
        "FRCNN",
        "mot17",
        "train",
    )
    assert (s.fps, s.length, s.width, s.height) == (29.97, 5, 64, 48)
    assert s.frames == (1, 2, 3, 4, 5)
    assert s.images == folder / "img1"
    assert s.image_ext == ".jpg"
    assert s.gt_path == folder / "gt/gt.txt"
    assert s.det_path == folder / "det/det.txt"


def test_parts_of_a_sequence(make) -> None:
    s = read_sequence(make(frames=(2, 4)), "mot17", "train")
    assert s.frames == (2, 4)
    assert s.gt_path is None
    assert s.det_path is None
    none = read_sequence(make("MOT17-02-SDP"), "mot17", "train")
    assert none.frames == ()
    assert none.images is None


def test_labels_of_a_test_sequence_are_not_looked_for(make) -> None:
    assert read_sequence(make(gt="", under="test"), "mot17", "test").gt_path is None


def test_images_beyond_the_length_are_not_used(make, caplog: pytest.LogCaptureFixture) -> None:
    assert read_sequence(make(frames=(5, 6, 7)), "mot17", "train").frames == (5,)
    assert "2 images beyond frames 1 to 5 are not used" in caplog.text


def test_names_of_eight_digits_and_other_files(make, jpeg) -> None:
    folder = make("dancetrack0001", frames=(1,))
    (folder / "img1/000001.jpg").rename(folder / "img1/00000001.jpg")
    (folder / "img1/Thumbs.db").write_bytes(b"")
    (folder / "img1/._000002.jpg").write_bytes(b"")
    assert read_sequence(folder, "dancetrack", "train").frames == (1,)
    (folder / "img1/000001.jpg").write_bytes(b"")
    twins = read_sequence(folder, "dancetrack", "train")
    assert twins.frames == ()
    assert "000001.jpg: frame 1 is also 00000001.jpg; remove one of the two" in twins.trouble


@pytest.mark.parametrize(("count", "present"), [(5, 5), (3, 3), (9, 5)])
def test_a_video_in_place_of_images(make, video, count: int, present: int) -> None:
    folder = make(imDir="img1.avi", imExt=".avi")
    video(folder / "img1.avi", count)
    s = read_sequence(folder, "mot17", "train")
    assert s.frames == tuple(range(1, present + 1))
    assert s.images == folder / "img1.avi"
    assert s.image_ext == ""


@pytest.mark.parametrize(
    ("names", "trouble"),
    [
        (
            ["000000.jpg", "000001.jpg"],
            r"img1: images are numbered from 0 \(000000.jpg\), labels .* from 1: rename the",
        ),
        (
            ["frame_000001.jpg", "frame_000002.jpg"],
            r"img1: 2 images, such as frame_000001.jpg; looked for .* 000001.jpg",
        ),
        (
            ["000001.png", "000002.png"],
            r"img1: 2 images, such as 000001.png; looked for .*imExt=.jpg.*: set imExt=.png",
        ),
        (["000001.jpg", "000002.jpg", "000002.png"], r"000002.png: frame 2 is also 000002.jpg; remove one of the two"),
    ],
)
def test_images_that_are_no_frames_are_told(make, names: list[str], trouble: str, caplog) -> None:
    folder = make("PRIVATE-1", gt="", det="")
    (folder / "img1").mkdir()
    for name in names:
        (folder / "img1" / name).write_bytes(b"any")
    s = read_sequence(folder, "mot17", "train")
    assert (s.frames, s.images, s.gt_path is None) == ((), None, False)
    assert re.search(trouble, s.trouble)
    assert s.trouble in caplog.text
    with pytest.raises(InputError, match=trouble):
        read_frame(s, 1)
    wrong = [f for f in check(folder.parent) if f.state == "wrong"]
    assert [f.message for f in wrong] == [s.trouble]


def test_a_damaged_video_holds_the_frames_that_can_be_decoded(make, caplog) -> None:
    folder = make("PRIVATE-1", imDir="img1.mp4", seqLength=12, gt="", det="")
    spoil(write(folder / "img1.mp4", 12, g="1"), (5, 6))
    s = read_sequence(folder, "mot17", "train")
    assert s.frames == (1, 2, 3, 4, 7, 8, 9, 10, 11, 12)
    assert "img1.mp4: 2 of 12 frames cannot be decoded (5-6); copy the video again" in caplog.text
    assert numbers_of(FrameReader(s)) == [(t, t) for t in s.frames]
    with pytest.raises(InputError, match="frame 5 is not present"):
        read_frame(s, 5)
    wrong = [f for f in check(folder.parent) if f.state == "wrong"]
    assert [f.message.partition(": ")[2] for f in wrong] == [
        "2 of 12 frames cannot be decoded (5-6); copy the video again"
    ]


def test_another_name_in_seqinfo_is_noted(make, caplog: pytest.LogCaptureFixture) -> None:
    folder = make()
    renamed = folder.rename(folder.with_name("MOT17-04-FRCNN"))
    assert read_sequence(renamed, "mot17", "train").name == "MOT17-04-FRCNN"
    assert "name=MOT17-02-FRCNN, but the folder is MOT17-04-FRCNN" in caplog.text


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"seqLength": 0}, "seqinfo.ini: seqLength='0'; give a whole number from 1 to 10000000"),
        ({"seqLength": "5.5"}, "seqinfo.ini: seqLength='5.5'; give a whole number"),
        ({"imWidth": -3}, "seqinfo.ini: imWidth='-3'; give a whole number from 1 to 100000"),
        ({"imHeight": "many"}, "seqinfo.ini: imHeight='many'; give a whole number"),
        ({"frameRate": "nan"}, "seqinfo.ini: frameRate='nan'; give frames per second"),
        ({"frameRate": 0}, "seqinfo.ini: frameRate='0'; give frames per second"),
        ({"frameRate": "30/0"}, "seqinfo.ini: frameRate='30/0'; give frames per second"),
        ({"imExt": "j pg"}, "seqinfo.ini: imExt='.j pg'; give the extension of the images"),
        ({"seqLength": None, "imWidth": ""}, "seqinfo.ini: seqLength, imWidth missing or empty; the file may be cut"),
        ({"imDir": "x" * 2000}, "give the name of a folder or a video file"),
        (
            {"imDir": "seqinfo.ini"},
            "seqinfo.ini: cannot be opened as a video (it holds none)",
        ),
    ],
)
def test_a_wrong_key_is_told(make, keys: dict, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        read_sequence(make(**keys), "mot17", "train")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "seqinfo.ini: no section [Sequence]; it has to hold frameRate, seqLength"),
        (b"name=a\n", "seqinfo.ini:1: not key=value in a section; copy it again from the data set"),
        (b"[Sequence]\nname=a\nimDir\n", "seqinfo.ini:3: not key=value in a section"),
        (b"[Sequence]\nname=a\nname=b\n", "seqinfo.ini:3: "),
        (b"version https://git-lfs.github.com/spec/v1\n", "seqinfo.ini: is a Git LFS pointer, not the file itself"),
        (b"[Sequence]\nname=\xff\n", "seqinfo.ini: not a text file (byte 16); copy it again"),
        (b"[Sequence]\nname=a\nimDir=img1\nframeRa", "seqinfo.ini:4: not key=value in a section"),
    ],
)
def test_a_broken_seqinfo_is_told(tmp_path: Path, text: bytes, message: str) -> None:
    (tmp_path / "seqinfo.ini").write_bytes(text)
    with pytest.raises(InputError, match=re.escape(message)):
        read_sequence(tmp_path, "mot17", "train")


def test_forms_of_seqinfo(tmp_path: Path) -> None:
    text = "[sequence]\nIMDIR = frames\nFrameRate = 30000/1001\nseqlength = 5.0\nimwidth=64.\nimHeight=48\nimext=png\n"
    for data in (text.encode(), text.encode("utf-16"), text.replace("\n", "\r").encode("utf-8-sig")):
        (tmp_path / "seqinfo.ini").write_bytes(data)
        s = read_sequence(tmp_path, "mot17", "train")
        assert (s.length, s.width, s.height, s.image_ext) == (5, 64, 48, ".png")
        assert s.fps == pytest.approx(29.97, abs=0.001)


def test_images_lie_in_img1_where_nothing_else_is_said(make) -> None:
    assert read_sequence(make(frames=(1,), imDir=None, imExt=None), "mot17", "train").frames == (1,)


def test_a_missing_seqinfo_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"seqinfo.ini: no such file; frameRate, .* are read from it"):
        read_sequence(tmp_path, "mot17", "train")


KEYS = ["imDir=img1", "frameRate=30", "seqLength=5", "imWidth=64", "imHeight=48", "imExt=.jpg"]
ODD = [
    "imExt",
    " x=1",
    "=",
    "\0",
    "imDir=%(a)s",
    "imDir=.",
    "imWidth=1e3",
    "frameRate=-1",
    "; c",
    "imDir=" + "a/" * 400,
]
LINES = st.sampled_from(["[Sequence]", "[Other]", *KEYS, *ODD])


@given(data=st.one_of(st.binary(max_size=100), st.lists(LINES, max_size=9).map("\n".join).map(str.encode)))
def test_any_bytes_are_a_sequence_or_told(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "seqinfo.ini").write_bytes(data)
    try:
        sequence = read_sequence(tmp_path, "mot17", "train")
    except InputError as error:
        assert "seqinfo.ini" in str(error)  # noqa: PT017
    else:
        assert sequence.length == 5


@pytest.mark.real
def test_real_sequences(shared: Path) -> None:
    dev = shared / "mot17-dev/train"
    present = {d.name: read_sequence(d, "mot17", "train").frames for d in sorted(dev.iterdir())}
    assert {k: len(v) for k, v in present.items() if v} == {
        "MOT17-02-FRCNN": 4,
        "MOT17-04-FRCNN": 8,
        "MOT17-05-FRCNN": 6,
        "MOT17-09-FRCNN": 4,
    }
    tud = read_sequence(shared / "real-video/train/TUD-Stadtmitte-FRCNN", "mot15", "train")
    assert (tud.length, tud.fps, tud.width, tud.height, tud.frames[-1]) == (179, 25, 640, 480, 179)


@pytest.mark.real
def test_real_faults(shared: Path) -> None:
    folder = shared / "faults/sequences/train"
    found = {name: read_sequence(folder / name, "mot17", "train") for name in ("IMG-FROM-0", "IMG-PREFIX", "IMG-EXT")}
    assert all(s.frames == () and s.gt_path is not None for s in found.values())
    assert "numbered from 0 (000000.jpg), labels and detections from 1" in found["IMG-FROM-0"].trouble
    assert "3 images, such as frame_000001.jpg; looked for frames named" in found["IMG-PREFIX"].trouble
    assert "3 images, such as 000001.jpg; looked for" in found["IMG-EXT"].trouble
    assert found["IMG-EXT"].trouble.endswith("set imExt=.jpg")

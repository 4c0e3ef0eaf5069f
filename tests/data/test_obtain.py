"""From a server's archives to a folder for --root; and PersonPath22's JSON to the MOTChallenge layout."""

import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
import pytest

from msfp.data import download, personpath
from msfp.data.catalog import load
from msfp.data.frames import FrameReader
from msfp.data.motchallenge import read_detections, read_ground_truth
from msfp.data.sequences import DATASETS
from msfp.errors import InputError

INI = "[Sequence]\nname={}\nimDir=img1\nframeRate=30\nseqLength=2\nimWidth=64\nimHeight=48\nimExt=.jpg\n"
GT = "1,1,5,5,10,20,1,1,1\n2,1,6,5,10,20,1,1,1\n"
DET = "1,-1,5,5,10,20,.9\n"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def mirror(tmp_path) -> Iterator[tuple[str, Path]]:
    """Address of a folder that is served, and the folder."""
    folder = tmp_path / "served"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    thread.join()
    server.server_close()


class CellText:
    """Bars that were opened, and which of them are still on the screen."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.open: list[str] = []

    @contextmanager
    def __call__(self, label: str, _total: int) -> Iterator[Callable[[int], None]]:
        self.opened.append(label)
        self.open.append(label)
        try:
            yield lambda _count: None
        finally:
            self.open.remove(label)


silent = CellText()


@pytest.fixture(autouse=True)
def _no_bar_stays() -> Iterator[None]:
    """Whatever happened to a transfer, its bar is gone."""
    yield
    assert silent.open == []


def serve_mot17(folder: Path, name: str = "MOT17Labels.zip", top: str = "") -> None:
    with zipfile.ZipFile(folder / name, "w") as opened:
        for split, sequence in (("train", "MOT17-02-SDP"), ("test", "MOT17-01-SDP")):
            opened.writestr(f"{top}{split}/{sequence}/seqinfo.ini", INI.format(sequence))
            opened.writestr(f"{top}{split}/{sequence}/det/det.txt", DET)
            if split == "train":
                opened.writestr(f"{top}{split}/{sequence}/gt/gt.txt", GT)


@pytest.mark.parametrize("top", ["", "MOT17/", "MOT17Labels/"])
def test_labels_are_fetched_unpacked_and_read(mirror, tmp_path, top):
    address, served = mirror
    serve_mot17(served, top=top)
    asked = download.plan("mot17", tmp_path / "mot17", labels_only=True, mirror=address)
    assert asked.total == (served / "MOT17Labels.zip").stat().st_size
    download.need_room(asked)
    folder = download.obtain(asked, silent)
    scene = load(folder, "mot17", "train")[0]
    assert scene.name == "MOT17-02"
    assert len(read_ground_truth(scene.pixels.gt_path, scene.pixels)) == 2
    note = json.loads((folder / "obtained.json").read_text())
    assert note["MOT17Labels.zip"]["files"] == 5
    assert len(note["MOT17Labels.zip"]["sha256"]) == 64
    assert not (folder / "MOT17Labels.zip").exists()
    (served / "MOT17Labels.zip").unlink()
    assert download.obtain(asked, silent) == folder, "what is done is not fetched again"


@pytest.mark.parametrize("spoil", [lambda text: text[:-9], lambda text: "", lambda text: "[]", lambda text: '{"a": 1}'])
def test_a_note_that_cannot_be_read_tells_nothing(mirror, tmp_path, caplog, spoil):
    address, served = mirror
    serve_mot17(served)
    asked = download.plan("mot17", tmp_path / "mot17", labels_only=True, mirror=address)
    note = download.obtain(asked, silent) / "obtained.json"
    whole = note.read_text()
    note.write_text(spoil(whole))
    download.obtain(asked, silent)
    assert "obtained.json: cannot be read; what it told of is fetched again" in caplog.text
    assert json.loads(note.read_text()) == json.loads(whole)
    assert not list(note.parent.glob("*.partial"))


def test_a_damaged_archive_is_removed_and_fetched_anew(mirror, tmp_path):
    address, served = mirror
    (served / "MOT17Labels.zip").write_text("<html>moved</html>")
    asked = download.plan("mot17", tmp_path / "mot17", labels_only=True, mirror=address)
    with pytest.raises(InputError, match="not a whole zip file"):
        download.obtain(asked, silent)
    serve_mot17(served)
    assert (download.obtain(asked, silent) / "train").is_dir()


def test_too_full_a_disk_is_found_before_anything_is_fetched(mirror, tmp_path, monkeypatch):
    address, served = mirror
    serve_mot17(served)
    asked = download.plan("mot17", tmp_path / "mot17", labels_only=True, mirror=address)
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1}))
    with pytest.raises(InputError, match=r"GB are free, .* GB are needed to fetch and unpack MOT17; .*--to"):
        download.need_room(asked)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("synth17", {}, r"synth17: not a data set to fetch; there are: dancetrack, mot17, mot20, personpath22"),
        ("nothing", {}, "nothing: not a data set to fetch"),
        ("dancetrack", {"labels_only": True}, "labels do not come apart"),
    ],
)
def test_what_is_not_to_be_had_is_told(tmp_path, name, options, message):
    with pytest.raises(InputError, match=message):
        download.plan(name, tmp_path, **options)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("MOT17/train/A/gt/gt.txt", "train/A/gt/gt.txt"),
        ("train1/dancetrack0001/seqinfo.ini", "train/dancetrack0001/seqinfo.ini"),
        ("test2/dancetrack0003/img1/00000001.jpg", "test/dancetrack0003/img1/00000001.jpg"),
        ("splits.json", "splits.json"),
    ],
)
def test_archives_land_in_the_usual_layout(entry, expected):
    name = "dancetrack" if "dance" in entry else "mot17"
    assert str(download.placed(PurePosixPath(entry), DATASETS[name])) == expected


def label(frame: int, name: str, box: tuple[float, ...], *kinds: str) -> dict[str, object]:
    return {"id": name, "bb": list(box), "blob": {"frame_idx": frame}, "labels": dict.fromkeys(kinds, 1)}


@pytest.fixture
def videos(tmp_path) -> Path:
    """A PersonPath22 folder of two videos, one of them without pixels."""
    (tmp_path / "videos").mkdir()
    writer = cv2.VideoWriter(
        str(tmp_path / "videos" / "uid_vid_00000.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 30, (64, 48)
    )
    for t in range(13):
        writer.write(np.full((48, 64, 3), 15 * t, np.uint8))
    writer.release()
    entities = [
        label(6, "b", (3, 4, 10, 20), "person"),
        label(0, "a", (0, 0, 10, 20), "person", "sitting_person"),
        label(12, "a", (2, 0, 10, 20), "person", "severly_occluded_person"),
        label(12, "c", (1, 1, 5, 0), "person"),
        label(6, "d", (1, 1, 30, 30), "crowd"),
        label(6, "e", (1, 1, 8, 9), "person", "reflection"),
    ]
    folder = tmp_path / "anno_visible_2022"
    folder.mkdir()
    for name in ("uid_vid_00000", "uid_vid_00001"):
        meta = {"fps": 30.0, "resolution": {"width": 64, "height": 48}}
        (folder / f"{name}.mp4.json").write_text(json.dumps({"metadata": meta, "entities": entities}))
    split = {"train": ["uid_vid_00000.mp4"], "test": ["uid_vid_00001.mp4"]}
    (tmp_path / "splits.json").write_text(json.dumps(split))
    (tmp_path / "fcos").mkdir()
    rows = "1,-1,1,1,10,20,.8\n2,-1,1,1,10,20,.7\n13,-1,3,1,10,20,.9\n"
    (tmp_path / "fcos" / "uid_vid_00000.txt").write_text(rows)
    return tmp_path


def test_key_frames_become_the_sequence(videos):
    _, train = personpath.convert(videos, silent)
    sequence = load(videos, "personpath22", "train")[0].pixels
    assert train == sequence.path
    assert (sequence.length, sequence.fps, sequence.frames) == (3, 5.0, (1, 2, 3))
    truth = read_ground_truth(sequence.gt_path, sequence)
    assert truth.frame.tolist() == [1, 2, 2, 2, 3]
    assert truth.category.tolist() == [1, 1, 13, 12, 8]
    assert truth.flag.tolist() == [1, 1, 0, 0, 0]
    assert np.allclose(truth.tlwh[0], (1, 1, 10, 20)), "boxes begin at 1 here, at 0 there"
    levels = [float(pixels.mean()) for _, pixels in FrameReader(sequence)]
    assert levels == pytest.approx([0, 90, 180], abs=4), "frames 0, 6 and 12 of the video"
    found = read_detections(sequence.det_path, sequence)
    assert found.frame.tolist() == [1, 3]
    assert found.score.tolist() == pytest.approx([0.8, 0.9])


def test_a_video_that_is_absent_leaves_labels_alone(videos):
    personpath.convert(videos, silent)
    sequence = load(videos, "personpath22", "test")[0].pixels
    assert (sequence.length, sequence.frames) == (3, ())


def test_foreign_label_files_are_named(videos):
    path = videos / "anno_visible_2022" / "uid_vid_00000.mp4.json"
    path.write_text('{"metadata": {}}')
    with pytest.raises(InputError, match=r"uid_vid_00000.mp4.json: not the labels of a PersonPath22 video \(KeyError"):
        personpath.convert(videos, silent)
    (videos / "splits.json").unlink()
    with pytest.raises(InputError, match="no splits.json"):
        personpath.convert(videos, silent)

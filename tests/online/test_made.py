"""Results of a video beside its tracks, where they are put, lines of progress, and streams."""

import functools
import http.server
import json
import logging
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from msfp.engine.parallel import Bar
from msfp.errors import InputError
from msfp.experiment.live import input_for
from msfp.features.backbone import STRIDE, fit
from msfp.online import recording
from msfp.online.folders import PARTS, STATE, check_room, free_folder, holder
from msfp.online.recording import Blindness, Made, Recording
from msfp.online.tracker import Look
from msfp.online.video import frames, open_source, without_password
from msfp.tracking.base import TrackerOutput
from tests.online.conftest import Make, numbers_of, write


@pytest.mark.parametrize("image", [(960, 540), (640, 480), (1920, 1080), (1080, 1920), (97, 33), (4000, 20)])
@pytest.mark.parametrize("longest", [320, 640, 1280])
def test_the_networks_input_has_the_shape_of_the_frames(image: tuple[int, int], longest: int) -> None:
    size = input_for(longest, *image)
    box = fit(image, size)
    assert max(size) == longest
    assert max(box.content) == longest, "the longer side is not shrunk"
    assert all(0 <= full - used < STRIDE or used == 1 for full, used in zip(size, box.content, strict=True))


@pytest.fixture
def recorded(tmp_path: Path) -> Recording:
    """Two people in a video of three frames, in the second nobody."""
    source = open_source(str(write(tmp_path / "walk.mp4", 3, size=(100, 50))))
    made = Recording(source, tmp_path / "out", {}, Made(film=False, txt=True, crops=True))
    boxes = np.array([[11.0, 11, 31, 41], [-9, 21, 6, 46]])
    ids, scores, rows = np.array([4, 9], np.int32), np.array([0.9, 0.8], np.float32), np.array([0, 1])
    nobody = np.zeros(0, np.int32)
    made.results = [
        (1, TrackerOutput(ids, boxes, scores, rows)),
        (2, TrackerOutput(nobody, np.zeros((0, 4)), nobody.astype(np.float32), nobody)),
        (3, TrackerOutput(ids[:1], boxes[:1], scores[:1], rows[:1])),
    ]
    (tmp_path / "out").mkdir()
    return made


def test_label_files_are_yolos(recorded: Recording) -> None:
    done = recorded.finish(True)
    folder = Path(done["labels"])
    assert sorted(p.name for p in folder.iterdir()) == [f"walk_{t:06d}.txt" for t in (1, 2, 3)]
    rows = [list(map(float, line.split())) for line in (folder / "walk_000001.txt").read_text().splitlines()]
    # class, centre x, centre y, width, height as shares of 100 x 50, identity; pixels count from 0
    assert rows[0] == pytest.approx([0, 0.20, 0.50, 0.20, 0.60, 4])
    assert rows[1] == pytest.approx([0, 0.025, 0.65, 0.05, 0.50, 9])
    assert (folder / "walk_000002.txt").read_text() == ""


def test_a_picture_of_each_person(recorded: Recording) -> None:
    pixels = np.zeros((50, 100, 3), np.uint8)
    pixels[10:40, 10:30] = (200, 0, 0)
    recorded.crop(1, pixels, recorded.results[0][1])
    folder = recorded.out / "walk-crops"
    assert sorted(str(p.relative_to(folder)) for p in folder.rglob("*.jpg")) == ["4/000001.jpg", "9/000001.jpg"]
    picture = cv2.imread(str(folder / "4/000001.jpg"))
    assert picture.shape == (30, 20, 3)
    assert picture[15, 10, 2] > 150, "red as it was"
    assert cv2.imread(str(folder / "9/000001.jpg")).shape == (25, 5, 3), "what lies outside of the frame is left out"


def test_two_runs_are_never_mixed(tmp_path: Path) -> None:
    source = open_source(str(write(tmp_path / "walk.mp4", 3)))
    out, one, other = tmp_path / "tracked" / "walk", {"tracker": "a"}, {"tracker": "b"}
    assert free_folder(out, source, one) == out
    (out / PARTS).mkdir(parents=True)
    (out / PARTS / STATE).write_text(json.dumps(one))
    assert free_folder(out, source, one) == out, "a stopped one goes on where it was"
    assert free_folder(out, source, other) == out.with_name("walk-2")
    (out / PARTS / STATE).unlink()
    (out / "walk.json").write_text(json.dumps({"source": source.address, "settings": one}))
    assert free_folder(out, source, one) == out, "the same again"
    assert free_folder(out, source, other) == out.with_name("walk-2")
    out.with_name("walk-2").mkdir()
    (out.with_name("walk-2") / "walk.txt").write_text("somebody's")
    assert free_folder(out, source, other) == out.with_name("walk-3")


def seen(score: float | None) -> Look:
    count = 0 if score is None else 1
    scores = np.full(count, 0 if score is None else score, np.float32)
    return Look(
        1, np.ones((count, 4)), scores, np.zeros((count, 0), np.float32), np.zeros(2), np.zeros(0), np.eye(2, 3)
    )


@pytest.mark.parametrize(
    ("scores", "told"), [([None] * 10, True), ([0.1] * 10, True), ([0.9] * 3 + [None] * 7, False), ([], False)]
)
def test_weights_that_see_nobody_are_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, scores: list[float | None], told: bool
) -> None:
    monkeypatch.setattr(recording, "JUDGED", 5)
    blind = Blindness("walk")
    with caplog.at_level(logging.WARNING):
        for score in scores:
            blind.note(seen(score))
        blind.tell()
    said = [r.getMessage() for r in caplog.records]
    assert len(said) == told
    assert not told or "walk: nobody is found in 5 of 5 frames" in said[0]


def test_lines_of_progress_where_no_bar_shows(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.delenv("MSFP_PROGRESS", raising=False)  # of a notebook that the tests run in
    clock = iter([0.0, 0.0, 1.0, 6.0, 7.0])
    monkeypatch.setattr("msfp.engine.parallel.time.monotonic", lambda: next(clock))
    with Bar(40, "walk, frames", every=5.0) as bar:
        bar.update()
        bar.update(11)
        bar.update()
    assert capsys.readouterr().err == "walk, frames: 12 of 40, 2 a second\n"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The address of a server of the folder."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://me:secret@127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_stream_is_read_from_its_address(served: str, tmp_path: Path, shown: Make) -> None:
    write(tmp_path / "gate 1.mp4", 6)
    source = open_source(f"{served}/gate%201.mp4")
    assert (source.name, source.fps, source.width, source.height, source.length) == ("gate-201", 25.0, 64, 48, None)
    assert source.endless
    assert "secret" not in source.address
    assert numbers_of(frames(source)) == [(t, t) for t in range(1, 7)]
    assert [t for t, _ in frames(source, first=4)] == [4, 5, 6]


def test_a_stream_that_is_none_is_told_without_its_password(served: str, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no film")
    for name in ("missing.mp4", "notes.txt"):
        with pytest.raises(InputError, match=f"^http://127.0.0.1:[0-9]+/{name}: ") as caught:
            open_source(f"{served}/{name}")
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://a:b@c/d", "rtsp://c/d"),
        ("rtsp://u:p@ss@host:554/x", "rtsp://host:554/x"),
        ("rtsp://u:se/cret@host/x", "rtsp://host/x"),
        ("http://host/live?user=a&password=b", "http://host/live"),
        ("rtsp://host/user=admin&password=b&channel=1", "rtsp://host"),
    ],
)
def test_addresses_are_shown_without_what_opens_them(address: str, shown: str) -> None:
    assert without_password(address) == shown


def test_what_others_left_is_neither_deleted_nor_mixed(recorded: Recording, tmp_path: Path) -> None:
    source, out = recorded.source, recorded.out
    (out / "walk-labels").mkdir()
    (out / "walk-labels" / "mine.txt").write_text("by hand")
    assert holder(out, source, {}) == "other"
    with pytest.raises(InputError, match="walk-labels: does not say which source it belongs to"):
        check_room(source, out)
    shutil.rmtree(out / "walk-labels")
    recorded.finish(True)
    again = Recording(source, out, {"tracker": "b"}, Made(film=False))
    again.results = recorded.results
    (out / "walk-crops").mkdir()
    again.finish(True)
    assert sorted(p.name for p in out.iterdir()) == ["walk.json", "walk.txt"], "nothing of the one before is left"


def test_a_stopped_recording_is_found_behind_a_free_folder(tmp_path: Path) -> None:
    source = open_source(str(write(tmp_path / "walk.mp4", 3)))
    out = tmp_path / "walk-out"
    stopped = out.with_name("walk-out-2") / PARTS
    stopped.mkdir(parents=True)
    (stopped / STATE).write_text(json.dumps({"tracker": "a"}))
    out.mkdir()
    assert free_folder(out, source, {"tracker": "a"}) == stopped.parent
    assert free_folder(out, source, {"tracker": "b"}) == out
    assert holder(stopped.parent, source, {"tracker": "b"}) == "parts"

"""Every frame that can be decoded, under its own number, and with its time, whatever the file."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msfp.data.video import Health, decode, health, loss, numbers_in_short, open_video, pixels_of
from msfp.errors import InputError
from msfp.online.video import fingerprint, frames, open_source

from .conftest import numbers_of, packets, spoil, write

# What PyAV's wheels can write; others are read as well.
KINDS = [
    ("a.mp4", "libx264"), ("b.mkv", "libx264"), ("c.avi", "mjpeg"), ("d.avi", "libx264"), ("e.ts", "libx264"),
    ("f.webm", "libvpx-vp9"), ("g.mp4", "libsvtav1"), ("h.mpg", "mpeg2video"), ("i.h264", "libx264"),
    ("j.mov", "mpeg4"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "codec"), KINDS)
def test_frames_of_all_kinds_come_in_order(tmp_path: Path, name: str, codec: str) -> None:
    source = open_source(str(write(tmp_path / name, 12, codec)))
    assert (source.width, source.height, source.length, source.variable) == (64, 48, 12, False)
    assert source.fps == pytest.approx(25)
    assert numbers_of(frames(source)) == [(t, t) for t in range(1, 13)]
    assert health(tmp_path / name) == Health(tuple(range(1, 13)), (), ())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each frame a key frame, so that damage reaches no other."""
    return write(tmp_path_factory.mktemp("whole") / "whole.mp4", 20, g="1")


@settings(max_examples=12)
@given(lost=st.sets(st.integers(1, 20), min_size=1, max_size=15))
def test_damage_costs_the_frames_it_hits_and_moves_no_other(tmp_path: Path, whole: Path, lost: set[int]) -> None:
    path = tmp_path / "damaged.mp4"
    shutil.copy(whole, path)
    spoil(path, sorted(lost))
    kept = [t for t in range(1, 21) if t not in lost]
    assert numbers_of((t, pixels_of(f)) for t, f in decode(open_video(path))) == [(t, t) for t in kept]
    assert health(path) == Health(tuple(kept), tuple(sorted(lost)), ())


def test_damaged_bytes_between_key_frames(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", 40, g="10")
    at, size, _ = sorted(packets(path), key=lambda p: p[2])[14]
    data = bytearray(path.read_bytes())
    data[at : at + size + 30] = bytes(size + 30)
    path.write_bytes(bytes(data))
    found = health(path)
    assert found.lost
    assert set(found.lost) <= set(range(11, 21)), "what comes after the next key frame is whole"
    right = dict(numbers_of(frames(open_source(str(path)))))
    assert all(right[t] == t for t in (*range(1, 11), *range(21, 41)))


def test_the_end_that_a_cut_file_lacks_is_lost(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", 20, g="1")
    before = sorted(packets(path))[12][0]
    path.write_bytes(path.read_bytes()[: before + 3])
    assert numbers_of(frames(open_source(str(path)))) == [(t, t) for t in range(1, 13)]


def test_frames_keep_their_times(tmp_path: Path) -> None:
    times = np.cumsum([0, 0.033, 0.033, 0.4, 0.1, 0.033, 0.4, 0.033, 0.1, 0.1, 0.4, 0.033]).tolist()
    source = open_source(str(write(tmp_path / "a.mp4", 12, seconds=times)))
    assert source.variable
    assert [source.time_of(t) for t in range(1, 13)] == pytest.approx(times, abs=1e-3)
    assert source.fps == pytest.approx(12 / (times[-1] + 0.033), rel=0.1), "frames by seconds"
    constant = open_source(str(tmp_path / "a.mp4"), fps=10)
    assert (constant.fps, constant.variable, constant.time_of(11)) == (10, False, 1.0)


def test_a_missing_beat_makes_a_rate_variable_and_rounded_times_do_not(tmp_path: Path) -> None:
    times = [t / 30 for t in range(12)]
    assert not open_source(str(write(tmp_path / "a.mkv", 12, seconds=times))).variable
    times[6:] = [t + 0.2 for t in times[6:]]
    assert open_source(str(write(tmp_path / "b.mkv", 12, seconds=times))).variable


@pytest.mark.parametrize("turn", [90, 180, -90])
def test_a_turned_video_is_shown_upright(tmp_path: Path, turn: int) -> None:
    path = write(tmp_path / "a.mp4", 3, turn=turn)
    source = open_source(str(path))
    _, pixels = next(frames(source))
    import cv2

    capture = cv2.VideoCapture(str(path))  # an independent reader
    expected = capture.read()[1][..., ::-1]
    capture.release()
    assert pixels.shape == (source.height, source.width, 3) == expected.shape
    assert np.abs(pixels.astype(int) - expected).max() <= 1


def test_a_name_with_a_colon_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.mp4", 2).rename(tmp_path / "12:30:05.mp4")
    monkeypatch.chdir(tmp_path)
    source = open_source("12:30:05.mp4")
    assert (source.name, source.length) == ("12:30:05", 2)


@pytest.mark.parametrize("content", [b"", b"no film", b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n", bytes(4000)])
@pytest.mark.parametrize("name", ["a.mp4", "a.txt", "a.avi", "a.m3u8"])
def test_what_is_no_video_is_told(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{name}: .*give another file|{name}: .*copy it again"):
        open_source(str(tmp_path / name))


def test_what_is_known_of_a_video_goes_with_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", 5, g="1")
    assert (len(health(path).frames), open_video(path).length) == (5, 5)
    first = fingerprint(open_source(str(path)))
    write(path, 8, g="1")
    assert (len(health(path).frames), open_video(path).length) == (8, 8)
    assert fingerprint(open_source(str(path))) != first


def test_losses_in_words() -> None:
    assert loss(60, (38,), (34,)) == (
        "1 of 60 frames cannot be decoded (38) and 1 of 60 frames are decoded with errors (34)"
    )
    assert loss(60, ()) == ""
    assert numbers_in_short([1, 2, 3, 7, 9, 10]) == "1-3, 7, 9-10"
    assert numbers_in_short(range(1, 40, 2)) == "1, 3, 5, ... 14 more ..., 35, 37, 39"


@pytest.mark.real
def test_real_faults(shared: Path) -> None:
    folder = shared / "faults" / "videos"
    assert health(folder / "damaged.mp4") == Health((*range(1, 38), *range(39, 61)), (38,), (34,))
    av1 = open_source(str(folder / "av1.mkv"))
    assert (len(list(frames(av1))), av1.fps, av1.variable) == (30, 30.0, False)
    variable = open_source(str(folder / "variable-rate.mp4"))
    gaps = np.diff([variable.time_of(t) for t in range(1, 61)])
    assert variable.variable
    assert (round(gaps.min(), 3), round(gaps.max(), 3)) == (0.033, 0.4)
    assert variable.fps == pytest.approx(10.4, abs=0.05)

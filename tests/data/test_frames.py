"""Pixels from folders and videos: order, colour, errors, and threads that end."""

import builtins
import re
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from msfp.data.frames import FrameReader, read_frame
from msfp.data.motchallenge import read_sequence
from msfp.data.video import health
from msfp.errors import InputError


@pytest.fixture(autouse=True)
def no_thread_stays():
    before = threading.active_count()
    yield
    assert threading.active_count() == before


@pytest.fixture(params=["images", "video"])
def sequence(request, make, video):
    if request.param == "images":
        return read_sequence(make(frames=(1, 2, 3, 4, 5)), "mot17", "train")
    folder = make(imDir="img1.avi", imExt=".avi")
    video(folder / "img1.avi", 5)
    return read_sequence(folder, "mot17", "train")


def is_picture(image: np.ndarray, t: int) -> bool:
    red, blue = image[:, :28, 0].mean(), image[:, 36:, 2].mean()
    return image.shape == (48, 64, 3) and image.dtype == np.uint8 and abs(red - 20 * t) < 6 and abs(blue - 200) < 8


def test_frames_come_in_order_as_rgb(sequence) -> None:
    with FrameReader(sequence) as reader:
        found = list(reader)
    assert [t for t, _ in found] == [1, 2, 3, 4, 5]
    assert all(is_picture(image, t) for t, image in found)


@pytest.mark.parametrize("decoders", [2, 9])
def test_several_decoders_keep_the_order(make, decoders: int) -> None:
    folder = make(frames=(1, 2, 3, 4, 5))
    sequence = read_sequence(folder, "mot17", "train")
    with FrameReader(sequence, decoders=decoders) as reader:
        found = list(reader)
    assert [t for t, _ in found] == [1, 2, 3, 4, 5]
    assert all(is_picture(image, t) for t, image in found)
    (folder / "img1/000003.jpg").write_bytes(b"")
    frames = iter(FrameReader(sequence, decoders=decoders))
    assert [next(frames)[0], next(frames)[0]] == [1, 2]
    with pytest.raises(InputError, match=r"000003.jpg: cannot be decoded"):
        next(frames)


def test_no_more_frames_are_held_than_are_ahead(make, monkeypatch: pytest.MonkeyPatch) -> None:
    from msfp.data import frames

    begun: list[int] = []
    decode = frames._from_file

    def counted(sequence, path, t):
        begun.append(t)
        return decode(sequence, path, t)

    monkeypatch.setattr(frames, "_from_file", counted)
    monkeypatch.setattr(frames, "AHEAD", 1)
    with FrameReader(read_sequence(make(frames=(1, 2, 3, 4, 5)), "mot17", "train"), decoders=2) as reader:
        for seen, _ in reader:
            assert len(begun) <= seen + 3


def test_a_reader_starts_anew_and_takes_some_frames(sequence) -> None:
    reader = FrameReader(sequence, (4, 2, 2))
    assert [t for t, _ in reader] == [t for t, _ in reader] == [2, 4]
    assert all(is_picture(image, t) for t, image in reader)
    assert is_picture(read_frame(sequence, 3), 3)


def test_leaving_early_ends_the_thread(sequence) -> None:
    with FrameReader(sequence) as reader:
        iterator = iter(reader)
        assert next(iterator)[0] == 1
        assert any(t.name.startswith("frames of") for t in threading.enumerate())
    assert not any(t.name.startswith("frames of") for t in threading.enumerate())
    with pytest.raises(StopIteration):
        next(iterator)


def test_an_error_of_the_reader_s_user_ends_the_thread(sequence) -> None:
    def fail() -> None:
        with FrameReader(sequence) as reader:
            for _ in reader:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()


def test_an_iterator_that_was_never_advanced_leaves_nothing(sequence) -> None:
    with FrameReader(sequence) as reader:
        iter(reader)


def test_a_sequence_without_pixels_has_no_frames(make) -> None:
    sequence = read_sequence(make(), "mot17", "train")
    assert list(FrameReader(sequence)) == []
    with pytest.raises(
        InputError, match=r"frame 1 is not present \(0 of 5 frames are\); add its image or leave it out"
    ):
        read_frame(sequence, 1)


def test_an_absent_frame_is_told(make) -> None:
    sequence = read_sequence(make(frames=(1, 3)), "mot17", "train")
    assert [t for t, _ in FrameReader(sequence)] == [1, 3]
    with pytest.raises(InputError, match=r"MOT17-02-FRCNN: frame 2 is not present \(2 of 5 frames are\)"):
        read_frame(sequence, 2)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda data: b"", "0 bytes, empty"),
        (lambda data: b"not an image", "12 bytes, cut or no image"),
        (lambda data: data[: len(data) // 2], "cut or no image"),
        (lambda data: b"\xff\xd8" + bytes(100) + b"\xff\xd9", "cut or no image"),
    ],
)
def test_an_undecodable_image_is_told_after_the_frames_before_it(make, spoil, reason: str) -> None:
    folder = make(frames=(1, 2, 3))
    path = folder / "img1/000002.jpg"
    path.write_bytes(spoil(path.read_bytes()))
    frames = iter(FrameReader(read_sequence(folder, "mot17", "train")))
    assert next(frames)[0] == 1
    with pytest.raises(InputError, match=re.escape(f"{path}: cannot be decoded (") + f".*{reason}.*copy it again"):
        next(frames)


def test_an_image_of_another_size_is_told(make, jpeg) -> None:
    folder = make(frames=(1,))
    jpeg(folder / "img1/000002.jpg", np.zeros((10, 20, 3), np.uint8))
    message = r"000002.jpg: frame 2 is 20x10, but .*seqinfo.ini declares 64x48; correct imWidth and imHeight"
    with pytest.raises(InputError, match=message):
        list(FrameReader(read_sequence(folder, "mot17", "train")))


def test_a_video_of_another_size_is_told(make, video) -> None:
    folder = make(imDir="img1.avi")
    video(folder / "img1.avi", 5, 80, 48)
    with pytest.raises(InputError, match=r"img1.avi: frame 1 is 80x48, but .*seqinfo.ini declares 64x48"):
        list(FrameReader(read_sequence(folder, "mot17", "train")))


def test_an_image_that_vanished_is_told(make) -> None:
    folder = make(frames=(1, 2))
    sequence = read_sequence(folder, "mot17", "train")
    (folder / "img1/000002.jpg").unlink()
    with pytest.raises(InputError, match="frame 2 is not present"):
        list(FrameReader(sequence))


def test_a_cut_video_is_counted_to_where_it_ends(tmp_path: Path, video) -> None:
    video(tmp_path / "a.avi", 20, 640, 480)
    assert health(tmp_path / "a.avi").frames == tuple(range(1, 21))
    data = (tmp_path / "a.avi").read_bytes()
    (tmp_path / "b.avi").write_bytes(data[: len(data) // 2])
    kept = health(tmp_path / "b.avi").frames
    assert kept == tuple(range(1, len(kept) + 1))
    assert 5 <= len(kept) < 15


def test_a_video_that_ends_early_is_told(make, video) -> None:
    folder = make(imDir="img1.avi")
    video(folder / "img1.avi", 3)
    sequence = replace(read_sequence(folder, "mot17", "train"), frames=(1, 2, 3, 4))
    message = r"img1.avi: the video ends after frame 3, frame 4 was expected; copy it again"
    with pytest.raises(InputError, match=message):
        list(FrameReader(sequence))


def test_a_file_that_is_no_video_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"a.mp4: cannot be opened as a video .*; copy it again"):
        health(tmp_path / "a.mp4")
    with pytest.raises(InputError, match=r"b.mp4: cannot be read"):
        health(tmp_path / "b.mp4")


def test_opencv_without_its_libraries_is_told(make, monkeypatch: pytest.MonkeyPatch) -> None:
    sequence = read_sequence(make(frames=(1,)), "mot17", "train")
    real = builtins.__import__

    def refuse(name: str, *rest):
        if name == "cv2":
            raise ImportError("libGL.so.1: cannot open shared object file")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(InputError, match=r"OpenCV cannot be loaded \(libGL.so.1.*apt install libgl1.*headless"):
        list(FrameReader(sequence))


@pytest.mark.real
def test_real_images(shared: Path) -> None:
    sequence = read_sequence(shared / "mot17-dev/train/MOT17-05-FRCNN", "mot17", "train")
    found = dict(FrameReader(sequence))
    assert list(found) == [1, 2, 3, 4, 5, 6]
    assert all(image.shape == (480, 640, 3) for image in found.values())


@pytest.mark.real
def test_real_video_is_read_frame_by_frame(shared: Path) -> None:
    sequence = read_sequence(shared / "real-video/train/TUD-Stadtmitte-FRCNN", "mot15", "train")
    count, last = 0, None
    for t, image in FrameReader(sequence):
        count += 1
        assert t == count
        last = image
        if t == 40:
            fortieth = image
    assert count == 179
    assert np.array_equal(read_frame(sequence, 40), fortieth)
    assert last.shape == (480, 640, 3)

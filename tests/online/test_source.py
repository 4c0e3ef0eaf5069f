"""Frames from videos, folders and cameras, and what is said of those that are none."""

import struct
import zlib
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msfp.data.video import declared_size
from msfp.errors import InputError
from msfp.online.video import Film, frames, open_source


def grey(level: int, width: int = 64, height: int = 48) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def levels(source, first=1) -> list[tuple[int, int]]:
    return [(t, round(float(pixels.mean()))) for t, pixels in frames(source, first)]


def test_a_video_tells_its_size_rate_and_length(tmp_path):
    path = tmp_path / "walk.mp4"
    with closing(Film(path, 25, 64, 48)) as film:
        for t in range(5):
            film.add(grey(40 * t))
    source = open_source(str(path))
    assert (source.name, source.fps, source.width, source.height, source.length) == ("walk", 25.0, 64, 48, 5)
    assert not source.endless
    assert [t for t, _ in levels(source)] == [1, 2, 3, 4, 5]
    assert np.allclose([v for _, v in levels(source)], [0, 40, 80, 120, 160], atol=3)
    assert levels(source, first=4) == levels(source)[3:]
    assert open_source(str(path), fps=10).fps == 10


def test_a_folder_is_read_in_the_order_of_its_numbers(tmp_path):
    folder = tmp_path / "scene" / "img1"
    folder.mkdir(parents=True)
    for number in (10, 9, 1):
        cv2.imwrite(str(folder / f"frame{number}.png"), grey(number))
    (folder / "notes.txt").write_text("no image")
    source = open_source(str(folder))
    assert (source.name, source.fps, source.length) == ("scene", 30.0, 3)
    assert levels(source) == [(1, 1), (2, 9), (3, 10)]


def test_colours_are_red_first(tmp_path):
    image = grey(0)
    image[..., 2] = 200  # OpenCV's red
    cv2.imwrite(str(tmp_path / "a.png"), image)
    assert next(frames(open_source(str(tmp_path))))[1][0, 0].tolist() == [200, 0, 0]


def test_what_is_no_source_is_told(tmp_path):
    with pytest.raises(InputError, match="no such video, folder of images, camera number or address of a stream"):
        open_source("nowhere.mp4")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no images"):
        open_source(str(tmp_path / "empty"))
    (tmp_path / "a.mp4").write_text("no film")
    with pytest.raises(InputError, match="a.mp4: cannot be opened as a video"):
        open_source(str(tmp_path / "a.mp4"))
    with pytest.raises(InputError, match="no such camera here"):
        open_source("97")


def test_bad_images_are_named(tmp_path):
    cv2.imwrite(str(tmp_path / "1.png"), grey(1))
    cv2.imwrite(str(tmp_path / "2.png"), grey(1, 32, 32))
    with pytest.raises(InputError, match=r"2.png: 32x32, the first is 64x48"):
        levels(open_source(str(tmp_path)))
    (tmp_path / "2.png").write_text("none")
    with pytest.raises(InputError, match=r"2.png: cannot be decoded"):
        levels(open_source(str(tmp_path)))


def picture(path: Path, number: int = 1, width: int = 64, height: int = 48) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), grey(number, width, height))


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (["000001", "000003", "000004"], [1, 3, 4]),
        (["8", "9", "10"], [8, 9, 10]),
        (["00000005", "00000007"], [5, 7]),
        (["frame_1", "frame_10", "frame_9"], [1, 2, 3]),
        (["1", "2", "cover"], [1, 2, 3]),
        (["20231127123005123", "20231127123005156"], [1, 2]),
        (["20231127", "20231227", "20240127"], [1, 2, 3]),
        (["000000", "000001", "000003"], [1, 2, 4]),
    ],
)
def test_frames_are_numbered_by_their_names_where_all_are_numbers(tmp_path: Path, names: list, numbers: list) -> None:
    for name in names:
        picture(tmp_path / f"{name}.png")
    source = open_source(str(tmp_path))
    assert [t for t, _ in frames(source)] == numbers
    assert source.length == len(numbers)
    assert [t for t, _ in frames(source, first=numbers[1])] == numbers[1:]


def test_a_folder_counted_from_zero_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    picture(tmp_path / "000000.png")
    open_source(str(tmp_path))
    assert "images are numbered from 0, frames of results from 1: 000000.png is frame 1" in caplog.text


def test_names_that_begin_with_a_dot_are_no_frames(tmp_path: Path) -> None:
    picture(tmp_path / "000001.png", 1)
    picture(tmp_path / "000002.png", 2)
    (tmp_path / "._000001.png").write_bytes(b"resource fork")
    (tmp_path / ".000003.png").write_bytes(b"")
    (tmp_path / "000004.png").mkdir()
    assert levels(open_source(str(tmp_path))) == [(1, 1), (2, 2)]


@pytest.mark.parametrize("twin", [("000002.jpg", "000002.png"), ("2.png", "000002.png"), ("a_2.jpg", "a_2.png")])
def test_two_files_of_one_frame_are_refused(tmp_path: Path, twin: tuple[str, str]) -> None:
    for name in ("1.png", *twin):
        picture(tmp_path / name)
    with pytest.raises(InputError, match="remove one of the two"):
        open_source(str(tmp_path))


def test_an_orientation_tag_turns_an_image(tmp_path: Path) -> None:
    turned = grey(0)
    turned[:24, :32] = 255
    data = cv2.imencode(".jpg", turned)[1].tobytes()
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    (tmp_path / "1.jpg").write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:])
    source = open_source(str(tmp_path))
    assert (source.width, source.height) == (48, 64)
    ((_, pixels),) = frames(source)
    assert pixels[10, 40].min() > 200
    assert pixels[10, 5].max() < 50


@pytest.mark.parametrize("ending", [".png", ".bmp", ".jpg"])
def test_the_size_an_image_declares_is_read_from_its_head(tmp_path: Path, ending: str) -> None:
    picture(tmp_path / f"1{ending}", 1, 70, 50)
    assert declared_size((tmp_path / f"1{ending}").read_bytes()) == (70, 50)


@given(st.binary(max_size=60), st.sampled_from([b"", b"\xff\xd8", b"\xff\xd8\xff", b"BM", b"\x89PNG\r\n\x1a\n"]))
def test_any_bytes_declare_a_size_or_none(data: bytes, head: bytes) -> None:
    assert min(declared_size(head + data)) >= 0


def png_head(width: int, height: int) -> bytes:
    """A PNG of a few bytes that declares a size."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(bytes(99)))]
    packed = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


@pytest.mark.parametrize("size", [(20_000, 20_000), (40_000, 40_000)])
def test_an_image_that_declares_gigabytes_is_refused_by_its_head(tmp_path: Path, size: tuple[int, int]) -> None:
    (tmp_path / "1.png").write_bytes(png_head(*size))
    with pytest.raises(InputError, match=r"1.png: more than 100,000,000 pixels; scale it down"):
        open_source(str(tmp_path))


@pytest.mark.parametrize("size", [(1, 48), (64, 1), (20_000, 20)])
def test_sizes_that_no_film_has_are_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    picture(tmp_path / "1.png", 1, *size)
    with pytest.raises(InputError, match=rf"frames of {size[0]}x{size[1]}; a side has 16 to 16384 pixels"):
        open_source(str(tmp_path))


@pytest.mark.parametrize("fps", [float("inf"), float("nan"), 0.0, -5.0, 1e9])
def test_a_rate_that_is_none_is_refused(tmp_path: Path, fps: float) -> None:
    picture(tmp_path / "1.png")
    with pytest.raises(InputError, match="frames per second; give a number above 0"):
        open_source(str(tmp_path), fps)


def test_a_path_that_cannot_be_is_told() -> None:
    with pytest.raises(InputError, match="cannot be read"):
        open_source("a" * 5000)


@pytest.mark.real
def test_real_faults(shared: Path) -> None:
    folder = shared / "faults" / "folders"
    assert [t for t, _ in frames(open_source(str(folder / "gaps")))] == [1, 3, 4]
    assert [t for t, _ in frames(open_source(str(folder / "mac")))] == [1, 2, 3]
    with pytest.raises(InputError, match="frame 2 is also 000002.jpg; remove one"):
        open_source(str(folder / "twins"))

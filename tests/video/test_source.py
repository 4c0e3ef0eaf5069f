"""Frames from videos, folders and cameras, and what is said of those that are none."""

import cv2
import numpy as np
import pytest

from msfp.errors import InputError
from msfp.video.film import Film
from msfp.video.source import frames, open_source


def grey(level: int, width: int = 64, height: int = 48) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def levels(source, first=1) -> list[tuple[int, int]]:
    return [(t, round(float(pixels.mean()))) for t, pixels in frames(source, first)]


def test_a_video_tells_its_size_rate_and_length(tmp_path):
    path = tmp_path / "walk.mp4"
    with Film(path, 25, 64, 48) as film:
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
    with pytest.raises(InputError, match="no such video, folder of images or camera number"):
        open_source("nowhere.mp4")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no images"):
        open_source(str(tmp_path / "empty"))
    (tmp_path / "a.mp4").write_text("no film")
    with pytest.raises(InputError, match="not a video that can be decoded"):
        open_source(str(tmp_path / "a.mp4"))
    with pytest.raises(InputError, match="no such camera here"):
        open_source("97")


def test_bad_images_are_named(tmp_path):
    cv2.imwrite(str(tmp_path / "1.png"), grey(1))
    cv2.imwrite(str(tmp_path / "2.png"), grey(1, 32, 32))
    with pytest.raises(InputError, match=r"2.png: 32x32, the first image is 64x48"):
        levels(open_source(str(tmp_path)))
    (tmp_path / "2.png").write_text("none")
    with pytest.raises(InputError, match=r"2.png: not an image"):
        levels(open_source(str(tmp_path)))

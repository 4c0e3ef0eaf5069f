"""Films that play, parts that join, and drawing that can be seen."""

from contextlib import closing

import numpy as np
import pytest

from msfp.errors import MsfpError
from msfp.online.video import Artist, Film, frames, join, open_source


def write(path, grey_levels, size=(64, 48), fps=25):
    with closing(Film(path, fps, *size)) as film:
        for level in grey_levels:
            film.add(np.full((size[1], size[0], 3), level, np.uint8))
    return path


def test_parts_join_to_one_film_in_order(tmp_path):
    parts = [write(tmp_path / f"{k}.mp4", range(80 * k, 80 * k + 70, 10)) for k in range(3)]
    whole = open_source(str(join(parts, tmp_path / "all.mp4", [0, 7 / 25, 14 / 25])))
    assert (whole.length, whole.fps) == (21, 25.0)
    found = [float(pixels.mean()) for _, pixels in frames(whole)]
    expected = [80 * k + step for k in range(3) for step in range(0, 70, 10)]
    assert np.allclose(found, expected, atol=3)


def test_the_film_is_h264_that_browsers_play(tmp_path):
    import av

    with av.open(str(write(tmp_path / "a.mp4", [0, 255]))) as film:
        stream = film.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")


def test_odd_sizes_lose_a_row_and_a_column(tmp_path):
    source = open_source(str(write(tmp_path / "a.mp4", [9], size=(65, 49))))
    assert (source.width, source.height) == (64, 48)


def test_a_film_is_there_once_it_is_closed(tmp_path):
    Film(tmp_path / "a.mp4", 25, 64, 48).add(np.zeros((48, 64, 3), np.uint8))
    assert not (tmp_path / "a.mp4").exists()


def test_a_broken_part_is_named(tmp_path):
    (tmp_path / "b.mp4").write_text("no film")
    with pytest.raises(MsfpError, match=r"b.mp4: cannot be read"):
        join([write(tmp_path / "a.mp4", [1]), tmp_path / "b.mp4"], tmp_path / "all.mp4", [0, 1])
    assert not (tmp_path / "all.mp4").exists()


def test_boxes_lie_where_the_people_are_and_keep_their_colour():
    artist = Artist(320, 240, 30)
    black = np.zeros((240, 320, 3), np.uint8)
    place = np.array([[101.0, 61.0, 141.0, 181.0]])
    first = artist.draw(black, np.array([7], np.int32), place, (0.6, 0.1))
    again = artist.draw(black, np.array([7], np.int32), place, (0.6, 0.1))
    other = artist.draw(black, np.array([8], np.int32), place, (0.6, 0.1))
    assert black.sum() == 0, "the frame given is left as it is"
    assert first.shape == (artist.height, artist.width, 3) == (240 + 48, 320, 3)
    edge = first[120, 100]
    assert edge.any()
    assert (again[120, 100] == edge).all()
    assert (other[120, 100] != edge).any()
    assert first[120, 120].sum() == 0, "the person is not painted over"


def test_the_strip_shows_the_thresholds():
    artist = Artist(640, 360, 30)
    nobody = np.zeros(0, np.int32), np.zeros((0, 4))
    for high in np.linspace(0.2, 0.9, 40):
        drawn = artist.draw(np.zeros((360, 640, 3), np.uint8), *nobody, (float(high), 0.1))
    strip = drawn[360:]
    amber = np.argwhere((strip[..., 0] > 200) & (strip[..., 2] < 60))
    assert amber[amber[:, 1].argmax(), 0] < amber[amber[:, 1].argmin(), 0], "a threshold that rises rises on the strip"


@pytest.mark.parametrize("lengths", [(3, 2, 3, 1), (1, 1, 1), (5, 1, 4, 2), (2, 7)])
def test_parts_of_any_lengths_are_joined(tmp_path, lengths):
    noise = np.random.default_rng(0)
    parts = [tmp_path / f"{at}.mp4" for at in range(len(lengths))]
    for path, length in zip(parts, lengths, strict=True):
        with closing(Film(path, 30, 96, 64)) as film:
            for _ in range(length):
                film.add(noise.integers(0, 255, (64, 96, 3), dtype=np.uint8))
    starts = (np.cumsum([0, *lengths[:-1]]) / 30).tolist()
    assert open_source(str(join(parts, tmp_path / "whole.mp4", starts))).length == sum(lengths)

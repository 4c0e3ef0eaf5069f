"""Images and boxes go into the network's input by the same map, and come back exactly."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msfp.errors import InputError
from msfp.features.backbone import GREY, fit

SIDES = st.integers(8, 2000)


def test_full_hd_gets_eight_grey_rows_above_and_below() -> None:
    box = fit((1920, 1080), (1280, 736))
    assert box.content == (1280, 720)
    assert box.offset == (0, 8)
    image = box.apply(np.zeros((1080, 1920, 3), np.uint8))
    assert image.shape == (736, 1280, 3)
    assert (image[:8] == GREY).all()
    assert (image[-8:] == GREY).all()
    assert (image[8:-8] == 0).all()


def test_embedded_frames_keep_their_pixels() -> None:
    box = fit((640, 360), (640, 384))
    frame = np.random.default_rng(0).integers(0, 256, (360, 640, 3), dtype=np.uint8)
    assert box.offset == (0, 12)
    assert np.array_equal(box.apply(frame)[12:372], frame)


@pytest.mark.parametrize("image", [(1920, 1080), (640, 384), (300, 500), (64, 500)])
@pytest.mark.parametrize("geometry", ["letterbox", "paper_scale"])
def test_a_place_that_is_given_is_filled(image: tuple[int, int], geometry: str) -> None:
    box = fit(image, (640, 384), geometry)
    frame = np.random.default_rng(0).integers(0, 256, (*image[::-1], 3), dtype=np.uint8)
    places = np.full((3, 384, 640, 3), 7, np.uint8)
    assert box.apply(frame, places[1]) is not None
    assert (places[[0, 2]] == 7).all()
    left, top = box.offset
    content = (slice(top, top + box.content[1]), slice(left, left + box.content[0]))
    assert np.array_equal(places[1][content], cv2.resize(frame, box.content))
    places[1][content] = GREY
    assert (places[1] == GREY).all()


@given(SIDES, SIDES, st.integers(1, 50), st.integers(1, 50), st.sampled_from(["letterbox", "paper_scale"]))
def test_boxes_come_back_exactly(width: int, height: int, columns: int, rows: int, geometry: str) -> None:
    box = fit((width, height), (32 * columns, 32 * rows), geometry)
    tlwh = np.array([[1.0, 1.0, width, height], [-30.5, 12.25, 17.0, 90.0], [width + 5.0, 3.0, 0.0, 0.0]])
    np.testing.assert_allclose(box.to_file(box.to_network(tlwh)), tlwh, rtol=0, atol=1e-9 * max(width, height))


@given(SIDES, SIDES, st.integers(1, 50), st.integers(1, 50))
def test_the_whole_image_maps_to_the_content(width: int, height: int, columns: int, rows: int) -> None:
    box = fit((width, height), (32 * columns, 32 * rows))
    left, top, right, bottom = box.to_network(np.array([[1.0, 1.0, width, height]]))[0]
    assert (left, top) == box.offset
    np.testing.assert_allclose((right - left, bottom - top), box.content)
    assert right <= box.size[0] + 1e-9
    assert bottom <= box.size[1] + 1e-9


@pytest.mark.parametrize(
    ("image", "size"), [((640, 480), (320, 192)), ((300, 500), (640, 384)), ((641, 363), (640, 384))]
)
@pytest.mark.parametrize("geometry", ["letterbox", "paper_scale"])
def test_pixels_move_with_their_box(image: tuple[int, int], size: tuple[int, int], geometry: str) -> None:
    frame = np.zeros((image[1], image[0], 3), np.uint8)
    tlwh = np.array([[101.0, 121.0, 80.0, 60.0]])  # pixels 100..179 and 120..179
    frame[120:180, 100:180] = 255
    box = fit(image, size, geometry)
    mapped = box.apply(frame)[..., 0] > 180
    rows, columns = np.flatnonzero(mapped.any(1)), np.flatnonzero(mapped.any(0))
    found = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    np.testing.assert_allclose(found, box.to_network(tlwh)[0], atol=0.8)


def test_paper_scale_is_the_formula_of_a6() -> None:
    for width, height in ((1920, 1080), (640, 480)):
        box = fit((width, height), (1280, 736), "paper_scale")
        assert box.scale == (1280 / width, 720 / height)
        assert box.offset == (0, 0)


def test_first_pixel_starts_at_one_in_files_and_zero_in_the_network() -> None:
    assert fit((64, 64), (64, 64)).to_network(np.array([[1.0, 1.0, 2.0, 3.0]])).tolist() == [[0.0, 0.0, 2.0, 3.0]]


def test_no_boxes() -> None:
    box = fit((64, 64), (64, 64))
    assert box.to_network(np.zeros((0, 4))).shape == (0, 4) == box.to_file(np.zeros((0, 4))).shape


def test_bad_input_is_named() -> None:
    with pytest.raises(InputError, match=r"image is 64x32 where 64x48 was declared; correct seqinfo\.ini"):
        fit((64, 48), (64, 64)).apply(np.zeros((32, 64, 3), np.uint8))
    with pytest.raises(InputError, match=r"network input 640x360 .* multiples of 32 are needed"):
        fit((640, 360), (640, 360))
    with pytest.raises(InputError, match="geometry 'stretch' is not known"):
        fit((640, 360), (640, 384), "stretch")

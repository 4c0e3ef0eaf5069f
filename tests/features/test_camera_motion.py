"""Camera motion against known warps of a textured picture, in file coordinates."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from msfp.errors import InputError
from msfp.features.camera_motion import IDENTITY, camera_motions

SIZE = (640, 360)
METHODS = ("ecc", "sparse-flow")
# File coordinates of points all over the frame: where a warp is wrong, some of them land in the wrong place.
GRID = np.stack(np.meshgrid(np.linspace(1, 641, 9), np.linspace(1, 361, 7)), -1).reshape(-1, 2)


def texture(size: tuple[int, int] = (800, 520), seed: int = 0) -> NDArray[np.uint8]:
    """A picture with structure at every scale."""
    rng = np.random.default_rng(seed)
    out = np.zeros((size[1], size[0], 3))
    for cell in (4, 8, 16, 32, 64, 128):
        noise = rng.normal(size=(size[1] // cell + 2, size[0] // cell + 2, 3))
        out += cell**0.5 * cv2.resize(noise, size, interpolation=cv2.INTER_CUBIC)
    out = 128 + 45 * out / out.std()
    return out.clip(0, 255).astype(np.uint8)


def camera_motion(
    previous: NDArray[np.uint8],
    current: NDArray[np.uint8],
    method: str,
    before: NDArray[np.float64] | None = None,
    now: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """(2, 3) map of one frame's file coordinates to the next one's."""
    boxes = [np.zeros((0, 4)) if b is None else b for b in (before, now)]
    return camera_motions([(1, previous), (2, current)], 2, method, lambda t: boxes[t - 1])[1]


def shot(picture: NDArray[np.uint8], file_to_file: NDArray[np.float64]) -> NDArray[np.uint8]:
    """What a camera sees whose file coordinates are `file_to_file` of those of the picture's middle."""
    margin = np.array([[1, 0, -80], [0, 1, -80], [0, 0, 1]])
    # Pixel centre p lies at file coordinate p + 1.5.
    to_file = np.array([[1, 0, 1.5], [0, 1, 1.5], [0, 0, 1]])
    whole = np.linalg.inv(to_file) @ np.vstack([file_to_file, [0, 0, 1]]) @ to_file @ margin
    return cv2.warpPerspective(picture, whole, SIZE, flags=cv2.INTER_CUBIC)


def similarity(shift: tuple[float, float], degrees: float = 0.0, scale: float = 1.0) -> NDArray[np.float64]:
    """(2, 3) map of file coordinates: about their origin, so that a wrong origin shows as a shift."""
    turn = np.radians(degrees)
    return np.array(
        [
            [scale * np.cos(turn), -scale * np.sin(turn), shift[0]],
            [scale * np.sin(turn), scale * np.cos(turn), shift[1]],
        ]
    )


def move(warp: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    return points @ warp[:, :2].T + warp[:, 2]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "true", [similarity((7.3, -4.6)), similarity((3.0, 2.0), 1.2), similarity((0.4, 0.0)), similarity((-9, 5), -0.8)]
)
def test_a_known_motion_is_found(method: str, true: NDArray[np.float64]) -> None:
    picture = texture()
    found = camera_motion(shot(picture, IDENTITY), shot(picture, true), method)
    np.testing.assert_allclose(move(found, GRID), move(true, GRID), atol=0.25)


def test_sparse_flow_finds_scale_about_the_right_origin() -> None:
    picture, true = texture(), similarity((-6.0, -3.0), 0.5, 1.03)
    found = camera_motion(shot(picture, IDENTITY), shot(picture, true), "sparse-flow")
    np.testing.assert_allclose(move(found, GRID), move(true, GRID), atol=0.25)


@pytest.mark.parametrize("method", METHODS)
def test_large_frames_are_shrunk_and_carried_back_exactly(method: str) -> None:
    """Shrinking moves pixel centres by half a pixel of either size; a mistake shows under rotation."""
    picture = cv2.resize(texture(), None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    centre = np.array([961.0, 541.0])
    true = similarity((0, 0), 1.0)
    true[:, 2] = centre - true[:, :2] @ centre + (6.0, -3.0)
    to_file = np.array([[1, 0, 1.5], [0, 1, 1.5], [0, 0, 1]])
    margin = np.array([[1, 0, -240], [0, 1, -240], [0, 0, 1.0]])
    whole = np.linalg.inv(to_file) @ np.vstack([true, [0, 0, 1]]) @ to_file @ margin
    frames = [cv2.warpPerspective(picture, m, (1920, 1080), flags=cv2.INTER_LINEAR) for m in (margin, whole)]
    found = camera_motion(frames[0], frames[1], method)
    np.testing.assert_allclose(move(found, 3 * GRID), move(true, 3 * GRID), atol=0.6)


@pytest.mark.parametrize("method", METHODS)
def test_a_still_camera_does_not_move(method: str) -> None:
    frame = shot(texture(), IDENTITY)
    np.testing.assert_allclose(move(camera_motion(frame, frame, method), GRID), GRID, atol=0.01)


@pytest.mark.parametrize("method", METHODS)
def test_people_who_walk_do_not_count_when_masked(method: str) -> None:
    """Half of the frame is one thing that moves by itself; only its boxes tell it from the background."""
    background, thing = shot(texture(), IDENTITY), texture(seed=1)
    boxes = []
    frames = []
    for step in (0, 8):
        frame = background.copy()
        left = 100 + step
        frame[20:340, left : left + 360] = thing[:320, :360]
        frames.append(frame)
        boxes.append(np.array([[left + 1.0, 21.0, 360.0, 320.0]]))
    masked = camera_motion(frames[0], frames[1], method, boxes[0], boxes[1])
    np.testing.assert_allclose(move(masked, GRID), GRID, atol=0.2)
    seen = camera_motion(frames[0], frames[1], method)
    assert np.abs(move(seen, GRID) - GRID).max() > 1.0


@pytest.mark.parametrize("method", METHODS)
def test_the_same_frames_give_the_same_numbers(method: str) -> None:
    picture = texture()
    first, second = shot(picture, IDENTITY), shot(picture, similarity((4.0, 1.0), 0.7))
    once = camera_motion(first, second, method)
    cv2.setRNGSeed(99)
    np.testing.assert_array_equal(camera_motion(first, second, method), once)


@pytest.mark.parametrize("method", METHODS)
def test_nothing_to_see_is_no_motion(method: str) -> None:
    grey = np.full((360, 640, 3), 128, np.uint8)
    np.testing.assert_array_equal(camera_motion(grey, grey, method), IDENTITY)
    frame, other = shot(texture(), IDENTITY), shot(texture(), similarity((5, 0)))
    everywhere = np.array([[-10.0, -10.0, 900.0, 700.0]])
    np.testing.assert_array_equal(camera_motion(frame, other, method, everywhere, everywhere), IDENTITY)


def test_none_is_the_identity() -> None:
    picture = texture()
    found = camera_motion(shot(picture, IDENTITY), shot(picture, similarity((5, 0))), "none")
    np.testing.assert_array_equal(found, IDENTITY)


def test_a_sequence_is_its_pairs_and_gaps_are_no_motion() -> None:
    picture = texture()
    frames = {t: shot(picture, similarity((2.0 * t, 0.5 * t))) for t in (1, 2, 3, 5, 6)}
    boxes = {t: np.array([[100.0 + t, 50.0, 60.0, 150.0]]) for t in frames}
    ticks: list[int] = []
    found = camera_motions(frames.items(), 7, "sparse-flow", boxes.__getitem__, ticks.append)
    assert found.shape == (7, 2, 3)
    assert len(ticks) == 5
    for t in (1, 4, 5, 7):
        np.testing.assert_array_equal(found[t - 1], IDENTITY)
    for t in (2, 3, 6):
        pair = camera_motion(frames[t - 1], frames[t], "sparse-flow", boxes[t - 1], boxes[t])
        np.testing.assert_array_equal(found[t - 1], pair)
        np.testing.assert_allclose(found[t - 1, :, 2], (2.0, 0.5), atol=0.2)


def test_an_unknown_method_is_named() -> None:
    frame = np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(InputError, match="camera motion 'orb' is not known; there are: none, ecc, sparse-flow"):
        camera_motion(frame, frame, "orb")
    with pytest.raises(InputError, match="'orb' is not known"):
        camera_motions([], 3, "orb")

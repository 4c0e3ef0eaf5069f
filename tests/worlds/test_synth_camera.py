"""The pinhole camera against its closed form."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msfp.worlds.raster import clip_near
from msfp.worlds.world import NEAR, Camera, CameraPath, cameras, rotation

metres = st.floats(-20, 20)


@given(x=metres, y=st.floats(1, 40), z=st.floats(0, 3), height=st.floats(0.5, 8))
def test_level_camera_is_similar_triangles(x: float, y: float, z: float, height: float) -> None:
    camera = Camera(np.array([0.0, 0.0, height]), rotation(0, 0, 0), 500.0, (320.0, 180.0))
    pixel, depth = camera.project(np.array([x, y, z]))
    assert depth == pytest.approx(y)
    assert pixel == pytest.approx([320 + 500 * x / y, 180 + 500 * (height - z) / y])


@given(pitch=st.floats(0.1, 1.2), height=st.floats(1, 8), focal=st.floats(100, 900))
def test_pitched_camera_sees_the_ground_where_its_axis_meets_it(pitch: float, height: float, focal: float) -> None:
    camera = Camera(np.array([0.0, 0.0, height]), rotation(0, pitch, 0), focal, (320.0, 180.0))
    pixel, depth = camera.project(np.array([0.0, height / np.tan(pitch), 0.0]))
    assert pixel == pytest.approx([320, 180], abs=1e-6)
    assert depth == pytest.approx(height / np.sin(pitch))


@given(yaw=st.floats(-3, 3), pitch=st.floats(-1, 1), roll=st.floats(-1, 1))
def test_rotations_are_right_handed(yaw: float, pitch: float, roll: float) -> None:
    turn = rotation(yaw, pitch, roll)
    assert turn @ turn.T == pytest.approx(np.eye(3), abs=1e-12)
    assert np.linalg.det(turn) == pytest.approx(1.0)


def test_homography_agrees_with_projection() -> None:
    camera = Camera(np.array([1.0, -2.0, 3.0]), rotation(0.3, 0.4, 0.1), 400.0, (160.0, 90.0))
    origin, u, v = np.array([0.0, 8.0, 0.0]), np.array([1.0, 0.2, 0.0]), np.array([0.0, 0.5, 1.0])
    for s, t in ((0.0, 0.0), (2.0, -1.0), (-3.0, 4.0)):
        mapped = camera.homography(origin, u, v) @ (s, t, 1.0)
        assert mapped[:2] / mapped[2] == pytest.approx(camera.project(origin + s * u + t * v)[0])


def test_what_lies_behind_is_cut_at_the_near_plane() -> None:
    square = np.array([[-1.0, 0, 2], [1, 0, 2], [1, 0, -2], [-1, 0, -2]])
    kept = clip_near(square)
    assert kept[:, 2].min() == pytest.approx(NEAR)
    assert len(kept) == 4
    assert len(clip_near(square - [0, 0, 5])) == 0


def test_a_static_camera_is_one_object_and_a_carried_one_moves() -> None:
    rng = np.random.default_rng(0)
    still = cameras(CameraPath("static", 2.0, 5, 0.9), 5, 30.0, (64, 36), rng)
    assert all(camera is still[0] for camera in still)
    carried = cameras(CameraPath("handheld", 2.0, 5, 0.9, speed=1.5), 31, 30.0, (64, 36), rng)
    assert carried[-1].centre[1] - carried[0].centre[1] == pytest.approx(1.5)

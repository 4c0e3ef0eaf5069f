"""Bodies and paths: what the labels rest on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msfp.worlds.motion import Area
from msfp.worlds.people import ANKLE, FOOT, Motion, joints
from msfp.worlds.render import Stage
from msfp.worlds.scene import still
from msfp.worlds.world import DATASETS, World, draw_world, scene_worlds
from shipped_weights.samples import worlds


def pose(phase: float, pace: float, crouch: float, heading: float) -> Motion:
    one = np.ones(1)
    motion = still(np.zeros((1, 2)), np.random.default_rng(0), heading)
    return Motion(
        motion.position, motion.heading, phase * one, pace * one, crouch * one, motion.lift, motion.reach, motion.hop
    )


@given(st.floats(0, 7), st.floats(0, 1.3), st.floats(0, 1), st.floats(-3, 3), st.floats(1.2, 2.0))
def test_the_lower_foot_stands_on_the_ground(
    phase: float, pace: float, crouch: float, heading: float, tall: float
) -> None:
    body = joints(pose(phase, pace, crouch, heading), np.array([tall]), np.ones(1))
    assert body[0, ANKLE, 2].min() == pytest.approx(FOOT * tall)
    assert body[0, :, 2].max() < 1.03 * tall
    assert np.linalg.norm(body[0, :, :2], axis=1).max() < 0.8 * tall


def test_upright_bodies_have_their_stature() -> None:
    body = joints(pose(0.0, 0.0, 0.0, 0.0), np.array([1.8]), np.ones(1))
    assert body[0, :, 2].max() == pytest.approx(1.8, rel=0.06)  # hair comes on top


def test_half_a_cycle_later_left_and_right_have_changed_places() -> None:
    stature, breadth = np.array([1.7]), np.ones(1)
    now, later = (joints(pose(phase, 1.0, 0.0, 0.0), stature, breadth)[0] for phase in (0.8, 0.8 + np.pi))
    assert now[ANKLE[0], 1:] == pytest.approx(later[ANKLE[1], 1:])


def street(**fixed: object) -> World:
    return draw_world("street", "test", 3, size=(160, 90), length=160, **fixed)


@pytest.mark.parametrize("kind", ["synth17", "synth20", "synthdance", "synthpp22"])
def test_nobody_moves_faster_than_people_do(kind: str) -> None:
    for world in worlds(kind, 1, 2, size=(160, 90), length=40):
        cast = Stage(world).cast
        steps = np.linalg.norm(np.diff(cast.motion.position, axis=0), axis=2) * world.fps
        same = cast.identity[1:] == cast.identity[:-1]
        assert steps[same].max() < 8.0  # dancers leap
        if kind != "synthdance":
            assert steps[same].max() < 3.4


def test_each_identity_is_one_person_in_each_frame() -> None:
    identity = Stage(street(people=20, returning=0.0)).cast.identity
    for row in identity:
        assert len(set(row.tolist())) == len(row)
    assert identity.max() >= 20  # others came


def test_groups_stay_together() -> None:
    world = street(people=2, groups=1.0, standing=0.0, furniture=0)
    position = Stage(world).cast.motion.position
    assert np.linalg.norm(position[30:, 0] - position[30:, 1], axis=1).max() < 2.5


def test_training_worlds_are_none_of_the_evaluated_ones() -> None:
    evaluated = {world.seed for name in DATASETS for seed in range(3) for _, world in scene_worlds(name, seed=seed)}
    training = {world.seed for name in DATASETS for world in worlds(name, 0, 50)}
    assert len(evaluated) == 3 * (14 + 10 + 8 + 8 + 2)
    assert not evaluated & training


def test_somebody_leaves_and_comes_back() -> None:
    came_back = 0
    for world in worlds("synth17", 0, 4, size=(160, 90), length=100):
        stage = Stage(world)
        seen = np.zeros((world.length, world.people), bool)
        for t, camera in enumerate(stage.cameras):
            pixel, _ = camera.project(np.column_stack([stage.cast.motion.position[t], np.full(world.people, 0.9)]))
            seen[t] = (pixel[:, 0] >= 0) & (pixel[:, 0] < 160)
        for k in range(world.people):
            spell = np.flatnonzero(np.diff(seen[:, k].astype(int)))
            same = len(set(stage.cast.identity[:, k].tolist())) == 1
            came_back += same and len(spell) >= 2 and bool(seen[0, k])
    assert came_back >= 4


def test_long_scenes_have_people_who_come_back_after_seconds_as_they_were() -> None:
    for scene, world in scene_worlds("synthlong", size=(160, 90)):
        stage = Stage(world)
        _, side = Area(world, stage.cameras[0]).local(stage.cast.motion.position.reshape(-1, 2))
        seen = (np.abs(side) < 1).reshape(stage.cast.identity.shape)
        absences = [
            np.diff(np.flatnonzero((seen & (stage.cast.identity == who)).any(axis=1))) - 1
            for who in range(len(stage.looks))
        ]
        long = np.concatenate(absences)
        assert ((long >= 60) & (long <= 200)).sum() >= 15, scene.name
        assert world.length == 600

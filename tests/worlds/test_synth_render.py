"""Frames and labels of the embedded worlds."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from msfp.errors import InputError
from msfp.worlds import DATASETS, render
from msfp.worlds.people import figures
from msfp.worlds.raster import Polygon, fixed, put, shape
from msfp.worlds.render import Stage, draw
from msfp.worlds.world import World, draw_world
from shipped_weights.samples import worlds

SIZE = (192, 108)


def world(kind: str = "street", seed: int = 5, length: int = 4, **fixed: object) -> World:
    return draw_world(kind, "test", seed, size=SIZE, length=length, **fixed)  # type: ignore[arg-type]


def rectangle(x0: float, y0: float, x1: float, y1: float) -> list[Polygon]:
    corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
    return [Polygon(fixed(corners), (200, 30, 30))]


def inside(polygons: tuple[Polygon, ...], size: tuple[int, int]) -> NDArray[np.bool_]:
    """(H, W) pixels whose centre lies in one of the convex polygons: the definition."""
    y, x = np.mgrid[: size[1], : size[0]] * 16.0
    out = np.zeros(x.shape, bool)
    for polygon in polygons:
        points = polygon.points.astype(float)
        turn = [
            (b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0])
            for a, b in zip(points, np.roll(points, -1, axis=0), strict=True)
        ]
        out |= (np.min(turn, axis=0) >= 0) | (np.max(turn, axis=0) <= 0)
    return out


@pytest.mark.parametrize(("left", "share"), [(40.5, 0.5), (20.5, 0.0), (60.5, 1.0), (50.5, 0.75)])
def test_visibility_of_a_half_hidden_rectangle(left: float, share: float) -> None:
    image, buffer = np.zeros((108, 192, 3), np.uint8), np.zeros((108, 192), np.uint16)
    person = shape(rectangle(20.5, 10.5, 59.5, 89.5), SIZE)
    put(image, buffer, person, 1)
    assert person.box == (20, 10, 40, 80)
    assert person.area == 3200
    put(image, buffer, shape(rectangle(left, 5.5, left + 60, 95.5), SIZE), 2)
    assert np.count_nonzero(buffer == 1) / person.area == share


def test_what_the_border_cuts_off_is_not_visible() -> None:
    image, buffer = np.zeros((108, 192, 3), np.uint8), np.zeros((108, 192), np.uint16)
    person = shape(rectangle(-19.5, 10.5, 19.5, 49.5), SIZE)
    put(image, buffer, person, 1)
    assert person.box == (-20, 10, 40, 40)
    assert np.count_nonzero(buffer) / person.area == 0.5


def test_visibility_agrees_with_the_definition() -> None:
    scene = Stage(draw_world("street", "test", 8, size=(320, 180), length=1, people=14, furniture=0))
    scene.things.clear()
    scene.seated_looks.clear()
    scene.seated = replace(scene.seated, **{name: getattr(scene.seated, name)[:0] for name in scene.seated.__dict__})
    _, rows = draw(scene, 0)
    motion, identity = scene.cast.frame(0)
    people = figures(scene.cameras[0], motion, [scene.looks[i] for i in identity])
    masks = [inside(person.polygons, scene.world.size) for person in people]
    last = np.full((180, 320), -1)
    for k in sorted(range(len(people)), key=lambda k: -people[k].depth):
        last[masks[k]] = k
    checked = 0
    for row in rows:
        k = int(np.flatnonzero(identity == row[1] - 1)[0])
        left, top, width, height = row[2:6]
        if left < 1 or top < 1 or left + width > 321 or top + height > 181 or height < 40:
            continue  # the definition above sees no pixel outside the image
        assert row[8] == pytest.approx((last == k).sum() / masks[k].sum(), abs=0.06)
        checked += 1
    assert checked >= 4


@pytest.mark.parametrize("kind", ["street", "crowd", "stage", "shop"])
def test_boxes_bound_the_silhouettes(kind: str) -> None:
    stage = Stage(world(kind, length=1))
    _, rows = draw(stage, 0)
    motion, identity = stage.cast.frame(0)
    boxes = {int(row[1]) - 1: row[2:6] for row in rows if row[6] == 1}
    ahead = stage.cameras[0].view(np.column_stack([motion.position, np.full(len(identity), 0.9)]))[:, 2] > 0.9
    for k in np.flatnonzero(ahead):
        if int(identity[k]) not in boxes:
            continue
        one = type(motion)(*(getattr(motion, name)[[k]] for name in motion.__dict__))
        polygons = figures(stage.cameras[0], one, [stage.looks[identity[k]]])[0].polygons
        points = np.concatenate([polygon.points for polygon in polygons]) / 16 + 0.5  # image coordinates
        left, top, width, height = boxes[int(identity[k])]
        slack = 1.0  # a pixel's width: boxes are whole pixels
        assert np.all(points.min(0) >= np.array([left, top]) - 1 - slack)
        assert np.all(points.max(0) <= np.array([left + width, top + height]) - 1 + slack)
        assert np.all(np.abs(points.max(0) - points.min(0) - (width, height)) <= 2.5)


@pytest.mark.parametrize("dataset", DATASETS)
def test_rows_are_valid_labels(dataset: str) -> None:
    (one,) = worlds(dataset, 2, 1, size=SIZE, length=5)
    kinds = set()
    for number, (image, rows) in enumerate(render(one), start=1):
        assert image.shape == (108, 192, 3)
        assert image.dtype == np.uint8
        assert rows.shape[1] == 9
        assert set(rows[:, 0]) == {number}
        assert len(set(rows[:, 1])) == len(rows)
        assert np.array_equal(rows[:, :8], np.rint(rows[:, :8]))
        assert rows[:, 4:6].min() > 0
        centre = rows[:, 2:4] - 1 + rows[:, 4:6] / 2
        assert np.all((centre >= 0) & (centre < SIZE))
        assert np.all((rows[:, 8] >= 0) & (rows[:, 8] <= 1))
        assert np.array_equal(rows[:, 6] == 1, rows[:, 7] == 1)
        kinds |= set(rows[:, 7].astype(int))
    assert 1 in kinds
    assert kinds <= {1, 3, 7, 8, 9}


def test_the_seed_decides_everything() -> None:
    first, again = list(render(world())), list(render(world()))
    for (image, rows), (image_again, rows_again) in zip(first, again, strict=True):
        assert np.array_equal(image, image_again)
        assert np.array_equal(rows, rows_again)
    other = list(render(world(seed=6)))
    assert not np.array_equal(first[0][0], other[0][0])


@pytest.mark.parametrize("kind", ["street", "stage"])
def test_skipping_frames_changes_none(kind: str) -> None:
    whole, some = list(render(world(kind))), list(render(world(kind), every=3))
    assert len(some) == 2
    for (image, rows), (image_some, rows_some) in zip(whole[::3], some, strict=True):
        assert np.array_equal(image, image_some)
        assert np.array_equal(rows, rows_some)


def test_dancers_look_alike_and_passers_by_do_not() -> None:
    def spread(kind: str) -> float:
        return float(np.std([look.upper for look in Stage(world(kind, people=12)).looks], axis=0).mean())

    assert spread("stage") < 6 < spread("street")


def test_nobody_at_all() -> None:
    for _, rows in render(world(people=0)):
        assert not np.any(rows[:, 6] == 1)


def test_unknown_kind() -> None:
    with pytest.raises(InputError, match="unknown kind of world 'mars': use one of crowd, shop"):
        next(worlds("mars", 0, 1))


def test_too_small_an_image() -> None:
    with pytest.raises(InputError, match="world 'test': size 4x4, 4 frames at .* use at least 16x16 pixels"):
        draw_world("stage", "test", 0, size=(4, 4), length=4)

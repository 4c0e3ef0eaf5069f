"""How clearly people stand out: against the definition, and in haze, dusk and blur."""

from dataclasses import replace

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from msfp.worlds import render
from msfp.worlds.render import clearness
from msfp.worlds.world import World, draw_world


def defined(image: np.ndarray, box: np.ndarray) -> float:
    """Pixel by pixel: those of the core, and those of the rim that are not of the box."""
    left, top = box[0] - 1, box[1] - 1
    edges = []
    for across, down in ((-0.25, -0.1), (0.0, 0.0), (0.5, 0.1)):
        xs = np.clip(np.rint([left - across * box[2], left + (1 + across) * box[2]]), 0, image.shape[1])
        ys = np.clip(np.rint([top - down * box[3], top + (1 + down) * box[3]]), 0, image.shape[0])
        mask = np.zeros(image.shape[:2], bool)
        mask[int(ys[0]) : int(ys[1]), int(xs[0]) : int(xs[1])] = True
        edges.append(mask)
    core, whole, grown = edges
    means = [image[mask].mean(axis=0) if mask.any() else np.zeros(3) for mask in (core, grown & ~whole)]
    return float(np.log1p(np.sqrt(((means[0] - means[1]) ** 2).mean())))


@given(st.integers(0, 2**32), st.lists(st.tuples(*[st.integers(-20, 60)] * 2, *[st.integers(1, 50)] * 2), max_size=5))
def test_it_is_its_definition(seed: int, given: list[tuple[int, int, int, int]]) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (40, 50, 3), np.uint8)
    boxes = np.array(given, float).reshape(-1, 4) + np.array([0.137, 0.137, 0, 0])  # no edge between two pixels
    assert clearness(image, boxes) == pytest.approx([defined(image, box) for box in boxes])


def seen(world: World) -> tuple[float, np.ndarray]:
    """Mean clearness of a world's people, and its labels."""
    frames = list(render(world))
    return float(np.mean(np.concatenate([clearness(image, rows[:, 2:6]) for image, rows in frames]))), np.concatenate(
        [rows for _, rows in frames]
    )


def test_haze_and_dusk_take_clearness_and_nothing_else() -> None:
    bright = draw_world("street", "bright", 5, size=(320, 180), length=3, haze=0.0, exposure=1.0)
    clear, labels = seen(bright)
    last = clear
    for haze in (0.4, 0.8):
        now, same = seen(replace(bright, haze=haze))
        assert now < last - 0.3
        assert np.array_equal(labels, same)
        last = now
    dim, same = seen(replace(bright, exposure=0.3))
    assert dim < clear - 0.3
    assert np.array_equal(labels, same)


def test_about_half_of_the_worlds_are_clear_and_bright_and_rooms_have_no_haze() -> None:
    streets = [draw_world("street", "s", seed) for seed in range(200)]
    plain = sum(w.haze == 0 and w.exposure == 1 for w in streets)
    assert 70 < plain < 130
    assert any(w.haze > 0 for w in streets)
    assert any(w.exposure < 1 for w in streets)
    assert not any(w.haze > 0 for w in (draw_world("shop", "s", seed) for seed in range(50)))

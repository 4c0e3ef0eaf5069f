"""Dancers: places that are swapped on the beat, turns, crouches and raised arms."""

from math import tau

import numpy as np

from msfp.datasets.synth.camera import Camera, Floats
from msfp.datasets.synth.gait import STRIDE, Motion
from msfp.datasets.synth.motion import Area, Cast
from msfp.datasets.synth.world import World

LEAP = 2.3  # metres a second between places, on average


def formation(area: Area, count: int, rng: np.random.Generator) -> Floats:
    """(count, 2) places in two or three rows on the stage."""
    rows = 2 if count < 10 else 3
    places = []
    for k in range(count):
        row, column = k % rows, k // rows
        columns = (count - row + rows - 1) // rows
        depth = area.near + 0.6 + (area.far - area.near - 1.0) * row / max(1, rows - 1)
        side = -0.72 + 1.44 * (column + 0.5 * (row % 2)) / max(1, columns - 0.5)
        places.append(area.place(depth, float(np.clip(side, -0.85, 0.85))) + rng.normal(0, 0.12, 2))
    return np.array(places)


def pulses(length: int, fps: float, beat: float, chance: float, rng: np.random.Generator) -> Floats:
    """(length,) 0 to 1: on some beats a smooth rise and fall."""
    t = np.arange(length) / fps / beat
    on = rng.random(int(t[-1]) + 2) < chance
    return np.where(on[t.astype(int)], np.sin(np.pi * (t % 1.0)) ** 2, 0.0)


def dancers(world: World, cameras: tuple[Camera, ...]) -> Cast:
    """Choreograph the dancers of a world; some leave to the wings and come back. The first view is the stage."""
    rng, n, length = world.rng("paths"), world.people, world.length
    area = Area(world, cameras[0])
    places = formation(area, n, rng)
    beat = rng.uniform(0.9, 1.3)  # seconds between changes of place
    t = np.arange(length) / world.fps
    beats = int(t[-1] / beat) + 2
    order = np.arange(n)
    stops = [places[order]]
    for _ in range(beats):
        order = order.copy()
        for k in rng.permutation(n)[: int(rng.integers(1, max(2, n // 3 + 1)))]:
            gap = np.linalg.norm(places[order] - places[order[k]], axis=1)
            near = np.flatnonzero((gap > 0) & (gap < LEAP * beat))
            if len(near):
                other = rng.choice(near)
                order[[k, other]] = order[[other, k]]
        stop = places[order] + rng.normal(0, 0.12, (n, 2))
        if rng.random() < 0.7:  # the one nearest a wing leaves for a beat
            wing = int(rng.choice([-1, 1]))
            side = (stop - area.centre) @ area.right * wing
            k = int(np.argmax(side))
            stop[k] += wing * area.right * rng.uniform(1.8, 2.4)
        stops.append(stop)
    path = np.array(stops)
    index = (t / beat).astype(int)
    share = np.clip((t / beat % 1.0) / 0.8, 0, 1)
    ease = (share * share * (3 - 2 * share))[:, None, None]
    gap = path[index + 1] - path[index]
    bow = np.stack([-gap[..., 1], gap[..., 0]], -1) * (0.28 * np.sin(np.pi * ease))  # curved, so that swaps go around
    position = path[index] + ease * gap + bow
    velocity = np.gradient(position, 1 / world.fps, axis=0) if length > 1 else np.zeros_like(position)
    speed = np.linalg.norm(velocity, axis=2)
    audience = np.arctan2(-area.forward[0], -area.forward[1])
    turns = np.stack([np.cumsum(pulses(length, world.fps, beat, 0.3, rng)) for _ in range(n)], 1)
    unit = max(1e-6, float(np.sum(np.sin(np.pi * np.linspace(0, 1, max(2, int(beat * world.fps)))) ** 2)))
    heading = audience + tau * turns / unit + 0.5 * np.sin(tau * t[:, None] / beat + rng.uniform(0, tau, n))
    phase = np.cumsum(speed, 0) / world.fps * tau / (STRIDE * 1.7) + rng.uniform(0, tau, n)
    crouch = np.stack([0.75 * pulses(length, world.fps, beat, 0.25, rng) for _ in range(n)], 1)
    hop = np.stack([0.22 * pulses(length, world.fps, 0.45, 0.12, rng) for _ in range(n)], 1)
    lift, reach = (
        np.stack([np.stack([pulses(length, world.fps, beat, often, rng) for _ in range(n)], 1) for _ in range(2)], 2)
        for often in (0.4, 0.3)
    )
    motion = Motion(position, heading, phase, np.minimum(speed / 1.4, 1.3), crouch, lift, 1.2 * reach, hop)
    return Cast(motion, np.broadcast_to(np.arange(n), (length, n)))

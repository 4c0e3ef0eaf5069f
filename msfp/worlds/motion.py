"""Where everybody is in every frame: walkers who give way to each other, and dancers."""

from dataclasses import dataclass
from math import tau

import numpy as np
from numpy.typing import NDArray

from msfp.worlds.people import STRIDE, Motion
from msfp.worlds.world import Camera, Floats, World

PERSONAL = 0.75  # metres within which people push each other away
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Cast:
    """Everybody in every frame; the arrays of `Motion` with a leading axis of frames."""

    motion: Motion  # (T, N, ...) poses
    identity: Ints  # (T, N) index of the identity, from 0; -1 where nobody is

    def frame(self, t: int) -> tuple[Motion, Ints]:
        """Poses (N rows) and identities (N,) of the t-th frame, from 0."""
        return self.motion.pick(t), self.identity[t]


class Area:
    """The ground that a camera sees between two depths, moving with it."""

    def __init__(self, world: World, camera: Camera):
        self.centre = camera.centre[:2]
        forward = camera.rotation[2, :2]
        self.forward = forward / np.linalg.norm(forward)
        self.right = np.array([self.forward[1], -self.forward[0]])
        self.near, self.far = world.near, world.far
        tilt = np.arcsin(-camera.rotation[2, 2])
        # On the ground, a ray's depth along the view is y cos(tilt) + height sin(tilt).
        self.slope = 0.5 * world.size[0] / camera.focal * np.cos(tilt)
        self.offset = 0.5 * world.size[0] / camera.focal * camera.centre[2] * np.sin(tilt)

    def half(self, depth: Floats | float) -> Floats | float:
        """Half width of the view at a distance along the ground, metres."""
        return self.slope * depth + self.offset

    def place(self, depth: float, side: float) -> Floats:
        """(2,) point at a distance along the ground and a side: -1 and 1 are the view's edges."""
        return self.centre + depth * self.forward + side * self.half(depth) * self.right

    def inside(self, rng: np.random.Generator) -> Floats:
        """A point in view, even in place on the ground."""
        while True:
            depth = rng.uniform(self.near, self.far)
            if rng.random() * self.half(self.far) < 0.25 * self.half(self.far) + 0.75 * self.half(depth):
                return self.place(depth, rng.uniform(-0.95, 0.95))

    def local(self, points: Floats) -> tuple[Floats, Floats]:
        """(N, 2) points -> (N,) distance ahead and (N,) side, in half widths."""
        relative = points - self.centre
        ahead = relative @ self.forward
        return ahead, (relative @ self.right) / np.maximum(self.half(np.maximum(ahead, 0.5)), 0.1)

    def beyond(self, rng: np.random.Generator, side: int, depth: float) -> Floats:
        """A point half a metre to a metre and a half out of view."""
        return self.place(depth, float(side)) + side * rng.uniform(0.5, 1.4) * self.right


class Walkers:
    """The state of the simulation; one row a slot, which one identity after another fills."""

    def __init__(self, world: World, camera: Camera, obstacles: Floats):
        self.world, self.rng, self.obstacles = world, world.rng("paths"), obstacles
        n, rng = world.people, self.rng
        area = Area(world, camera)
        self.position = np.stack([area.inside(rng) for _ in range(n)]) if n else np.zeros((0, 2))
        self.velocity = np.zeros((n, 2))
        self.goal = np.zeros((n, 2))
        self.leaves = np.zeros(n, bool)  # the goal lies out of view
        self.back = np.zeros(n, bool)  # comes back from there for certain
        self.wait = np.zeros(n)
        self.speed = np.clip(rng.normal(1.4, 0.16, n), 1.0, 1.9)
        self.identity = np.arange(n)
        self.count = n
        self.leader = np.full(n, -1)
        self.offset = np.zeros((n, 2))
        self.stands = rng.random(n) < world.standing
        self.heading = rng.uniform(-np.pi, np.pi, n)
        self.flow = rng.uniform(-0.35, 0.35)  # the street runs a little aslant of the view
        self.form_groups()
        for k in range(n):
            self.aim(k, area)
            if rng.random() < 0.25 and self.leader[k] < 0 and not self.stands[k]:
                self.send_out_and_back(k, area)
        self.velocity = self.wanted() * 0.9
        self.settle_heading(1.0)

    def form_groups(self) -> None:
        """Let neighbours in the list follow a leader, at his side, or stand with him."""
        k, n = 0, len(self.position)
        while k < n:
            size = 1 if self.rng.random() > self.world.groups else int(self.rng.choice([2, 2, 3]))
            for j in range(k + 1, min(k + size, n)):
                self.leader[j] = k
                side = (0.62 if j == k + 1 else -0.62) * self.rng.uniform(0.9, 1.2)
                self.offset[j] = side, self.rng.uniform(-0.25, 0.25)
                self.stands[j] = self.stands[k]
                self.speed[j] = 1.25 * self.speed[k]  # to catch up
                angle = self.rng.uniform(0, tau)
                spread = 0.75 * np.array([np.cos(angle), np.sin(angle)])
                self.position[j] = self.position[k] + spread * (1 if self.stands[k] else 0.8)
            k += size

    def send_out_and_back(self, k: int, area: Area) -> None:
        """Put a walker near the edge of the view on his way out, to come back soon."""
        side = int(self.rng.choice([-1, 1]))
        depth = self.rng.uniform(area.near, area.near + 0.6 * (area.far - area.near))
        self.position[k] = area.place(depth, float(side)) - side * self.rng.uniform(0.7, 1.6) * area.right
        self.goal[k] = area.place(depth, float(side)) + side * 0.9 * area.right
        self.leaves[k] = self.back[k] = True
        for j in np.flatnonzero(self.leader == k).tolist():
            self.position[j] = self.position[k] + self.rng.normal(0, 0.5, 2)

    def aim(self, k: int, area: Area) -> None:
        """A new goal: mostly across the view, sometimes along it, sometimes somewhere in it."""
        rng = self.rng
        ahead, side = area.local(self.position[k : k + 1])
        depth = float(np.clip(ahead[0], area.near, area.far))
        what = rng.random()
        self.leaves[k] = what < 0.62
        if self.leaves[k]:
            to = -1 if side[0] > rng.uniform(-0.6, 0.6) else 1
            target = np.clip(depth + rng.normal(0, 2.5) + self.flow * to * area.half(depth), area.near, area.far)
            self.goal[k] = area.beyond(rng, to, float(target))
        elif what < 0.85:
            away = depth < rng.uniform(area.near, area.far)
            self.goal[k] = area.place(area.far + 2 if away else area.near, rng.uniform(-0.8, 0.8))
        else:
            self.goal[k] = area.inside(rng)

    def arrive(self, k: int, area: Area) -> None:
        """Reached the goal: look for another, come back after a pause, or make room for somebody else."""
        rng = self.rng
        if not self.leaves[k]:
            self.aim(k, area)
            return
        if self.back[k] or rng.random() < self.world.returning:
            self.wait[k] = rng.uniform(0.0, 0.3) if self.back[k] else rng.uniform(*self.world.away)
            self.back[k] = False
        else:
            side, depth = int(rng.choice([-1, 1])), rng.uniform(area.near, area.far)
            self.replace(k, area.beyond(rng, side, depth))
        self.aim(k, area)

    def replace(self, k: int, place: Floats) -> None:
        """Somebody else takes the slot, and the places of those who follow it."""
        for j in (k, *np.flatnonzero(self.leader == k).tolist()):
            self.identity[j] = self.count
            self.count += 1
            self.position[j] = place + (self.rng.normal(0, 0.2, 2) if j != k else 0)
            self.velocity[j] = 0
        self.wait[k] = self.rng.uniform(0.0, 0.5)

    def wanted(self) -> Floats:
        """(N, 2) velocity towards the goal, or the place beside the leader."""
        goal = self.goal.copy()
        follows = np.flatnonzero(self.leader >= 0)
        if len(follows):
            lead = self.leader[follows]
            ahead = self.velocity[lead]
            norm = np.maximum(np.linalg.norm(ahead, axis=1, keepdims=True), 1e-6)
            ahead = ahead / norm
            right = np.stack([ahead[:, 1], -ahead[:, 0]], -1)
            goal[follows] = self.position[lead] + self.offset[follows, :1] * right + self.offset[follows, 1:] * ahead
            goal[follows] += 0.5 * self.velocity[lead]
        gap = goal - self.position
        distance = np.maximum(np.linalg.norm(gap, axis=1, keepdims=True), 1e-6)
        pace = np.minimum(self.speed[:, None], np.where(self.leader[:, None] >= 0, 2.2 * distance, 9.0))
        out = gap / distance * pace
        out[(self.wait > 0) | self.stands] = 0
        return out

    def push(self, camera: Camera) -> Floats:
        """(N, 2) acceleration away from neighbours, obstacles and the camera's carrier."""
        apart = self.position[:, None] - self.position[None]
        distance = np.linalg.norm(apart, axis=2) + np.eye(len(self.position)) * 1e3
        reach = np.maximum(0, PERSONAL - distance)
        out = (apart / np.maximum(distance, 0.05)[..., None] * reach[..., None]).sum(1) * 9.0
        barriers = self.obstacles
        if camera.centre[2] < 3:
            barriers = np.concatenate([barriers, [[*camera.centre[:2], 2.2]]])
        apart = self.position[:, None] - barriers[None, :, :2]
        distance = np.maximum(np.linalg.norm(apart, axis=2), 0.05)
        reach = np.maximum(0, barriers[None, :, 2] + 0.5 - distance)
        return out + (apart / distance[..., None] * reach[..., None]).sum(1) * 14.0

    def settle_heading(self, rate: float) -> None:
        """Turn the chest towards where one walks, at most at a rate (0 to 1)."""
        moving = np.linalg.norm(self.velocity, axis=1) > 0.25
        to = np.arctan2(self.velocity[:, 0], self.velocity[:, 1])
        turn = (to - self.heading + np.pi) % tau - np.pi
        self.heading = np.where(moving, self.heading + rate * turn, self.heading)

    def step(self, camera: Camera, dt: float) -> None:
        """Advance by dt seconds, in sight of the camera of the new instant."""
        area = Area(self.world, camera)
        self.wait = np.maximum(0.0, self.wait - dt)
        change = (self.wanted() - self.velocity) / 0.35 + self.push(camera)
        self.velocity = self.velocity + dt * change
        self.velocity[self.stands] *= 0.5
        speed = np.maximum(np.linalg.norm(self.velocity, axis=1, keepdims=True), 1e-6)
        self.velocity = self.velocity * np.minimum(1, 1.35 * self.speed[:, None] / speed)
        self.position = self.position + dt * self.velocity
        self.settle_heading(min(1.0, 5 * dt))
        free = (self.leader < 0) & ~self.stands
        near = np.linalg.norm(self.goal - self.position, axis=1) < 0.6
        for k in np.flatnonzero(free & near & (self.wait <= 0)).tolist():
            self.arrive(k, area)
        ahead, _ = area.local(self.position)
        for k in np.flatnonzero((self.leader < 0) & ((ahead < 0.3) | (ahead > area.far + 6))).tolist():
            self.stands[k] = False  # the camera went past, or they went too far to be seen
            self.replace(k, area.beyond(self.rng, int(self.rng.choice([-1, 1])), self.rng.uniform(area.near, area.far)))
            self.aim(k, area)


def walkers(world: World, cameras: tuple[Camera, ...], obstacles: Floats) -> Cast:
    """Simulate the walkers of a world; obstacles: (K, 3) x, y and radius of what stands on the ground, metres."""
    state, dt, rng = Walkers(world, cameras[0], obstacles), 1 / world.fps, world.rng("habits")
    n, length = world.people, world.length
    for _ in range(int(0.4 * world.fps)):
        state.step(cameras[0], dt)
    phase = rng.uniform(0, tau, n)
    reach = np.where(rng.random((n, 2)) < 0.12, rng.uniform(0.5, 1.1, (n, 2)), 0.0)  # a phone, a cup
    position, identity = np.zeros((length, n, 2)), np.zeros((length, n), np.int64)
    heading, phases, pace = (np.zeros((length, n)) for _ in range(3))
    for t in range(length):
        if t:
            state.step(cameras[t], dt)
        speed = np.linalg.norm(state.velocity, axis=1)
        phase = phase + tau * speed * dt / (STRIDE * 1.7)
        position[t], heading[t], phases[t], pace[t] = state.position, state.heading, phase, np.minimum(speed / 1.4, 1.3)
        identity[t] = state.identity
    still, hang = np.zeros((length, n)), np.zeros((length, n, 2))
    motion = Motion(position, heading, phases, pace, still, hang, np.broadcast_to(reach, (length, n, 2)), still)
    return Cast(motion, identity)


LEAP = 2.3  # metres a second between places, on average


def formation(area: Area, count: int, rng: np.random.Generator) -> Floats:
    """(count, 2) places in two or three rows on the stage."""
    rows = 2 if count < 10 else 3
    places = []
    for k in range(count):
        column, row = divmod(k, rows)
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

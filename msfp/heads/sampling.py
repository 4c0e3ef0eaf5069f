"""Batches for the triplet loss: P identities with K instances from within a window of frames (section 3.4)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msfp.config import TrainingSettings

Ints = NDArray[np.int64]
Batch = tuple[Ints, Ints]


@dataclass(frozen=True)
class Labels:
    """Whose box each feature row is."""

    scene: Ints  # (N,) int64 number of the scene
    frame: Ints  # (N,) int64 frame
    identity: Ints  # (N,) int64 identity, unique within its scene only


@dataclass(frozen=True)
class Person:
    """One person's boxes and the windows of frames that hold at least two of them."""

    rows: Ints  # (B,) feature rows in the order of their frames
    # first, end: (V,) each window's boxes are rows[first:end]; one window for each frame it may begin at
    first: Ints
    end: Ints


def people(labels: Labels, window: int) -> list[Person]:
    """Everyone with two boxes in some window, unique over scenes; windows slide by single frames."""
    keys = np.stack([labels.scene, labels.identity], axis=1)
    person = np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1)
    order = np.lexsort((labels.frame, person))
    found = []
    for rows in np.split(order, np.flatnonzero(np.diff(person[order])) + 1):
        if len(rows) < 2:
            continue
        frame = labels.frame[rows]
        begins = np.arange(frame[0] - window + 1, frame[-1] + 1)
        first, end = np.searchsorted(frame, begins), np.searchsorted(frame, begins + window)
        kept = end - first >= 2
        if kept.any():
            found.append(Person(rows, first[kept], end[kept]))
    return found


class Batches:
    """Draws the batches of one epoch after another.

    An epoch shows everyone once for each `window` of boxes begun, in windows drawn anew and spread over the time in
    sight; P persons a batch and never the same one twice in it. What does not come out even is filled up with other
    persons of the same scope. Scopes with fewer than P persons give smaller batches, such with a single person none.
    How many batches of which size come in which order depends on the labels alone, so that the steps of several seeds
    have the same shapes.
    """

    def __init__(self, labels: Labels, config: TrainingSettings) -> None:
        found = people(labels, config.window)
        self.instances = config.instances
        windows = np.array([len(p.first) for p in found], np.int64)
        turns = np.minimum(np.array([-(-len(p.rows) // config.window) for p in found], np.int64), windows)
        # A turn is one showing of one person; its window is drawn from its share of the person's windows.
        self.person = np.repeat(np.arange(len(found)), turns)
        turn = np.arange(len(self.person)) - np.repeat(np.cumsum(turns) - turns, turns)
        self.low, self.high = (
            (np.cumsum(windows) - windows)[self.person] + i * windows[self.person] // turns[self.person]
            for i in (turn, turn + 1)
        )
        boxes = np.array([len(p.rows) for p in found], np.int64)
        self.rows = _joined([p.rows for p in found])
        self.first = _joined([p.first for p in found]) + np.repeat(np.cumsum(boxes) - boxes, windows)
        self.count = _joined([p.end - p.first for p in found])
        where = labels.scene[[p.rows[0] for p in found]] if config.scope == "scene" and found else np.zeros(len(found))
        scope = where[self.person]
        each = [np.flatnonzero(scope == one) for one in np.unique(scope)]
        sizes = [min(config.identities, len(np.unique(self.person[mine]))) for mine in each]
        self.scopes = [(mine, size) for mine, size in zip(each, sizes, strict=True) if size >= 2]

    def epoch(self, rng: np.random.Generator) -> list[Batch]:
        """Batches as (rows, count): (P, K) feature rows of P persons, and (P,) how many of the K are different.

        Where a person's window has fewer than K boxes, the last ones repeat the first.
        """
        plan = [batch for mine, size in self.scopes for batch in self._deal(mine, size, rng)]
        if not plan:
            return []
        plan = [plan[i] for i in _interleaved(np.array([len(batch) for batch in plan]), rng)]
        rows, count = self._instances(np.concatenate(plan), rng)
        cuts = np.cumsum([len(batch) for batch in plan])[:-1]
        return list(zip(np.split(rows, cuts), np.split(count, cuts), strict=True))

    def _deal(self, mine: Ints, size: int, rng: np.random.Generator) -> list[Ints]:
        """Turns in batches: in order, a person's turns one after another, so that no batch gets two of them."""
        persons, who, turns = np.unique(self.person[mine], return_inverse=True, return_counts=True)
        order = mine[np.lexsort((rng.random(len(mine)), rng.permutation(len(persons))[who]))]
        batches = max(-(-len(mine) // size), int(turns.max()))
        return [self._filled(order[b::batches], mine, size, rng) for b in range(batches)]

    def _filled(self, batch: Ints, mine: Ints, size: int, rng: np.random.Generator) -> Ints:
        if len(batch) == size:
            return batch
        chosen, held = list(batch), set(self.person[batch].tolist())
        for turn in rng.permutation(mine):
            if len(chosen) == size:
                break
            if self.person[turn] not in held:
                chosen.append(turn)
                held.add(int(self.person[turn]))
        return np.array(chosen, np.int64)

    def _instances(self, turns: Ints, rng: np.random.Generator) -> tuple[Ints, Ints]:
        """(T, K) rows of a window of each turn, and (T,) how many of them are different."""
        window = rng.integers(self.low[turns], self.high[turns])
        boxes = self.count[window]
        key = rng.random((len(turns), int(boxes.max())))
        key[np.arange(key.shape[1]) >= boxes[:, None]] = 2
        count = np.minimum(boxes, self.instances)
        pick = np.argsort(key, axis=1)
        chosen = np.take_along_axis(pick, np.arange(self.instances) % count[:, None], axis=1)
        return self.rows[self.first[window][:, None] + chosen], count


def _joined(parts: list[Ints]) -> Ints:
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def _interleaved(sizes: Ints, rng: np.random.Generator) -> Ints:
    """A random order in which the sizes, each spread evenly, always come in the same sequence."""
    shuffled = rng.permutation(len(sizes))
    place = np.empty(len(sizes))
    for size in np.unique(sizes):
        mine = shuffled[sizes[shuffled] == size]
        place[mine] = (np.arange(len(mine)) + 0.5) / len(mine)
    return np.lexsort((sizes, place))

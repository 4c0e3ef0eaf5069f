"""Batches for the triplet loss: P identities with K instances from within a window of frames (section 3.4)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msfp.config import TrainingSettings

Ints = NDArray[np.int64]
Batch = tuple[Ints, Ints]


@dataclass(frozen=True)
class Labels:
    """Whose box each feature row is.

    Attributes:
        scene: (N,) int64 number of the scene.
        frame: (N,) int64 frame.
        identity: (N,) int64 identity, unique within its scene only.
    """

    scene: Ints
    frame: Ints
    identity: Ints


def groups(labels: Labels, window: int) -> list[tuple[int, Ints]]:
    """(person, rows) for each person and window of frames with at least two boxes; person is unique over scenes.

    Windows tile the sequence; an identity seen once in a window has no positive there and is left out.
    """
    keys = np.stack([labels.scene, labels.identity], axis=1)
    person = np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1)
    tile = (labels.frame - 1) // window
    order = np.lexsort((labels.frame, tile, person))
    cuts = np.flatnonzero(np.diff(person[order]) | np.diff(tile[order])) + 1
    return [(int(person[rows[0]]), rows) for rows in np.split(order, cuts) if len(rows) >= 2]


class Batches:
    """Draws the batches of one epoch after another.

    An epoch shows every person in every window, P persons a batch and never the same one twice in it; what does not
    come out even is filled up with other persons of the same scope. Scopes with fewer than P persons give smaller
    batches, such with a single person none. How many batches of which size come in which order depends on the labels
    alone, so that the steps of several seeds have the same shapes.
    """

    def __init__(self, labels: Labels, config: TrainingSettings) -> None:
        found = groups(labels, config.window)
        self.instances = config.instances
        self.person = np.array([person for person, _ in found], np.int64)
        self.count = np.array([len(rows) for _, rows in found], np.int64)
        self.rows = np.full((len(found), self.count.max(initial=0)), -1, np.int64)
        for table, (_, rows) in zip(self.rows, found, strict=True):
            table[: len(rows)] = rows
        scope = np.array([labels.scene[r[0]] if config.scope == "scene" else 0 for _, r in found], np.int64)
        each = [np.flatnonzero(scope == one) for one in np.unique(scope)]
        sizes = [min(config.identities, len(np.unique(self.person[mine]))) for mine in each]
        self.scopes = [(mine, size) for mine, size in zip(each, sizes, strict=True) if size >= 2]

    def epoch(self, rng: np.random.Generator) -> list[Batch]:
        """Batches as (rows, person): (P * K,) feature rows and whose they are, K beside each other."""
        plan = [batch for mine, size in self.scopes for batch in self._deal(mine, size, rng)]
        if not plan:
            return []
        plan = [plan[i] for i in _interleaved(np.array([len(batch) for batch in plan]), rng)]
        drawn = self._instances(np.concatenate(plan), rng)
        cuts = np.cumsum([len(batch) for batch in plan])[:-1]
        who = [np.repeat(self.person[batch], self.instances) for batch in plan]
        return [(rows.ravel(), person) for rows, person in zip(np.split(drawn, cuts), who, strict=True)]

    def _deal(self, mine: Ints, size: int, rng: np.random.Generator) -> list[Ints]:
        """Groups in batches: in turn, a person's windows one after another, so that no batch gets two of them."""
        persons, who, windows = np.unique(self.person[mine], return_inverse=True, return_counts=True)
        order = mine[np.lexsort((rng.random(len(mine)), rng.permutation(len(persons))[who]))]
        batches = max(-(-len(mine) // size), int(windows.max()))
        return [self._filled(order[b::batches], mine, size, rng) for b in range(batches)]

    def _filled(self, batch: Ints, mine: Ints, size: int, rng: np.random.Generator) -> Ints:
        if len(batch) == size:
            return batch
        chosen, held = list(batch), set(self.person[batch].tolist())
        for group in rng.permutation(mine):
            if len(chosen) == size:
                break
            if self.person[group] not in held:
                chosen.append(group)
                held.add(int(self.person[group]))
        return np.array(chosen, np.int64)

    def _instances(self, chosen: Ints, rng: np.random.Generator) -> Ints:
        """(G, K) rows of each group: without repetition where it has K."""
        count = self.count[chosen][:, None]
        key = rng.random((len(chosen), self.rows.shape[1]))
        key[np.arange(self.rows.shape[1])[None] >= count] = 2
        pick = (rng.random((len(chosen), self.instances)) * count).astype(np.int64)
        distinct = np.argsort(key, axis=1)[:, : self.instances]
        enough = count[:, 0] >= self.instances
        pick[enough] = distinct[enough]
        return self.rows[chosen[:, None], pick]


def _interleaved(sizes: Ints, rng: np.random.Generator) -> Ints:
    """A random order in which the sizes, each spread evenly, always come in the same sequence."""
    shuffled = rng.permutation(len(sizes))
    place = np.empty(len(sizes))
    for size in np.unique(sizes):
        mine = shuffled[sizes[shuffled] == size]
        place[mine] = (np.arange(len(mine)) + 0.5) / len(mine)
    return np.lexsort((sizes, place))

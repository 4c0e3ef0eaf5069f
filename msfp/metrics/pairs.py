"""Which boxes are compared when re-identification is measured (section 4.2), always within one sequence."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msfp.errors import InputError, NotComputable

Rows = NDArray[np.int64]
Keep = NDArray[np.bool_] | None


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of boxes by row number, positives first.

    Attributes:
        i, j: (P,) int32 rows of the two boxes.
        same: (P,) bool, same identity.
        gap: (P,) int32 frames between them.
    """

    i: NDArray[np.int32]
    j: NDArray[np.int32]
    same: NDArray[np.bool_]
    gap: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.i)


def pairs(
    frame: NDArray[np.integer],
    identity: NDArray[np.integer],
    *,
    frames: int = 150,
    max_gap: int = 30,
    negatives: int = 10,
    seed: int = 0,
    start: int = 1,
    keep: Keep = None,
) -> Pairs:
    """Pairs of section 4.2: all positives, and `negatives` times as many random negatives.

    Args:
        frame: (N,) frame of each box, from 1.
        identity: (N,) identity of each box.
        frames: how many frames take part, from `start` on.
        max_gap: positives lie 1 to this many frames apart.
        negatives: negatives per positive, drawn uniformly with replacement from all pairs of different identities,
            in the same or in different frames.
        seed: of the draw.
        start: first frame that takes part.
        keep: (N,) rows that take part (visible enough, pixels present); all where None.

    Raises:
        InputError: columns of unequal length, or an identity twice in a frame.
        NotComputable: no positive pair, or a single identity.
    """
    rows = _rows(frame, identity, frames, start, keep)
    left, right = positives(frame, identity, rows, 1, max_gap)
    if not len(left):
        raise NotComputable(f"no identity is seen twice within {max_gap} frames among the {len(rows)} boxes compared")
    i, j = _draw(np.asarray(identity), rows, negatives * len(left), seed)
    return _join(frame, left, right, i, j)


def hard_pairs(
    frame: NDArray[np.integer],
    identity: NDArray[np.integer],
    tlwh: NDArray[np.floating],
    *,
    frames: int = 150,
    gap: tuple[int, int] = (20, 30),
    neighbours: int = 1,
    start: int = 1,
    keep: Keep = None,
) -> Pairs:
    """Pairs that position and background give no help with: far positives, near negatives.

    Positives lie gap[0] to gap[1] frames apart. Negatives are each box and its nearest `neighbours` of the same frame,
    each pair once; near means centres close in units of the mean height, and widths and heights of a like ratio.

    Raises:
        InputError: columns of unequal length, or an identity twice in a frame.
        NotComputable: no such positive, or never two identities in a frame.
    """
    rows = _rows(frame, identity, frames, start, keep)
    if len(tlwh) != len(frame):
        raise InputError(f"tlwh: {len(tlwh)} boxes beside {len(frame)} frame numbers")
    left, right = positives(frame, identity, rows, *gap)
    i, j = _nearest(np.asarray(frame), np.asarray(tlwh, dtype=np.float64), rows, neighbours)
    if not len(left):
        raise NotComputable(f"no identity is seen again {gap[0]} to {gap[1]} frames later")
    if not len(i):
        raise NotComputable("no frame shows two identities, so there is no near negative")
    return _join(frame, left, right, i, j)


def positives(
    frame: NDArray[np.integer], identity: NDArray[np.integer], rows: Rows, first: int, last: int
) -> tuple[Rows, Rows]:
    """Every pair among `rows` of one identity, first to last frames apart: earlier and later row, in row order."""
    order = rows[np.lexsort((frame[rows], identity[rows]))]
    f, k = frame[order].astype(np.int64), identity[order]
    left, right = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for step in range(1, last + 1):  # an identity has at most one box a frame: nothing lies further in the order
        gap = f[step:] - f[:-step]
        found = np.flatnonzero((k[step:] == k[:-step]) & (gap >= first) & (gap <= last))
        left.append(order[found])
        right.append(order[found + step])
    i, j = np.concatenate(left), np.concatenate(right)
    order = np.lexsort((j, i))
    return i[order], j[order]


def _rows(frame: NDArray[np.integer], identity: NDArray[np.integer], frames: int, start: int, keep: Keep) -> Rows:
    """Rows that take part, checked."""
    if len(identity) != len(frame):
        raise InputError(f"identity: {len(identity)} values beside {len(frame)} frame numbers")
    if keep is not None and len(keep) != len(frame):
        raise InputError(f"keep: {len(keep)} values beside {len(frame)} frame numbers")
    chosen = (frame >= start) & (frame < start + frames)
    rows = np.flatnonzero(chosen if keep is None else chosen & keep)
    order = rows[np.lexsort((identity[rows], frame[rows]))]
    twice = (np.diff(frame[order]) == 0) & (np.diff(identity[order]) == 0)
    if twice.any():
        row = order[np.argmax(twice)]
        raise InputError(f"identity {identity[row]} appears more than once in frame {frame[row]}; keep one box of it")
    return rows


def _draw(identity: NDArray[np.integer], rows: Rows, count: int, seed: int) -> tuple[Rows, Rows]:
    """`count` pairs of different identities, uniform with replacement, sorted by row."""
    named = identity[rows]
    if len(np.unique(named)) < 2:
        raise NotComputable("all boxes compared show one identity, so there is no negative pair")
    rng = np.random.default_rng(seed)
    drawn: list[NDArray[np.int64]] = []
    missing = count
    while missing > 0:
        a, b = rng.integers(0, len(rows), (2, missing + 64), dtype=np.int32)
        found = np.flatnonzero(named[a] != named[b])[:missing]
        drawn.append(a[found].astype(np.int64) * len(rows) + b[found])
        missing -= len(found)
    # sorted, because walking the embeddings in order is what the cache likes
    i, j = np.divmod(np.sort(np.concatenate(drawn)), len(rows))
    return rows[i], rows[j]


def _nearest(frame: NDArray[np.integer], tlwh: NDArray[np.float64], rows: Rows, neighbours: int) -> tuple[Rows, Rows]:
    """Each box with its nearest of the same frame, every pair once, in row order."""
    found = [np.empty((0, 2), np.int64)]
    order = rows[np.argsort(frame[rows], kind="stable")]
    edges = np.flatnonzero(np.diff(frame[order])) + 1
    for group in np.split(order, edges):
        if len(group) < 2:
            continue
        distance = _box_distance(tlwh[group])
        np.fill_diagonal(distance, np.inf)
        count = min(neighbours, len(group) - 1)
        nearest = np.argsort(distance, axis=1, kind="stable")[:, :count]
        couple = np.stack([np.repeat(group, count), group[nearest].ravel()], axis=1)
        found.append(np.sort(couple, axis=1))
    unique = np.unique(np.concatenate(found), axis=0)
    return unique[:, 0], unique[:, 1]


def _box_distance(tlwh: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, n) squared distance in place (centres, in mean heights) and size (logarithms)."""
    size = np.log(np.maximum(tlwh[:, 2:], 1e-9))
    centre = tlwh[:, :2] + tlwh[:, 2:] / 2
    height = np.maximum((tlwh[:, None, 3] + tlwh[None, :, 3]) / 2, 1e-9)
    place = (centre[:, None] - centre[None]) / height[..., None]
    return (place**2).sum(axis=2) + ((size[:, None] - size[None]) ** 2).sum(axis=2)


def _join(frame: NDArray[np.integer], left: Rows, right: Rows, i: Rows, j: Rows) -> Pairs:
    """Positives, then negatives."""
    first, second = np.concatenate([left, i]), np.concatenate([right, j])
    gap = np.abs(frame[second].astype(np.int32) - frame[first].astype(np.int32))
    same = np.arange(len(first)) < len(left)
    return Pairs(first.astype(np.int32), second.astype(np.int32), same, gap)

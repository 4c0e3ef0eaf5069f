"""Section 4.2: which pairs of boxes are compared, always within one sequence, and AUC and gap of their similarities."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from msfp.compiled import summing_kernel
from msfp.errors import InputError, NotComputable
from msfp.tracking.costs import inner_product

Rows = NDArray[np.int64]
Floats = NDArray[np.floating]
Ints = NDArray[np.integer]
Keep = NDArray[np.bool_] | None
NOBODY_NEAR = "no frame shows two identities, so there is no near negative"
FAR = 20, 30  # frames between the boxes of a hard positive


@dataclass(frozen=True, eq=False)
class Pairs:
    """(P,) pairs of boxes, positives first: rows of the two, whether of one identity, frames between them."""

    i: NDArray[np.int32]
    j: NDArray[np.int32]
    same: NDArray[np.bool_]
    gap: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.i)


def pairs(
    frame: Ints, identity: Ints, *, frames: int = 150, max_gap: int = 30, negatives: int = 10, seed: int = 0,
    keep: Keep = None,
) -> Pairs:  # fmt: skip
    """Pairs of section 4.2: all positives 1 to `max_gap` frames apart, and `negatives` times as many random negatives.

    `frame`, `identity`: (N,) of each box; frames from 1, the first `frames` take part. Negatives are drawn uniformly
    with replacement from all pairs of different identities, in the same or in different frames. `keep`: (N,) rows that
    take part (visible enough, pixels present); all where None.
    Raises InputError: columns of unequal length, or an identity twice in a frame; NotComputable: no positive pair, or a
    single identity.

    Example:
        >>> found = msfp.pairs(np.array([1, 1, 2, 2]), np.array([7, 8, 7, 8]))
        >>> type(found).__name__
        'Pairs'
    """
    rows = _rows(frame, identity, frames, keep)
    left, right = positives(frame, identity, rows, 1, max_gap)
    if not len(left):
        raise NotComputable(f"no identity is seen twice within {max_gap} frames among the {len(rows)} boxes compared")
    i, j = _draw(np.asarray(identity), rows, negatives * len(left), seed)
    return _join(frame, left, right, i, j)


def hard_pairs(
    frame: Ints, identity: Ints, tlwh: Floats, *, frames: int = 150, gap: tuple[int, int] = FAR, keep: Keep = None
) -> Pairs:
    """Pairs that ask what tracking asks: who of two is it, gap[0] to gap[1] frames later?

    A positive joins a box with the same person's later one, the k-th negative joins the k-th positive's earlier box
    with whoever stands nearest to that person in the later frame. Near means centres close in units of the mean height,
    and widths and heights of a like ratio. Where nobody else is in the later frame there is nothing to ask. Errors as
    `pairs`; NotComputable, too, where there are never two identities in a frame.
    """
    _, left, right, nearest = _far_and_near(frame, identity, tlwh, frames, keep, gap)
    rival = nearest[right]
    asked = rival >= 0
    if not asked.any():
        raise NotComputable(NOBODY_NEAR)
    return _join(frame, left[asked], right[asked], left[asked], rival[asked])


def same_frame_pairs(frame: Ints, identity: Ints, tlwh: Floats, *, frames: int = 150, keep: Keep = None) -> Pairs:
    """The positives of `hard_pairs` against each box and its nearest of the same frame, each pair once.

    What changes with time (light, pose, background) lowers the positives only, so this measure favours an embedding
    that pushes the people of one frame apart. Errors as `hard_pairs`.
    """
    rows, left, right, rival = _far_and_near(frame, identity, tlwh, frames, keep, FAR)
    couples = np.sort(np.stack([rows, rival[rows]], axis=1)[rival[rows] >= 0], axis=1)
    if not len(couples):
        raise NotComputable(NOBODY_NEAR)
    i, j = np.unique(couples, axis=0).T
    return _join(frame, left, right, i, j)


def _far_and_near(
    frame: Ints, identity: Ints, tlwh: Floats, frames: int, keep: Keep, gap: tuple[int, int]
) -> tuple[Rows, Rows, Rows, Rows]:
    """Rows that take part; earlier and later row of every far positive; (N,) nearest other person of each row."""
    rows = _rows(frame, identity, frames, keep)
    if len(tlwh) != len(frame):
        raise InputError(f"tlwh: {len(tlwh)} boxes beside {len(frame)} frame numbers")
    left, right = positives(frame, identity, rows, *gap)
    if not len(left):
        raise NotComputable(f"no identity is seen again {gap[0]} to {gap[1]} frames later")
    return rows, left, right, _nearest(np.asarray(frame), np.asarray(tlwh, dtype=np.float64), rows)


def positives(frame: Ints, identity: Ints, rows: Rows, first: int, last: int) -> tuple[Rows, Rows]:
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


def _rows(frame: Ints, identity: Ints, frames: int, keep: Keep) -> Rows:
    """Rows that take part, checked."""
    for name, column in (("identity", identity), ("keep", keep)):
        if column is not None and len(column) != len(frame):
            raise InputError(f"{name}: {len(column)} values beside {len(frame)} frame numbers")
    chosen = (frame >= 1) & (frame <= frames)
    rows = np.flatnonzero(chosen if keep is None else chosen & keep)
    order = rows[np.lexsort((identity[rows], frame[rows]))]
    twice = (np.diff(frame[order]) == 0) & (np.diff(identity[order]) == 0)
    if twice.any():
        row = order[np.argmax(twice)]
        raise InputError(f"identity {identity[row]} appears more than once in frame {frame[row]}; keep one box of it")
    return rows


def _draw(identity: Ints, rows: Rows, count: int, seed: int) -> tuple[Rows, Rows]:
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


def _nearest(frame: Ints, tlwh: NDArray[np.float64], rows: Rows) -> Rows:
    """(N,) of each of `rows` the nearest other one of its frame; -1 for one that is alone, and for other rows.

    By the squared distance in place (centres, in mean heights) and size (logarithms).
    """
    nearest = np.full(len(frame), -1, np.int64)
    order = rows[np.argsort(frame[rows], kind="stable")]
    for group in np.split(order, np.flatnonzero(np.diff(frame[order])) + 1):
        if len(group) > 1:
            size, height = np.log(np.maximum(tlwh[group, 2:], 1e-9)), tlwh[group, 3]
            centre, mean = tlwh[group, :2] + tlwh[group, 2:] / 2, np.maximum((height[:, None] + height) / 2, 1e-9)
            place = (centre[:, None] - centre[None]) / mean[..., None]
            distance = (place**2).sum(axis=2) + ((size[:, None] - size[None]) ** 2).sum(axis=2)
            np.fill_diagonal(distance, np.inf)
            nearest[group] = group[np.argmin(distance, axis=1)]
    return nearest


def _join(frame: Ints, left: Rows, right: Rows, i: Rows, j: Rows) -> Pairs:
    """Positives, then negatives."""
    first, second = np.concatenate([left, i]), np.concatenate([right, j])
    gap = np.abs(frame[second].astype(np.int32) - frame[first].astype(np.int32))
    same = np.arange(len(first)) < len(left)
    return Pairs(first.astype(np.int32), second.astype(np.int32), same, gap)


ROUNDING = 1e-12
NOT_NUMBERS = "similarities: NaN or infinity among them; check the embeddings"
HARD = ("auc", "gap", "positives", "negatives")
GAP_BINS = ((1, 1), (2, 5), (6, 10), (11, 15), (16, 20), (21, 25), (26, 30))
Bins = Sequence[tuple[int, int]]


class Roc(NamedTuple):
    """(K,) false and true positive rates of a ROC curve."""

    fpr: NDArray[np.float64]
    tpr: NDArray[np.float64]


class Compared(NamedTuple):
    """(P,) of pairs: cosine similarity, whether of one identity, frames between the boxes."""

    sim: NDArray[np.float32]
    same: NDArray[np.bool_]
    gap: NDArray[np.int32]


def similarity(embeddings: Floats, chosen: Pairs) -> NDArray[np.float32]:
    """(P,) cosine similarities of (N, D) embeddings of any scale; a zero vector gives 0.

    Raises InputError: an embedding that is not finite, or fewer embeddings than the pairs name.
    """
    if embeddings.ndim != 2:
        raise InputError(f"embeddings: shape {embeddings.shape}; give one row a box")
    last = int(max(chosen.i.max(), chosen.j.max())) if len(chosen) else -1
    if last >= len(embeddings):
        raise InputError(f"embeddings: {len(embeddings)} rows, but the pairs name row {last}; give one row a box")
    unit = np.ascontiguousarray(embeddings, dtype=np.float32)
    used = np.zeros(len(unit), np.bool_)
    used[chosen.i] = used[chosen.j] = True
    wrong = used & ~np.isfinite(unit).all(axis=1)
    if wrong.any():
        raise InputError(f"embeddings: row {int(np.argmax(wrong))} holds NaN or infinity; check the head that made it")
    norm = np.sqrt(np.einsum("nd,nd->n", unit, unit, dtype=np.float64))
    norm[(norm == 0) | ~used] = 1
    return _dot(unit / norm[:, None].astype(np.float32), chosen.i, chosen.j)


@summing_kernel
def _dot(unit: NDArray[np.float32], i: NDArray[np.int32], j: NDArray[np.int32]) -> NDArray[np.float32]:
    """(P,) inner products of rows i and j, in single precision."""
    out = np.empty(len(i), np.float32)
    for p in range(len(i)):
        out[p] = inner_product(unit[i[p]], unit[j[p]])
    return out


def auc(sim: Floats, same: NDArray[np.bool_]) -> float:
    """Area under the ROC curve: chance that a positive is more similar than a negative, ties counting half.

    Raises InputError: similarities that are not numbers; NotComputable: no positive or no negative pair.

    Example:
        >>> msfp.auc(np.array([0.9, 0.4, 0.6]), np.array([True, True, False]))
        0.5
    """
    _check(sim, same)
    return _area(sim[same], np.sort(sim[~same]))


def gap(sim: Floats, same: NDArray[np.bool_]) -> float:
    """Mean similarity of positives less that of negatives; errors as `auc`."""
    _check(sim, same)
    return float(sim[same].mean(dtype=np.float64) - sim[~same].mean(dtype=np.float64))


def roc(sim: Floats, same: NDArray[np.bool_], points: int = 201) -> Roc:
    """ROC curve at `points` evenly spaced false positive rates, straight between its corners; errors as `auc`."""
    _check(sim, same)
    order = np.argsort(sim)[::-1]
    falls = sim[order]
    last = np.flatnonzero(np.append(falls[1:] != falls[:-1], True))  # corners lie behind equal similarities
    true = np.cumsum(same[order])[last]
    tpr, fpr = (np.append(0, count / count[-1]) for count in (true, last + 1 - true))
    grid = np.linspace(0, 1, points)
    return Roc(grid, np.interp(grid + ROUNDING, fpr, tpr))  # where the curve rises vertically this is its top


def wins(sim: Floats, same: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(Q,) of questions, the k-th positive against the k-th negative: 1 where right, .5 where equal, 0 where wrong.

    Raises InputError: similarities that are not numbers.
    """
    if not np.isfinite(sim).all():
        raise InputError(NOT_NUMBERS)
    positive, negative = sim[same], sim[~same]
    return np.asarray((positive > negative) + 0.5 * (positive == negative), np.float64)


def first_of_two(compared: Compared) -> float:
    """Share of `hard_pairs`' questions whose positive is more similar than its own negative, ties half."""
    return float(wins(compared.sim, compared.same).mean())


def compare(embeddings: Floats, chosen: Pairs) -> Compared:
    """Similarities of pairs; errors as `similarity`."""
    return Compared(similarity(embeddings, chosen), chosen.same, chosen.gap)


def measures(compared: Compared, bins: Bins = GAP_BINS) -> dict[str, Any]:
    """auc, gap, by_gap, positives, negatives of one set of pairs; errors as `auc`.

    by_gap holds a dict (first, last, auc, positives) for each range of frame gaps that has positives: their AUC against
    all negatives.
    """
    sim, same = compared.sim, compared.same
    _check(sim, same)
    positive, negative, gaps = sim[same], np.sort(sim[~same]), compared.gap[same]
    by_gap = []
    for first, last in bins:
        part = positive[(gaps >= first) & (gaps <= last)]
        if len(part):
            by_gap.append({"first": first, "last": last, "auc": _area(part, negative), "positives": len(part)})
    return {
        "auc": _area(positive, negative),
        "gap": gap(sim, same),
        "by_gap": by_gap,
        "positives": len(positive),
        "negatives": len(negative),
    }


def evaluate_reid(
    embeddings: Floats, frame: Ints, identity: Ints, *, tlwh: Floats | None = None, frames: int = 150, **options: Any
) -> dict[str, Any]:
    """All measures of section 4.2 on one sequence of (N, D) embeddings; options as of `pairs`.

    Returns auc, gap, by_gap, positives, negatives, boxes, identities; with (N, 4) `tlwh` also hard_auc, hard_gap,
    hard_positives, hard_negatives, first_of_two (of `hard_pairs`) and same_frame_auc, which are None (hard_reason says
    why) where the sequence has no such pairs. Errors as `pairs` and `similarity`.
    """
    if len(embeddings) != len(frame):
        raise InputError(f"embeddings: {len(embeddings)} rows beside {len(frame)} boxes")
    chosen = pairs(frame, identity, frames=frames, **options)
    taking_part = (frame >= 1) & (frame <= frames)
    result = measures(compare(embeddings, chosen))
    result |= {"boxes": int(taking_part.sum()), "identities": len(np.unique(identity[taking_part]))}
    if tlwh is None:
        return result
    try:
        hard = hard_pairs(frame, identity, tlwh, frames=frames)
    except NotComputable as reason:
        nothing = dict.fromkeys((*(f"hard_{name}" for name in HARD), "first_of_two", "same_frame_auc"))
        return result | nothing | {"hard_reason": str(reason)}
    compared = compare(embeddings, hard)
    found = measures(compared, ())
    one = compare(embeddings, same_frame_pairs(frame, identity, tlwh, frames=frames))
    result |= {"first_of_two": first_of_two(compared), "same_frame_auc": auc(one.sim, one.same)}
    return result | {f"hard_{name}": found[name] for name in HARD}


def _check(sim: Floats, same: NDArray[np.bool_]) -> None:
    if not np.isfinite(sim).all():
        raise InputError(NOT_NUMBERS)
    positive = int(same.sum())
    if positive in (0, len(same)):
        raise NotComputable(f"{positive} positive and {len(same) - positive} negative pairs: both kinds are needed")


def _area(positive: Floats, negative: Floats) -> float:
    """Share of pairs in the right order, ties half; negatives sorted. Counted in whole numbers, so exact."""
    positive = np.sort(positive)  # many times faster to look up
    ordered = sum(int(np.searchsorted(negative, positive, side).sum()) for side in ("left", "right"))
    return ordered / (2 * len(positive) * len(negative))

"""AUC and positive-negative gap of cosine similarities (section 4.2); pairs lie within one sequence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from msfp.compiled import summing_kernel
from msfp.errors import InputError, NotComputable
from msfp.metrics.pairs import Pairs, hard_pairs, pairs, same_frame_pairs

ROUNDING = 1e-12
NOT_NUMBERS = "similarities: NaN or infinity among them; check the embeddings"
HARD = ("auc", "gap", "positives", "negatives")
GAP_BINS = ((1, 1), (2, 5), (6, 10), (11, 15), (16, 20), (21, 25), (26, 30))
Floats = NDArray[np.floating]
Bins = Sequence[tuple[int, int]]


class Roc(NamedTuple):
    """(K,) false and true positive rates of a ROC curve."""

    fpr: NDArray[np.float64]
    tpr: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Compared:
    """(P,) of pairs: cosine similarity, whether of one identity, frames between the boxes."""

    sim: NDArray[np.float32]
    same: NDArray[np.bool_]
    gap: NDArray[np.int32]


def similarity(embeddings: Floats, chosen: Pairs) -> NDArray[np.float32]:
    """(P,) cosine similarities of (N, D) embeddings of any scale; a zero vector gives 0.

    Raises:
        InputError: an embedding that is not finite, or fewer embeddings than the pairs name.
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
        a, b = unit[i[p]], unit[j[p]]
        total = np.float32(0.0)
        for k in range(len(a)):
            total += a[k] * b[k]
        out[p] = total
    return out


def auc(sim: Floats, same: NDArray[np.bool_]) -> float:
    """Area under the ROC curve: chance that a positive is more similar than a negative, ties counting half.

    Raises:
        InputError: similarities that are not numbers.
        NotComputable: no positive or no negative pair.
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

    Raises:
        InputError: similarities that are not numbers.
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
    embeddings: Floats,
    frame: NDArray[np.integer],
    identity: NDArray[np.integer],
    *,
    tlwh: Floats | None = None,
    frames: int = 150,
    max_gap: int = 30,
    negatives: int = 10,
    seed: int = 0,
) -> dict[str, Any]:
    """All measures of section 4.2 on one sequence, and the hard variant where boxes are given.

    Args:
        embeddings: (N, D) a row a box.
        frame, identity: (N,) of each box.
        tlwh: (N, 4) file coordinates, for the hard variant.
        frames, max_gap, negatives, seed: as in `pairs`.

    Returns:
        auc, gap, by_gap, positives, negatives, boxes, identities; with `tlwh` also hard_auc, hard_gap, hard_positives,
        hard_negatives, first_of_two (of `hard_pairs`) and same_frame_auc, which are None (hard_reason says why) where
        the sequence has no such pairs.

    Raises:
        InputError: embeddings that are not finite or of the wrong number, columns of unequal length.
        NotComputable: too little to compare.
    """
    if len(embeddings) != len(frame):
        raise InputError(f"embeddings: {len(embeddings)} rows beside {len(frame)} boxes")
    chosen = pairs(frame, identity, frames=frames, max_gap=max_gap, negatives=negatives, seed=seed)
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

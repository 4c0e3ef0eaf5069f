"""How well embeddings tell identities apart: AUC and positive-negative gap of cosine similarities (section 4.2).

Pairs lie within one sequence. Over several sequences the paper does not say whether pairs are pooled: `average` gives
every sequence the same weight, `pool` every pair; both are reported.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msfp.compiled import kernel, summing_kernel
from msfp.errors import InputError, NotComputable
from msfp.metrics.pairs import Keep, Pairs, hard_pairs, pairs, same_frame_pairs
from msfp.metrics.radix_sort import ascending, ascending_order

ROUNDING = 1e-12
NOT_NUMBERS = "similarities: NaN or infinity among them; check the embeddings"
HARD = ("auc", "gap", "positives", "negatives")
GAP_BINS = ((1, 1), (2, 5), (6, 10), (11, 15), (16, 20), (21, 25), (26, 30))
Floats = NDArray[np.floating]
Bins = Sequence[tuple[int, int]]


@dataclass(frozen=True, eq=False)
class Roc:
    """(K,) false and true positive rates of a ROC curve."""

    fpr: NDArray[np.float64]
    tpr: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Compared:
    """Similarities of one sequence's pairs, or of several sequences' pooled.

    Attributes:
        sim: (P,) float32 cosine similarities.
        same: (P,) bool, same identity.
        gap: (P,) int32 frames between the boxes.
    """

    sim: NDArray[np.float32]
    same: NDArray[np.bool_]
    gap: NDArray[np.int32]


def similarity(embeddings: Floats, chosen: Pairs) -> NDArray[np.float32]:
    """(P,) cosine similarities; memory is one float32 copy of the embeddings and the result. A zero vector gives 0.

    Args:
        embeddings: (N, D), any scale.
        chosen: pairs of rows.

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
    positive, negative = _split(sim, same)
    return _area(positive, ascending(negative))


def gap(sim: Floats, same: NDArray[np.bool_]) -> float:
    """Mean similarity of positives less that of negatives; errors as `auc`."""
    positive, negative = _split(sim, same)
    return float(positive.mean(dtype=np.float64) - negative.mean(dtype=np.float64))


def roc(sim: Floats, same: NDArray[np.bool_], points: int = 201) -> Roc:
    """ROC curve at `points` evenly spaced false positive rates, straight between its corners; errors as `auc`."""
    _check(sim, same)
    order = ascending_order(sim)
    ascends, positives = sim[order], np.cumsum(same[order])
    # Corners: from each value on, the largest first, and one before them all.
    first = np.flatnonzero(np.concatenate([[True], ascends[1:] != ascends[:-1]]))[::-1]
    below = np.concatenate([[0], positives])[first]
    tpr, fpr = _at_least(below, positives[-1]), _at_least(first - below, len(sim) - positives[-1])
    grid = np.linspace(0, 1, points)
    # the last corner not beyond the rate: where the curve rises vertically this is its top
    left = np.searchsorted(fpr, grid + ROUNDING, side="right") - 1
    right = np.minimum(left + 1, len(fpr) - 1)
    run = np.maximum(fpr[right] - fpr[left], np.finfo(np.float64).tiny)
    return Roc(grid, tpr[left] + (tpr[right] - tpr[left]) * np.clip((grid - fpr[left]) / run, 0, 1))


def auc_by_gap(compared: Compared, bins: Bins = GAP_BINS) -> list[dict[str, float | int]]:
    """AUC of the positives of each range of frame gaps against all negatives.

    Returns:
        A dict a bin that has positives: first, last, auc, positives. Errors as `auc`.
    """
    positive, negative = _split(compared.sim, compared.same)
    gaps = compared.gap[compared.same]
    negative = ascending(negative)
    rows: list[dict[str, float | int]] = []
    for first, last in bins:
        part = positive[(gaps >= first) & (gaps <= last)]
        if len(part):
            rows.append({"first": first, "last": last, "auc": _area(part, negative), "positives": len(part)})
    return rows


def first_of_two(compared: Compared) -> float:
    """Share of `hard_pairs`' questions whose positive is more similar than its own negative, ties half."""
    return float(wins(compared.sim, compared.same).mean())


def wins(sim: Floats, same: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(Q,) of questions, the k-th positive against the k-th negative: 1 where right, .5 where equal, 0 where wrong.

    Raises:
        InputError: similarities that are not numbers.
    """
    if not np.isfinite(sim).all():
        raise InputError(NOT_NUMBERS)
    positive, negative = sim[same], sim[~same]
    return np.asarray((positive > negative) + 0.5 * (positive == negative), np.float64)


def compare(embeddings: Floats, chosen: Pairs) -> Compared:
    """Similarities of pairs; errors as `similarity`."""
    return Compared(similarity(embeddings, chosen), chosen.same, chosen.gap)


def pool(parts: Sequence[Compared]) -> Compared:
    """Pairs of several sequences as one set; every pair still lies within its sequence."""
    if not parts:
        raise NotComputable("no sequence to pool pairs from")
    joined = (np.concatenate([getattr(part, column) for part in parts]) for column in ("sim", "same", "gap"))
    return Compared(*joined)


def measures(compared: Compared, bins: Bins = GAP_BINS) -> dict[str, Any]:
    """AUC, gap, curve by frame gap, and counts of one set of pairs; errors as `auc`."""
    positive = int(compared.same.sum())
    return {
        "auc": auc(compared.sim, compared.same),
        "gap": gap(compared.sim, compared.same),
        "by_gap": auc_by_gap(compared, bins),
        "positives": positive,
        "negatives": len(compared.same) - positive,
    }


def evaluate_reid(
    embeddings: Floats,
    frame: NDArray[np.integer],
    identity: NDArray[np.integer],
    *,
    tlwh: Floats | None = None,
    visibility: Floats | None = None,
    min_visibility: float = 0.0,
    keep: Keep = None,
    frames: int = 150,
    max_gap: int = 30,
    negatives: int = 10,
    seed: int = 0,
    start: int = 1,
    bins: Bins = GAP_BINS,
) -> dict[str, Any]:
    """Everything section 4.2 measures on one sequence, and the hard variant where boxes are given.

    Args:
        embeddings: (N, D) a row a box.
        frame, identity: (N,) of each box.
        tlwh: (N, 4) file coordinates, for the hard variant.
        visibility: (N,) in [0, 1], used only with `min_visibility`; the paper filters nothing.
        keep: (N,) rows that may take part (pixels present).
        frames, max_gap, negatives, seed, start: as in `pairs`.
        bins: ranges of frame gaps of the curve.

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
    keep = _visible(len(frame), keep, visibility, min_visibility)
    chosen = pairs(
        frame, identity, frames=frames, max_gap=max_gap, negatives=negatives, seed=seed, start=start, keep=keep
    )
    taking_part = keep & (frame >= start) & (frame < start + frames)
    result = measures(compare(embeddings, chosen), bins)
    result |= {"boxes": int(taking_part.sum()), "identities": len(np.unique(identity[taking_part]))}
    if tlwh is None:
        return result
    try:
        hard = hard_pairs(frame, identity, tlwh, frames=frames, start=start, keep=keep)
    except NotComputable as reason:
        nothing = dict.fromkeys((*(f"hard_{name}" for name in HARD), "first_of_two", "same_frame_auc"))
        return result | nothing | {"hard_reason": str(reason)}
    compared = compare(embeddings, hard)
    found = measures(compared, ())
    one = compare(embeddings, same_frame_pairs(frame, identity, tlwh, frames=frames, start=start, keep=keep))
    result |= {"first_of_two": first_of_two(compared), "same_frame_auc": auc(one.sim, one.same)}
    return result | {f"hard_{name}": found[name] for name in HARD}


def average(results: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Mean over sequences, each with the same weight, of the measures that all of them have."""
    if not results:
        raise NotComputable("no sequence to average over")
    names = ("auc", "gap", "hard_auc", "hard_gap", "first_of_two", "same_frame_auc")
    shared = [name for name in names if all(result.get(name) is not None for result in results.values())]
    return {name: float(np.mean([result[name] for result in results.values()])) for name in shared}


def _visible(count: int, keep: Keep, visibility: Floats | None, least: float) -> NDArray[np.bool_]:
    """(N,) rows that take part."""
    chosen = np.ones(count, np.bool_) if keep is None else np.asarray(keep, dtype=np.bool_)
    if least <= 0:
        return chosen
    if visibility is None:
        raise InputError(f"min_visibility {least}: needs the labels' visibility, and none is given")
    return chosen & (visibility >= least)


def _check(sim: Floats, same: NDArray[np.bool_]) -> None:
    """Hold similarities to being numbers, of both kinds of pairs."""
    if not np.isfinite(sim).all():
        raise InputError(NOT_NUMBERS)
    positive = int(same.sum())
    if positive in (0, len(same)):
        raise NotComputable(f"{positive} positive and {len(same) - positive} negative pairs: both kinds are needed")


def _split(sim: Floats, same: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Similarities of positives and of negatives, checked."""
    _check(sim, same)
    return sim[same], sim[~same]


def _area(positive: Floats, negative: Floats) -> float:
    """Share of pairs in the right order, ties half; negatives sorted. Counted in whole numbers, so exact."""
    return _ordered(ascending(positive), negative) / (2 * len(positive) * len(negative))


@kernel
def _ordered(positive: Floats, negative: Floats) -> int:
    """Negatives below each positive plus those not above it, summed; both ascending."""
    total = below = not_above = 0
    for value in positive:
        while below < len(negative) and negative[below] < value:
            below += 1
        while not_above < len(negative) and negative[not_above] <= value:
            not_above += 1
        total += below + not_above
    return total


def _at_least(below: NDArray[np.integer], count: int) -> NDArray[np.float64]:
    """Share of `count` values that are not below each threshold, after a leading 0."""
    return np.concatenate([[0.0], 1 - below / count])

"""Kernels of the fast tracking scores: overlap, removal of distractors, CLEAR and alignment, one frame at a time.

A frame's boxes overlap in few pairs, so a frame is held as its `Pairs`: every pair of boxes with an IoU above 0. Sums
run in the order of NumPy's in TrackEval, because where two assignments are equally good the last bit decides.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from msfp.assignment import assign_maximum
from msfp.compiled import kernel

EPS = float(np.finfo("float").eps)
MARGIN = 1e-9
IGNORED, KEPT, DISTRACTOR = 0, 1, 2

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Pairs(NamedTuple):
    """Overlapping boxes of one frame, by truth row, then track column: both local to the frame, and their IoU."""

    row: Ints
    column: Ints
    iou: Floats


class Frame(NamedTuple):
    """One frame after distractors: overlapping pairs, and dense identity of each truth row and track."""

    pairs: Pairs
    gt: Ints
    track: Ints


class Columns(NamedTuple):
    """Truth (see `fast.PreparedTruth`) and tracks of a sequence; tracks outside `judged` lie within crowds."""

    gt_bounds: Ints
    gt_box: Floats
    gt_id: Ints
    kind: NDArray[np.int8]
    track_bounds: Ints
    track_box: Floats
    track_id: Ints
    judged: NDArray[np.bool_]
    preprocess: bool


class ClearState(NamedTuple):
    """What CLEAR carries from frame to frame, by truth identity; counts are tp, fn, fp, idsw."""

    last_track: Ints
    previous_track: Ints
    present: Ints
    matched: Ints
    starts: Ints
    counts: Ints
    iou_sum: Floats


class Alignment(NamedTuple):
    """How much identities overlap in the whole sequence: HOTA's soft count, Identity's hard count, boxes of each."""

    soft: Floats
    hard: Floats
    gt_count: Floats
    track_count: Floats


@kernel
def overlaps(a: Floats, b: Floats) -> Pairs:
    """Pairs of xyxy boxes with intersection over union above 0; boxes without area overlap nothing."""
    n, m = len(a), len(b)
    row, column, iou = np.empty(n * m, np.int64), np.empty(n * m, np.int64), np.empty(n * m)
    count = 0
    area_b = np.empty(m)
    for j in range(m):
        area_b[j] = (b[j, 2] - b[j, 0]) * (b[j, 3] - b[j, 1])
    for i in range(n):
        left, top, right, bottom = a[i, 0], a[i, 1], a[i, 2], a[i, 3]
        area_a = (right - left) * (bottom - top)
        if area_a <= EPS:
            continue
        for j in range(m):
            width = min(right, b[j, 2]) - max(left, b[j, 0])
            if width <= 0:
                continue
            height = min(bottom, b[j, 3]) - max(top, b[j, 1])
            if height <= 0:
                continue
            intersection = width * height
            union = area_a + area_b[j] - intersection
            if area_b[j] > EPS and union > EPS and intersection > 0:
                row[count], column[count], iou[count] = i, j, intersection / union
                count += 1
    return Pairs(row[:count], column[:count], iou[:count])


@kernel
def match_pairs(pairs: Pairs, score: Floats, n: int, m: int) -> Ints:
    """(n,) for each row its pair in the assignment of maximal total score, -1 for none.

    Where every row can have its own favourite, or every column its own, that is the only best assignment and there is
    nothing to solve. Otherwise the whole matrix is solved, not its components, since ties are broken by the order of
    the whole. Scores of 0 never match.
    """
    pair_of, certain = favourites(pairs.row, pairs.column, score, n, m)
    if certain:
        return pair_of
    by_column, certain = favourites(pairs.column, pairs.row, score, m, n)
    pair_of[:] = -1
    if certain:
        for j in range(m):
            if by_column[j] >= 0:
                pair_of[pairs.row[by_column[j]]] = by_column[j]
        return pair_of
    dense = np.zeros((n, m))
    for p in range(len(score)):
        dense[pairs.row[p], pairs.column[p]] = score[p]
    column_of = assign_maximum(dense)
    for p in range(len(score)):
        if score[p] > 0 and column_of[pairs.row[p]] == pairs.column[p]:
            pair_of[pairs.row[p]] = p
    return pair_of


@kernel
def favourites(own: Ints, other: Ints, score: Floats, n: int, m: int) -> tuple[Ints, bool]:
    """(n,) best pair of each row (-1: none above 0), and whether these never clash and lead by more than rounding."""
    pair_of = np.full(n, -1, np.int64)
    best, second = np.zeros(n), np.zeros(n)
    for p in range(len(score)):
        i = own[p]
        if score[p] > best[i]:
            best[i], second[i] = score[p], best[i]
            pair_of[i] = p
        elif score[p] > second[i]:
            second[i] = score[p]
    taken = np.zeros(m, np.bool_)
    for i in range(n):
        p = pair_of[i]
        if p >= 0:
            if taken[other[p]] or best[i] - second[i] <= MARGIN:
                return pair_of, False
            taken[other[p]] = True
    return pair_of, True


@kernel
def off_distractors(pairs: Pairs, kind: NDArray[np.int8], m: int) -> NDArray[np.bool_]:
    """(m,) tracks that remain: their best match at IoU 0.5, among all truth rows, is no distractor."""
    remains = np.ones(m, np.bool_)
    score = np.zeros(len(pairs.iou))
    for p in range(len(score)):
        if pairs.iou[p] >= 0.5 - EPS:
            score[p] = pairs.iou[p]
    pair_of = match_pairs(pairs, score, len(kind), m)
    for i in range(len(kind)):
        if pair_of[i] >= 0 and kind[i] == DISTRACTOR:
            remains[pairs.column[pair_of[i]]] = False
    return remains


@kernel
def rank(chosen: NDArray[np.bool_]) -> Ints:
    """(n,) number of chosen entries before each."""
    out = np.empty(len(chosen), np.int64)
    count = 0
    for k in range(len(chosen)):
        out[k] = count
        count += chosen[k]
    return out


@kernel
def restrict(pairs: Pairs, rows: NDArray[np.bool_], columns: NDArray[np.bool_]) -> Pairs:
    """Pairs among the rows and columns that remain, numbered among themselves."""
    new_row, new_column = rank(rows), rank(columns)
    row, column, iou = np.empty_like(pairs.row), np.empty_like(pairs.column), np.empty_like(pairs.iou)
    count = 0
    for p in range(len(pairs.row)):
        i, j = pairs.row[p], pairs.column[p]
        if rows[i] and columns[j]:
            row[count], column[count], iou[count] = new_row[i], new_column[j], pairs.iou[p]
            count += 1
    # copies: a frame is kept until HOTA, its overlong buffers are not
    return Pairs(row[:count].copy(), column[:count].copy(), iou[:count].copy())


@kernel
def cut_frame(columns: Columns, t: int) -> Frame:
    """What counts of frame t, from 0: labels of kind `KEPT`, and judged tracks that are not a distractor's."""
    a, b, c, d = columns.gt_bounds[t], columns.gt_bounds[t + 1], columns.track_bounds[t], columns.track_bounds[t + 1]
    kind, remains = columns.kind[a:b], columns.judged[c:d]
    pairs, rows = overlaps(columns.gt_box[a:b], columns.track_box[c:d]), kind == KEPT
    if columns.preprocess and b > a and d > c:
        remains = remains & off_distractors(pairs, kind, d - c)
    return Frame(restrict(pairs, rows, remains), columns.gt_id[a:b][rows], columns.track_id[c:d][remains])


@kernel
def pairwise_sum(values: Floats) -> float:
    """Sum in the order of NumPy's contiguous reduction: eight running sums, halves beyond 128."""
    n = len(values)
    if n < 8:
        total = 0.0
        for k in range(n):
            total += values[k]
        return total
    if n > 128:
        half = n // 2
        half -= half % 8
        return pairwise_sum(values[:half]) + pairwise_sum(values[half:])
    r = values[:8].copy()
    whole = n - n % 8
    for k in range(8, whole, 8):
        for lane in range(8):
            r[lane] += values[k + lane]
    total = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]))
    for k in range(whole, n):
        total += values[k]
    return total


@kernel
def side_sums(own: Ints, other: Ints, iou: Floats, n: int, contiguous: int) -> Floats:
    """(n,) summed IoU of each row, in NumPy's order; up to two terms have no order.

    `contiguous` is the length of a row where it lies in one piece, so that NumPy sums pairwise; 0 where it does not.
    """
    total, terms = np.zeros(n), np.zeros(n, np.int64)
    for p in range(len(iou)):
        total[own[p]] += iou[p]
        terms[own[p]] += 1
    if contiguous >= 8:
        dense = np.zeros(contiguous)
        for i in range(n):
            if terms[i] > 2:
                dense[:] = 0
                for p in range(len(iou)):
                    if own[p] == i:
                        dense[other[p]] = iou[p]
                total[i] = pairwise_sum(dense)
    return total


@kernel
def align_frame(frame: Frame, state: Alignment) -> None:
    """Add one frame's overlaps between identities: soft (IoU over the rivals' sum) and hard (IoU of 0.5)."""
    pairs, gt, track = frame.pairs, frame.gt, frame.track
    n, m = len(gt), len(track)
    for i in range(n):
        state.gt_count[gt[i]] += 1
    for j in range(m):
        state.track_count[track[j]] += 1
    by_gt = side_sums(pairs.row, pairs.column, pairs.iou, n, m)
    by_track = side_sums(pairs.column, pairs.row, pairs.iou, m, n if m == 1 else 0)  # a lone column lies in one piece
    for p in range(len(pairs.iou)):
        i, j, iou = pairs.row[p], pairs.column[p], pairs.iou[p]
        rivals = by_track[j] + by_gt[i] - iou
        if rivals > EPS:
            state.soft[gt[i], track[j]] += iou / rivals
        if iou >= 0.5:
            state.hard[gt[i], track[j]] += 1


@kernel
def clear_frame(frame: Frame, state: ClearState) -> None:
    """CLEAR's matching of one frame: keep the previous frame's pairs first, then maximise IoU (at least 0.5)."""
    pairs, gt, track = frame.pairs, frame.gt, frame.track
    n, m = len(gt), len(track)
    for i in range(n):
        state.present[gt[i]] += 1
    if n == 0 or m == 0:
        state.counts[1] += n
        state.counts[2] += m
        return
    score = np.zeros(len(pairs.iou))
    for p in range(len(score)):
        if pairs.iou[p] >= 0.5 - EPS:
            kept = track[pairs.column[p]] == state.previous_track[gt[pairs.row[p]]]
            score[p] = pairs.iou[p] + (1000.0 if kept else 0.0)
    pair_of = match_pairs(pairs, score, n, m)
    before = state.previous_track.copy()
    state.previous_track[:] = -1
    matches = 0
    for i in range(n):
        if pair_of[i] < 0:
            continue
        g, k = gt[i], track[pairs.column[pair_of[i]]]
        matches += 1
        state.counts[3] += state.last_track[g] >= 0 and state.last_track[g] != k
        state.last_track[g] = k
        state.previous_track[g] = k
        state.matched[g] += 1
        state.starts[g] += before[g] < 0
        state.iou_sum[0] += pairs.iou[pair_of[i]]
    state.counts[0] += matches
    state.counts[1] += n - matches
    state.counts[2] += m - matches

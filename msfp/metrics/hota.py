"""HOTA, CLEAR and Identity from boxes, in kernels that equal TrackEval to the last integer."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from msfp.compiled import kernel
from msfp.metrics import scores
from msfp.metrics.scores import ALPHAS, SequenceScore, chosen_rows, window
from msfp.tracking.costs import assign_maximum
from msfp.types import GroundTruth, Tracks, frame_bounds, tlwh_to_xyxy

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
    """Truth (see `PreparedTruth`) and tracks of a sequence; tracks outside `judged` lie within crowds."""

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
def restrict(pairs: Pairs, rows: NDArray[np.bool_], columns: NDArray[np.bool_]) -> Pairs:
    """Pairs among the rows and columns that remain, numbered among themselves."""
    new_row, new_column = np.cumsum(rows) - 1, np.cumsum(columns) - 1  # read where chosen
    kept = np.flatnonzero(rows[pairs.row] & columns[pairs.column])
    return Pairs(new_row[pairs.row[kept]], new_column[pairs.column[kept]], pairs.iou[kept])


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


@dataclass(frozen=True, eq=False)
class PreparedTruth:
    """Truth of one sequence, ready to score trackers against."""

    bounds: Ints  # (T + 1,) rows of frame t (from 1) are `bounds[t - 1]:bounds[t]`
    xyxy: Floats  # (N, 4) boxes, file coordinates
    id: Ints  # (N,) dense identity from 0 of the rows that count, -1 of the others
    kind: NDArray[np.int8]  # (N,) `KEPT` (it counts), `DISTRACTOR` or `IGNORED`
    identities: int  # that count
    length: int  # frames evaluated
    preprocess: bool  # whether tracks on distractors are removed
    frames: tuple[int, int] | None  # the window, as given
    regions: GroundTruth  # crowds, within which no track is judged


def prepare(
    gt: GroundTruth, length: int, *, benchmark: str = "MOT17", frames: tuple[int, int] | None = None
) -> PreparedTruth:
    """Ready the truth of one sequence; arguments and errors as in `msfp.metrics.scores.evaluate`."""
    chosen = scores.rules(benchmark)
    span = scores.window_length(length, frames)
    gt = window(gt, frames)
    scores.check_truth(gt, span, chosen)
    regions = chosen_rows(gt, chosen.regions(gt))
    gt = chosen_rows(gt, ~chosen.regions(gt))
    kind = np.full(len(gt), IGNORED, np.int8)
    if chosen.preprocess:
        kind[np.isin(gt.category, chosen.distractors)] = DISTRACTOR
    kept = chosen.kept(gt)
    kind[kept] = KEPT
    dense = np.full(len(gt), -1, np.int64)
    unique, dense[kept] = np.unique(gt.id[kept], return_inverse=True)
    xyxy = np.ascontiguousarray(tlwh_to_xyxy(gt.tlwh), dtype=np.float64)
    bounds = frame_bounds(gt.frame, span)
    return PreparedTruth(bounds, xyxy, dense, kind, len(unique), span, chosen.preprocess, frames, regions)


def score(truth: PreparedTruth, tracks: Tracks) -> SequenceScore:
    """Score one tracker's boxes (file coordinates); the truth's window cuts them too.

    Raises InputError: tracks outside the sequence's frames, an identity twice in a frame, boxes that are not finite.
    """
    scores.check_boxes(window(tracks, truth.frames), truth.length, "tracks")
    alignment, clear, key, iou, _ = match(truth, tracks)
    gt_boxes, track_boxes = int(alignment.gt_count.sum()), int(alignment.track_count.sum())
    if min(gt_boxes, track_boxes) == 0:  # TrackEval's early answer
        nothing = np.zeros(len(ALPHAS))
        return SequenceScore(
            hota_tp=nothing, hota_fn=nothing + gt_boxes, hota_fp=nothing + track_boxes,
            ass_a=nothing, ass_re=nothing, ass_pr=nothing, loc_a=nothing + 1.0,
            tp=0, fn=gt_boxes, fp=track_boxes, idsw=0, mt=0, pt=0, ml=0 if track_boxes else truth.identities,
            frag=0, frames=0, motp_sum=0.0, idtp=0, idfn=gt_boxes, idfp=track_boxes,
        )  # fmt: skip
    true, iou_sum, matches, of_gt, of_track = _per_threshold(alignment, key, iou)
    found = np.maximum(1, true)
    column_of = assign_maximum(alignment.hard)
    rows = np.flatnonzero(column_of >= 0)
    idtp = int(alignment.hard[rows, column_of[rows]].sum())
    seen = clear.present > 0
    ratio = clear.matched[seen] / clear.present[seen]
    mt = int(np.sum(ratio > 0.8))
    pt = int(np.sum(ratio >= 0.2)) - mt
    tp, fn, fp, idsw = (int(count) for count in clear.counts)
    return SequenceScore(
        hota_tp=true, hota_fn=gt_boxes - true, hota_fp=track_boxes - true,
        ass_a=(matches * (matches / np.maximum(1, of_gt + of_track - matches))).sum(axis=0) / found,
        ass_re=(matches * (matches / of_gt)).sum(axis=0) / found,
        ass_pr=(matches * (matches / of_track)).sum(axis=0) / found,
        loc_a=np.maximum(1e-10, iou_sum) / np.maximum(1e-10, true),
        tp=tp, fn=fn, fp=fp, idsw=idsw,
        mt=mt, pt=pt, ml=len(clear.present) - mt - pt,
        frag=int(np.sum(clear.starts[clear.starts > 0] - 1)),
        frames=truth.length, motp_sum=float(clear.iou_sum[0]),
        idtp=idtp, idfn=gt_boxes - idtp, idfp=track_boxes - idtp,
    )  # fmt: skip


def match(truth: PreparedTruth, tracks: Tracks) -> tuple[Alignment, ClearState, Ints, Floats, Ints]:
    """Match a whole sequence for all three measures.

    Returns overlap of identities, CLEAR's counts, and HOTA's M matches, one matching for all thresholds: (M,) truth
    identity x number of tracks + track; (M,) IoU; (M,) number of the labelled box among those that count.
    """
    columns, count = _columns(truth, tracks)
    pairs = (truth.identities, count)
    alignment = Alignment(np.zeros(pairs), np.zeros(pairs), np.zeros(truth.identities), np.zeros(count))
    clear = nothing_tracked(truth.identities)
    return alignment, clear, *_match(columns, alignment, clear)


def judged_frames(truth: PreparedTruth, tracks: Tracks) -> Iterator[Frame]:
    """The sequence's frames as CLEAR matches them, tracks numbered from 0 in the order of their identities."""
    columns, _ = _columns(truth, tracks)
    return (cut_frame(columns, t) for t in range(truth.length))


def _columns(truth: PreparedTruth, tracks: Tracks) -> tuple[Columns, int]:
    """Truth and tracks of the window for the kernels, and the number of tracks."""
    tracks = window(tracks, truth.frames)
    unique, dense = np.unique(tracks.id, return_inverse=True)
    xyxy = np.ascontiguousarray(tlwh_to_xyxy(tracks.tlwh), dtype=np.float64)
    judged = ~scores.within_crowds(tracks, truth.regions, truth.length)
    bounds = frame_bounds(tracks.frame, truth.length)
    mine = (truth.bounds, truth.xyxy, truth.id, truth.kind)
    return Columns(*mine, bounds, xyxy, dense.astype(np.int64), judged, truth.preprocess), len(unique)


def evaluate(
    gt: GroundTruth, tracks: Tracks, length: int, *, benchmark: str = "MOT17", frames: tuple[int, int] | None = None
) -> SequenceScore:
    """`prepare` and `score` in one call, with the signature of `msfp.metrics.scores.evaluate`."""
    return score(prepare(gt, length, benchmark=benchmark, frames=frames), tracks)


def nothing_tracked(identities: int) -> ClearState:
    """CLEAR before the first frame."""
    nobody, count = np.full(identities, -1, np.int64), np.zeros(identities, np.int64)
    return ClearState(nobody, nobody.copy(), count, count.copy(), count.copy(), np.zeros(4, np.int64), np.zeros(1))


@kernel
def _match(columns: Columns, alignment: Alignment, clear: ClearState) -> tuple[Ints, Floats, Ints]:
    """Both passes over a sequence: fills `alignment` and `clear`, returns HOTA's matches as `match` does."""
    frames = []
    for t in range(len(columns.gt_bounds) - 1):
        frame = cut_frame(columns, t)
        align_frame(frame, alignment)
        clear_frame(frame, clear)
        frames.append(frame)
    most = len(columns.track_id)
    key, matched_iou, box = np.empty(most, np.int64), np.empty(most), np.empty(most, np.int64)
    count = before = 0
    for frame in frames:
        pairs = frame.pairs
        weighted = np.empty(len(pairs.iou))
        for p in range(len(weighted)):
            g, k = frame.gt[pairs.row[p]], frame.track[pairs.column[p]]
            soft = alignment.soft[g, k]
            weighted[p] = soft / (alignment.gt_count[g] + alignment.track_count[k] - soft) * pairs.iou[p]
        for p in match_pairs(pairs, weighted, len(frame.gt), len(frame.track)):
            if p >= 0:
                key[count] = frame.gt[pairs.row[p]] * len(alignment.track_count) + frame.track[pairs.column[p]]
                matched_iou[count] = pairs.iou[p]
                box[count] = before + pairs.row[p]
                count += 1
        before += len(frame.gt)
    return key[:count], matched_iou[:count], box[:count]


def _per_threshold(alignment: Alignment, key: Ints, iou: Floats) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """HOTA's matches counted at each of the 19 thresholds.

    Returns (19,) true positives; (19,) their summed IoU; and for the P pairs of identities that match at all: (P, 19)
    matches, (P, 1) boxes of the truth identity, (P, 1) boxes of the track.
    """
    levels = len(ALPHAS)
    reached = np.searchsorted(np.array(ALPHAS) - EPS, iou, side="right")  # thresholds a match satisfies
    seen = np.zeros(alignment.soft.size, np.bool_)
    seen[key] = True
    pairs = np.flatnonzero(seen)
    pair = (np.cumsum(seen) - 1)[key]
    exactly = np.bincount(pair * (levels + 1) + reached, minlength=len(pairs) * (levels + 1))
    matches = _at_least(exactly.reshape(len(pairs), levels + 1))
    iou_sum = _at_least(np.bincount(reached, weights=iou, minlength=levels + 1)[None])[0]
    gt, track = np.divmod(pairs, alignment.soft.shape[1])
    return matches.sum(axis=0), iou_sum, matches, alignment.gt_count[gt, None], alignment.track_count[track, None]


def _at_least(exactly: NDArray[np.number]) -> Floats:
    """(P, 20) sums by the number of thresholds reached -> (P, 19) sums over what reaches each threshold."""
    return np.cumsum(exactly[:, :0:-1], axis=1, dtype=np.float64)[:, ::-1]

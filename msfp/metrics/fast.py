"""TrackEval's numbers without TrackEval's cost, for searches that score hundreds of trackers on one sequence.

`prepare` does once what depends on the truth alone; `score` then evaluates any number of trackers against it. Integers
equal `msfp.metrics.tracking.evaluate`, floats agree to 1e-9.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msfp.assignment import assign_maximum
from msfp.compiled import kernel
from msfp.metrics.kernels import (
    DISTRACTOR,
    EPS,
    IGNORED,
    KEPT,
    Alignment,
    ClearState,
    Columns,
    Floats,
    Frame,
    Ints,
    align_frame,
    clear_frame,
    cut_frame,
    match_pairs,
)
from msfp.metrics.rules import check_boxes, check_truth, chosen_rows, rules, window, window_length, within_crowds
from msfp.metrics.score import ALPHAS, SequenceScore
from msfp.types import GroundTruth, Tracks, frame_bounds, tlwh_to_xyxy


@dataclass(frozen=True, eq=False)
class PreparedTruth:
    """Truth of one sequence, ready to score trackers against.

    Attributes:
        bounds: (T + 1,) rows of frame t (from 1) are `bounds[t - 1]:bounds[t]`.
        xyxy: (N, 4) boxes, file coordinates.
        id: (N,) dense identity from 0 of the rows that count, -1 of the others.
        kind: (N,) int8: counts, distractor, or ignored.
        identities: number of identities that count.
        length: frames evaluated.
        preprocess: whether tracks on distractors are removed.
        frames: the window, as given.
        regions: crowds, within which no track is judged.
    """

    bounds: Ints
    xyxy: Floats
    id: Ints
    kind: NDArray[np.int8]
    identities: int
    length: int
    preprocess: bool
    frames: tuple[int, int] | None
    regions: GroundTruth


def prepare(
    gt: GroundTruth, length: int, *, benchmark: str = "MOT17", frames: tuple[int, int] | None = None
) -> PreparedTruth:
    """Ready the truth of one sequence; arguments and errors as in `msfp.metrics.tracking.evaluate`."""
    chosen = rules(benchmark)
    span = window_length(length, frames)
    gt = window(gt, frames)
    check_truth(gt, span, chosen)
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

    Raises:
        InputError: tracks outside the sequence's frames, an identity twice in a frame, boxes that are not finite.
    """
    check_boxes(window(tracks, truth.frames), truth.length, "tracks")
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

    Returns:
        Overlap of identities, CLEAR's counts, and HOTA's M matches, one matching for all thresholds: (M,) truth
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
    judged = ~within_crowds(tracks, truth.regions, truth.length)
    bounds = frame_bounds(tracks.frame, truth.length)
    mine = (truth.bounds, truth.xyxy, truth.id, truth.kind)
    return Columns(*mine, bounds, xyxy, dense.astype(np.int64), judged, truth.preprocess), len(unique)


def evaluate(
    gt: GroundTruth, tracks: Tracks, length: int, *, benchmark: str = "MOT17", frames: tuple[int, int] | None = None
) -> SequenceScore:
    """`prepare` and `score` in one call, with the signature of `msfp.metrics.tracking.evaluate`."""
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

    Returns:
        (19,) true positives; (19,) their summed IoU; and for the P pairs of identities that match at all:
        (P, 19) matches, (P, 1) boxes of the truth identity, (P, 1) boxes of the track.
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

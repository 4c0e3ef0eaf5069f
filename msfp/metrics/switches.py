"""Mistakes of trackers one by one: switches and their causes, returns, and accuracy by condition."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from msfp.metrics.hota import EPS, KEPT, PreparedTruth, clear_frame, judged_frames, match, nothing_tracked, overlaps
from msfp.metrics.scores import ALPHAS, chosen_rows, rules, window
from msfp.types import GroundTruth, Tracks, tlwh_to_xyxy

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Switches:
    """Every switch of a sequence, by frame, then person; there are as many as IDSW says."""

    frame: NDArray[np.int64]  # (S,) from 1: the first frame under the new identity
    person: NDArray[np.int64]  # (S,) numbered from 0 as in `PreparedTruth`
    xyxy: NDArray[np.float64]  # (S, 4) the person's labelled box in that frame, file coordinates
    before: NDArray[np.int64]  # (S,) identity of the track before
    after: NDArray[np.int64]  # (S,) and from this frame on
    last: NDArray[np.int64]  # (S,) the latest frame before in which the person was followed

    def __len__(self) -> int:
        return len(self.frame)


def find_switches(truth: PreparedTruth, tracks: Tracks) -> Switches:
    """Match frame by frame as CLEAR does, and keep who is followed by another track than before."""
    names = np.unique(window(tracks, truth.frames).id)
    state = nothing_tracked(truth.identities)
    found: list[tuple[int, ...]] = []
    boxes: list[NDArray[np.float64]] = []
    last = np.zeros(truth.identities, np.int64)
    for t, frame in enumerate(judged_frames(truth, tracks)):
        people, before = frame.gt, state.last_track.copy()
        clear_frame(frame, state)
        a, b = truth.bounds[t], truth.bounds[t + 1]
        for place in np.flatnonzero((before[people] >= 0) & (state.last_track[people] != before[people])):
            who = int(people[place])
            boxes.append(truth.xyxy[a:b][truth.kind[a:b] == KEPT][place])
            found.append((t + 1, who, int(names[before[who]]), int(names[state.last_track[who]]), int(last[who])))
        if len(frame.track):  # else CLEAR leaves its memory of the frame before as it is
            last[people[state.previous_track[people] >= 0]] = t + 1
    at, person, *others = np.array(found, np.int64).reshape(-1, 5).T
    return Switches(at, person, np.array(boxes, np.float64).reshape(-1, 4), *others)


CAUSES = ("occlusion", "crossing", "gap", "small", "other")
OCCLUDED = 0.5  # visible share below which somebody who is followed anew was occluded meanwhile
CROSSED = 0.2  # IoU with another person's box from which two cross


@dataclass(frozen=True)
class Cause:
    """Why an identity switched, as far as labels tell."""

    kind: str  # the first of `CAUSES` that applies since the person was last followed, in the order of `_cause`
    missed: int  # frames between the last and this one
    visibility: float  # least share visible from the last frame to this one; 0 where not labelled in between
    overlap: float  # largest IoU with another person's box in these frames


def explain(truth: PreparedTruth, visibility: NDArray[np.float64], switches: Switches, small: float) -> list[Cause]:
    """The cause of each switch on `truth`, whose boxes have a (N,) `visibility`; `small` in square pixels."""
    columns = (switches.frame.tolist(), switches.last.tolist(), switches.person.tolist(), switches.xyxy)
    return [_cause(truth, visibility, *one, small) for one in zip(*columns, strict=True)]


def _cause(truth: PreparedTruth, visibility: Floats, now: int, last: int, who: int, box: Floats, small: float) -> Cause:
    seen, overlap = [], 0.0
    for t in range(last, now + 1):
        rows = np.arange(truth.bounds[t - 1], truth.bounds[t])
        rows = rows[truth.kind[rows] == KEPT]
        mine = rows[truth.id[rows] == who]
        seen.append(float(visibility[mine[0]]) if len(mine) else 0.0)
        if len(mine):
            others = overlaps(truth.xyxy[mine[:1]], truth.xyxy[rows[truth.id[rows] != who]])
            overlap = max(overlap, float(others.iou.max(initial=0.0)))
    area = float((box[2] - box[0]) * (box[3] - box[1]))
    applies = (min(seen) < OCCLUDED, overlap >= CROSSED, now - last > 1, area <= small, True)
    return Cause(CAUSES[applies.index(True)], now - last - 1, min(seen), overlap)


@dataclass(frozen=True, eq=False)
class Returns:
    """Every return of a person who had been tracked before leaving, in order of frames."""

    frame: NDArray[np.int64]  # (R,) from 1: the first labelled frame after the absence
    person: NDArray[np.int64]  # (R,) numbered from 0 as in `PreparedTruth`
    absent: NDArray[np.int64]  # (R,) frames without a label before
    recovered: NDArray[np.bool_]  # (R,) the first track matched after is the last one before

    def __len__(self) -> int:
        return len(self.frame)


def find_returns(truth: PreparedTruth, tracks: Tracks, least: int = 60) -> Returns:
    """Match frame by frame as CLEAR does, and judge the first match after every absence.

    Somebody who is never matched again before leaving anew, or until the end, was not recovered.
    `least` frames without a label make an absence; the truth's window cuts the tracks too.
    """
    state = nothing_tracked(truth.identities)
    seen = np.full(truth.identities, -1, np.int64)
    waiting: dict[int, int] = {}  # person -> place in `found` of a return that no match has judged yet
    found: list[tuple[int, int, int]] = []
    recovered: list[bool] = []
    for t, frame in enumerate(judged_frames(truth, tracks)):
        last, matched = state.last_track.copy(), state.matched.copy()
        clear_frame(frame, state)
        for who in frame.gt.tolist():
            absent = t - seen[who] - 1
            if seen[who] >= 0 and absent >= least and last[who] >= 0:
                waiting[who] = len(found)
                found.append((t + 1, who, int(absent)))
                recovered.append(False)
            seen[who] = t
            if who in waiting and state.matched[who] > matched[who]:
                recovered[waiting.pop(who)] = bool(state.last_track[who] == last[who])
    frame_of, person, away = np.array(found, np.int64).reshape(-1, 3).T
    return Returns(frame_of, person, away, np.array(recovered, np.bool_))


FRAMES = 50  # looked at for what would make boxes overlap
LIKELY = 0.2  # of these frames' boxes overlap under a right guess; under a wrong one some do by chance


def nothing_counts(gt: GroundTruth, benchmark: str) -> str:
    """Say why no box of the ground truth is evaluated; empty where one is, or where there is none at all."""
    chosen = rules(benchmark)
    if not len(gt) or chosen.kept(gt).any():
        return ""
    found = np.unique(gt.category)
    if chosen.preprocess and not (gt.category == 1).any():
        listed = ", ".join(map(str, found[:8].tolist()))
        why = f"their class, column 8, is {listed} and only pedestrians, class 1, are evaluated"
    elif (gt.flag < 1).all():
        why = f"their flag, column 7, is at most {gt.flag.max():g} and only rows from 1 on are evaluated"
    else:
        why = "no row has both a flag of 1, column 7, and class 1, column 8"
    return f"not one of the {len(gt)} boxes of the ground truth counts: {why}"


def nothing_overlaps(gt: GroundTruth, tracks: Tracks, size: tuple[int, int] = (0, 0)) -> str:
    """Guess what is amiss where no box of the results overlaps one of the ground truth; empty where any does.

    size: width and height of the image, 0 where not known.
    """
    if not len(gt) or not len(tracks) or _overlap(gt, tracks) > 0:
        return ""
    said = f"not one of the {len(tracks)} boxes overlaps a box of the ground truth"
    corner, extent = tracks.tlwh[:, :2], tracks.tlwh[:, 2:]
    later = replace(tracks, frame=tracks.frame + np.int32(1))
    sooner = replace(tracks, frame=tracks.frame - np.int32(1))
    swapped = np.argsort(tracks.id, kind="stable")
    guesses = {
        "the results count frames from 0: add 1": chosen_rows(later, later.frame >= 1),
        "the results count frames from 2: subtract 1": chosen_rows(sooner, sooner.frame >= 1),
        "its columns 1 and 2 are id and frame, not frame and id": Tracks(
            tracks.id[swapped], tracks.frame[swapped], tracks.tlwh[swapped], tracks.score[swapped]
        ),
    }
    others = {
        "its columns 5 and 6 are right and bottom, not width and height": [corner, extent - corner],
        "its columns 3 and 4 are the box's centre, not left and top": [corner - extent / 2, extent],
        "its columns 3 to 6 are top, left, height, width": [tracks.tlwh[:, [1, 0, 3, 2]]],
    }
    if min(size) > 0:
        scale = np.array([*size, *size], float)
        others["its boxes are shares of the image: multiply by width and height"] = [tracks.tlwh * scale]
    guesses |= {guess: replace(tracks, tlwh=np.hstack(columns)) for guess, columns in others.items()}
    shares = {guess: _overlap(gt, made) for guess, made in guesses.items()}
    best = max(shares, key=shares.__getitem__)
    if shares[best] >= LIKELY:
        return f"{said}; it seems that {best}"
    return f"{said}; are these results of this sequence, in pixels, as frame, id, left, top, width, height?"


def _overlap(gt: GroundTruth, tracks: Tracks) -> float:
    """Share of the result boxes of some frames that overlap a box of the ground truth."""
    frames = np.intersect1d(gt.frame, tracks.frame)
    boxes = met = 0
    for t in frames[np.linspace(0, len(frames) - 1, min(len(frames), FRAMES)).astype(int)] if len(frames) else ():
        mine, truth = tracks.tlwh[tracks.frame == t], gt.tlwh[gt.frame == t]
        pairs = overlaps(*(np.ascontiguousarray(tlwh_to_xyxy(b), dtype=np.float64) for b in (mine, truth)))
        boxes, met = boxes + len(mine), met + len(np.unique(pairs.row))
    return met / max(boxes, 1)


SHOWN, HIDDEN = 0.75, 0.25  # share visible from which a person is in sight, and below which one is hidden
AFTER = 10  # frames after a gap in which a person counts as coming back


@dataclass(frozen=True, eq=False)
class Boxes:
    """Size, visibility and history of each labelled box of a `PreparedTruth`, row by row."""

    area: Floats  # (N,) square pixels of the file
    visibility: Floats  # (N,) share visible
    returning: Bools  # (N,) within ten frames after one in which the person, seen before, was hidden or not labelled


def describe(gt: GroundTruth, benchmark: str) -> Boxes:
    """Describe the boxes of `hota.prepare(gt, ..., benchmark=benchmark)`."""
    gt = chosen_rows(gt, ~rules(benchmark).regions(gt))
    returning = np.zeros(len(gt), np.bool_)
    for person in np.unique(gt.id):
        rows = np.flatnonzero(gt.id == person)
        returning[rows] = coming_back(gt.frame[rows], gt.visibility[rows] >= HIDDEN)
    return Boxes(gt.tlwh[:, 2:].prod(axis=1), gt.visibility.astype(np.float64), returning)


def coming_back(frame: NDArray[np.int32], seen: Bools) -> Bools:
    """(B,) of one person's boxes in order of frames: seen, within ten frames of being seen first again after a gap."""
    at = frame[seen]
    out = np.zeros(len(frame), np.bool_)
    back = at[1:][np.diff(at) > 1]  # first frames after a gap
    for first in back:
        out |= seen & (frame >= first) & (frame < first + AFTER)
    return out


def association(truth: PreparedTruth, tracks: Tracks, masks: Bools) -> Floats:
    """(C, 2, 19) sum of A(c) over each property's true positives, and their number, at each localisation threshold.

    masks: (C, N) labelled boxes that have each property. Sums of several sequences may be added.
    """
    alignment, _, key, iou, box = match(truth, tracks)
    row = np.flatnonzero(truth.kind == KEPT)[box]
    of_gt, of_track = alignment.gt_count, alignment.track_count
    levels = len(ALPHAS)
    reached = np.searchsorted(np.array(ALPHAS) - EPS, iou, side="right")
    hit = reached[:, None] > np.arange(levels)  # (M, 19)
    pairs, pair = np.unique(key, return_inverse=True)
    together = np.zeros((len(pairs), levels))
    np.add.at(together, pair, hit)
    gt, track = np.divmod(key, max(len(of_track), 1))
    either = (of_gt[gt] + of_track[track])[:, None] - together[pair]
    share = together[pair] / np.maximum(1, either) * hit
    return np.stack([np.stack([share[m].sum(axis=0), hit[m].sum(axis=0)]) for m in masks[:, row]])


def accuracy(sums: Floats) -> Floats:
    """(..., 2, 19) sums -> (...) association accuracy in [0, 1], mean over thresholds; NaN where nothing matched."""
    found, count = sums[..., 0, :], sums[..., 1, :]
    value = (found / np.maximum(1, count)).mean(axis=-1)
    return np.where(count[..., 0] > 0, value, np.nan)

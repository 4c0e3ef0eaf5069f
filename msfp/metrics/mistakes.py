"""Why a score says nothing: labels none of which count, and results that lie nowhere near them."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from msfp.metrics.kernels import overlaps
from msfp.metrics.rules import chosen_rows, rules
from msfp.types import GroundTruth, Tracks, tlwh_to_xyxy

FRAMES = 50  # looked at for what would make boxes overlap
LIKELY = 0.2  # of these frames' boxes overlap under a right guess; under a wrong one some do by chance
CORNERS = "its columns 5 and 6 are right and bottom, not width and height"


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
    guesses: dict[str, Callable[[], Tracks]] = {
        "the results count frames from 0: add 1": lambda: _shifted(tracks, 1),
        "the results count frames from 2: subtract 1": lambda: _shifted(tracks, -1),
        "its columns 1 and 2 are id and frame, not frame and id": lambda: _exchanged(tracks),
        CORNERS: lambda: replace(tracks, tlwh=np.hstack([corner, extent - corner])),
        "its columns 3 and 4 are the box's centre, not left and top": lambda: replace(
            tracks, tlwh=np.hstack([corner - extent / 2, extent])
        ),
        "its columns 3 to 6 are top, left, height, width": lambda: replace(tracks, tlwh=tracks.tlwh[:, [1, 0, 3, 2]]),
    }
    if min(size) > 0:
        scaled = replace(tracks, tlwh=tracks.tlwh * np.array([*size, *size], float))
        guesses["its boxes are shares of the image: multiply by width and height"] = lambda: scaled
    shares = {guess: _overlap(gt, made()) for guess, made in guesses.items()}
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


def _shifted(tracks: Tracks, by: int) -> Tracks:
    moved = replace(tracks, frame=tracks.frame + np.int32(by))
    return chosen_rows(moved, moved.frame >= 1)


def _exchanged(tracks: Tracks) -> Tracks:
    order = np.argsort(tracks.id, kind="stable")
    return Tracks(tracks.id[order], tracks.frame[order], tracks.tlwh[order], tracks.score[order])

"""Which boxes a benchmark evaluates, and the checks every evaluation makes before it starts."""

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from msfp.errors import InputError
from msfp.types import GroundTruth, Tracks, frame_bounds, tlwh_to_xyxy

BENCHMARKS = ("MOT15", "MOT16", "MOT17", "MOT20", "DanceTrack", "PersonPath22")
UNPROCESSED = ("MOT15", "DanceTrack")
CLASSES = (*range(1, 14),)
CROWD = 13
EPS = float(np.finfo(np.float64).eps)
INSIDE = 0.95  # share of a track's box within a crowd region from which it is not judged
DISTRACTORS = (2, 7, 8, 12)
"""Person on vehicle, static person, distractor, reflection: a track on one of these is neither right nor wrong."""

Rows = TypeVar("Rows", GroundTruth, Tracks)


@dataclass(frozen=True)
class Rules:
    """How TrackEval treats one benchmark."""

    benchmark: str
    preprocess: bool  # whether only class 1 counts and tracks on the classes `distractors` are removed
    distractors: tuple[int, ...]
    crowds: bool = False  # whether boxes of class crowd are regions in which no track is judged

    def kept(self, gt: GroundTruth) -> NDArray[np.bool_]:
        """(N,) rows of the truth that count; a flag below 1 is cut to 0, as TrackEval does."""
        flagged = gt.flag.astype(np.int64) != 0
        return flagged & (gt.category == 1) if self.preprocess else flagged

    def regions(self, gt: GroundTruth) -> NDArray[np.bool_]:
        """(N,) rows of the truth that are crowd regions and nobody in particular."""
        return (gt.category == CROWD) if self.crowds else np.zeros(len(gt), np.bool_)


def rules(benchmark: str) -> Rules:
    if benchmark not in BENCHMARKS:
        raise InputError(f"benchmark {benchmark!r}: unknown; choose one of {', '.join(BENCHMARKS)}")
    vehicles = (6,) if benchmark == "MOT20" else ()
    return Rules(benchmark, benchmark not in UNPROCESSED, DISTRACTORS + vehicles, benchmark == "PersonPath22")


def chosen_rows(rows: Rows, mask: NDArray[np.bool_]) -> Rows:
    return rows if mask.all() else replace(rows, **{name: column[mask] for name, column in vars(rows).items()})


def within_crowds(tracks: Tracks, regions: GroundTruth, length: int) -> NDArray[np.bool_]:
    """(N,) boxes that lie within a crowd region of their frame by more than `INSIDE` of their area."""
    out = np.zeros(len(tracks), np.bool_)
    begin, first = frame_bounds(tracks.frame, length), frame_bounds(regions.frame, length)
    for t in np.unique(regions.frame) - 1:
        box = tlwh_to_xyxy(tracks.tlwh[begin[t] : begin[t + 1]])[:, None]
        region = tlwh_to_xyxy(regions.tlwh[first[t] : first[t + 1]])[None]
        sides = np.minimum(box[..., 2:], region[..., 2:]) - np.maximum(box[..., :2], region[..., :2])
        area = np.prod(box[..., 2:] - box[..., :2], axis=-1)
        shared = np.prod(np.maximum(sides, 0.0), axis=-1)
        share = np.divide(shared, area, out=np.zeros_like(shared), where=area > EPS)
        out[begin[t] : begin[t + 1]] = (share > INSIDE + EPS).any(axis=1)
    return out


def window(rows: Rows, frames: tuple[int, int] | None) -> Rows:
    """Rows of the frames first..last (both included), numbered from 1 again; all rows where `frames` is None."""
    if frames is None:
        return rows
    first, last = frames
    rows = chosen_rows(rows, (rows.frame >= first) & (rows.frame <= last))
    return replace(rows, frame=rows.frame - np.int32(first - 1))


def window_length(length: int, frames: tuple[int, int] | None) -> int:
    """Number of frames evaluated; an InputError where the window is empty or leaves the sequence."""
    if frames is None:
        return length
    first, last = frames
    if not 1 <= first <= last <= length:
        raise InputError(f"frames {first}-{last}: not within the sequence's frames 1-{length}")
    return last - first + 1


def check_truth(gt: GroundTruth, length: int, chosen: Rules) -> None:
    """Raise InputError as `check_boxes`, or for a class the benchmark lacks."""
    check_boxes(gt, length, "ground truth")
    if chosen.preprocess and len(gt):
        wrong = ~np.isin(gt.category, CLASSES)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise InputError(
                f"ground truth: class {gt.category[row]} in frame {gt.frame[row]}; {chosen.benchmark} has classes "
                f"{CLASSES[0]} to {CLASSES[-1]}; evaluate with benchmark MOT15 where the labels have no classes"
            )


def check_boxes(rows: GroundTruth | Tracks, length: int, what: str) -> None:
    """Raise InputError for the first row outside the frames, identity twice in a frame, or box that is not finite."""
    frame, identity = rows.frame, rows.id
    if not len(frame):
        return
    if frame[0] < 1 or frame[-1] > length:
        outside = frame[0] if frame[0] < 1 else frame[-1]
        raise InputError(f"{what}: frame {outside} lies outside the sequence's frames 1-{length}")
    key = np.sort(frame.astype(np.int64) << 32 | (identity.astype(np.int64) & 0xFFFFFFFF))
    twice = np.flatnonzero(key[1:] == key[:-1])
    if len(twice):
        first = key[twice[0]]
        named = np.int64(first & 0xFFFFFFFF).astype(np.int32)
        raise InputError(f"{what}: identity {named} appears more than once in frame {first >> 32}; keep one box of it")
    finite = np.isfinite(rows.tlwh).all(axis=1)
    if not finite.all():
        row = int(np.argmin(finite))
        raise InputError(f"{what}: box of identity {identity[row]} in frame {frame[row]} is not finite")

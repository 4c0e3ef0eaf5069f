"""Where identities switch: the frames and people that CLEAR counts in IDSW."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msfp.metrics.fast import PreparedTruth, judged_frames, nothing_tracked
from msfp.metrics.kernels import KEPT, clear_frame, overlaps
from msfp.metrics.rules import window
from msfp.types import Tracks


@dataclass(frozen=True, eq=False)
class Switches:
    """Every switch of a sequence, by frame, then person; there are as many as IDSW says.

    Attributes:
        frame: (S,) int64, from 1: the first frame under the new identity.
        person: (S,) int64, the labelled person, numbered from 0 as in `PreparedTruth`.
        xyxy: (S, 4) the person's labelled box in that frame, file coordinates.
        before, after: (S,) int64 identities of the track before and from this frame on.
        last: (S,) int64 the latest frame before in which the person was followed.
    """

    frame: NDArray[np.int64]
    person: NDArray[np.int64]
    xyxy: NDArray[np.float64]
    before: NDArray[np.int64]
    after: NDArray[np.int64]
    last: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.frame)


def find_switches(truth: PreparedTruth, tracks: Tracks) -> Switches:
    """Match frame by frame as CLEAR does, and keep who is followed by another track than before."""
    names = np.unique(window(tracks, truth.frames).id)
    state = nothing_tracked(truth.identities)
    found: list[tuple[int, int, NDArray[np.float64], int, int, int]] = []
    last = np.zeros(truth.identities, np.int64)
    for t, frame in enumerate(judged_frames(truth, tracks)):
        people, before = frame.gt, state.last_track.copy()
        clear_frame(frame, state)
        a, b = truth.bounds[t], truth.bounds[t + 1]
        for place in np.flatnonzero((before[people] >= 0) & (state.last_track[people] != before[people])):
            who = int(people[place])
            box = truth.xyxy[a:b][truth.kind[a:b] == KEPT][place]
            old, new = int(names[before[who]]), int(names[state.last_track[who]])
            found.append((t + 1, who, box, old, new, int(last[who])))
        if len(frame.track):  # else CLEAR leaves its memory of the frame before as it is
            last[people[state.previous_track[people] >= 0]] = t + 1
    columns = zip(*found, strict=True) if found else ((),) * 6
    at, person, box, old, new, latest = (np.array(c) for c in columns)
    whole = [c.astype(np.int64) for c in (at, person, old, new, latest)]
    return Switches(whole[0], whole[1], box.reshape(-1, 4).astype(np.float64), *whole[2:])


CAUSES = ("occlusion", "crossing", "gap", "small", "other")
OCCLUDED = 0.5  # visible share below which somebody who is followed anew was occluded meanwhile
CROSSED = 0.2  # IoU with another person's box from which two cross


@dataclass(frozen=True)
class Cause:
    """Why an identity switched, as far as labels tell.

    Attributes:
        kind: the first of `CAUSES` that applies: the person was less than half visible at some time since last
            followed; overlapped somebody in that time; was not followed for a frame or more; is small; none of these.
        missed: frames between the last and this one.
        visibility: the least share visible from the last frame to this one; 0 where not labelled in between.
        overlap: the largest IoU with another person's box in these frames.
    """

    kind: str
    missed: int
    visibility: float
    overlap: float


def explain(truth: PreparedTruth, visibility: NDArray[np.float64], switches: Switches, small: float) -> list[Cause]:
    """The cause of each switch on `truth`, whose boxes have a (N,) `visibility`; `small` in square pixels."""
    columns = (switches.frame.tolist(), switches.last.tolist(), switches.person.tolist(), switches.xyxy)
    return [_cause(truth, visibility, *one, small) for one in zip(*columns, strict=True)]


def _cause(
    truth: PreparedTruth, visibility: NDArray[np.float64], now: int, last: int, who: int, box: NDArray[np.float64],
    small: float,
) -> Cause:  # fmt: skip
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

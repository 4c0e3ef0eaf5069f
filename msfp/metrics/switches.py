"""Where identities switch: the frames and people that CLEAR counts in IDSW."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msfp.metrics.fast import PreparedTruth, nothing_tracked
from msfp.metrics.kernels import KEPT, clear_frame, judged_frame
from msfp.metrics.rules import window, within_crowds
from msfp.types import Tracks, frame_bounds, tlwh_to_xyxy


@dataclass(frozen=True, eq=False)
class Switches:
    """Every switch of a sequence, by frame, then person; there are as many as IDSW says.

    Attributes:
        frame: (S,) int64, from 1: the first frame under the new identity.
        person: (S,) int64, the labelled person, numbered from 0 as in `PreparedTruth`.
        xyxy: (S, 4) the person's labelled box in that frame, file coordinates.
        before, after: (S,) int64 identities of the track before and from this frame on.
    """

    frame: NDArray[np.int64]
    person: NDArray[np.int64]
    xyxy: NDArray[np.float64]
    before: NDArray[np.int64]
    after: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.frame)


def find_switches(truth: PreparedTruth, tracks: Tracks) -> Switches:
    """Match frame by frame as CLEAR does, and keep who is followed by another track than before.

    Args:
        truth: from `fast.prepare`; its window cuts the tracks too.
        tracks: boxes in file coordinates.
    """
    tracks = window(tracks, truth.frames)
    names, dense = np.unique(tracks.id, return_inverse=True)
    boxes = np.ascontiguousarray(tlwh_to_xyxy(tracks.tlwh), dtype=np.float64)
    bounds, dense = frame_bounds(tracks.frame, truth.length), dense.astype(np.int64)
    judged = ~within_crowds(tracks, truth.regions, truth.length)
    state = nothing_tracked(truth.identities)
    found: list[tuple[int, int, NDArray[np.float64], int, int]] = []
    for t in range(truth.length):
        a, b, c, d = truth.bounds[t], truth.bounds[t + 1], bounds[t], bounds[t + 1]
        frame = judged_frame(
            truth.xyxy[a:b], truth.id[a:b], truth.kind[a:b], boxes[c:d], dense[c:d], judged[c:d], truth.preprocess
        )
        people, before = frame.gt, state.last_track.copy()
        clear_frame(frame, state)
        for place in np.flatnonzero((before[people] >= 0) & (state.last_track[people] != before[people])):
            who = int(people[place])
            box = truth.xyxy[a:b][truth.kind[a:b] == KEPT][place]
            found.append((t + 1, who, box, int(names[before[who]]), int(names[state.last_track[who]])))
    at, person, box, old, new = zip(*found, strict=True) if found else ((), (), (), (), ())
    return Switches(
        np.array(at, np.int64),
        np.array(person, np.int64),
        np.array(box, np.float64).reshape(-1, 4),
        np.array(old, np.int64),
        np.array(new, np.int64),
    )

"""Long-term re-identification: whether people who leave the picture and come back keep their track."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msfp.metrics.fast import PreparedTruth, judged_frames, nothing_tracked
from msfp.metrics.kernels import clear_frame
from msfp.types import Tracks


@dataclass(frozen=True, eq=False)
class Returns:
    """Every return of a person who had been tracked before leaving, in order of frames.

    Attributes:
        frame: (R,) int64, from 1: the first labelled frame after the absence.
        person: (R,) int64, the labelled person, numbered from 0 as in `PreparedTruth`.
        absent: (R,) int64 frames without a label before.
        recovered: (R,) bool, the first track matched after the return is the last one before it.
    """

    frame: NDArray[np.int64]
    person: NDArray[np.int64]
    absent: NDArray[np.int64]
    recovered: NDArray[np.bool_]

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
    return Returns(*np.array(found, np.int64).reshape(-1, 3).T, np.array(recovered, np.bool_))

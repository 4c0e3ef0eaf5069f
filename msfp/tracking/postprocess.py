"""Post-processing of finished tracks: gaps filled and smoothed, stretches of one person linked."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise, permutations

import numpy as np
from numpy.typing import NDArray

from msfp.tracking.costs import assign_below
from msfp.tracking.kalman import Floats
from msfp.types import Tracks


def fill_gaps(tracks: Tracks, most: int = 20) -> Tracks:
    """Boxes and scores on a line across gaps of at most `most` missing frames; identities and other rows unchanged."""
    parts = [(tracks.frame, tracks.id, tracks.tlwh, tracks.score)]
    for identity in np.unique(tracks.id):
        rows = np.flatnonzero(tracks.id == identity)
        frame = tracks.frame[rows]
        step = np.diff(frame)
        for k in np.flatnonzero((step > 1) & (step - 1 <= most)):
            missing = np.arange(frame[k] + 1, frame[k + 1], dtype=np.int32)
            share = (missing - frame[k]) / step[k]
            first, last = rows[k], rows[k + 1]
            boxes = tracks.tlwh[first] + share[:, None] * (tracks.tlwh[last] - tracks.tlwh[first])
            scores = tracks.score[first] + share * (tracks.score[last] - tracks.score[first])
            parts.append((missing, np.full(len(missing), identity, np.int32), boxes, scores.astype(np.float32)))
    frame, ids, boxes, scores = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(frame, kind="stable")
    return Tracks(frame[order], ids[order], boxes[order], scores[order])


def smooth(tracks: Tracks, tau: float = 10.0, noise: float = 1.0) -> Tracks:
    """Each coordinate of each track replaced by the mean of a Gaussian process fitted to it (eqs. 13-15 of StrongSORT).

    `tracks`: filled before, usually. `tau`: smoothness; the kernel's length is tau log(tau^3 / frames), held to [1 /
    tau, tau^2] frames. `noise`: variance of a box's coordinate relative to the process's. The paper names no value, and
    the released code leaves it at the library's 1e-10, where the process passes through every box: here one, said so.
    """
    boxes = tracks.tlwh.copy()
    for identity in np.unique(tracks.id):
        rows = np.flatnonzero(tracks.id == identity)
        length = float(np.clip(tau * np.log(tau**3 / len(rows)), 1 / tau, tau**2))
        boxes[rows] = posterior_mean(tracks.frame[rows].astype(np.float64), boxes[rows], length, noise)
    boxes[:, 2:] = np.maximum(boxes[:, 2:], 1e-3)
    return Tracks(tracks.frame, tracks.id, boxes, tracks.score)


def posterior_mean(at: Floats, values: Floats, length: float, noise: float) -> Floats:
    """(T, K) mean at the points themselves of a process with kernel exp(-d^2 / 2 length^2) about a straight line.

    `at`: (T,) points. `values`: (T, K). `noise`: variance of each value, relative to the kernel's.
    """
    design = np.stack([np.ones_like(at), at - at.mean()], axis=1)
    line = design @ np.linalg.lstsq(design, values, rcond=None)[0]
    kernel = np.exp(-((at[:, None] - at[None, :]) ** 2) / (2 * length**2))
    return line + kernel @ np.linalg.solve(kernel + noise * np.eye(len(at)), values - line)


LENGTH = 30  # observations that are looked at on either side
LONGEST = 30  # frames from the end of one stretch to the beginning of the next, as released
REACH = 1.5  # heights that a person may have gone between them; the release has 75 px whatever the image
LEAST = 0.95  # weight from which two are linked, as released

Decide = Callable[[NDArray[np.float32]], NDArray[np.floating]]
"""(M, 2, LENGTH, 3) pairs -> (M,) weights that a pair is one person's."""


@dataclass(frozen=True)
class Stretch:
    """A track's observations in order."""

    frame: NDArray[np.int64]  # (T,) numbers, ascending
    tlwh: Floats  # (T, 4) boxes

    @property
    def centre(self) -> Floats:
        """(T, 2)."""
        return self.tlwh[:, :2] + self.tlwh[:, 2:] / 2


def pair(before: Stretch, after: Stretch) -> NDArray[np.float32]:
    """(2, LENGTH, 3) frame, x and y of the last and the first observations, as the decision sees them.

    All is relative to the last observation of the earlier stretch: frames in units of `LONGEST`, places in its height.
    A stretch of fewer observations is padded by repeating its outermost.
    """
    origin, height = before.centre[-1], max(float(before.tlwh[-1, 3]), 1e-6)
    out = np.empty((2, LENGTH, 3), np.float32)
    rows = (np.arange(-LENGTH, 0) + len(before.frame)).clip(0), np.arange(LENGTH).clip(None, len(after.frame) - 1)
    for k, (stretch, chosen) in enumerate(zip((before, after), rows, strict=True)):
        out[k, :, 0] = (stretch.frame[chosen] - before.frame[-1]) / LONGEST
        out[k, :, 1:] = (stretch.centre[chosen] - origin) / height
    return out


def may_follow(before: Stretch, after: Stretch) -> bool:
    """Whether one begins after the other ended, soon enough and near enough."""
    gap = int(after.frame[0]) - int(before.frame[-1])
    if not 0 < gap <= LONGEST:
        return False
    return bool(np.hypot(*(after.centre[0] - before.centre[-1])) <= REACH * before.tlwh[-1, 3])


def link(tracks: Tracks, decide: Decide, least: float = LEAST) -> Tracks:
    """The same boxes with the identity of the earliest stretch of each person.

    Each stretch has at most one before and one after it; the best pairing of all is taken.
    """
    found = stretches(tracks)
    ids = sorted(found)
    each = [found[identity] for identity in ids]
    pairs = [(i, j) for i, j in permutations(range(len(ids)), 2) if may_follow(each[i], each[j])]
    if not pairs:
        return tracks
    weights = decide(np.stack([pair(each[i], each[j]) for i, j in pairs]))
    cost = np.full((len(ids), len(ids)), np.inf)
    for (i, j), weight in zip(pairs, weights, strict=True):
        cost[i, j] = 1.0 - weight
    following = assign_below(cost, np.nextafter(1.0 - least, np.inf))
    before = {second: first for first, second in enumerate(following.tolist()) if second >= 0}
    renamed = {}
    for k, identity in enumerate(ids):
        while k in before:  # no circle: none begins before its predecessor ends
            k = before[k]
        renamed[identity] = ids[k]
    return Tracks(tracks.frame, np.array([renamed[i] for i in tracks.id.tolist()], np.int32), tracks.tlwh, tracks.score)


def stretches(tracks: Tracks) -> dict[int, Stretch]:
    """Identity -> its observations."""
    order = np.lexsort((tracks.frame, tracks.id))
    ids = tracks.id[order]
    cuts = [0, *(np.flatnonzero(np.diff(ids)) + 1).tolist(), len(ids)]
    return {
        int(ids[a]): Stretch(tracks.frame[order[a:b]].astype(np.int64), tracks.tlwh[order[a:b]])
        for a, b in pairwise(cuts)
        if a < b
    }

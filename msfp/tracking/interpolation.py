"""Post-processing of finished tracks: gaps filled on a line, then smoothed by a Gaussian process (StrongSORT's GSI).

Offline only, and it adds boxes, which public-detection rules forbid for official entries: no tracker does it by itself.
"""

import numpy as np

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

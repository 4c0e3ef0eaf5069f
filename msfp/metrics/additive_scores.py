"""Combined scores of draws of sequences: TrackEval sums counts and weights AssA with true positives, so a draw is a
weighted sum of the sequences' rows and then one formula."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from msfp.errors import InputError
from msfp.metrics.score import ALPHAS, SequenceScore

Floats = NDArray[np.float64]
A = len(ALPHAS)
WIDTH = 4 * A + 7
NAMES = ("HOTA", "AssA", "DetA", "IDF1", "MOTA", "IDSW")


def contributions(scores: Iterable[SequenceScore]) -> Floats:
    """(S, WIDTH) per sequence: true positives, misses, false ones and AssA x true positives of every localisation
    threshold; then CLEAR's tp, fn, fp, switches and Identity's idtp, idfn, idfp."""
    rows = [
        np.concatenate(
            [s.hota_tp, s.hota_fn, s.hota_fp, s.ass_a * s.hota_tp, [s.tp, s.fn, s.fp, s.idsw, s.idtp, s.idfn, s.idfp]]
        )
        for s in scores
    ]
    return np.array(rows, np.float64).reshape(-1, WIDTH)


def measure(total: Floats, name: str) -> Floats:
    """(...,) a combined measure of summed contributions (..., WIDTH), fractions in percent."""
    tp, fn, fp, associated = (total[..., k * A : (k + 1) * A] for k in range(4))
    clear_tp, clear_fn, clear_fp, switches, idtp, idfn, idfp = np.moveaxis(total[..., 4 * A :], -1, 0)
    detection = tp / np.maximum(1, tp + fn + fp)
    association = associated / np.maximum(1, tp)
    if name == "HOTA":
        return 100 * np.sqrt(detection * association).mean(axis=-1)
    if name == "AssA":
        return 100 * association.mean(axis=-1)
    if name == "DetA":
        return 100 * detection.mean(axis=-1)
    if name == "IDF1":
        return 100 * idtp / np.maximum(1, idtp + 0.5 * idfp + 0.5 * idfn)
    if name == "MOTA":
        return 100 * (clear_tp - clear_fp - switches) / np.maximum(1, clear_tp + clear_fn)
    if name == "IDSW":
        return switches
    raise InputError(f"measure {name!r}: there are {', '.join(NAMES)}")

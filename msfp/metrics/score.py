"""Score of a sequence: the counts that combining needs, and the measures derived from them."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

ALPHAS = tuple(np.arange(0.05, 0.99, 0.05).tolist())
"""HOTA's 19 localisation thresholds, exactly the floats TrackEval uses."""

COUNTS = ("IDSW", "TP", "FP", "FN", "Frag", "MT", "PT", "ML", "IDTP", "IDFN", "IDFP")

PerAlpha = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SequenceScore:
    """Counts and averages of one sequence (or of several combined), small and picklable.

    Attributes:
        hota_tp, hota_fn, hota_fp: (19,) boxes per localisation threshold.
        ass_a, ass_re, ass_pr, loc_a: (19,) association accuracy, recall, precision, and localisation accuracy.
        tp, fn, fp, idsw: boxes and identity switches of CLEAR at IoU 0.5.
        mt, pt, ml: identities tracked in more than 80 %, in 20-80 %, in less than 20 % of their frames.
        frag: interruptions of identities.
        frames: frames evaluated; 0 where there is no truth or no track, as TrackEval has it.
        motp_sum: sum of the IoU of the CLEAR matches.
        idtp, idfn, idfp: boxes under the best one-to-one map of identities.
    """

    hota_tp: PerAlpha
    hota_fn: PerAlpha
    hota_fp: PerAlpha
    ass_a: PerAlpha
    ass_re: PerAlpha
    ass_pr: PerAlpha
    loc_a: PerAlpha
    tp: int
    fn: int
    fp: int
    idsw: int
    mt: int
    pt: int
    ml: int
    frag: int
    frames: int
    motp_sum: float
    idtp: int
    idfn: int
    idfp: int

    @property
    def det_a_alpha(self) -> PerAlpha:
        return self.hota_tp / np.maximum(1, self.hota_tp + self.hota_fn + self.hota_fp)

    @property
    def hota_alpha(self) -> PerAlpha:
        return np.sqrt(self.det_a_alpha * self.ass_a)

    @property
    def hota(self) -> float:
        return float(np.mean(self.hota_alpha))

    @property
    def det_a(self) -> float:
        return float(np.mean(self.det_a_alpha))

    @property
    def assoc_a(self) -> float:
        return float(np.mean(self.ass_a))

    @property
    def localisation(self) -> float:
        """LocA: mean IoU of the matches, averaged over the thresholds."""
        return float(np.mean(self.loc_a))

    @property
    def mota(self) -> float:
        """Multi-object tracking accuracy; 0 where there is no truth to count against, as TrackEval has it."""
        truth = self.tp + self.fn
        return (self.tp - self.fp - self.idsw) / truth if truth else 0.0

    @property
    def motp(self) -> float:
        """Mean IoU of the CLEAR matches."""
        return self.motp_sum / max(1, self.tp)

    @property
    def idf1(self) -> float:
        """F1 of boxes under the best one-to-one map of identities."""
        return self.idtp / max(1.0, self.idtp + 0.5 * self.idfp + 0.5 * self.idfn)

    def row(self) -> dict[str, float | int]:
        """Plain numbers under the names the field prints, fractions not percent."""
        return {
            "HOTA": self.hota,
            "DetA": self.det_a,
            "AssA": self.assoc_a,
            "LocA": self.localisation,
            "MOTA": self.mota,
            "MOTP": self.motp,
            "IDF1": self.idf1,
        } | {name: getattr(self, name.lower()) for name in COUNTS}


@dataclass(frozen=True, eq=False)
class Score:
    """Scores of sequences by name, and combined: counts summed, association averaged over true positives."""

    sequences: Mapping[str, SequenceScore]
    combined: SequenceScore

    def rows(self) -> list[dict[str, str | float | int]]:
        """One plain dict a sequence, in order, and a last one named `COMBINED`."""
        named = [*self.sequences.items(), ("COMBINED", self.combined)]
        return [{"sequence": name, **score.row()} for name, score in named]


def identical(a: SequenceScore, b: SequenceScore, atol: float = 0.0) -> bool:
    """Whether two scores agree: integers exactly, floats within `atol`."""
    for column in fields(SequenceScore):
        x, y = getattr(a, column.name), getattr(b, column.name)
        exact = isinstance(x, int) or column.name in ("hota_tp", "hota_fn", "hota_fp")
        if not np.allclose(x, y, rtol=0, atol=0 if exact else atol):
            return False
    return True

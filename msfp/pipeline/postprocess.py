"""What is done to finished tracks, on request and in this order: `link` (AFLink), `fill` and `smooth` (GSI).

`link` learns from labels alone: labelled tracks are cut into stretches as a tracker cuts them, by gaps of some frames.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from msfp.errors import InputError
from msfp.heads.linking import Linker, fit_link
from msfp.heads.training import Fitted
from msfp.pipeline import data
from msfp.pipeline.data import Part
from msfp.pipeline.run import Run
from msfp.pipeline.stage import stage
from msfp.tracking.interpolation import fill_gaps, smooth
from msfp.tracking.linking import LONGEST, Stretch, link, may_follow, pair, stretches
from msfp.types import GroundTruth, Tracks

STEPS = ("link", "fill", "smooth")
CUTS = 8  # times that the labels are cut anew
EPOCHS, OTHERS = 60, 3  # passes over the pairs; strangers for each pair of one person
PIECE = (10, 60)  # observations of a stretch between two cuts
WOBBLE = 0.03  # spread of a detected box's place, as a share of its height
LINK_CODE = ("msfp.heads.linking", "msfp.tracking.linking")


def steps_from(text: str) -> tuple[str, ...]:
    """`"link,smooth"` -> those steps in their order; empty: none."""
    asked = [word.strip() for word in text.split(",") if word.strip()]
    for word in asked:
        if word not in STEPS:
            raise InputError(f"--after {word}: not known; there are: {', '.join(STEPS)}, several separated by commas")
    return tuple(step for step in STEPS if step in asked)


def finish(run: Run, tracks: Tracks, steps: Iterable[str], learn: tuple[Part, ...], seed: int = 0) -> Tracks:
    """Tracks of a whole sequence after steps of `STEPS`; `link` learns from the labels of `learn`."""
    for step in steps:
        if not len(tracks):
            return tracks
        if step == "link":
            tracks = link(tracks, Linker(train_link(run, learn, seed).state))
        else:
            tracks = fill_gaps(tracks) if step == "fill" else smooth(tracks)
    return tracks


def _link_inputs(run: Run, learn: tuple[Part, ...], seed: int) -> dict[str, object]:
    return {
        "labels": [(data.truth_digest(run, p.scene), p.first, p.last) for p in learn],
        "recipe": (CUTS, EPOCHS, OTHERS, PIECE, WOBBLE),
        "seed": seed,
    }


@stage("link", _link_inputs, LINK_CODE)
def train_link(run: Run, learn: tuple[Part, ...], seed: int) -> Fitted:
    """The decision, taught by the labels of the learning parts."""
    return fit_link(*link_pairs([data.window(data.labels(p.scene), p) for p in learn], seed), EPOCHS, seed)


def link_pairs(labels: Iterable[GroundTruth], seed: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Stretches that follow each other, (M, 2, T, 3), and (M,) whether they are one person's."""
    rng = np.random.default_rng([seed, 5])
    found, same = [], []
    for seen in [people(truth) for truth in labels] * CUTS:
        pieces = [(who, piece) for who, whole in seen.items() for piece in cut(whole, rng)]
        for who, before in pieces:
            after = [(other, piece) for other, piece in pieces if may_follow(before, piece)]
            own = [piece for other, piece in after if other == who][:1]
            strangers = [piece for other, piece in after if other != who]
            chosen = rng.permutation(len(strangers))[:OTHERS]
            for piece in [*own, *(strangers[k] for k in chosen)]:
                found.append(pair(before, piece))
                same.append(bool(own) and piece is own[0])
    empty = np.zeros((0, 2, 0, 3), np.float32)
    return np.stack(found) if found else empty, np.array(same, np.bool_)


def people(truth: GroundTruth) -> dict[int, Stretch]:
    """Labelled pedestrians as tracks without a mistake."""
    rows = truth.pedestrian
    score = np.ones(int(rows.sum()), np.float32)
    return stretches(Tracks(truth.frame[rows], truth.id[rows], truth.tlwh[rows], score))


def cut(whole: Stretch, rng: np.random.Generator) -> list[Stretch]:
    """A person's observations in stretches with gaps between them, their places as inexact as detections are."""
    pieces, at = [], 0
    while at < len(whole.frame):
        end = min(at + int(rng.integers(*PIECE)), len(whole.frame))
        tlwh = whole.tlwh[at:end].copy()
        tlwh[:, :2] += rng.normal(0.0, WOBBLE, (end - at, 2)) * tlwh[:, 3:]
        pieces.append(Stretch(whole.frame[at:end], tlwh))
        at = end + int(rng.integers(0, LONGEST))
    return pieces

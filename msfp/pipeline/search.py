"""Stage 3a: the threshold of highest HOTA, searched on a grid on the learning parts (A.2)."""

from collections.abc import Iterable
from collections.abc import Sequence as ListLike
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from msfp.engine.code import code_digest
from msfp.engine.progress import Bar
from msfp.errors import NotComputable
from msfp.heads.threshold import Mode
from msfp.pipeline import data
from msfp.pipeline.data import Part
from msfp.pipeline.heads import ATTENTION, Appearance, head_inputs
from msfp.pipeline.one_look import looked_once, one_look
from msfp.pipeline.run import Run
from msfp.pipeline.selection import SELECTION_CODE, Options, Subject, inner_split, labelled, options_for
from msfp.pipeline.stage import attempt, stage
from msfp.tracking import Tracker, make, thresholds
from msfp.tracking.two_stage import TwoStage
from msfp.types import Sequence

GRID_CODE = (code_digest(__name__, follow=False), *SELECTION_CODE)
SEARCH_SEED = 0  # the head whose embeddings the grid search tracks with


@dataclass(frozen=True)
class Search:
    """Outcome of a grid search on one sequence."""

    grid: NDArray[np.float32]  # (G, k) searched values: tau, (tau_high, tau_low), or the offset
    hota: NDArray[np.float64]  # (G,) HOTA in [0, 1] on the searched frames
    # (k,) the middle of the first plateau of highest HOTA; HOTA is flat in tau for detectors whose scores have gaps,
    # and any value of a plateau is as good as another
    best: NDArray[np.float32]

    @property
    def plateau(self) -> tuple[float, float]:
        """Least and greatest of the neighbouring thresholds that are as good as the chosen one."""
        tau = self.grid[:, 0]
        worse = self.hota < self.hota.max() - 1e-12
        below, above = tau[worse & (tau < self.best[0])], tau[worse & (tau > self.best[0])]
        kept = tau[~worse & (tau > below.max(initial=-np.inf)) & (tau < above.min(initial=np.inf))]
        return float(kept.min()), float(kept.max())


def candidates(run: Run, mode: Mode) -> NDArray[np.float32]:
    """(G, k) grid of A.2: tau; pairs with tau_low < tau_high; or offsets."""
    grid = run.settings.atl.grid
    if mode == "dual":
        return np.array([(high, low) for high in grid for low in grid if low < high], np.float32)
    return np.array(grid, np.float32)[:, None]


def plateau_middle(grid: NDArray[np.float32], hota: NDArray[np.float64]) -> NDArray[np.float32]:
    """Middle (the lower of two) of the first run of grid points that all reach the highest value."""
    best = hota >= hota.max() - 1e-12
    first = int(np.argmax(best))
    rest = best[first:]
    length = len(rest) if rest.all() else int(np.argmin(rest))
    return grid[first + (length - 1) // 2]


def _inputs(
    run: Run, part: Part, sequence: Sequence, mode: Mode, look: Appearance | None, tracker: str, options: Options
) -> dict[str, object]:
    return {
        "detections": run.detections_digest(sequence),
        "labels": data.truth_digest(run, part.scene),
        "part": (part.first, part.last),
        "mode": mode,
        "grid": candidates(run, mode),
        "base": (run.settings.atl.base_high, run.settings.atl.base_low),
        "benchmark": data.benchmark(part.scene),
        "tracker": tracker,
        "options": dict(options),
        "look": head_inputs(run, look) if look else None,
        "pixels": run.pixels_digest(part.scene) if look else None,
    }


@stage("grid", _inputs, GRID_CODE)
def search(
    run: Run, part: Part, sequence: Sequence, mode: Mode, look: Appearance | None, tracker: str, options: Options
) -> Search:
    """Track a labelled part with every candidate and keep the one of highest HOTA (A.2), by its benchmark's rules."""
    follower, one = make(tracker, fps=sequence.fps, **dict(options)), labelled(run, part, sequence, look)
    grid = candidates(run, mode)
    hota = np.empty(len(grid))
    known: dict[tuple[float, ...], float] = {}
    for i, value in enumerate(grid):
        taus = per_frame(run, mode, np.repeat(value[None], part.length, axis=0), warn=False)
        key = parted(follower, one.found.score, *taus[0])
        if key not in known:
            known[key] = one.score(follower, taus).hota
        hota[i] = known[key]
    return Search(grid, hota, plateau_middle(grid, hota))


def parted(tracker: Tracker, scores: NDArray[np.float32], high: np.float32, low: np.float32) -> tuple[float, ...]:
    """Count the scores on each side of two thresholds, by which alone a two-stage tracker tells thresholds apart."""
    if not isinstance(tracker, TwoStage):
        return float(high), float(low)
    born = high + np.float32(tracker.settings.new_track_margin)
    sides = ((scores > high), (scores < high), (scores > low), (scores >= born))
    return tuple(float(np.count_nonzero(side)) for side in sides)


def per_frame(
    run: Run, mode: Mode, raw: NDArray[np.float32], center: float = 0.0, warn: bool = True
) -> NDArray[np.float32]:
    """(T, 2) tau_high and tau_low from what a mode predicts: (T, 1) tau or offset, or (T, 2) both."""
    if mode == "single":
        return thresholds.single(raw[:, 0])
    if mode == "dual":
        return thresholds.dual(raw)
    atl = run.settings.atl
    return thresholds.offset(raw[:, 0], atl.base_high, atl.base_low, center, warn=warn)


def detectors_of(parts: ListLike[Part]) -> tuple[str, ...]:
    """Names of the public detectors of the parts, each once."""
    return tuple(sorted({s.detector for p in parts for s in data.sequences(p)}))


def having(parts: ListLike[Part], detector: str) -> list[tuple[Part, Sequence]]:
    """The parts that have boxes of a detector, with the sequence of them."""
    return [(p, s) for p in parts for s in data.sequences(p) if s.detector == detector]


def member(part: Part, detector: str) -> Sequence:
    """The part's sequence with a detector's boxes."""
    for _, sequence in having([part], detector):
        return sequence
    raise NotComputable(f"{part.scene.name} has no {detector} detections")


def searched(run: Run, learn: ListLike[Part], part: Part) -> tuple[Part, Appearance]:
    """On which frames the target of a learning part is searched, and with a head that did not learn from them.

    The crowded data set is searched with the main one's head, as A.2 has it. Elsewhere held-out scenes are searched
    with a head of the rest, the rest with a head of the held-out ones; a single scene's second half with a head of its
    first.
    """
    heads = _heads_of_main(run, learn)
    if heads:
        return part, Appearance(ATTENTION, heads, SEARCH_SEED)
    names = sorted({p.scene.name for p in learn})
    if len(names) == 1:
        middle = (part.first + part.last) // 2
        own = Appearance(ATTENTION, (replace(part, last=middle),), SEARCH_SEED)
        return replace(part, first=middle + 1), own
    held = {p.scene.name for p in inner_split(run, learn)[1]}
    if held == set(names):  # too few scenes to hold out whole ones: every other scene
        held = set(names[1::2])
    others = tuple(p for p in learn if (p.scene.name in held) != (part.scene.name in held))
    return part, Appearance(ATTENTION, others, SEARCH_SEED)


def searching_looks(run: Run, learn: ListLike[Part]) -> tuple[Appearance, ...]:
    """The embeddings that grid searches on the learning parts track with."""
    with one_look():
        return tuple(dict.fromkeys(searched(run, learn, part)[1] for part in learn))


def searching_subject(run: Run, learn: ListLike[Part]) -> Subject:
    """Whose selected settings a grid search tracks with: MSFP (attention)'s."""
    heads = _heads_of_main(run, learn) or tuple(learn)
    return Subject("msfp-attention", Appearance(ATTENTION, heads, SEARCH_SEED), "none", (), tuple(learn))


@looked_once
def _heads_of_main(run: Run, learn: ListLike[Part]) -> tuple[Part, ...]:
    """Parts that the heads of the crowded data set learned from; empty for parts of other data sets."""
    crowded = run.settings.data.crowded
    if crowded is None or {p.scene.pixels.dataset for p in learn} != {crowded}:
        return ()
    return data.all_learning(run, run.settings.data.main)


@looked_once
def search_inputs(run: Run, learn: ListLike[Part]) -> dict[str, object]:
    """Inputs that the targets of the learning parts depend on, beside their files."""
    return {
        "looks": [head_inputs(run, look) for look in searching_looks(run, learn)],
        "options": dict(options_for(run, searching_subject(run, learn))),
    }


def search_all(run: Run, wanted: Iterable[tuple[tuple[Part, ...], str, Mode]]) -> None:
    """The searches behind the targets of many (learning parts, detector, mode), fanned out; they are then kept."""
    items = [
        (learn, part, detector, mode)
        for learn, detector, mode in dict.fromkeys(wanted)
        for part, _ in having(learn, detector)
    ]
    run.map(partial(attempt, function=target, run=run), items, "grid search")


def target(run: Run, learn: tuple[Part, ...], part: Part, detector: str, mode: Mode) -> Search:
    """Grid search on one learning part, tracked with the settings selected for MSFP (attention)."""
    frames, look = searched(run, learn, part)
    options = options_for(run, searching_subject(run, learn))
    return search(run, frames, member(frames, detector), mode, look, "msfp-attention", options)


def targets(run: Run, learn: ListLike[Part], detector: str, mode: Mode) -> dict[Part, Search]:
    """Grid search on every learning part that has this detector; no head saw the frames it is searched on."""
    mine, found = having(learn, detector), {}
    with Bar(len(mine), f"grid search, {mode}, {detector}") as progress:
        for part, _ in mine:
            found[part] = target(run, tuple(learn), part, detector, mode)
            progress.update()
    return found
